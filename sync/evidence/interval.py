"""Between which two moments a line was written, as far as the ledger proves (docs/evidence.md §6).

It bounds the *line*. For a photograph taken in the app that bounds the capture,
if the app was unmodified; for an imported file it says nothing about the capture.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Iterable, Optional, Sequence, Tuple


@dataclass(frozen=True)
class OutsideStamp:
    """An outside authority's stamp of a checkpoint of ``covers`` leaves.

    ``index`` is where the ledger took it in. The true time at which it was made
    lies between ``earliest_ms`` and ``latest_ms``, by the authority's word.
    """

    index: int
    covers: int
    earliest_ms: int
    latest_ms: int


@dataclass(frozen=True)
class OutsideBounds:
    """What outside authorities prove of one line by their own clocks; at least one end is known."""

    not_before_ms: Optional[int] = None
    not_before_index: Optional[int] = None
    not_after_ms: Optional[int] = None
    not_after_index: Optional[int] = None


@dataclass(frozen=True)
class Interval:
    """The proven bounds of one line, each with the ledger index that proves it.

    ``not_before_ms`` is None where no line up to this one embeds a checkpoint.
    These rest on the bureau's own clock; ``outside`` rests on outside authorities
    alone, and is None where they prove nothing.
    """

    not_before_ms: Optional[int]
    not_before_index: Optional[int]
    not_after_ms: int
    not_after_index: int
    outside: Optional[OutsideBounds] = None

    @property
    def clocks_differ(self) -> bool:
        """Whether the bureau's clock and the authorities' cannot both be right."""
        bounds = self.outside
        if bounds is None:
            return False
        late = bounds.not_before_ms is not None and bounds.not_before_ms > self.not_after_ms
        early = (
            bounds.not_after_ms is not None
            and self.not_before_ms is not None
            and bounds.not_after_ms < self.not_before_ms
        )
        return late or early


def line_interval(
    *,
    anchor_size: Optional[int],
    ingest_index: int,
    ingest_at_ms: int,
    stamps: Sequence[Tuple[int, int]],
    outside: Iterable[OutsideStamp] = (),
) -> Interval:
    """The interval of a line.

    Args:
        anchor_size: size of the newest checkpoint embedded in this line or an
            earlier one of its chain.
        ingest_index: ledger index at which the line was taken in.
        ingest_at_ms: server's clock in that ledger event.
        stamps: (index, at_ms) of ``stamp`` events, in index order. A missing
            stamp only widens the interval.
        outside: stamps by outside authorities, in any order; those that do not
            decide may be left out.
    """
    indexes = [index for index, _ in stamps]
    before = bisect_left(indexes, anchor_size) if anchor_size is not None else 0
    after = bisect_right(indexes, ingest_index)
    not_after = (ingest_index, ingest_at_ms)
    if after < len(stamps):
        not_after = stamps[after]
    return Interval(
        not_before_ms=stamps[before - 1][1] if before else None,
        not_before_index=stamps[before - 1][0] if before else None,
        not_after_ms=not_after[1],
        not_after_index=not_after[0],
        outside=_outside_bounds(anchor_size, ingest_index, outside),
    )


class OutsideStamps:
    """Many stamps by outside authorities, of which at most two decide about a line."""

    def __init__(self, stamps: Iterable[OutsideStamp]) -> None:
        by_index = sorted(stamps, key=lambda stamp: stamp.index)
        by_covers = sorted(by_index, key=lambda stamp: -stamp.covers)
        self._indexes = [stamp.index for stamp in by_index]
        self._covers = [-stamp.covers for stamp in by_covers]
        # Up to each place the best of all so far.
        self._latest = list(accumulate(by_index, _later))
        self._earliest = list(accumulate(by_covers, _earlier))

    def deciding(
        self, anchor_size: Optional[int], ingest_index: int
    ) -> Tuple[Optional[OutsideStamp], Optional[OutsideStamp]]:
        """The latest stamp inside the anchor, and the earliest over a tree that has the line.

        The anchor's root could not be known before the stamp inside it was made; and
        what a stamped tree contains was there when it was stamped.
        """
        inside = bisect_left(self._indexes, anchor_size) if anchor_size is not None else 0
        over = bisect_left(self._covers, -ingest_index)
        return (
            self._latest[inside - 1] if inside else None,
            self._earliest[over - 1] if over else None,
        )


def _later(one: OutsideStamp, other: OutsideStamp) -> OutsideStamp:
    return max(one, other, key=lambda stamp: (stamp.earliest_ms, -stamp.index))


def _earlier(one: OutsideStamp, other: OutsideStamp) -> OutsideStamp:
    return min(one, other, key=lambda stamp: (stamp.latest_ms, stamp.index))


def _outside_bounds(
    anchor_size: Optional[int], ingest_index: int, stamps: Iterable[OutsideStamp]
) -> Optional[OutsideBounds]:
    before, after = OutsideStamps(stamps).deciding(anchor_size, ingest_index)
    if before is None and after is None:
        return None
    return OutsideBounds(
        not_before_ms=before.earliest_ms if before else None,
        not_before_index=before.index if before else None,
        not_after_ms=after.latest_ms if after else None,
        not_after_index=after.index if after else None,
    )
