"""The coverage of a visit: lists of intervals in, steps and gaps out; passages that texts share."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from server.operations.copied import Passages
from server.operations.coverage.core import (
    LONGEST_REASON_MS,
    TOLERANCE_MS,
    Announced,
    Explained,
    Marked,
    Recorded,
    Span,
    cover,
    spans_at,
    union,
    without,
)
from server.operations.coverage.required import Required, required_on, stated

MINUTE = 60_000
spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: Span(*pair)), max_size=12
)


def covered(recordings=(), explained=(), marks=(), said=(), required=("arrival",), announced=()):
    return cover(
        required=required,
        stated=said,
        marks=marks,
        recordings=[
            Recorded(span=Span(a * MINUTE, b * MINUTE), item_id="film") for a, b in recordings
        ],
        announced=[
            Announced(span=Span(a * MINUTE, b * MINUTE), why="no_file") for a, b in announced
        ],
        explained=[
            Explained(span=Span(a * MINUTE, b * MINUTE), reason=why) for a, b, why in explained
        ],
        visit=Span(0, 60 * MINUTE),
    )


def test_a_recording_of_the_whole_visit_leaves_no_gap():
    found = covered([(-5, 20), (20, 70)])

    assert found.gaps == ()
    assert found.recorded_ms == 60 * MINUTE


def test_seconds_between_two_files_are_no_gap():
    found = cover(
        required=(),
        stated=(),
        marks=(),
        recordings=[
            Recorded(span=Span(0, 30 * MINUTE), item_id="1"),
            Recorded(span=Span(30 * MINUTE + TOLERANCE_MS - 1, 60 * MINUTE), item_id="2"),
        ],
        explained=(),
        visit=Span(0, 60 * MINUTE),
    )

    assert found.gaps == ()


def test_a_reason_that_covers_part_of_a_gap_leaves_the_rest_open():
    [gap] = covered([(0, 20), (50, 60)], [(20, 40, "battery")]).gaps

    assert (gap.span, gap.reasons) == (Span(20 * MINUTE, 50 * MINUTE), ("battery",))
    assert gap.unexplained_ms == 10 * MINUTE
    assert not gap.explained


def test_reasons_that_cover_a_gap_together_explain_it():
    [gap] = covered([(0, 20), (50, 60)], [(20, 40, "battery"), (39, 51, "fault")]).gaps

    assert gap.explained
    assert gap.reasons == ("battery", "fault")


def test_a_recording_that_no_file_shows_is_no_recording_and_no_unexplained_gap_either():
    [gap] = covered([(0, 20), (50, 60)], announced=[(20, 45)]).gaps

    assert gap.span == Span(20 * MINUTE, 50 * MINUTE)
    assert (gap.announced_ms, gap.unexplained_ms) == (25 * MINUTE, 5 * MINUTE)


def test_what_was_recorded_for_seconds_by_mistake_stands_for_nothing():
    found = covered([(30, 60)], announced=[(n + 0.01, n + 0.99) for n in range(30)])

    assert found.announced == ()
    assert found.gaps[0].unexplained_ms == 30 * MINUTE


def test_a_recording_that_others_cover_is_not_missed():
    assert covered([(0, 60)], announced=[(10, 20)]).announced == ()
    assert covered([(0, 60)], announced=[(-20, -10)]).announced == ()


def test_seconds_filmed_of_every_minute_do_not_make_a_filmed_hour():
    found = covered([(n, n + 1 / 60) for n in range(60)])

    assert found.gaps == ()
    assert found.recorded_ms == 60_000
    assert found.broken_up
    assert found.interrupted


def test_what_is_lost_as_files_change_neither_breaks_up_nor_interrupts():
    found = covered([(n * 5 + 4 / 60, n * 5 + 5) for n in range(12)])

    assert found.short_ms == 48_000
    assert not found.broken_up
    assert not found.interrupted


def test_a_hole_of_some_seconds_interrupts_what_must_not_be_interrupted():
    found = covered([(0, 30), (30.2, 60)])

    assert not found.broken_up
    assert found.interrupted


def test_arriving_some_seconds_before_the_film_begins_interrupts_nothing():
    found = covered([(0.5, 59.5)])

    assert found.breaks == ()
    assert not found.interrupted


def test_reasons_for_the_whole_visit_explain_its_gaps_and_are_told_as_that():
    found = covered([(0, 20)], [(0, 60 + 12, "battery")])

    assert found.gaps[0].explained
    assert found.explained_whole
    assert not covered([(0, 20)], [(20, 60, "battery")]).explained_whole


def test_a_reason_for_more_than_a_day_explains_nothing():
    span = Span(0, LONGEST_REASON_MS + 1)
    found = cover(
        required=(),
        stated=(),
        marks=(),
        recordings=(),
        explained=[Explained(span=span, reason="battery"), Explained(span=Span(0, 1), reason="x")],
        visit=Span(0, 60 * MINUTE),
    )

    assert [one.span for one in found.overlong] == [span]
    assert not found.gaps[0].explained
    assert found.gaps[0].reasons == ("x",)


def test_a_step_is_shown_by_what_ran_when_it_was_marked_or_by_the_file_it_names():
    marks = [
        Marked(step="arrival", at_ms=5 * MINUTE),
        Marked(step="left", at_ms=50 * MINUTE, item_id="photo", photo=True),
    ]
    arrival, left, signed, told = covered(
        [(0, 10)], marks=marks, said=["signed"], required=("arrival", "left", "signed", "told")
    ).steps

    assert (arrival.recorded, arrival.photographed) == (True, False)
    assert (left.recorded, left.photographed) == (False, True)
    assert (signed.stated, signed.missing, told.missing) == (True, False, True)


def test_a_mark_alone_is_neither_covered_nor_missing():
    marks = [Marked(step="arrival", at_ms=30 * MINUTE)]
    [arrival] = covered([(0, 10)], marks=marks).steps

    assert (arrival.shown, arrival.only_marked, arrival.missing) == (False, True, False)


def test_while_a_visit_goes_on_no_gap_is_told():
    found = cover(required=["left"], stated=(), marks=(), recordings=(), explained=(), visit=None)

    assert found.gaps == ()


@given(spans, spans)
def test_what_is_left_and_what_was_taken_make_up_the_whole(parts, more):
    whole, taken = Span(0, 60), union([*parts, *more])

    left = without(whole, taken)

    inside = {at for span in taken for at in range(span.from_ms, span.to_ms)}
    assert {at for span in left for at in range(span.from_ms, span.to_ms)} == set(
        range(60)
    ) - inside
    assert all(a.to_ms < b.from_ms for a, b in pairwise(taken))


@given(spans)
def test_gaps_and_recorded_time_never_exceed_the_visit(parts):
    found = covered([(span.from_ms, span.to_ms) for span in parts])

    assert found.recorded_ms + sum(gap.span.length_ms for gap in found.gaps) <= 60 * MINUTE


def test_what_must_be_on_record_depends_on_the_day():
    assert required_on("2021-07-14") == ()
    assert next(one.step for one in required_on("2026-05-04")) == "arrival"


def test_a_box_left_unticked_states_nothing():
    step = Required("rights_told", ("recusal_told", "duty_told"))

    assert stated(step, {"recusal_told": True})
    assert not stated(step, {"recusal_told": False, "duty_told": ""})


@given(
    st.text("abc", max_size=80),
    st.text("abc", max_size=80),
    st.lists(
        st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
        unique=True,
        min_size=20,
        max_size=60,
    ).map("".join),
)
def test_a_shared_passage_is_found_wherever_it_stands(before, after, passage):
    found = Passages(before + passage + after, 20).longest_in(after + passage + before)

    assert len(found) >= 20


@given(st.text("ab", max_size=200), st.text("ab", max_size=200))
def test_a_passage_that_is_told_stands_in_both_texts(one, two):
    found = Passages(one, 20).longest_in(two)

    assert found == "" or (len(found) >= 20 and found in one and found in two)


@given(spans, st.integers(0, 60))
def test_a_moment_lies_in_a_union_if_it_lies_in_one_of_its_parts(parts, at_ms):
    straight = [one for one in parts if one.to_ms >= one.from_ms]

    assert spans_at(union(parts), at_ms) == any(
        one.from_ms <= at_ms <= one.to_ms for one in straight
    )


@given(spans, spans)
def test_what_is_left_of_a_span_is_what_no_part_holds(wholes, parts):
    held = {at for one in parts for at in range(one.from_ms, one.to_ms)}
    for whole in wholes:
        left = [
            at for span in without(whole, union(parts)) for at in range(span.from_ms, span.to_ms)
        ]

        assert left == [at for at in range(whole.from_ms, whole.to_ms) if at not in held]


def test_a_gap_names_a_few_of_many_reasons_and_none_that_is_turned_round():
    reasons = [(20, 50, f"reason-{number}") for number in range(50)]
    [gap] = covered([(0, 20), (50, 60)], [(45, 25, "turned"), *reasons]).gaps

    assert gap.reasons == tuple(f"reason-{number}" for number in range(5))
    assert gap.unexplained_ms == 0
