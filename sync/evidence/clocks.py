"""What a device's clocks can and cannot prove about when a line was written (docs/evidence.md §6).

Three things are known of a monotonic clock: it never runs backwards between two
starts of the device, it never runs faster than real time beyond a stated drift,
and it may stand still while the device sleeps. From a comparison with the
server's clock follow an earliest and a latest moment of every other line. The
wall clock proves nothing, since anybody can set it: it is a claim that is shown
inside these bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, List, Optional, Sequence, Tuple

#: How much faster than real time a monotonic clock may run: crystals err by some
#: 100 ppm, and systems slew it by up to 500 ppm while they follow a time server.
DRIFT_PPM = 1000
_MILLION = 1000000


@dataclass(frozen=True)
class Reading:
    """What a device's clocks said in a line, and the line's place in its epoch.

    ``mono_ms`` counts from the start that ``boot`` names.
    """

    epoch: str
    seq: int
    boot: str
    mono_ms: int


@dataclass(frozen=True)
class Comparison:
    """A comparison of clocks: when the device's showed ``wall_ms`` and ``reading.mono_ms``,
    the server's showed ``server_ms``, give or take ``error_ms``."""

    reading: Reading
    wall_ms: int
    server_ms: int
    error_ms: int


@dataclass(frozen=True)
class Bounds:
    """Between which moments of the server's clock a line was written.

    ``lo_ms`` is None where nothing bounds it from below. ``contradicted`` says
    that the comparisons fit neither each other nor the ledger: then the bounds
    are the ledger's alone.
    """

    lo_ms: Optional[int]
    hi_ms: int
    contradicted: bool = False


def bounds_of(
    line: Reading,
    comparisons: Iterable[Comparison],
    *,
    not_before_ms: Optional[int],
    not_after_ms: int,
) -> Bounds:
    """Bound the moment of ``line`` by what the ledger proves and by comparisons of clocks.

    Any selection of the device's comparisons gives true bounds; more of them give
    narrower ones. Those of another epoch and another start say nothing.
    """
    lows = [] if not_before_ms is None else [not_before_ms]
    highs = [not_after_ms]
    for comparison in comparisons:
        low, high = _one_sided(line, comparison)
        if low is not None:
            lows.append(low)
        if high is not None:
            highs.append(high)
    lo_ms, hi_ms = max(lows) if lows else None, min(highs)
    if lo_ms is not None and lo_ms > hi_ms:
        return Bounds(not_before_ms, not_after_ms, contradicted=True)
    return Bounds(lo_ms, hi_ms)


def _one_sided(line: Reading, comparison: Comparison) -> Tuple[Optional[int], Optional[int]]:
    """The earliest or the latest moment of ``line`` that ``comparison`` leaves."""
    other = comparison.reading
    earliest = comparison.server_ms - comparison.error_ms
    latest = comparison.server_ms + comparison.error_ms
    since = line.mono_ms - other.mono_ms if other.boot == line.boot else 0
    if since > 0:
        return earliest + _at_least(since), None
    if since < 0:
        return None, latest - _at_least(-since)
    if other.epoch == line.epoch:
        # Another start of the device, or it slept: only the order of the lines is left.
        return (earliest, None) if other.seq <= line.seq else (None, latest)
    return None, None


def _at_least(mono_ms: int) -> int:
    """The least real time in which a monotonic clock can count ``mono_ms``.

    Both readings are whole milliseconds, so one of them may be no time at all.
    """
    return max(0, mono_ms - 1) * _MILLION // (_MILLION + DRIFT_PPM)


@dataclass(frozen=True)
class Change:
    """What happened to a device's clocks between two comparisons.

    Attributes:
        restarted: the monotonic clock began anew.
        slept_ms: for how long it stood still, at least; 0 if it need not have.
        set_by_ms: by how much the wall clock was set, forward if positive; 0 if
            drift and the errors of measuring explain the difference.
        drift_ms: what the wall clock gained on the server's without being set.
        impossible: the monotonic clock ran faster than it can, or backwards.
    """

    earlier: Comparison
    later: Comparison
    restarted: bool
    slept_ms: int
    set_by_ms: int
    drift_ms: int
    impossible: bool

    @property
    def steady(self) -> bool:
        """Whether nothing but drift happened."""
        return not (self.restarted or self.slept_ms or self.set_by_ms or self.impossible)


def history(comparisons: Sequence[Comparison]) -> List[Change]:
    """Tell apart steps, restarts and sleeps between each comparison and the next.

    ``comparisons`` are one device's, in the order of the server's clock.
    """
    return [
        _change(comparisons[place - 1], comparisons[place]) for place in range(1, len(comparisons))
    ]


def _change(earlier: Comparison, later: Comparison) -> Change:
    real = later.server_ms - earlier.server_ms
    margin = earlier.error_ms + later.error_ms + abs(real) * DRIFT_PPM // _MILLION + 2
    gained = (later.wall_ms - earlier.wall_ms) - real
    stepped = abs(gained) > margin
    restarted = later.reading.boot != earlier.reading.boot
    counted = later.reading.mono_ms - earlier.reading.mono_ms
    behind = 0 if restarted else real - counted
    return Change(
        earlier=earlier,
        later=later,
        restarted=restarted,
        slept_ms=behind - margin if behind > margin else 0,
        set_by_ms=gained if stepped else 0,
        drift_ms=0 if stepped else gained,
        impossible=not restarted and (counted < 0 or -behind > margin),
    )
