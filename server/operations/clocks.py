"""What comparisons of a device's clock say of its history and of one line (docs/evidence.md §6)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select, union_all
from sqlalchemy.orm import Session

from server.models.devices import ClockOffset
from server.models.journal import JournalLine
from server.operations.intervals import interval_of
from sync.evidence.clocks import Bounds, Change, Comparison, Reading, bounds_of, history
from sync.evidence.interval import Interval
from sync.evidence.line import Header, parse_header

#: How many comparisons a page shows; a device that syncs hourly makes as many in eight days.
HISTORY_LIMIT = 200
#: How many comparisons on each side of a line bound it; the nearest are the narrowest.
_NEAR = 4


@dataclass(frozen=True, kw_only=True)
class ClockHistory:
    """A device's newest comparisons, oldest first, and what happened between each two."""

    comparisons: tuple[Comparison, ...]
    changes: tuple[Change, ...]


def clock_history(session: Session, device_id: str) -> ClockHistory:
    """The device's newest comparisons in the order of the server's clock."""
    rows = session.scalars(
        _comparisons(device_id)
        .order_by(ClockOffset.server_ms.desc(), ClockOffset.id.desc())
        .limit(HISTORY_LIMIT)
    ).all()
    comparisons = _values(rows)[::-1]
    return ClockHistory(comparisons=comparisons, changes=tuple(history(comparisons)))


@dataclass(frozen=True, kw_only=True)
class LineClock:
    """What the device's clock was worth when a line was written.

    ``bounds`` narrow ``interval``, the ledger's; ``compared`` says whether any
    comparison did. ``offset_ms`` ± ``error_ms`` is what the nearest comparison
    adds to the device's wall clock; None if there never was one.
    """

    interval: Interval
    bounds: Bounds
    compared: bool
    offset_ms: int | None
    error_ms: int


def line_clock(session: Session, line: JournalLine) -> LineClock:
    """Bound ``line`` by the ledger and the comparisons of its epoch and of its device's start."""
    header = parse_header(line.header)
    interval = interval_of(session, line)
    rows = _near(session, header)
    bounds = bounds_of(
        Reading(header.epoch, header.seq, header.t.boot, header.t.mono_ms),
        _values(rows),
        not_before_ms=interval.not_before_ms,
        not_after_ms=interval.not_after_ms,
    )
    nearest = min(rows, key=lambda row: _distance(row, header), default=None)
    if nearest is None:
        nearest = nearest_comparison(session, line.device_id, line.received_at_ms)
    return LineClock(
        interval=interval,
        bounds=bounds,
        compared=bool(rows),
        offset_ms=nearest.offset_ms if nearest else None,
        error_ms=nearest.error_ms if nearest else 0,
    )


def _near(session: Session, header: Header) -> Sequence[ClockOffset]:
    """The comparisons nearest to a line on either side, by its start's clock and in its epoch."""
    of_boot, of_epoch = ClockOffset.boot == header.t.boot, ClockOffset.epoch == header.epoch
    mono, seq = ClockOffset.mono_ms, ClockOffset.seq
    sides = [
        _comparisons(header.device)
        .with_only_columns(ClockOffset.id)
        .where(side)
        .order_by(order)
        .limit(_NEAR)
        .subquery()
        for side, order in (
            (of_boot & (mono <= header.t.mono_ms), mono.desc()),
            (of_boot & (mono > header.t.mono_ms), mono.asc()),
            (of_epoch & (seq <= header.seq), seq.desc()),
            (of_epoch & (seq > header.seq), seq.asc()),
        )
    ]
    nearest = union_all(*(select(side.c.id) for side in sides))
    return session.scalars(
        select(ClockOffset).where(ClockOffset.id.in_(nearest)).order_by(ClockOffset.id)
    ).all()


def _distance(row: ClockOffset, header: Header) -> tuple[bool, int]:
    """How far a comparison is from a line: time within one start counts before place."""
    if row.boot == header.t.boot:
        return False, abs((row.mono_ms or 0) - header.t.mono_ms)
    return True, abs((row.seq or 0) - header.seq)


def nearest_comparison(session: Session, device_id: str, at_ms: int) -> ClockOffset | None:
    """The device's comparison nearest to a moment of the server's clock."""
    return session.scalars(
        select(ClockOffset)
        .where(ClockOffset.device_id == device_id)
        .order_by(func.abs(ClockOffset.server_ms - at_ms), ClockOffset.id)
        .limit(1)
    ).first()


def _comparisons(device_id: str) -> Select[ClockOffset]:
    """The device's comparisons that say what its clocks showed; the oldest servers kept none."""
    return select(ClockOffset).where(
        ClockOffset.device_id == device_id, ClockOffset.boot.is_not(None)
    )


def _values(rows: Sequence[ClockOffset]) -> tuple[Comparison, ...]:
    return tuple(
        Comparison(
            reading=Reading(row.epoch or "", row.seq or 0, row.boot or "", row.mono_ms or 0),
            wall_ms=row.wall_ms or 0,
            server_ms=row.server_ms,
            error_ms=row.error_ms,
        )
        for row in rows
    )
