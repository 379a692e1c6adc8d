"""Every time becomes an interval in UTC that truly contains it, and says on what it rests."""

import ast
import random
from pathlib import Path

import pytest

import media.findings
from media.facts import read_facts
from media.findings import Hints, claims
from media.findings.model import ClockOffset, Declared, PlaceClaim, TimeClaim
from media.findings.timetext import days_from_civil, iso_seconds, iso_time
from media.source import MemorySource
from tests.support import draw

NINE = 1777856523000  # 2026-05-04T09:02:03+08:00
HOUR = 3600_000


def claimed(data: bytes, **hints) -> dict[str, TimeClaim]:
    facts = read_facts(MemorySource(data)).to_dict()
    found = claims(facts, Hints(**hints))
    return {claim.source: claim for claim in found if isinstance(claim, TimeClaim)}


def test_a_camera_time_with_its_zone_is_known_to_the_second():
    taken = claimed(draw.photo(draw.exif(zone="+08:00")))["exif"]

    assert (taken.lo_ms, taken.hi_ms, taken.basis) == (NINE, NINE + 999, "offset")
    assert taken.assumed == ()


def test_a_fraction_of_a_second_narrows_the_interval():
    taken = claimed(draw.photo(draw.exif(zone="+08:00", subsec="25")))["exif"]

    assert (taken.lo_ms, taken.hi_ms) == (NINE + 250, NINE + 259)


def test_a_camera_time_without_a_zone_is_known_to_fourteen_hours_either_way():
    taken = claimed(draw.photo())["exif"]

    wall = NINE + 8 * HOUR
    assert (taken.lo_ms, taken.hi_ms) == (wall - 14 * HOUR, wall + 999 + 14 * HOUR)
    assert (taken.basis, taken.assumed) == ("local", ())


def test_the_zone_of_the_site_is_an_assumption_beside_the_wide_interval():
    taken = claimed(draw.photo(), site_zone_min=480)["exif"]

    assert taken.hi_ms - taken.lo_ms > 28 * HOUR
    [assumed] = taken.assumed
    assert (assumed.basis, assumed.lo_ms, assumed.hi_ms) == ("site zone", NINE, NINE + 999)


def test_the_device_clock_is_corrected_by_its_measured_offset_and_keeps_the_error():
    device = claimed(
        draw.photo(),
        capture_class="A",
        declared=Declared(wall_ms=NINE + 5000, tz_min=480),
        clock=ClockOffset(offset_ms=5000, error_ms=40),
    )["device"]

    assert (device.lo_ms, device.hi_ms, device.role) == (NINE - 40, NINE + 40, "capture")


def test_the_journal_time_of_an_imported_file_is_no_time_of_capture():
    device = claimed(draw.photo(), declared=Declared(wall_ms=NINE, tz_min=480))["device"]

    assert device.role == "import"


def test_a_recorders_times_are_corrected_by_the_comparison_of_its_clock():
    ahead = ClockOffset(offset_ms=3 * HOUR, error_ms=1000, recorder_ms=NINE)
    films = draw.movie(draw.mvhd(draw.seconds_1904(NINE // 1000), duration=5000))
    photo = draw.photo(draw.exif(zone="+08:00"))

    as_written, taken = claimed(photo)["exif"], claimed(photo, recorder=ahead)["exif"]
    film, corrected = claimed(films)["movie"], claimed(films, recorder=ahead)["movie"]

    assert taken.lo_ms == as_written.lo_ms - 3 * HOUR - 1000
    assert taken.hi_ms == as_written.hi_ms - 3 * HOUR + 1000
    assert corrected.assumed[0].lo_ms == film.assumed[0].lo_ms - 3 * HOUR - 1000
    assert (corrected.raw, corrected.basis) == (film.raw, film.basis)


def test_only_our_own_camera_is_marked_as_written_by_this_system():
    ours = draw.photo(draw.exif(software="Liuhen 0.1.0"))

    assert claimed(ours, capture_class="A")["exif"].own
    assert not claimed(ours, capture_class="C")["exif"].own
    assert not claimed(draw.photo(), capture_class="A")["exif"].own


def test_a_movie_header_is_within_its_length_and_utc_only_by_assumption():
    data = draw.movie(draw.mvhd(draw.seconds_1904(NINE // 1000), duration=60_000))

    movie = claimed(data, site_zone_min=480)["movie"]

    assert movie.lo_ms == NINE - 60_000 - 14 * HOUR
    assert [assumed.basis for assumed in movie.assumed] == ["UTC by standard", "site zone"]
    assert movie.assumed[0].lo_ms == NINE - 60_000


def test_an_apple_date_with_its_zone_needs_no_assumption():
    key = {"com.apple.quicktime.creationdate": "2026-05-04T09:02:03+0800"}

    taken = claimed(draw.movie(draw.apple_meta(key)))["keys"]

    assert (taken.lo_ms, taken.hi_ms) == (NINE, NINE + 999)


@pytest.mark.parametrize("lat_lon", [(0.0, 0.0), (95.0, 10.0)])
def test_a_receiver_without_a_fix_makes_no_claim_of_place(lat_lon):
    facts = read_facts(MemorySource(draw.photo(draw.exif(lat_lon=lat_lon)))).to_dict()

    assert not [c for c in claims(facts, Hints()) if isinstance(c, PlaceClaim)]


def test_the_interval_contains_the_true_time_whatever_zone_the_camera_was_in():
    rng = random.Random(6)
    for _ in range(300):
        true_ms = NINE + rng.randrange(-(10**10), 10**10) * 100
        zone_min = rng.randrange(-48, 57) * 15
        wall = iso_seconds(true_ms + zone_min * 60_000)
        written = wall.replace("-", ":").replace("T", " ")
        sign, rest = ("-", -zone_min) if zone_min < 0 else ("+", zone_min)
        named = f"{sign}{rest // 60:02d}:{rest % 60:02d}" if rng.random() < 0.5 else None
        utc = iso_seconds(true_ms)
        fix = (utc[:10].replace("-", ":"), [int(part) for part in utc[11:].split(":")])
        data = draw.photo(draw.exif(taken=written, zone=named, gps_utc=fix), size=(1, 1))

        found = claimed(data, site_zone_min=480)

        assert found["exif"].lo_ms <= true_ms <= found["exif"].hi_ms
        assert found["gps"].lo_ms <= true_ms <= found["gps"].hi_ms
        by_gps = [a for a in found["exif"].assumed if a.basis == "zone by GPS"]
        assert named is not None or by_gps[0].lo_ms <= true_ms <= by_gps[0].hi_ms


def test_dates_are_reckoned_as_the_calendar_does():
    assert days_from_civil(1970, 1, 1) == 0
    assert days_from_civil(2000, 3, 1) == 11017
    assert iso_seconds(-1000) == "1969-12-31T23:59:59"
    assert iso_time("2023-02-30T00:00:00Z") is None
    assert iso_time("2024-02-29T12:00:00+08:00").utc_ms == 1709179200000


def test_the_package_parses_as_python_3_8_and_imports_only_itself():
    for path in Path(media.findings.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module in {"__future__", "dataclasses", "typing"}, path
            if isinstance(node, ast.Import):
                assert {name.name for name in node.names} <= {"re", "json", "math"}, path
