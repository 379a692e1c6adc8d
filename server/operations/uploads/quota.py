"""How much a device may send before its journal says what it is (docs/protocol.md §7).

An announced file is never refused here: these bounds keep a stolen device from
filling the store with bytes that no line names.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, exists, func, select
from sqlalchemy.orm import Session

from media.upload import StoreLow, TooManyUploads, UnannouncedQuota
from server.models.inspections import EvidenceItem
from server.models.uploads import Upload
from server.operations.uploads.desk import Desk, UploadState

# Built once: every upload begins with these questions.
_BEGUN = (
    select(func.count())
    .select_from(Upload)
    .where(Upload.device_id == bindparam("device"), Upload.status == "open")
)
_UNANNOUNCED = select(func.sum(func.coalesce(Upload.length, Upload.offset))).where(
    Upload.device_id == bindparam("device"),
    Upload.awaits_line,
    Upload.status.in_(("open", "committing", "stored")),
    ~exists().where(
        EvidenceItem.organization_id == Upload.organization_id,
        EvidenceItem.sha256 == Upload.sha256,
    ),
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


def check_room(session: Session, desk: Desk, filetype: str, digests: Sequence[str]) -> None:
    """Refuse a recording while the store runs low; by what the line says, else the client.

    Raises:
        StoreLow: it does, and this is one.
    """
    if not desk.runs_low(session):
        return
    announced = session.scalars(
        select(EvidenceItem.media_type).where(EvidenceItem.sha256.in_(digests))
    )
    if any(kind.startswith(("audio/", "video/")) for kind in (filetype, *announced)):
        raise StoreLow("recordings wait until there is room")


def check_growth(desk: Desk, state: UploadState, *, more: int | None) -> None:
    """Bound an upload that hides its length, before each of its bodies (None: size unknown).

    Raises:
        UnannouncedQuota: as for :func:`check_unannounced`.
    """
    if state.length is None and state.awaits_line:
        with desk.read() as session:
            check_unannounced(session, desk, state.device_id, more=more or 1)
