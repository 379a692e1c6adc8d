"""Recipients' signed receipts (回执) for packages: the scan, who, when, and the ZIP's digest."""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.store import Store, receipt_key
from server.failures import Conflict, Invalid, NotFound
from server.models.handover import PackageReceipt
from server.models.inspections import EvidencePackage, Inspection
from server.operations import ledger
from server.operations.access import Actor, require
from server.operations.cards import person_names
from server.operations.export.asked import about_package
from server.operations.packages import ready_package

MAX_RECEIPT_BYTES = 20 << 20
_MAX_NAME, _MAX_NOTE = 200, 1000
_CHINA = timezone(timedelta(hours=8))
_DAY_MS = 86_400_000

#: How papers that were scanned or photographed begin; ISO media by the brand behind ``ftyp``.
_BEGINNINGS = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
}
EXTENSIONS = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/tiff": "tif",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/heif": "heif",
    "image/avif": "avif",
}


@dataclass(frozen=True, kw_only=True)
class Given:
    """What an administrator enters; ``received_at`` is Beijing time, ``YYYY-MM-DDTHH:MM``."""

    recipient: str
    received_by: str
    received_at: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Scan:
    """The bytes of the receipt, as they are kept."""

    key: str
    sha256: str
    size: int
    media_type: str


@dataclass(frozen=True, kw_only=True)
class ReceiptRow:
    """A receipt as the package's page lists it."""

    id: str
    recipient: str
    received_by: str
    received_at_ms: int
    note: str
    sha256: str
    size: int
    entered_by: str
    entered_at_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class StoredReceipt:
    """Where a receipt's bytes are, and under which name they leave."""

    inspection_id: str
    key: str
    sha256: str
    size: int
    media_type: str
    name: str


def keep_scan(store: Store, data: bytes) -> Scan:
    """Put the receipt into the store, written once under its digest; the row comes second.

    Raises:
        Invalid: if it is empty, too large, or neither a PDF nor an image.
        StoreUnavailable
    """
    if not 0 < len(data) <= MAX_RECEIPT_BYTES:
        raise Invalid("file", f"between 1 and {MAX_RECEIPT_BYTES} bytes")
    media_type = _recognised(data)
    if not media_type:
        raise Invalid("file", "neither a PDF nor an image")
    sha256 = hashlib.sha256(data).hexdigest()
    key = receipt_key(sha256)
    store.put_once(key, data, size=len(data), sha256=sha256)
    return Scan(key=key, sha256=sha256, size=len(data), media_type=media_type)


def check_given(given: Given, *, now_ms: int) -> int:
    """When the package was received, if all that was entered can be kept.

    Raises:
        Invalid: naming the first field that cannot.
    """
    for field, value in (("recipient", given.recipient), ("received_by", given.received_by)):
        if not 0 < len(value.strip()) <= _MAX_NAME:
            raise Invalid(field, f"between 1 and {_MAX_NAME} characters")
    if len(given.note) > _MAX_NOTE:
        raise Invalid("note", f"at most {_MAX_NOTE} characters")
    try:
        received = datetime.strptime(given.received_at, "%Y-%m-%dT%H:%M").replace(tzinfo=_CHINA)
    except ValueError as error:
        raise Invalid("received_at", "YYYY-MM-DDTHH:MM") from error
    received_at_ms = int(received.timestamp() * 1000)
    if received_at_ms > now_ms + _DAY_MS:
        raise Invalid("received_at", "in the future")
    return received_at_ms


def enter_receipt(
    session: Session, actor: Actor, package_id: str, given: Given, scan: Scan, *, now_ms: int
) -> str:
    """Write a stored receipt down for a package, on the ledger too; returns its id.

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound, PackageNotReady: as for the package itself.
        Invalid: as :func:`check_given` says, or a time before the package was asked for.
        Conflict: if the same scan was entered for this package already.
    """
    require(actor, "administrator")
    received_at_ms = check_given(given, now_ms=now_ms)
    head = ledger.lock_head(session)
    ready = ready_package(session, actor, package_id)
    asked_ms = session.get_one(EvidencePackage, package_id).requested_at_ms
    # A time typed to the minute may lie up to one before the request's own.
    if received_at_ms < asked_ms - 60_000:
        raise Invalid("received_at", "before the package was asked for")
    entered = select(PackageReceipt.id).where(
        PackageReceipt.package_id == package_id, PackageReceipt.sha256 == scan.sha256
    )
    if session.scalars(entered).first() is not None:
        raise Conflict("this receipt was entered already")
    receipt_id = str(uuid.uuid4())
    told = {
        "recipient": given.recipient.strip(),
        "received_by": given.received_by.strip(),
        "received_at_ms": received_at_ms,
        "note": given.note.strip(),
    }
    index = ledger.append(
        session,
        "receipt",
        actor=actor.for_ledger(),
        subject={
            "package": package_id,
            "inspection": ready.inspection_id,
            "receipt": receipt_id,
        },
        snapshot={
            **told,
            "package_sha256": ready.sha256,
            "sha256": scan.sha256,
            "size": scan.size,
            "media_type": scan.media_type,
        },
        now_ms=now_ms,
        about=(
            f"inspection:{ready.inspection_id}",
            f"person:{actor.person_id}",
            about_package(package_id),
        ),
    )
    session.add(
        PackageReceipt(
            id=receipt_id,
            package_id=package_id,
            package_sha256=ready.sha256,
            sha256=scan.sha256,
            size=scan.size,
            media_type=scan.media_type,
            key=scan.key,
            entered_by=actor.person_id,
            entered_at_ms=now_ms,
            generation=head.generation,
            ledger_index=index,
            **told,
        )
    )
    session.flush()
    return receipt_id


def receipts_of(session: Session, package_id: str) -> tuple[ReceiptRow, ...]:
    """The receipts of a package, oldest first."""
    rows = session.scalars(
        select(PackageReceipt)
        .where(PackageReceipt.package_id == package_id)
        .order_by(PackageReceipt.entered_at_ms, PackageReceipt.id)
    ).all()
    names = person_names(session, (row.entered_by for row in rows))
    return tuple(
        ReceiptRow(
            id=row.id,
            recipient=row.recipient,
            received_by=row.received_by,
            received_at_ms=row.received_at_ms,
            note=row.note,
            sha256=row.sha256,
            size=row.size,
            entered_by=names.get(row.entered_by, ""),
            entered_at_ms=row.entered_at_ms,
            ledger_index=row.ledger_index,
        )
        for row in rows
    )


def stored_receipt(session: Session, actor: Actor, receipt_id: str) -> StoredReceipt:
    """The receipt of that id.

    Raises:
        Forbidden: if the actor is neither administrator nor leader.
        NotFound: if its package is not the actor's organisation's.
    """
    require(actor, "administrator", "leader")
    row = session.get(PackageReceipt, receipt_id)
    package = session.get(EvidencePackage, row.package_id) if row else None
    case = session.get(Inspection, package.inspection_id) if package else None
    if row is None or case is None or case.organization_id != actor.organization_id:
        raise NotFound("receipt", receipt_id)
    return StoredReceipt(
        inspection_id=case.id,
        key=row.key,
        sha256=row.sha256,
        size=row.size,
        media_type=row.media_type,
        name=f"receipt-{row.sha256[:16]}.{EXTENSIONS.get(row.media_type, 'bin')}",
    )


def _recognised(data: bytes) -> str:
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return _BRANDS.get(data[8:12], "") if data[4:8] == b"ftyp" else ""
