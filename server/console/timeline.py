"""The picture of one capture in time: the proven interval as a bar, each claim as a tick.

Drawn here as plain numbers, so that screen and print show the same; the table
beside it says the same in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from server.operations.evidence_view import TimeRow
from sync.evidence.interval import Interval

WIDTH = 720
_MARGIN = 24
#: A claim further off than this many times the rest is named at the edge, not drawn to scale.
_REACH = 6


@dataclass(frozen=True, kw_only=True)
class Tick:
    """One source's mark at ``x`` on line ``row``; ``beyond`` names the edge it lies behind."""

    source: str
    row: int
    x: float
    width: float
    beyond: str


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """``bar_x`` to ``bar_x + bar_width`` is the interval; ``open_start`` if nothing bounds it."""

    lo_ms: int
    hi_ms: int
    bar_x: float
    bar_width: float
    open_start: bool
    ticks: tuple[Tick, ...]


def draw_timeline(rows: Sequence[TimeRow], interval: Interval) -> Timeline:
    """Place the claims of ``rows`` on one scale with the proven interval."""
    told = [(row, row.lo_ms, row.hi_ms) for row in rows if row.lo_ms is not None]
    claims = [(row, lo, hi) for row, lo, hi in told if hi is not None]
    anchor = [interval.not_after_ms]
    if interval.not_before_ms is not None:
        anchor.append(interval.not_before_ms)
    anchor += [time for row, lo, hi in claims if row.source == "device" for time in (lo, hi)]
    first, last = min(anchor), max(anchor)
    reach = max(last - first, 10_000) * _REACH
    near = [
        time for _, lo, hi in claims for time in (lo, hi) if first - reach <= time <= last + reach
    ]
    lo_ms, hi_ms = min([first, *near]), max([last, *near])
    room = max((hi_ms - lo_ms) // 12, 1000)
    lo_ms, hi_ms = lo_ms - room, hi_ms + room

    def place(time_ms: int) -> float:
        share = (min(max(time_ms, lo_ms), hi_ms) - lo_ms) / (hi_ms - lo_ms)
        return round(_MARGIN + share * (WIDTH - 2 * _MARGIN), 1)

    start = lo_ms if interval.not_before_ms is None else interval.not_before_ms
    return Timeline(
        lo_ms=lo_ms,
        hi_ms=hi_ms,
        bar_x=place(start),
        bar_width=max(round(place(interval.not_after_ms) - place(start), 1), 3.0),
        open_start=interval.not_before_ms is None,
        ticks=tuple(
            Tick(
                source=row.source,
                row=number,
                x=place(lo),
                width=max(round(place(hi) - place(lo), 1), 0.0),
                beyond="left" if hi < lo_ms else "right" if lo > hi_ms else "",
            )
            for number, (row, lo, hi) in enumerate(claims)
        ),
    )
