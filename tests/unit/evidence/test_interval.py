import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.evidence.interval import (
    Interval,
    OutsideBounds,
    OutsideStamp,
    OutsideStamps,
    line_interval,
)

STAMPS = [(2, 200), (5, 500), (9, 900)]


@pytest.mark.parametrize(
    ("anchor_size", "ingest", "expected"),
    [
        pytest.param(None, 3, Interval(None, None, 500, 5), id="no checkpoint was ever seen"),
        pytest.param(2, 3, Interval(None, None, 500, 5), id="a checkpoint before the first stamp"),
        pytest.param(3, 3, Interval(200, 2, 500, 5), id="the stamp is the checkpoint's last leaf"),
        pytest.param(9, 7, Interval(500, 5, 900, 9), id="the newest stamp inside counts"),
        pytest.param(3, 5, Interval(200, 2, 900, 9), id="a stamp must come after the line"),
        pytest.param(3, 9, Interval(200, 2, 990, 9), id="no stamp since: the server's clock then"),
    ],
)
def test_the_interval_of_a_line(anchor_size, ingest, expected):
    interval = line_interval(
        anchor_size=anchor_size, ingest_index=ingest, ingest_at_ms=990, stamps=STAMPS
    )

    assert interval == expected


def test_a_stamp_left_out_only_widens_the_interval():
    whole = line_interval(anchor_size=9, ingest_index=4, ingest_at_ms=400, stamps=STAMPS)

    for missing in STAMPS:
        rest = [stamp for stamp in STAMPS if stamp != missing]
        interval = line_interval(anchor_size=9, ingest_index=4, ingest_at_ms=400, stamps=rest)
        assert (interval.not_before_ms or 0) <= whole.not_before_ms
        assert interval.not_after_ms >= whole.not_after_ms or rest[-1][0] < 4


def outside(anchor_size, ingest_index, stamps):
    return line_interval(
        anchor_size=anchor_size,
        ingest_index=ingest_index,
        ingest_at_ms=0,
        stamps=[],
        outside=stamps,
    ).outside


def test_an_outside_stamp_inside_the_anchor_bounds_from_below_and_one_over_the_line_from_above():
    inside = OutsideStamp(index=10, covers=8, earliest_ms=1000, latest_ms=3000)
    over = OutsideStamp(index=40, covers=30, earliest_ms=7000, latest_ms=9000)

    assert outside(11, 29, [inside, over]) == OutsideBounds(1000, 10, 9000, 40)


def test_an_outside_stamp_that_the_anchor_or_the_stamped_tree_only_reaches_proves_nothing():
    just_outside = OutsideStamp(index=10, covers=29, earliest_ms=1000, latest_ms=3000)

    assert outside(10, 29, [just_outside]) is None
    assert outside(None, 29, [just_outside]) is None


def test_of_several_authorities_the_stricter_bound_counts_on_each_side():
    loose = OutsideStamp(index=10, covers=50, earliest_ms=1000, latest_ms=9000)
    strict = OutsideStamp(index=9, covers=60, earliest_ms=2000, latest_ms=8000)

    assert outside(20, 40, [loose, strict]) == OutsideBounds(2000, 9, 8000, 9)


_STAMP = st.builds(
    OutsideStamp,
    index=st.integers(0, 60),
    covers=st.integers(0, 60),
    earliest_ms=st.integers(0, 20),
    latest_ms=st.integers(0, 20),
)


@given(
    st.lists(_STAMP, unique_by=lambda stamp: stamp.index), st.integers(0, 60), st.integers(0, 60)
)
def test_the_two_stamps_that_decide_are_enough_among_any_others(stamps, anchor_size, index):
    chosen = [
        stamp for stamp in OutsideStamps(stamps).deciding(anchor_size, index) if stamp is not None
    ]
    inside = [stamp.earliest_ms for stamp in stamps if stamp.index < anchor_size]
    over = [stamp.latest_ms for stamp in stamps if stamp.covers > index]

    found = outside(anchor_size, index, stamps) or OutsideBounds()

    assert outside(anchor_size, index, chosen) == outside(anchor_size, index, stamps)
    assert outside(anchor_size, index, [*chosen, *stamps[::2]]) == outside(
        anchor_size, index, stamps
    )
    assert found.not_before_ms == max(inside, default=None)
    assert found.not_after_ms == min(over, default=None)


@pytest.mark.parametrize(
    ("bounds", "differ"),
    [
        (OutsideBounds(not_before_ms=2001, not_before_index=1), True),
        (OutsideBounds(not_before_ms=2000, not_before_index=1), False),
        (OutsideBounds(not_after_ms=999, not_after_index=1), True),
        (OutsideBounds(not_after_ms=1000, not_after_index=1), False),
        (None, False),
    ],
)
def test_two_clocks_differ_where_their_intervals_do_not_meet(bounds, differ):
    assert Interval(1000, 0, 2000, 9, bounds).clocks_differ is differ
