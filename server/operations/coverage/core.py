"""Which steps of a visit are on record, and when nothing was recorded: lists in, coverage out.

Nothing here reads a database. All times are milliseconds UTC by the bureau's clock.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: A hole shorter than this is told only with others of its kind.
TOLERANCE_MS = 60_000
#: Between two files of one recorder a few seconds are lost.
ROLLOVER_MS = 5_000
#: Whoever states a reason for more than a day speaks of no gap.
LONGEST_REASON_MS = 86_400_000
#: Of the time that counts as recorded so much may be lost in short holes: one part in this many.
_LOST_PART = 10
#: Different reasons that are named for one gap.
_REASONS_LIMIT = 5


@dataclass(frozen=True, order=True)
class Span:
    """From one moment up to another."""

    from_ms: int
    to_ms: int

    @property
    def length_ms(self) -> int:
        return self.to_ms - self.from_ms

    def within(self, other: "Span") -> "Span":
        """The part of it inside ``other``; of negative length if there is none."""
        return Span(max(self.from_ms, other.from_ms), min(self.to_ms, other.to_ms))


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A recording that is here, and when it ran by its own length; ``item_id`` is its file.

    ``said`` is when it ran by the journal, where the file plays shorter than that.
    """

    span: Span
    item_id: str
    said: Span | None = None


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A recording that the journal tells of and no file shows; ``why`` says what is the matter.

    ``no_file``: it names none of its own; ``expected``: that has not arrived; ``discarded``;
    ``unreadable``: it is no sound or film; ``unstopped``: nobody said when it ended.
    """

    span: Span
    why: str
    item_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A step that an officer marked; ``photo`` says that the named item is a picture, and here.

    ``record_id`` is the record that states it, where it is no mark.
    """

    step: str
    at_ms: int
    item_id: str | None = None
    photo: bool = False
    record_id: str = ""


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
    def shown(self) -> bool:
        """Whether a recording, a photo or a record bears it out."""
        return self.recorded or self.photographed or self.stated

    @property
    def only_marked(self) -> bool:
        """Whether there is nothing but somebody's mark."""
        return not self.shown and self.at_ms is not None

    @property
    def missing(self) -> bool:
        return not self.shown and self.at_ms is None


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A time without recording; ``reasons`` are some of those stated for it, first said first."""

    span: Span
    reasons: tuple[str, ...]
    #: For how much of it the journal tells of a recording that no file shows.
    announced_ms: int
    #: How much of it neither that nor a stated reason covers.
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
    #: Holes of a minute and more.
    gaps: tuple[Gap, ...]
    #: Recordings that no file shows, as far as a minute of the visit and more hangs on them.
    announced: tuple[Announced, ...]
    #: Shorter holes, each between two recordings.
    breaks: tuple[Span, ...]
    #: What all shorter holes make up without a stated reason.
    short_ms: int
    #: Reasons stated for longer than a day, which count for nothing.
    overlong: tuple[Explained, ...]
    #: Whether the stated reasons speak of the whole visit, not of a gap in it.
    explained_whole: bool

    @property
    def broken_up(self) -> bool:
        """Whether so much is lost in short holes that the visit is not really recorded."""
        lost = self.short_ms
        return lost >= TOLERANCE_MS and lost * _LOST_PART > self.recorded_ms + lost

    @property
    def interrupted(self) -> bool:
        """Whether the short holes are more than what is lost as files change."""
        total = sum(span.length_ms for span in self.breaks)
        longest = max((span.length_ms for span in self.breaks), default=0)
        return longest > ROLLOVER_MS or total >= TOLERANCE_MS


def cover(
    *,
    required: Sequence[str],
    stated: Iterable[str],
    marks: Sequence[Marked],
    recordings: Sequence[Recorded],
    announced: Sequence[Announced] = (),
    explained: Sequence[Explained],
    visit: Span | None,
) -> Coverage:
    """Compare what had to be on record with what is."""
    merged = union(one.span for one in recordings)
    files = {one.item_id for one in recordings}
    said = set(stated)
    steps = tuple(_step(name, name in said, marks, merged, files) for name in required)
    overlong = tuple(one for one in explained if one.span.length_ms > LONGEST_REASON_MS)
    if visit is None:
        return Coverage(
            steps=steps,
            visit=None,
            recorded_ms=0,
            gaps=(),
            announced=(),
            breaks=(),
            short_ms=0,
            overlong=overlong,
            explained_whole=False,
        )
    reasons = [
        Explained(span=one.span.within(visit), reason=one.reason)
        for one in explained
        if one.span.length_ms <= LONGEST_REASON_MS
    ]
    # A few seconds that were recorded by mistake and discarded are told nowhere, and stand for
    # nothing either: else many of them would hide a gap.
    weighty = tuple(one for one in announced if _matters(one, visit, merged))
    claimed = union(one.span for one in weighty)
    told = union(one.span for one in reasons)
    holes = without(visit, merged)
    short = [hole for hole in holes if hole.length_ms < TOLERANCE_MS]
    long = [hole for hole in holes if hole.length_ms >= TOLERANCE_MS]
    settled = union((*told, *claimed))
    said_of = _reasons_by_hole(long, reasons)
    return Coverage(
        steps=steps,
        visit=visit,
        recorded_ms=visit.length_ms - _total(holes),
        gaps=tuple(
            Gap(
                span=hole,
                reasons=tuple(said_of.get(at, ())),
                announced_ms=hole.length_ms - _total(without(hole, claimed)),
                unexplained_ms=_total(without(hole, settled)),
            )
            for at, hole in enumerate(long)
        ),
        announced=weighty,
        breaks=tuple(
            hole for hole in short if visit.from_ms < hole.from_ms and hole.to_ms < visit.to_ms
        ),
        short_ms=sum(_total(without(hole, told)) for hole in short),
        overlong=overlong,
        explained_whole=_total(told) > 0 and _total(without(visit, told)) < TOLERANCE_MS,
    )


def _step(
    name: str, stated: bool, marks: Sequence[Marked], recorded: Sequence[Span], files: set[str]
) -> StepCover:
    own = [mark for mark in marks if mark.step == name]
    return StepCover(
        step=name,
        at_ms=min((mark.at_ms for mark in own), default=None),
        recorded=any(mark.item_id in files or spans_at(recorded, mark.at_ms) for mark in own),
        photographed=any(mark.photo for mark in own),
        stated=stated,
    )


def _matters(one: Announced, visit: Span, recorded: Sequence[Span]) -> bool:
    """Whether a minute of the visit hangs on a recording, or nobody knows how much does."""
    inside = one.span.within(visit)
    if one.why == "unstopped":
        return inside.length_ms >= 0
    return _total(without(inside, recorded)) >= TOLERANCE_MS


def _reasons_by_hole(
    holes: Sequence[Span], explained: Sequence[Explained]
) -> dict[int, dict[str, None]]:
    """The different reasons stated for some of each hole, by its index: the first few of them."""
    found: dict[int, dict[str, None]] = {}
    for one in explained:
        if one.span.length_ms <= 0:
            continue
        first = bisect_right(holes, one.span.from_ms, key=lambda hole: hole.to_ms)
        last = bisect_left(holes, one.span.to_ms, key=lambda hole: hole.from_ms)
        for at in range(first, last):
            said = found.setdefault(at, {})
            if len(said) < _REASONS_LIMIT:
                said[one.reason] = None
    return found


def _total(spans: Iterable[Span]) -> int:
    return sum(span.length_ms for span in spans)


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
    first = bisect_right(parts, whole.from_ms, key=lambda part: part.to_ms)
    for at in range(first, len(parts)):
        part = parts[at]
        if part.from_ms >= whole.to_ms:
            break
        if part.from_ms > at_ms:
            left.append(Span(at_ms, part.from_ms))
        at_ms = max(at_ms, part.to_ms)
    if at_ms < whole.to_ms:
        left.append(Span(at_ms, whole.to_ms))
    return tuple(left)


def spans_at(spans: Sequence[Span], at_ms: int) -> bool:
    """Whether a moment lies in one of ``spans``, which are as :func:`union` gives them."""
    at = bisect_left(spans, at_ms, key=lambda span: span.to_ms)
    return at < len(spans) and spans[at].from_ms <= at_ms
