"""Everything that the rules compare with one item's file, gathered from one snapshot."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.facts import READER_VERSION
from media.findings import model
from server.models.inspections import (
    EvidenceItem,
    Inspection,
    MediaFacts,
    RegulatedEntity,
)
from server.models.journal import JournalLine
from server.models.uploads import MediaObject
from server.operations.clocks import LineClock, line_clock
from server.operations.intervals import interval_of

#: Asia/Shanghai has no daylight saving (docs/evidence.md §6).
SITE_ZONE_MIN = 480
#: How far a target reaches whose extent nobody has entered.
DEFAULT_RADIUS_CM = 20_000


@dataclass(frozen=True, kw_only=True)
class Work:
    """One item to check: where its bytes are, what is read already, and what to compare with."""

    item_id: str
    inspection_id: str | None
    sha256: str
    size: int
    key: str
    context: model.Context
    #: What this version of the reader read before, if it did.
    read: MediaFacts | None


def gather(session: Session, item: EvidenceItem, *, tolerance_ms: int) -> Work:
    """Everything that the rules compare with this item's file."""
    media = session.get_one(MediaObject, item.sha256)
    line = session.get_one(JournalLine, (item.device_id, item.epoch, item.branch, item.seq))
    clock = line_clock(session, line)
    hints = model.Hints(
        capture_class=item.capture_class,
        site_zone_min=SITE_ZONE_MIN,
        declared=model.Declared(wall_ms=item.captured_at_ms, tz_min=item.tz_min),
        clock=_clock(clock),
        bounds=_bounds(clock),
    )
    context = model.Context(
        hints=hints,
        received_at_ms=line.received_at_ms,
        window=_window(session, item),
        not_before_ms=interval_of(session, line).not_before_ms,
        site=_site(session, item),
        fix=_fix(item),
        announced=model.Content(sha256=item.sha256, size=item.size),
        received=model.Content(sha256=media.sha256, size=media.size),
        tolerance_ms=tolerance_ms,
    )
    return Work(
        item_id=item.id,
        inspection_id=item.inspection_id,
        sha256=item.sha256,
        size=media.size,
        key=media.key,
        context=context,
        read=session.get(MediaFacts, (item.sha256, READER_VERSION)),
    )


def _clock(clock: LineClock) -> model.ClockOffset | None:
    """Rows hold what must be added to the device's clock; the rules say how far it is ahead."""
    if clock.offset_ms is None:
        return None
    return model.ClockOffset(offset_ms=-clock.offset_ms, error_ms=clock.error_ms)


def _bounds(clock: LineClock) -> model.Bounds | None:
    lo_ms = clock.bounds.lo_ms
    if not clock.compared or lo_ms is None:
        return None
    return model.Bounds(lo_ms=lo_ms, hi_ms=clock.bounds.hi_ms)


def _window(session: Session, item: EvidenceItem) -> model.Window | None:
    if item.inspection_id is None:
        return None
    inspection = session.get_one(Inspection, item.inspection_id)
    return model.Window(
        open_ms=_corrected(session, inspection.opened_line, inspection.opened_at_ms),
        close_ms=(
            _corrected(session, inspection.sealed_line, inspection.sealed_at_ms)
            if inspection.sealed_line and inspection.sealed_at_ms is not None
            else None
        ),
    )


def _corrected(session: Session, line_digest: str, wall_ms: int) -> int:
    """A device's wall time by the server's clock, as last measured and within what is proven."""
    line = session.scalars(
        select(JournalLine).where(JournalLine.digest == line_digest).limit(1)
    ).one()
    clock = line_clock(session, line)
    if clock.offset_ms is None:
        return wall_ms
    bounds = clock.bounds
    at_ms = min(wall_ms + clock.offset_ms, bounds.hi_ms)
    return at_ms if bounds.lo_ms is None else max(at_ms, bounds.lo_ms)


def _site(session: Session, item: EvidenceItem) -> model.Site | None:
    entity = session.execute(
        select(RegulatedEntity)
        .join(Inspection, Inspection.entity_id == RegulatedEntity.id)
        .where(Inspection.id == item.inspection_id)
    ).scalar_one_or_none()
    if entity is None or entity.lat_e7 is None or entity.lon_e7 is None:
        return None
    return model.Site(entity.lat_e7, entity.lon_e7, entity.radius_cm or DEFAULT_RADIUS_CM)


def _fix(item: EvidenceItem) -> model.Fix | None:
    if item.lat_e7 is None or item.lon_e7 is None:
        return None
    return model.Fix(item.lat_e7, item.lon_e7, item.accuracy_cm)
