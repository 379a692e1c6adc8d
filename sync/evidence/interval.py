"""Between which two moments a line was written, as far as the ledger proves (docs/evidence.md §6).

It bounds the *line*. For a photograph taken in the app that bounds the capture,
if the app was unmodified; for an imported file it says nothing about the capture.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Optional, Sequence, Tuple


@dataclass(frozen=True)
class Interval:
    """The proven bounds of one line, each with the ledger index that proves it.

    ``not_before_ms`` is None where no line up to this one embeds a checkpoint.
    Both are the bureau's own clock until an outside authority stamps.
    """

    not_before_ms: Optional[int]
    not_before_index: Optional[int]
    not_after_ms: int
    not_after_index: int


def line_interval(
    *,
    anchor_size: Optional[int],
    ingest_index: int,
    ingest_at_ms: int,
    stamps: Sequence[Tuple[int, int]],
) -> Interval:
    """The interval of a line.

    Args:
        anchor_size: size of the newest checkpoint embedded in this line or an
            earlier one of its chain.
        ingest_index: ledger index at which the line was taken in.
        ingest_at_ms: server's clock in that ledger event.
        stamps: (index, at_ms) of ``stamp`` events, in index order. A missing
            stamp only widens the interval.
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
    )
