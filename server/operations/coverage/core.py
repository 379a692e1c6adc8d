"""Which steps of a visit are on record, and when nothing was recorded: lists in, coverage out.

Nothing here reads a database. All times are milliseconds UTC by the bureau's clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Between two files of one recorder a few seconds are lost; a shorter hole is no gap.
TOLERANCE_MS = 60_000


@dataclass(frozen=True, order=True)
class Span:
    """From one moment up to another."""

    from_ms: int
    to_ms: int

    @property
    def length_ms(self) -> int:
        return self.to_ms - self.from_ms


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recording and when it ran; ``item_id`` is its file, as far as there is one.

    ``playing_ms`` is how long the file plays, if the span was not taken from the file
    itself and the length is known.
    """

    span: Span
    item_id: str | None = None
    playing_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A step that an officer marked; ``photo`` says that the named item is a picture."""

    step: str
    at_ms: int
    item_id: str | None = None
    photo: bool = False


@dataclass(frozen=True, kw_only=True)
class Explained:
    """A time without recording and its stated reason."""

    span: Span
    reason: str


@dataclass(frozen=True, kw_only=True)
class StepCover:
    """What shows or states a step; ``at_ms`` is when it was first marked."""

    step: str
    at_ms: int | None
    recorded: bool
    photographed: bool
    stated: bool

    @property
    def missing(self) -> bool:
        return not (self.recorded or self.photographed or self.stated or self.at_ms is not None)


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time without recording; ``reasons`` are those stated for some of it, first said first."""

    span: Span
    reasons: tuple[str, ...]
    #: How much of it no stated reason covers.
    unexplained_ms: int

    @property
    def explained(self) -> bool:
        return self.unexplained_ms < TOLERANCE_MS


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The steps that must be on record, and the holes between the recordings of a visit."""

    steps: tuple[StepCover, ...]
    #: None while the visit goes on.
    visit: Span | None
    recorded_ms: int
    gaps: tuple[Gap, ...]


def cover(
    *,
    required: Sequence[str],
    stated: Iterable[str],
    marks: Sequence[Marked],
    recordings: Sequence[Recorded],
    explained: Sequence[Explained],
    visit: Span | None,
) -> Coverage:
    """Compare what had to be on record with what is."""
    merged = union(one.span for one in recordings)
    files = {one.item_id for one in recordings if one.item_id}
    said = set(stated)
    holes = () if visit is None else without(visit, merged)
    return Coverage(
        steps=tuple(_step(name, name in said, marks, merged, files) for name in required),
        visit=visit,
        recorded_ms=0 if visit is None else visit.length_ms - sum(h.length_ms for h in holes),
        gaps=tuple(_gap(hole, explained) for hole in holes if hole.length_ms >= TOLERANCE_MS),
    )


def _step(
    name: str, stated: bool, marks: Sequence[Marked], recorded: Sequence[Span], files: set[str]
) -> StepCover:
    own = [mark for mark in marks if mark.step == name]
    return StepCover(
        step=name,
        at_ms=min((mark.at_ms for mark in own), default=None),
        recorded=any(
            mark.item_id in files
            or any(span.from_ms <= mark.at_ms <= span.to_ms for span in recorded)
            for mark in own
        ),
        photographed=any(mark.photo for mark in own),
        stated=stated,
    )


def _gap(hole: Span, explained: Sequence[Explained]) -> Gap:
    touching = [
        one for one in explained if one.span.from_ms < hole.to_ms and one.span.to_ms > hole.from_ms
    ]
    bare = without(hole, union(one.span for one in touching))
    return Gap(
        span=hole,
        reasons=tuple(dict.fromkeys(one.reason for one in touching)),
        unexplained_ms=sum(part.length_ms for part in bare),
    )


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same moments as spans that do not touch, in order; turned ones are left out."""
    merged: list[Span] = []
    for span in sorted(one for one in spans if one.to_ms >= one.from_ms):
        if merged and span.from_ms <= merged[-1].to_ms:
            merged[-1] = Span(merged[-1].from_ms, max(merged[-1].to_ms, span.to_ms))
        else:
            merged.append(span)
    return tuple(merged)


def without(whole: Span, parts: Sequence[Span]) -> tuple[Span, ...]:
    """What is left of ``whole``; ``parts`` are as :func:`union` gives them."""
    left: list[Span] = []
    at_ms = whole.from_ms
    for part in parts:
        if part.from_ms >= whole.to_ms:
            break
        if part.from_ms > at_ms:
            left.append(Span(at_ms, part.from_ms))
        at_ms = max(at_ms, part.to_ms)
    if at_ms < whole.to_ms:
        left.append(Span(at_ms, whole.to_ms))
    return tuple(left)
