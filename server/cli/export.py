"""``export-package``: build evidence packages on the server's own machine, without the console."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.app import create_app
from server.cli.export_run import FolderTaken, Run, is_whole, run_in
from server.cli.package import write_whole
from server.db import reading, transaction
from server.failures import Invalid, NotFound, ServerError
from server.models.inspections import EvidencePackage, Inspection
from server.models.people import Organization, User, UserRole
from server.operations import export, stamps
from server.operations.export.asked import Asked
from server.operations.export.errors import PackageDefective
from server.operations.export.list_forms import DEFAULT_ROUTE, routes
from server.services import Services, services
from server.settings import Settings
from sync import catalogue

_READY = "ready"
#: It was finished by an earlier run into the same folder.
_KEPT = "kept"
_COLUMNS = ("inspection", "state", "verdict", "size", "file")
_FAILED, _NOTHING, _TAKEN = 1, 3, 4
_SHOWN_ZONE = ZoneInfo("Asia/Shanghai")
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
@click.option(
    "--inspection", "more", multiple=True, help="检查编号，可重复 / an inspection; repeatable"
)
@click.option("--all", "every", is_flag=True, help="每一次检查 / every inspection")
@click.option("--bureau", help="只导出该机关（名称或编号）的 / of this bureau alone (name or id)")
@click.option(
    "--from",
    "since",
    type=click.DateTime(["%Y-%m-%d"]),
    help="检查开始日期不早于 / opened on this day or later",
)
@click.option(
    "--to",
    "until",
    type=click.DateTime(["%Y-%m-%d"]),
    help="检查开始日期不晚于 / opened on this day or before",
)
@click.option("--again", is_flag=True, help="已完成的也重新生成 / also what was finished before")
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
    more: tuple[str, ...],
    every: bool,
    bureau: str | None,
    since: datetime | None,
    until: datetime | None,
    again: bool,
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

    A run that was cut off goes on where it was: what is finished in the folder is not made again.

    Exit status: 0 every package is there and passes its own check; 1 some are not; 2 wrong
    usage; 3 no inspection matches; 4 another run is writing into the folder.
    """
    named = dict.fromkeys((*inspections, *more))
    choosing = every or bureau is not None or since is not None or until is not None
    if bool(named) == choosing:
        raise click.UsageError(catalogue.text("export.which"))
    app = create_app(Settings.from_env(os.environ))
    with app.app_context():
        with reading() as session:
            person_id = administrator(session, user)
            for inspection_id in named:
                if session.get(Inspection, inspection_id) is None:
                    raise NotFound("inspection", inspection_id)
            wanted = list(named) or _matching(session, bureau, since=since, until=until)
        if not wanted:
            click.echo(catalogue.text("export.none_match"), err=True)
            sys.exit(_NOTHING)
        out.mkdir(parents=True, exist_ok=True)
        asked = Asked(route=route, redacted=redacted, sm3=sm3, despite=despite)
        done = []
        try:
            with run_in(out) as run:
                for inspection_id in wanted:
                    order = _Order(inspection_id, person_id, reason, asked, again)
                    exported = _export(services(), run, order, out)
                    done.append(exported)
                    click.echo(json.dumps(asdict(exported)) if as_json else _sentence(exported))
        except FolderTaken:
            click.echo(catalogue.text("export.folder_taken", folder=out), err=True)
            sys.exit(_TAKEN)
    if not as_json:
        for line in _table(done):
            click.echo(line)
    if any(row.state not in (_READY, _KEPT) or row.verdict != "PASS" for row in done):
        sys.exit(_FAILED)


def _matching(
    session: Session, bureau: str | None, *, since: datetime | None, until: datetime | None
) -> list[str]:
    """The inspections of a bureau and period, in the order in which they were opened.

    Raises:
        NotFound: if there is no such bureau.
    """
    query = select(Inspection.id).order_by(Inspection.opened_at_ms, Inspection.id)
    if bureau is not None:
        found = session.scalars(
            select(Organization.id).where(
                (Organization.id == bureau) | (Organization.name == bureau)
            )
        ).all()
        if not found:
            raise NotFound("organization", bureau)
        query = query.where(Inspection.organization_id.in_(found))
    if since is not None:
        query = query.where(Inspection.opened_at_ms >= _midnight_ms(since))
    if until is not None:
        query = query.where(Inspection.opened_at_ms < _midnight_ms(until + timedelta(days=1)))
    return list(session.scalars(query))


