"""Runs the demonstration from an empty installation to a verified package on disk."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from server import jobs
from server.app import create_app
from server.db import reading, transaction
from server.demo.bureau import Account, Bureau, found_bureau
from server.demo.patrol import Invitation, Patrol, go_on_patrol
from server.failures import ServerError
from server.models.inspections import EvidenceItem, EvidencePackage
from server.operations import enrolment, export, packages, review
from server.operations.access import Actor
from server.operations.export.asked import Asked
from server.services import Services, services
from server.settings import Settings

_PATIENCE_S = 90
_PAUSE_S = 0.1
_CODE_VALID_MS = 600_000
_WAITING = ("captured", "stored")
_HELD = {
    "store": "the disk is nearly full, so recordings are not taken"
    " (LIUHEN_RECORDINGS_STOP_PERCENT)",
    "hours": "recordings wait for LIUHEN_RECORDING_HOURS",
}


class DemoFailed(ServerError):
    """A step of the demonstration did not come to its end; ``step`` says which."""

    code = "demo.failed"

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class DemoUser:
    """A console account of the demonstration."""

    username: str
    password: str
    name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What scripts need to go on from the demonstration; written to ``demo.json``.

    ``items`` maps a short name to the item's id; ``ledger_key`` is the verifier
    key that a recipient of the package would get from the bureau itself.
    """

    console: str
    users: tuple[DemoUser, ...]
    devices: tuple[str, ...]
    inspection: str
    items: Mapping[str, str]
    package: str
    package_sha256: str
    ledger_key: str


def perform(settings: Settings, base_url: str) -> DemoResult:
    """Perform the demonstration in an installed, empty and running installation.

    Args:
        base_url: where the devices reach this installation's web server.

    Raises:
        DemoFailed: naming the step.
    """
    folder = settings.data_dir / "demo"
    drawings = folder / "drawings"
    drawings.mkdir(mode=0o700, parents=True)
    app = create_app(settings)
    with app.app_context():
        parts = services()
        with transaction() as session:
            bureau = found_bureau(session, now_ms=parts.now_ms())
        invitations = [
            _invite(bureau, folder / "devices" / name, parts, title, serial, kind)
            for name, title, serial, kind in (
                ("phone", "执法手机（演示）", "DEMO-0001", "phone"),
                ("recorder", "执法记录仪（演示）", "DEMO-0002", "body_recorder"),
            )
        ]
        patrol = go_on_patrol(bureau, base_url, invitations[0], invitations[1], drawings)
        _check_reports(patrol)
        _await("checking the media", lambda: _all_checked(patrol))
        _judge(bureau, patrol.items["outfall"], parts)
        package = _export(bureau, patrol.inspection, parts, folder)
    return DemoResult(
        console=base_url,
        users=tuple(
            DemoUser(
                username=account.username,
                password=account.password,
                name=account.name,
                roles=account.roles,
            )
            for account in bureau.accounts.values()
        ),
        devices=tuple(str(invitation.folder) for invitation in invitations),
        inspection=patrol.inspection,
        items=patrol.items,
        package=str(package.path),
        package_sha256=package.sha256,
        ledger_key=parts.ledger_signer.verifier_key,
    )


def _invite(
    bureau: Bureau, folder: Path, parts: Services, name: str, serial: str, kind: str
) -> Invitation:
    with transaction() as session:
        code = enrolment.issue_code(
            session,
            organization_id=bureau.organization_id,
            issued_by=bureau.accounts["administrator"].person_id,
            now_ms=parts.now_ms(),
            valid_ms=_CODE_VALID_MS,
        )
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    return Invitation(folder=folder, code=code, name=name, serial=serial, kind=kind)


def _check_reports(patrol: Patrol) -> None:
    for report in patrol.reports:
        if report.problems:
            raise DemoFailed("sync", "; ".join(str(problem) for problem in report.problems))
        if report.held.count:
            raise DemoFailed("sync", _HELD.get(report.held.reason, report.held.reason))


def _all_checked(patrol: Patrol) -> bool:
    with reading() as session:
        rows = [session.get(EvidenceItem, item) for item in patrol.items.values()]
        return all(
            row is not None and row.state not in _WAITING and not row.check_wanted for row in rows
        )


def _judge(bureau: Bureau, item_id: str, parts: Services) -> None:
    word = review.Word(verdict="accepted", reason="画面清楚，各时间来源一致", seen=0)
    with transaction() as session:
        actor = _actor(bureau, bureau.accounts["reviewer"])
        review.judge(session, actor, item_id, word, now_ms=parts.now_ms())


@dataclass(frozen=True, kw_only=True)
class _Exported:
    path: Path
    sha256: str


def _export(bureau: Bureau, inspection_id: str, parts: Services, folder: Path) -> _Exported:
    """Ask for a package as the administrator, wait for the worker, and take a copy."""
    with transaction() as session:
        package_id = packages.ask_for_package(
            session,
            _actor(bureau, bureau.accounts["administrator"]),
            inspection_id,
            reason="演示导出",
            asked=Asked(despite="演示数据，未补正"),
            now_ms=parts.now_ms(),
        )
    jobs.wake(jobs.BUILD_PACKAGES)
    _await("building the package", lambda: _finished(package_id))
    with reading() as session:
        row = session.get_one(EvidencePackage, package_id)
        path = folder / export.package_name(row)
        with path.open("xb") as copy:
            for piece in export.open_package(parts.store, row):
                copy.write(piece)
            os.fsync(copy.fileno())
        signature = path.with_name(f"{path.name}.sig")
        signature.write_bytes(export.open_signature(parts.store, row))
        return _Exported(path=path, sha256=row.sha256 or "")


def _finished(package_id: str) -> bool:
    with reading() as session:
        row = session.get_one(EvidencePackage, package_id)
        if row.failure:
            raise DemoFailed("building the package", row.failure)
        return row.state == "ready"


def _actor(bureau: Bureau, account: Account) -> Actor:
    return Actor(
        user_id=account.user_id,
        person_id=account.person_id,
        name=account.name,
        organization_id=bureau.organization_id,
        roles=frozenset(account.roles),
    )


def _await(step: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise DemoFailed(step, f"not within {_PATIENCE_S} s")
        time.sleep(_PAUSE_S)
