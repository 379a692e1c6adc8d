"""The hours in which recordings are sent: China's time of day, the widest of several counts."""

import pytest

from sync.client.windows import Allowance, SendWindow, allowance

#: 2026-05-04 00:00 in China, in milliseconds UTC.
_MIDNIGHT_MS = 1_777_824_000_000
_NIGHT = SendWindow(begin="18:00", end="07:00", kbit_s=4000)
_NOON = SendWindow(begin="12:00", end="13:00", kbit_s=0)


def _at(clock):
    hours, minutes = clock.split(":")
    return _MIDNIGHT_MS + (int(hours) * 60 + int(minutes)) * 60_000


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("17:59", Allowance(send=False)),
        ("18:00", Allowance(send=True, kbit_s=4000)),
        ("23:59", Allowance(send=True, kbit_s=4000)),
        ("00:00", Allowance(send=True, kbit_s=4000)),
        ("06:59", Allowance(send=True, kbit_s=4000)),
        ("07:00", Allowance(send=False)),
        ("12:00", Allowance(send=True)),
        ("13:00", Allowance(send=False)),
    ],
)
def test_a_window_may_run_over_midnight_and_ends_before_its_end(clock, expected):
    assert allowance((_NIGHT, _NOON), _at(clock)) == expected


def test_without_windows_recordings_may_always_be_sent():
    assert allowance((), _at("09:00")) == Allowance(send=True)


@pytest.mark.parametrize(("bounds", "expected"), [((300, 800), 800), ((300, 0), 0)])
def test_where_windows_overlap_the_widest_bound_counts(bounds, expected):
    windows = [SendWindow(begin="08:00", end="10:00", kbit_s=bound) for bound in bounds]

    assert allowance(windows, _at("09:00")) == Allowance(send=True, kbit_s=expected)
