"""Building the packages that were asked for: read the case, write the ZIP, verify it, store it.

Nothing slow happens in a transaction. Building is repeatable to the byte, so a
build that was cut short is simply done again (docs/evidence.md §8).
"""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.hashes import SM3, Hash
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import Store, StoreUnavailable
from server.db import reading, transaction
from server.failures import PackageNotReady, ServerError
from server.locking import locked
from server.models.inspections import EvidencePackage
from server.models.ledger import Checkpoint, Generation
from server.operations import ledger
from server.operations.export import checking, contents, keeping, reports
from server.operations.export.asked import Asked, read_asked
from server.operations.export.case import CaseState, read_case
from server.operations.export.errors import ExportFailed
from server.operations.export.gate import ANCHOR_UNKNOWN
from server.operations.export.moment import Moment
from server.operations.export.piping import ahead
from server.operations.export.request import BUILDING, FAILED, QUEUED, READY
from server.operations.export.spool import Spool
from server.services import Services, receipt_name
from sync.errors import SyncError
from sync.evidence import package
from sync.evidence.package import PackageFile

_log = logging.getLogger(__name__)

_AGENT = "Liuhen"
_SHOWN_ZONE = ZoneInfo("Asia/Shanghai")
_MAX_FAILURE = 500
#: Between two words on how far a package is.
_TELL_S = 2.0
_SERVER = {"server": "export"}


@dataclass(frozen=True, kw_only=True)
class Order:
    """A package to be built."""

    package_id: str
    inspection_id: str
    moment: Moment
    asked: Asked


@dataclass(frozen=True, kw_only=True)
class Built:
    """A finished package: where its bytes and its sidecar are, and our own verdict."""

    key: str
    sha256: str
    size: int
    verdict: str


def build_waiting_packages(services: Services) -> None:
    """Build every package that waits; one process of a machine does so at a time."""
    with locked(_lock_of(services)) as alone:
        if not alone:
            return
        with reading() as session:
            waiting = session.scalars(
                select(EvidencePackage.id)
                .where(EvidencePackage.state.in_((QUEUED, BUILDING)))
                .order_by(EvidencePackage.requested_at_ms, EvidencePackage.id)
            ).all()
        for package_id in waiting:
            try:
                _build_one(services, package_id)
            # Where not even that can be written down, the others still have their turn.
            except Exception:
                _log.exception("package_unsettled package=%s", package_id)


def build_package(services: Services, package_id: str) -> None:
    """Build one package now, unless it is finished; its row says what came of it."""
    with locked(_lock_of(services), wait=True):
        _build_one(services, package_id)


def open_package(store: Store, row: EvidencePackage) -> Iterator[bytes]:
    """The bytes of a finished package in pieces.

    Raises:
        PackageNotReady: if it is not finished, or its building failed.
    """
    return store.stream(_ready_key(row))


def open_signature(store: Store, row: EvidencePackage) -> bytes:
    """The sidecar ``X.zip.sig``: the ledger key's signed note over the whole ZIP.

    Raises:
        PackageNotReady
    """
    return b"".join(store.stream(keeping.signature_key(_ready_key(row))))


def package_name(row: EvidencePackage) -> str:
    """The file name under which a package leaves: inspection and moment."""
    return f"liuhen-{row.inspection_id[:8]}-{row.ledger_size}.zip"


def _build_one(services: Services, package_id: str) -> None:
    folder = _folder(services) / package_id
    shutil.rmtree(folder, ignore_errors=True)
    try:
        order = begin(package_id)
        if order is None:
            return
        folder.mkdir(mode=0o700)
        built = _build(services, order, folder)
    except (StoreUnavailable, OperationalError) as error:
        # The row stays as it is, so that the next round tries again.
        _log.warning("package_postponed package=%s reason=%s", package_id, error)
    # Also what nobody foresaw, such as a row that somebody changed: whoever waits is told.
    except Exception as error:
        code = _code(error)
        _log.error("package_failed package=%s code=%s", package_id, code, exc_info=not code)
        with transaction() as session:
            _fail(session, package_id, error, now_ms=services.now_ms())
    else:
        with transaction() as session:
            _settle(session, order, built, now_ms=services.now_ms())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def begin(package_id: str) -> Order | None:
    """Mark the package as being built and read what it will show; None if it is finished."""
    with transaction() as session:
        row = session.get_one(EvidencePackage, package_id)
        if row.state not in (QUEUED, BUILDING):
            return None
        row.state = BUILDING
        checkpoint = session.get_one(Checkpoint, (row.generation, row.ledger_size))
        asked = read_asked(session, row.id)
        return Order(
            package_id=row.id,
            inspection_id=row.inspection_id,
            asked=asked,
            moment=Moment(
                origin=session.get_one(Generation, checkpoint.generation).origin,
                generation=checkpoint.generation,
                size=checkpoint.size,
                checkpoint=checkpoint.note,
                exported_at_ms=row.requested_at_ms,
                redacted=asked.redacted,
            ),
        )


def _build(services: Services, order: Order, folder: Path) -> Built:
    files = collect(services, order, folder)
    archive = folder / "package.zip"
    sha256, size = write_archive(files, archive, tell=_progress(order.package_id, files))
    # The keys stay, but a generation that has ended signed under a name of its own.
    signer = services.ledger_signer.under(order.moment.origin)
    told = any(defect.code == ANCHOR_UNKNOWN for defect in order.asked.defects)
    verdict = checking.verify(archive, signer.verifier_key, anchors_told=told)
    note = signer.sign(package.sidecar_text(sha256=sha256, size=size))
    key = keeping.keep(services.store, archive, note, package_id=order.package_id, sha256=sha256)
    return Built(key=key, sha256=sha256, size=size, verdict=verdict)