def _midnight_ms(day: datetime) -> int:
    return int(day.replace(tzinfo=_SHOWN_ZONE).timestamp() * 1000)


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


@dataclass(frozen=True)
class _Order:
    """One inspection to be exported; ``again`` even if that is finished."""

    inspection: str
    person: str
    reason: str
    asked: Asked
    again: bool


def _export(parts: Services, run: Run, order: _Order, out: Path) -> Exported:
    before = None if order.again else _unfinished(run, order)
    if before is not None and before.state == _READY and _is_there(out, before):
        return _exported(before, out, state=_KEPT)
    package_id = before.id if before is not None else ""
    if not package_id:
        try:
            package_id = _ask(parts, order)
        except PackageDefective as found:
            failure = "\n".join(defect.sentence("zh") for defect in found.defects)
            return Exported(inspection=order.inspection, state=_DEFECTIVE, failure=failure)
        except ServerError as error:
            # One inspection that cannot be packed keeps no other from being packed.
            failure = f"{error.code}: {error}"
            return Exported(inspection=order.inspection, state="failed", failure=failure)
        run.begin(order.inspection, order.asked, package_id)
    export.build_package(parts, package_id)
    stamps.stamp_package(parts, package_id)
    with reading() as session:
        row = session.get_one(EvidencePackage, package_id)
        if row.state != _READY:
            failure = row.failure or row.state
            return Exported(inspection=order.inspection, state=row.state, failure=failure)
        path = out / export.package_name(row)
        write_whole(path, export.open_package(parts.store, row))
        for name, answer in stamps.sidecars(session, row.id, path.name).items():
            write_whole(path.with_name(name), iter([answer]))
        # Last: where the signature is, the package beside it is whole.
        write_whole(
            path.with_name(path.name + ".sig"), iter([export.open_signature(parts.store, row)])
        )
        return _exported(row, out, state=_READY)


def _unfinished(run: Run, order: _Order) -> EvidencePackage | None:
    """The package of an earlier run, unless it failed or was erased by law."""
    package_id = run.package_of(order.inspection, order.asked)
    if package_id is None:
        return None
    with reading() as session:
        row = session.get(EvidencePackage, package_id)
        session.expunge_all()
    return row if row is not None and row.state in (_READY, "queued", "building") else None


def _is_there(out: Path, row: EvidencePackage) -> bool:
    path = out / export.package_name(row)
    signed = path.with_name(path.name + ".sig").is_file()
    return signed and is_whole(path, sha256=row.sha256 or "", size=row.size or 0)


def _ask(parts: Services, order: _Order) -> str:
    with transaction() as session:
        return export.request_package(
            session,
            inspection_id=order.inspection,
            person_id=order.person,
            reason=order.reason,
            asked=order.asked,
            now_ms=parts.now_ms(),
        )


def _exported(row: EvidencePackage, out: Path, *, state: str) -> Exported:
    return Exported(
        inspection=row.inspection_id,
        state=state,
        path=str(out / export.package_name(row)),
        sha256=row.sha256 or "",
        size=row.size or 0,
        verdict=row.verdict or "",
    )


def _sentence(exported: Exported) -> str:
    key = {_READY: "done", _KEPT: "kept", _DEFECTIVE: "defective"}.get(exported.state, "failed")
    return catalogue.text(f"export.{key}", **asdict(exported))


def _table(done: Sequence[Exported]) -> Iterator[str]:
    """What the run came to: a row for each inspection, and how many there are of each state."""
    for lang in catalogue.LANGUAGES:
        yield ""
        yield "\t".join(catalogue.text(f"export.column.{name}", lang) for name in _COLUMNS)
        for row in done:
            state = row.state if catalogue.has(f"export.state.{row.state}") else "failed"
            cells = (
                row.inspection,
                catalogue.text(f"export.state.{state}", lang),
                row.verdict or "-",
                str(row.size),
                Path(row.path).name or row.failure.partition("\n")[0],
            )
            yield "\t".join(cells)
        finished = sum(row.state in (_READY, _KEPT) for row in done)
        yield catalogue.text(
            "export.total",
            lang,
            count=len(done),
            finished=finished,
            kept=sum(row.state == _KEPT for row in done),
            failed=len(done) - finished,
            bytes=sum(row.size for row in done),
        )
