"""What is known of a file beside its bytes when its values become claims."""

from media.findings import model
from server.models.inspections import EvidenceItem
from server.operations.clocks import LineClock

#: Asia/Shanghai has no daylight saving (docs/evidence.md §6).
SITE_ZONE_MIN = 480


def hints_of(item: EvidenceItem, clock: LineClock) -> model.Hints:
    """The signed wall clock of ``item`` and what comparisons say of it."""
    return model.Hints(
        capture_class=item.capture_class,
        site_zone_min=SITE_ZONE_MIN,
        declared=model.Declared(wall_ms=item.captured_at_ms, tz_min=item.tz_min),
        clock=None if clock.offset_ms is None else offset(clock.offset_ms, clock.error_ms),
        bounds=_bounds(clock),
    )


def offset(to_add_ms: int, error_ms: int) -> model.ClockOffset:
    """Rows hold what must be added to a clock; the rules say how far it is ahead."""
    return model.ClockOffset(offset_ms=-to_add_ms, error_ms=error_ms)


def _bounds(clock: LineClock) -> model.Bounds | None:
    lo_ms = clock.bounds.lo_ms
    if not clock.compared or lo_ms is None:
        return None
    return model.Bounds(lo_ms=lo_ms, hi_ms=clock.bounds.hi_ms)