def collect(services: Services, order: Order, folder: Path) -> list[PackageFile]:
    """All files of the package in their order; what is made for it is kept in ``folder``."""
    moment, spool = order.moment, Spool(folder)
    ledger_signer = services.ledger_signer.under(moment.origin)
    # Where a key that is no longer ours signed it alone: the package proves itself by one key.
    moment = replace(moment, checkpoint=ledger_signer.countersign(moment.checkpoint))
    ledger_key = ledger_signer.verifier_key
    receipt_signer = services.receipt_signer.under(receipt_name(moment.origin))
    receipt_key = receipt_signer.verifier_key
    with reading() as session:
        case = read_case(session, order.inspection_id, moment)
        files = [
            *contents.evidence_files(session, case, spool, services.store),
            *contents.proof_files(
                session,
                case,
                spool,
                ledger_key=ledger_key,
                receipt_key=receipt_key,
                witnesses=services.settings.witness_policy,
                countersign=ledger_signer.countersign,
            ),
            *reports.report_files(session, case, order.asked, spool),
            *checking.verify_files(case, ledger_key),
        ]
        info = _bag_info(case)
    return package.assemble(
        files,
        info=info,
        origin=moment.origin,
        ledger_size=moment.size,
        sign=ledger_signer.sign,
        sm3=_sm3 if order.asked.sm3 else None,
    )


def _sm3(file: PackageFile) -> str:
    digest = Hash(SM3())
    for piece in file.chunks():
        digest.update(piece)
    return digest.finalize().hex()


def _progress(package_id: str, files: Sequence[PackageFile]) -> Callable[[int], None]:
    """Writes down now and then how far the ZIP is, for the page on which it is waited for."""
    whole, told_at = package.package_size(files), time.monotonic()

    def tell(written: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < _TELL_S:
            return
        told_at = time.monotonic()
        with transaction() as session:
            row = session.get_one(EvidencePackage, package_id)
            row.written, row.of_bytes = written, whole

    return tell


def write_archive(
    files: Sequence[PackageFile], archive: Path, *, tell: Callable[[int], None] | None = None
) -> tuple[str, int]:
    """Write the ZIP and return its SHA-256 and length; ``tell`` hears how far it is.

    Raises:
        SourceMissing, SourceDamaged: if an original is not what was taken in.
        ZipContentMismatch: if its CRC is not the one recorded at receipt.
    """
    digest, size = hashlib.sha256(), 0
    with archive.open("xb") as out:
        # The originals are read and hashed while the whole is hashed and written.
        for piece in ahead(package.write_package(files)):
            out.write(piece)
            digest.update(piece)
            size += len(piece)
            if tell is not None:
                tell(size)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest(), size


def _bag_info(case: CaseState) -> list[tuple[str, str]]:
    moment = case.moment
    exported = datetime.fromtimestamp(moment.exported_at_ms / 1000, _SHOWN_ZONE)
    fields = [
        ("Source-Organization", str(case.organization["name"])),
        ("External-Identifier", case.inspection.id),
        ("External-Description", case.inspection.title),
        ("Internal-Sender-Identifier", f"{moment.origin} {moment.size}"),
        ("Bagging-Date", exported.date().isoformat()),
        ("Bag-Software-Agent", _AGENT),
    ]
    spaced = [(label, " ".join(value.split())) for label, value in fields]
    return [(label, value) for label, value in spaced if value]


def _settle(session: Session, order: Order, built: Built, *, now_ms: int) -> None:
    ledger.append(
        session,
        "export",
        actor=_SERVER,
        subject={"package": order.package_id, "inspection": order.inspection_id},
        snapshot={
            "act": "built",
            "sha256": built.sha256,
            "size": built.size,
            "verdict": built.verdict,
            "ledger_size": order.moment.size,
        },
        now_ms=now_ms,
        about=(f"inspection:{order.inspection_id}",),
    )
    row = session.get_one(EvidencePackage, order.package_id)
    row.state, row.verdict = READY, built.verdict
    row.key, row.sha256, row.size = built.key, built.sha256, built.size


def _fail(session: Session, package_id: str, error: Exception, *, now_ms: int) -> None:
    ledger.lock_head(session)
    row = session.get_one(EvidencePackage, package_id)
    item_id = error.item_id if isinstance(error, ExportFailed) else ""
    about = [f"inspection:{row.inspection_id}", *([f"item:{item_id}"] if item_id else [])]
    code = _code(error) or f"{ServerError.code}: {type(error).__name__}"
    reason = f"{code}: {error}"[:_MAX_FAILURE]
    ledger.append(
        session,
        "alarm",
        actor=_SERVER,
        subject={"package": package_id, "inspection": row.inspection_id},
        snapshot={"act": "export_failed", "reason": reason},
        now_ms=now_ms,
        about=about,
    )
    row.state, row.failure = FAILED, reason


def _ready_key(row: EvidencePackage) -> str:
    if row.state != READY or row.key is None:
        raise PackageNotReady(row.state)
    return row.key


def _code(error: Exception) -> str:
    """Its permanent code; empty where it has none, since those of others say nothing here."""
    if isinstance(error, ServerError | MediaError | SyncError):
        return error.code
    return "system" if isinstance(error, OSError) else ""


def _folder(services: Services) -> Path:
    folder = services.settings.data_dir / "export"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _lock_of(services: Services) -> Path:
    """What a thread holds while it is the only one of the machine that builds packages."""
    return _folder(services) / "lock"
