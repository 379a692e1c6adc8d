"""From when to when a visit went: impossible times of arriving and leaving silence nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.operations.coverage.bounds import bound
from server.operations.coverage.core import Marked, Span

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NINE = 20_000 * DAY + 9 * HOUR


def bounded(*marks, opened=NINE, sealed=None, acts=()):
    return bound(
        [Marked(step=step, at_ms=at) for step, at in marks],
        opened_ms=opened,
        sealed_ms=sealed,
        acts=acts,
    )


def told(found):
    return [odd.why for odd in found.odd]


def test_a_visit_lasts_from_the_first_arriving_to_the_last_leaving():
    found = bounded(
        ("arrival", NINE),
        ("arrival", NINE + MINUTE),
        ("left", NINE + HOUR),
        ("left", NINE + 2 * HOUR),
    )

    assert (found.span, told(found)) == (Span(NINE, NINE + 2 * HOUR), [])


def test_without_either_it_lasts_from_opening_to_sealing():
    assert bounded(sealed=NINE + HOUR).span == Span(NINE, NINE + HOUR)
    assert bounded().span is None


@pytest.mark.parametrize(
    ("sealed", "acts", "ends"),
    [
        (None, (), NINE),
        (NINE + 3 * HOUR, (), NINE + 3 * HOUR),
        (NINE + 9 * HOUR, (NINE + 2 * HOUR,), NINE + 2 * HOUR),
    ],
)
def test_leaving_before_arriving_is_told_and_the_visit_is_still_measured(sealed, acts, ends):
    found = bounded(("left", NINE - HOUR), ("arrival", NINE), sealed=sealed, acts=acts)

    assert told(found) == ["left_first"]
    assert found.span.to_ms == ends
    assert found.span.length_ms > 0


def test_the_minute_to_which_a_record_states_its_times_is_no_contradiction():
    found = bounded(("arrival", NINE + 40_000), ("left", NINE))

    assert told(found) == []
    assert found.span == Span(NINE, NINE + 40_000)


@pytest.mark.parametrize("wrong", [0, -62_000 * DAY, NINE - 366 * DAY, NINE + 366 * DAY])
def test_a_mistyped_time_is_told_and_not_used(wrong):
    arrived = bounded(("arrival", wrong), ("left", NINE + HOUR))
    left = bounded(("arrival", NINE), ("left", wrong), sealed=NINE + HOUR)

    assert (arrived.span, told(arrived)) == (Span(NINE, NINE + HOUR), ["far"])
    assert (left.span, told(left)) == (Span(NINE, NINE + HOUR), ["far"])


def test_a_record_of_another_day_is_told_once_and_believed_in_nothing():
    marks = [
        Marked(step=step, at_ms=at, record_id="record")
        for step, at in (("arrival", NINE - 25 * HOUR), ("left", NINE - 23 * HOUR))
    ]

    found = bound(marks, opened_ms=NINE, sealed_ms=None, acts=[NINE + HOUR])

    assert (found.span, told(found)) == (Span(NINE, NINE + HOUR), ["far"])


def test_a_step_at_the_place_after_leaving_is_told_and_belongs_to_the_visit():
    found = bounded(
        ("arrival", NINE),
        ("left", NINE + MINUTE),
        ("sampled", NINE + 2 * HOUR),
        ("result_told", NINE + 5 * DAY),
    )

    assert told(found) == ["after_left"]
    assert found.span == Span(NINE, NINE + 2 * HOUR)


times = st.integers(NINE - 3 * DAY, NINE + 3 * DAY)
marks = st.lists(st.tuples(st.sampled_from(("arrival", "left", "sampled")), times), max_size=6)


@given(marks, st.none() | times, st.lists(times, max_size=3))
def test_whoever_left_or_sealed_has_ended_the_visit_whatever_the_times(said, sealed, acts):
    found = bounded(*said, sealed=sealed, acts=acts)

    ended = sealed is not None or any(step == "left" for step, _ in said)
    assert (found.span is not None) == ended
    assert found.span is None or found.span.length_ms >= 0
