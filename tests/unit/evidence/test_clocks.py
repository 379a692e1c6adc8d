"""Clock truth: whatever a device's clocks do, the bounds of every line contain the truth."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.evidence.clocks import DRIFT_PPM, Comparison, Reading, bounds_of, history

TEN_YEARS_MS = 10 * 365 * 86_400_000
DAY_MS = 86_400_000


@dataclass
class Phone:
    """A device in the real world: ``now`` is the truth, which only the server's clock shows."""

    now: float = 1_777_856_400_000.0
    wall: float = 1_777_856_400_000.0
    mono: float = 500.0
    boot: int = 0
    epoch: int = 0
    seq: int = 0
    lines: list = field(default_factory=list)
    comparisons: list = field(default_factory=list)
    starts: list = field(default_factory=list)

    def run(self, ms, ppm):
        self.now += ms
        self.mono += ms * (1 + ppm / 1_000_000)
        self.wall += ms * (1 + ppm / 1_000_000)

    def sleep(self, ms):
        self.now += ms
        self.wall += ms

    def set_wall(self, by_ms):
        self.wall += by_ms

    def restart(self, off_ms):
        self.now += off_ms
        self.mono, self.boot = 0.0, self.boot + 1

    def reading(self):
        return Reading(f"epoch-{self.epoch}", self.seq, f"boot-{self.boot}", int(self.mono))

    def write(self):
        self.seq += 1
        self.lines.append((self.reading(), self.now))

    def compare(self, error_ms, off):
        self.seq += 1
        server = int(self.now + off * error_ms)
        comparison = Comparison(self.reading(), int(self.wall), server, error_ms + 1)
        self.comparisons.append(comparison)
        self.starts.append(self.boot)

    def new_epoch(self):
        self.epoch, self.seq = self.epoch + 1, 0


_span = st.integers(0, 3 * DAY_MS)
_steps = st.one_of(
    st.tuples(st.just("run"), _span, st.integers(-100_000, DRIFT_PPM)),
    st.tuples(st.just("sleep"), _span),
    st.tuples(st.just("set_wall"), st.integers(-TEN_YEARS_MS, TEN_YEARS_MS)),
    st.tuples(st.just("restart"), _span),
    st.tuples(st.just("write")),
    st.tuples(st.just("compare"), st.integers(0, 5_000), st.floats(-1, 1)),
    st.tuples(st.just("new_epoch")),
)


def _live(steps):
    phone = Phone()
    for name, *values in steps:
        getattr(phone, name)(*values)
    return phone


@given(st.lists(_steps, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_whatever_the_clocks_do_the_bounds_contain_the_truth(steps, random):
    phone = _live(steps)
    some = [c for c in phone.comparisons if random.random() < 0.8]

    for reading, truth in phone.lines:
        bounds = bounds_of(reading, some, not_before_ms=None, not_after_ms=int(phone.now) + 1)

        assert not bounds.contradicted
        assert bounds.lo_ms is None or bounds.lo_ms <= truth
        assert truth <= bounds.hi_ms


@given(st.lists(_steps, max_size=40), st.integers(-TEN_YEARS_MS, TEN_YEARS_MS))
@settings(max_examples=100, deadline=None)
def test_setting_the_wall_clock_moves_no_bound(steps, by_ms):
    honest = _live([step for step in steps if step[0] != "set_wall"])
    set_twice = _live([("set_wall", by_ms), *steps])

    def bounds(phone):
        return [
            bounds_of(reading, phone.comparisons, not_before_ms=None, not_after_ms=2**53)
            for reading, _ in phone.lines
        ]

    assert bounds(honest) == bounds(set_twice)


@given(st.lists(_steps, max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_restart_is_told_from_a_sleep_and_no_honest_clock_is_called_impossible(steps):
    phone = _live(steps)

    changes = history(phone.comparisons)

    starts = zip(phone.starts, phone.starts[1:], strict=False)
    assert [change.restarted for change in changes] == [a != b for a, b in starts]
    assert not any(change.impossible for change in changes)


def _at(server_ms, *, wall_ms=None, mono_ms=None, boot="a", error_ms=20):
    wall = server_ms if wall_ms is None else wall_ms
    mono = server_ms if mono_ms is None else mono_ms
    return Comparison(Reading("e", server_ms, boot, mono), wall, server_ms, error_ms)


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (_at(3_600_000), {"steady": True, "drift_ms": 0}),
        (_at(3_600_000, wall_ms=3_601_000), {"steady": True, "drift_ms": 1000}),
        (_at(3_600_000, wall_ms=7_200_000), {"set_by_ms": 3_600_000, "slept_ms": 0}),
        (_at(3_600_000, mono_ms=60_000), {"set_by_ms": 0, "slept_ms": 3_536_358}),
        (_at(3_600_000, mono_ms=5, boot="b"), {"restarted": True, "slept_ms": 0}),
        (_at(3_600_000, mono_ms=3_700_000), {"impossible": True}),
        (_at(3_600_000, mono_ms=-5), {"impossible": True}),
    ],
)
def test_steps_restarts_sleeps_and_drift_have_different_names(later, expected):
    (change,) = history([_at(0), later])

    assert {name: getattr(change, name) for name in expected} == expected


def test_between_two_comparisons_of_one_start_an_awake_clock_is_bounded_by_drift():
    before, after = _at(0), _at(7_200_000)

    bounds = bounds_of(
        Reading("e", 5, "a", 3_600_000), [before, after], not_before_ms=None, not_after_ms=10**9
    )

    assert bounds.lo_ms == 3_596_382
    assert bounds.hi_ms == 3_603_618


def test_comparisons_that_contradict_the_ledger_leave_the_ledgers_bounds():
    bounds = bounds_of(
        Reading("e", 5, "a", 10), [_at(5_000, mono_ms=0)], not_before_ms=100, not_after_ms=200
    )

    assert (bounds.lo_ms, bounds.hi_ms, bounds.contradicted) == (100, 200, True)


def test_a_comparison_of_another_epoch_and_start_bounds_nothing():
    other = Reading("other", 1, "z", 10)

    bounds = bounds_of(other, [_at(1_000)], not_before_ms=None, not_after_ms=9_999)

    assert (bounds.lo_ms, bounds.hi_ms) == (None, 9_999)
