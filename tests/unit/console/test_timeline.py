"""The picture of the proven interval and the claims in it."""

from server.console.timeline import WIDTH, draw_timeline
from server.operations.evidence_view import time_rows
from sync.evidence.interval import Interval

MORNING_MS = 1_777_856_400_000


def _interval(before=MORNING_MS - 600_000, after=MORNING_MS + 600_000):
    return Interval(not_before_ms=before, not_before_index=1, not_after_ms=after, not_after_index=9)


def _exif(at_ms, **more):
    return {
        "source": "exif",
        "tag": "ExifIFD:DateTimeOriginal",
        "raw": "…",
        "basis": "offset",
        "lo_ms": at_ms,
        "hi_ms": at_ms + 999,
        "assumed": [],
        "own": False,
        **more,
    }


def test_a_claim_inside_the_interval_lies_inside_the_bar():
    rows = time_rows([_exif(MORNING_MS)], MORNING_MS, MORNING_MS + 500_000)

    picture = draw_timeline(rows, _interval())

    exif = next(tick for tick in picture.ticks if tick.source == "exif")
    assert picture.bar_x < exif.x < picture.bar_x + picture.bar_width
    assert not exif.beyond


def test_a_claim_of_another_year_stands_at_the_edge_and_does_not_flatten_the_rest():
    rows = time_rows([_exif(MORNING_MS - 400 * 86_400_000)], MORNING_MS, MORNING_MS + 500_000)

    picture = draw_timeline(rows, _interval())

    exif = next(tick for tick in picture.ticks if tick.source == "exif")
    assert exif.beyond == "left"
    assert picture.bar_width > WIDTH / 3


def test_an_interval_without_a_lower_end_begins_at_the_edge():
    rows = time_rows([], MORNING_MS, MORNING_MS + 500_000)

    picture = draw_timeline(rows, _interval(before=None))

    assert picture.open_start
    assert picture.bar_width > 0


def test_the_five_sources_stay_in_the_table_even_where_they_are_silent():
    rows = time_rows([], MORNING_MS, MORNING_MS + 1000)

    assert [row.source for row in rows] == ["device", "exif", "gps", "container", "receipt"]
    assert [row.lo_ms is None for row in rows] == [False, True, True, True, False]


def test_a_local_time_is_shown_by_the_assumption_that_fits_best_and_names_it():
    hour = 3_600_000
    assumed = [
        {"basis": "site zone", "lo_ms": MORNING_MS + 1000, "hi_ms": MORNING_MS + 1999},
        {"basis": "device zone", "lo_ms": MORNING_MS + hour, "hi_ms": MORNING_MS + hour},
    ]
    claim = _exif(MORNING_MS, lo_ms=MORNING_MS - 14 * hour, hi_ms=0, assumed=assumed)

    exif = time_rows([claim], MORNING_MS, MORNING_MS + 1000)[1]

    assert exif.assumed == "site zone"
    assert exif.difference_ms == 1499


def test_the_device_clock_says_how_far_it_was_corrected():
    device = {
        "source": "device",
        "basis": "device clock corrected",
        "lo_ms": MORNING_MS + 1460,
        "hi_ms": MORNING_MS + 1540,
    }

    rows = time_rows([device], MORNING_MS, MORNING_MS + 10_000)

    assert rows[0].corrected_by_ms == 1500
    assert rows[4].difference_ms == 8500
