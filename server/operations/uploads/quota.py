"""How much a device may send before its journal says what it is (docs/protocol.md §7).

An announced file is not refused here: these bounds keep a stolen device from filling the
store with bytes that no line names. What the store keeps counts, in whatever way the
upload ended; bytes that were not those of their digest are named by no line.
"""

from sqlalchemy import and_, bindparam, case, exists, func, or_, select
from sqlalchemy.orm import Session

from media.findings.forms import calls_recording
from media.upload import StoreLow, TooManyUploads, UnannouncedQuota
from media.upload_headers import Metadata, read_metadata
from server.models.inspections import EvidenceItem
from server.models.uploads import UNDER_WAY, Upload
from server.operations import ledger
from server.operations.uploads.desk import Desk, UploadState

_SIZE = func.coalesce(Upload.length, Upload.offset)

# Built once: every upload begins with these questions.
_BEGUN = (
    select(func.count())
    .select_from(Upload)
    .where(Upload.device_id == bindparam("device"), Upload.status == "open")
)
_KEPT = or_(
    # A file that is being put together is counted by its pieces.
    and_(Upload.status.in_(UNDER_WAY), Upload.concat != "final"),
    Upload.status == "stored",
    # Giving a finished upload up takes nothing back; its pieces are gone, though.
    and_(
        Upload.status == "terminated",
        Upload.concat != "partial",
        Upload.found_sha256 == Upload.sha256,
    ),
)
_UNANNOUNCED = select(func.sum(_SIZE)).where(
    Upload.device_id == bindparam("device"),
    or_(
        and_(
            Upload.awaits_line,
            _KEPT,
            ~exists().where(
                EvidenceItem.organization_id == Upload.organization_id,
                EvidenceItem.sha256 == Upload.sha256,
            ),
        ),
        Upload.status == "quarantined",
    ),
)
# Not those that were only begun: the answer to a creation may have been lost.
_UNDER_DIGEST = select(
    func.count(), func.sum(case((Upload.status == "quarantined", 0), else_=Upload.offset))
).where(
    Upload.device_id == bindparam("device"),
    Upload.sha256 == bindparam("digest"),
    Upload.status.in_((*UNDER_WAY, "quarantined")),
    Upload.offset > 0,
)
_ANNOUNCED_SIZE = select(func.max(EvidenceItem.size)).where(
    EvidenceItem.organization_id == bindparam("organization"),
    EvidenceItem.sha256 == bindparam("digest"),
)
_ANNOUNCED_PIECES = select(Upload.length, Upload.metadata_header).where(
    Upload.device_id == bindparam("device"),
    Upload.concat == "partial",
    ~Upload.awaits_line,
    Upload.status.in_((*UNDER_WAY, "stored")),
)


def check_open(session: Session, desk: Desk, device_id: str) -> None:
    """Refuse one more upload to a device that has too many unfinished ones.

    Raises:
        TooManyUploads: it has.
    """
    begun = session.scalar(_BEGUN, {"device": device_id})
    if (begun or 0) >= desk.open_limit:
        raise TooManyUploads(limit=desk.open_limit)


def check_unannounced(session: Session, desk: Desk, device_id: str, *, more: int) -> None:
    """Refuse ``more`` bytes that no line names.

    Raises:
        UnannouncedQuota: with them the device would hold too many.
    """
    held = session.scalar(_UNANNOUNCED, {"device": device_id})
    wanted = int(held or 0) + more
    if wanted > desk.unannounced_limit_bytes:
        raise UnannouncedQuota(limit=desk.unannounced_limit_bytes, got=wanted)


def check_announced(
    session: Session, desk: Desk, device_id: str, sha256: str, *, more: int
) -> None:
    """Refuse no announced file, but not any number of tries at it either.

    To a device that has sent bytes under the digest in another upload, which is under way
    or was set aside, they count as if no line named them.

    Raises:
        UnannouncedQuota: as for :func:`check_unannounced`.
    """
    tries, size = session.execute(_UNDER_DIGEST, {"device": device_id, "digest": sha256}).one()
    if tries:
        check_unannounced(session, desk, device_id, more=more + int(size))


def is_share(
    session: Session, *, organization_id: str, device_id: str, sha256: str, length: int
) -> bool:
    """Whether a piece of ``length`` fits into the announced file of which it says to be one.

    All pieces that the device has of it together must not be longer than the file.
    """
    size = session.scalar(_ANNOUNCED_SIZE, {"organization": organization_id, "digest": sha256})
    if size is None:
        return False
    others = sum(
        row.length
        for row in session.execute(_ANNOUNCED_PIECES, {"device": device_id})
        if read_metadata(row.metadata_header).sha256 == sha256
    )
    return bool(others + length <= size)


def room_for(desk: Desk, organization_id: str, metadata: Metadata) -> int | None:
    """The bytes that such a file may take; None if it is no recording, or nobody knows.

    What is one says the organisation's line, else the client. It is asked before the
    transaction that promises the room (:func:`check_room`).
    """
    with desk.read() as session:
        announced = session.scalars(
            select(EvidenceItem.media_type).where(
                EvidenceItem.organization_id == organization_id,
                EvidenceItem.sha256 == metadata.sha256,
            )
        )
        kinds = (metadata.filetype, *announced)
        if not any(calls_recording(kind) for kind in kinds):
            return None
        return desk.above_mark(session)


def check_room(session: Session, desk: Desk, above: int | None, *, more: int) -> None:
    """Refuse ``more`` bytes for which there is no room in what :func:`room_for` answered.

    Raises:
        StoreLow: with them the store would run low.
    """
    if above is None:
        return
    # One after the other: each must see what those before it have been promised.
    ledger.hold_head(session)
    if not desk.takes_recording(session, above, more):
        raise StoreLow("recordings wait until there is room")


def check_growth(desk: Desk, state: UploadState, *, more: int | None) -> None:
    """Bound an upload that hides its length, wherever it grows (None: nobody knows by how much).

    Raises:
        UnannouncedQuota: as for :func:`check_unannounced`.
    """
    if state.length is None and state.awaits_line:
        with desk.read() as session:
            check_unannounced(session, desk, state.device_id, more=1 if more is None else more)
