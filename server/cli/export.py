"""``export-package``: build evidence packages on the server's own machine, without the console."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.app import create_app
from server.db import reading, transaction
from server.failures import Invalid, NotFound
from server.models.inspections import EvidencePackage, Inspection
from server.models.people import User, UserRole
from server.operations import export, stamps
from server.operations.export.asked import Asked
from server.operations.export.errors import PackageDefective
from server.operations.export.list_forms import DEFAULT_ROUTE, routes
from server.services import Services, services
from server.settings import Settings
from sync import catalogue

_READY = "ready"
#: The evidence has defects, and --despite does not say why it should leave all the same.
_DEFECTIVE = "defective"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One line of the summary; ``path`` and ``sha256`` are empty where ``failure`` says why."""

    inspection: str
    state: str
    path: str = ""
    sha256: str = ""
    size: int = 0
    verdict: str = ""
    failure: str = ""


@click.command("export-package")
@click.argument("inspections", nargs=-1)
@click.option("--all", "every", is_flag=True, help="每一次检查 / every inspection")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="当前目录 / this folder",
    help="存放文件夹 / folder to write to",
)
@click.option("--user", help="以哪位管理员的名义 / in which administrator's name (user name)")
@click.option("--reason", default="命令行导出", show_default=True, help="事由 / reason, logged")
@click.option(
    "--route",
    type=click.Choice(list(routes())),
    default=DEFAULT_ROUTE,
    show_default=True,
    help="移送去向，决定所附清单 / where it goes: which list of materials",
)
@click.option("--redacted", is_flag=True, help="脱敏 / redacted copies, sensitive fields withheld")
@click.option("--sm3", is_flag=True, help="另附 SM3 摘要清单 / a second manifest by SM3")
@click.option(
    "--despite",
    default="",
    help="证据有欠缺仍须导出的理由 / why it leaves in spite of defects, logged and printed",
)
@click.option("--json", "as_json", is_flag=True, help="每次检查输出一行 JSON / one JSON line each")
def export_package(
    inspections: tuple[str, ...],
    every: bool,
    out: Path,
    user: str | None,
    reason: str,
    route: str,
    redacted: bool,
    sm3: bool,
    despite: str,
    as_json: bool,
) -> None:
    """导出证据包 / Export inspections as evidence packages that verify without us.

    Exit status 0 if every package was built and passes its own check, else 1.
    """
    if bool(inspections) == every:
        raise click.UsageError(catalogue.text("export.which"))
    app = create_app(Settings.from_env(os.environ))
    with app.app_context():
        with reading() as session:
            person_id = administrator(session, user)
            wanted = list(inspections) or list(session.scalars(select(Inspection.id)))
        out.mkdir(parents=True, exist_ok=True)
        asked = Asked(route=route, redacted=redacted, sm3=sm3, despite=despite)
        done = []
        for inspection_id in wanted:
            exported = _export(services(), inspection_id, person_id, reason, asked, out)
            done.append(exported)
            click.echo(json.dumps(asdict(exported)) if as_json else _sentence(exported))
    if any(row.state != _READY or row.verdict != "PASS" for row in done):
        sys.exit(1)


def administrator(session: Session, username: str | None) -> str:
    """The person in whose name the export is logged.

    Raises:
        NotFound: if there is no such administrator.
        Invalid: if none is named and there is more than one.
    """
    query = (
        select(User.person_id)
        .join(UserRole, UserRole.user_id == User.id)
        .where(UserRole.role == "administrator", User.disabled.is_(False))
        .distinct()
    )
    if username is not None:
        query = query.where(User.username == username)
    found = list(session.scalars(query))
    if not found:
        raise NotFound("administrator", username or "")
    if len(found) > 1:
        raise Invalid("user", "there are several administrators; name one with --user")
    return found[0]


def _export(
    parts: Services, inspection_id: str, person_id: str, reason: str, asked: Asked, out: Path
) -> Exported:
    try:
        with transaction() as session:
            package_id = export.request_package(
                session,
                inspection_id=inspection_id,
                person_id=person_id,
                reason=reason,
                asked=asked,
                now_ms=parts.now_ms(),
            )
    except PackageDefective as found:
        failure = "\n".join(defect.sentence("zh") for defect in found.defects)
        return Exported(inspection=inspection_id, state=_DEFECTIVE, failure=failure)
    export.build_package(parts, package_id)
    stamps.stamp_package(parts, package_id)
    with reading() as session:
        row = session.get_one(EvidencePackage, package_id)
        if row.state != _READY:
            return Exported(
                inspection=inspection_id, state=row.state, failure=row.failure or row.state
            )
        path = out / export.package_name(row)
        _write(path, export.open_package(parts.store, row))
        _write(path.with_name(path.name + ".sig"), iter([export.open_signature(parts.store, row)]))
        for name, answer in stamps.sidecars(session, row.id, path.name).items():
            _write(path.with_name(name), iter([answer]))
        return Exported(
            inspection=inspection_id,
            state=row.state,
            path=str(path),
            sha256=row.sha256 or "",
            size=row.size or 0,
            verdict=row.verdict or "",
        )


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _sentence(exported: Exported) -> str:
    key = {_READY: "export.done", _DEFECTIVE: "export.defective"}.get(
        exported.state, "export.failed"
    )
    return catalogue.text(key, **asdict(exported))
