"""From when to when a visit went, and which stated times of arriving and leaving cannot be.

Nothing here reads a database. A time that cannot be is told; it never keeps the rest from being
looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.operations.coverage.core import TOLERANCE_MS, Marked, Span

#: Steps that are taken at the place itself; others may follow at the office, days later.
ON_SITE = ("inspected", "stop_order", "sampled", "sealed_samples")
#: What is marked so soon after leaving was only marked late.
_MARGIN_MS = 10 * 60_000
#: Arriving and leaving lie this near to what else is on record; one mistyped digit is further off.
_DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A time of arriving or leaving that cannot be.

    ``why``: ``far`` from all else; ``left_first``: leaving before arriving; ``after_left``: a
    step at the place was marked later. ``at_ms`` is the time that it is compared with.
    """

    why: str
    mark: Marked
    at_ms: int


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """``span`` is None while the visit goes on: nobody has left, and it is not sealed."""

    span: Span | None
    odd: tuple[Odd, ...]


def bound(
    marks: Sequence[Marked], *, opened_ms: int, sealed_ms: int | None, acts: Sequence[int]
) -> Bounds:
    """From arriving to leaving; where neither was marked, from opening to sealing.

    ``acts`` are the times of everything else that was done in the visit. Where leaving lies
    before arriving, the visit lasts as long as anything of it is on record, else until it was
    sealed.
    """
    others = (*acts, *(mark.at_ms for mark in marks if mark.step not in ("arrival", "left")))
    known = (opened_ms, *others, *(() if sealed_ms is None else (sealed_ms,)))
    near = Span(opened_ms - _DAY_MS, max(known) + _DAY_MS)
    ends_told = [mark for mark in marks if mark.step in ("arrival", "left")]
    far = [mark for mark in ends_told if not near.from_ms <= mark.at_ms <= near.to_ms]
    # A record that is wrong about one of its two times is believed in neither, and told once.
    wrong = {mark.record_id: mark for mark in reversed(far) if mark.record_id}
    odd = [
        Odd(why="far", mark=mark, at_ms=opened_ms)
        for mark in far
        if wrong.get(mark.record_id, mark) is mark
    ]
    can_be = [mark for mark in ends_told if mark not in far and mark.record_id not in wrong]
    arrivals = [mark for mark in can_be if mark.step == "arrival"]
    lefts = [mark for mark in can_be if mark.step == "left"]
    has_left = any(mark.step == "left" for mark in ends_told)
    if not has_left and sealed_ms is None:
        return Bounds(span=None, odd=tuple(odd))
    first = min((mark.at_ms for mark in arrivals), default=opened_ms)
    odd += (
        Odd(why="left_first", mark=mark, at_ms=first)
        for mark in lefts
        if mark.at_ms < first - TOLERANCE_MS
    )
    left = max((mark.at_ms for mark in lefts), default=None)
    if left is not None and left >= first - TOLERANCE_MS:
        span = Span(min(first, left), max(first, left))
        late = _after(marks, left)
        if late is not None:
            odd.append(Odd(why="after_left", mark=late, at_ms=left))
            span = Span(span.from_ms, late.at_ms)
        return Bounds(span=span, odd=tuple(odd))
    if not has_left and sealed_ms is not None and sealed_ms >= first:
        return Bounds(span=Span(first, sealed_ms), odd=tuple(odd))
    ends = [at for at in others if at > first]
    if not ends and sealed_ms is not None and sealed_ms > first:
        ends = [sealed_ms]
    if ends:
        return Bounds(span=Span(first, max(ends)), odd=tuple(odd))
    # Nothing is later: the visit reaches from the earliest of its times to the last.
    reach = [first, *known, *(mark.at_ms for mark in lefts)]
    return Bounds(span=Span(min(reach), max(reach)), odd=tuple(odd))


def _after(marks: Sequence[Marked], left_ms: int) -> Marked | None:
    """The last step at the place that was marked well after leaving."""
    return max(_on_site(marks, left_ms + _MARGIN_MS), key=lambda mark: mark.at_ms, default=None)


def _on_site(marks: Sequence[Marked], later_ms: int) -> Iterator[Marked]:
    return (mark for mark in marks if mark.step in ON_SITE and mark.at_ms > later_ms)
