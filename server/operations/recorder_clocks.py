"""What must be added to a recorder's clock, by its comparisons (docs/evidence.md §6)."""

from dataclasses import dataclass

from sqlalchemy import func, or_, select, true
from sqlalchemy.orm import Session

from media.findings.claims import RECORDER_REACH_MS
from server.models.inspections import EvidenceItem
from server.models.process import RecorderClock
from sync.evidence import acts


@dataclass(frozen=True, kw_only=True)
class RecorderOffset:
    """``offset_ms`` is to be added to the recorder's clock, give or take ``error_ms``.

    ``recorder_ms`` is when the two were compared, by that clock.
    """

    offset_ms: int
    error_ms: int
    recorder_ms: int
    method: str
    line_digest: str


def recorder_offset(
    session: Session,
    organization_id: str,
    recorder: str,
    at_ms: int,
    *,
    before_position: int | None = None,
) -> RecorderOffset | None:
    """The comparison nearest to ``at_ms`` of the recorder's own clock; None if none is near.

    One of another week says nothing: the clock may have been set since, and a file that is
    right would be moved by as much as it was once wrong.
    Of two equally near the later line counts. What was read from a frame counts while its
    film is not discarded. ``before_position`` looks no further than a place in the ledger.
    """
    if not recorder:
        return None
    row = session.scalars(
        select(RecorderClock)
        .outerjoin(EvidenceItem, EvidenceItem.id == RecorderClock.item_id)
        .where(
            RecorderClock.organization_id == organization_id,
            RecorderClock.recorder == recorder,
            RecorderClock.recorder_ms.between(at_ms - RECORDER_REACH_MS, at_ms + RECORDER_REACH_MS),
            or_(RecorderClock.method != acts.FRAME, EvidenceItem.state != "discarded"),
            true() if before_position is None else RecorderClock.position < before_position,
        )
        .order_by(func.abs(RecorderClock.recorder_ms - at_ms), RecorderClock.position.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return RecorderOffset(
        offset_ms=row.offset_ms,
        error_ms=row.error_ms,
        recorder_ms=row.recorder_ms,
        method=row.method,
        line_digest=row.line_digest,
    )
