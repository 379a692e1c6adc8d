"""Each contradiction gets its code and its severity, and nothing fails on an assumption."""

import dataclasses
import itertools
import json
import random
import re

import pytest

from media.facts import read_facts
from media.findings import Context, Finding, Hints, claims, compare, findings_from, to_json, verdict
from media.findings.distance import from_gcj02
from media.findings.model import (
    Bounds,
    ClockOffset,
    Content,
    Declared,
    Fix,
    Policy,
    SecondReading,
    Site,
    TextClaim,
    Window,
)
from media.findings.rules import RULES
from media.findings.words import placeholders, sentence_key, title_key
from media.source import MemorySource
from sync.catalogue import area, text
from tests.support import draw
from tests.support.scenarios import scenarios

NINE = 1777856523000  # 2026-05-04T09:02:03+08:00
MINUTE, HOUR, DAY = 60_000, 3600_000, 86_400_000
VISIT = Window(open_ms=NINE - HOUR, close_ms=NINE + HOUR)
SITE = Site(lat_e7=225431000, lon_e7=1140579000, radius_cm=20000)
#: A clock that was compared and is right: that of a recorder, and that of a device.
RIGHT = {"recorder": ClockOffset(0, 0, NINE)}
PROVEN = {"clock": ClockOffset(0, 0), "bounds": Bounds(NINE - MINUTE, NINE + MINUTE)}


def judged(data: bytes, **known) -> dict[str, Finding]:
    hints = {name: known.pop(name) for name in list(known) if name in Hints.__annotations__}
    facts = read_facts(MemorySource(data)).to_dict()
    context = Context(hints=Hints(**hints), **known)
    return {finding.code: finding for finding in compare(claims(facts, context.hints), context)}


def mapped_place() -> tuple[float, float]:
    """The site as a Chinese map gives it."""
    lat, lon = from_gcj02(SITE.lat_e7, SITE.lon_e7)
    return (2 * SITE.lat_e7 - lat) / 1e7, (2 * SITE.lon_e7 - lon) / 1e7


def severity(found: dict[str, Finding], code: str) -> str | None:
    return found[code].severity if code in found else None


def zoned(zone: str | None = "+08:00", **fields) -> bytes:
    return draw.photo(draw.exif(zone=zone, **fields))


def test_a_picture_in_its_visit_at_its_site_raises_nothing():
    picture = zoned(gps_utc=("2026:05:04", (1, 2, 1)), lat_lon=(22.5431, 114.0579))

    found = judged(
        picture,
        capture_class="B",
        declared=Declared(NINE, 480),
        received_at_ms=NINE + DAY,
        window=VISIT,
        site=SITE,
        announced=Content("ab", 1),
        received=Content("ab", 1),
    )

    assert found == {}
    assert verdict(tuple(found.values())) == "consistent"


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (NINE + 10, None),
        (NINE - MINUTE, "warn"),
        (NINE - 3 * MINUTE, "fail"),
    ],
)
def test_a_picture_taken_after_its_receipt_fails_beyond_the_tolerance(received, expected):
    found = judged(zoned(), received_at_ms=received, **RIGHT)

    assert severity(found, "TIME_AFTER_RECEIPT") == expected


def test_without_a_zone_a_time_after_receipt_is_doubtful_until_no_zone_can_explain_it():
    def outcome(received: int) -> str | None:
        found = judged(zoned(None), site_zone_min=480, received_at_ms=received, **RIGHT)
        return severity(found, "TIME_AFTER_RECEIPT")

    assert outcome(NINE - HOUR) == "warn"
    assert outcome(NINE - 7 * HOUR) == "fail"


@pytest.mark.parametrize(
    ("zone", "site_zone", "shift", "expected"),
    [
        ("+08:00", None, 0, None),
        ("+08:00", None, HOUR + MINUTE, None),
        ("+08:00", None, 2 * HOUR, "fail"),
        ("+08:00", None, -2 * HOUR, "fail"),
        (None, 480, 0, None),
        (None, 480, 2 * HOUR, "warn"),
        (None, None, 0, "undecided"),
        (None, 480, 3 * DAY, "fail"),
        (None, None, -3 * DAY, "fail"),
    ],
)
def test_a_picture_outside_the_visit_is_judged_by_what_is_known_of_its_zone(
    zone, site_zone, shift, expected
):
    window = Window(open_ms=VISIT.open_ms + shift, close_ms=VISIT.close_ms + shift)

    found = judged(zoned(zone), site_zone_min=site_zone, window=window, **RIGHT)

    assert severity(found, "TIME_OUTSIDE_WINDOW") == expected


def test_an_open_visit_has_no_end_to_be_outside_of():
    found = judged(zoned(), window=Window(open_ms=NINE - DAY, close_ms=None))

    assert found == {}


def test_a_recording_that_wrote_local_time_into_its_header_is_explained():
    local = draw.movie(draw.mvhd(draw.seconds_1904(NINE // 1000 + 8 * 3600)))

    assert judged(local, site_zone_min=480, window=VISIT) == {}
    assert severity(judged(local, window=VISIT), "TIME_OUTSIDE_WINDOW") == "warn"


def test_what_the_app_took_cannot_be_older_than_its_chain_proves_but_an_import_can():
    proven = NINE + HOUR

    app = judged(zoned(), capture_class="A", not_before_ms=proven, **PROVEN)
    imported = judged(zoned(), capture_class="C", not_before_ms=proven)

    assert severity(app, "TIME_OUTSIDE_WINDOW") == "fail"
    assert imported == {}


@pytest.mark.parametrize("taken", [None, "0000:00:00 00:00:00", "    :  :     :  :  "])
def test_a_picture_without_a_usable_time_is_absent_and_keeps_the_raw_text(taken):
    found = judged(draw.photo(draw.exif(taken=taken)))

    code = "TIME_ABSENT" if taken is None else "TIME_INVALID"
    assert severity(found, code) == "warn"
    assert verdict(tuple(found.values())) == "absent"
    if taken is not None:
        assert found[code].evidence["raw"] == taken


@pytest.mark.parametrize("content", [b"", b"this is not a picture"], ids=["empty", "text"])
def test_a_file_of_no_known_format_is_said_to_be_one(content):
    found = judged(content)["TIME_ABSENT"]

    assert (found.severity, found.evidence["expected"]["reason"]) == ("warn", "unknown_format")


def test_a_format_that_holds_no_time_is_only_noted():
    assert severity(judged(b"#!AMR\n" + bytes(50)), "TIME_ABSENT") == "info"


@pytest.mark.parametrize(
    ("offset", "error", "expected"),
    [(90_000, 0, None), (150_000, 40_000, None), (300_000, 50, "warn")],
)
def test_a_measured_clock_offset_is_raised_beyond_the_tolerance(offset, error, expected):
    clock = ClockOffset(offset_ms=offset, error_ms=error)

    assert severity(judged(zoned(), clock=clock), "CLOCK_OFFSET") == expected


def test_a_fast_device_clock_is_corrected_before_anything_is_compared():
    known = {
        "capture_class": "B",
        "declared": Declared(NINE, 480),
        "received_at_ms": NINE - 5 * MINUTE,
        "bounds": Bounds(NINE - 7 * MINUTE, NINE - 6 * MINUTE),
    }

    uncorrected = judged(zoned(), clock=ClockOffset(0, 0), **known)
    corrected = judged(zoned(), clock=ClockOffset(offset_ms=6 * MINUTE, error_ms=100), **known)

    assert severity(uncorrected, "TIME_AFTER_RECEIPT") == "warn"
    assert set(corrected) == {"CLOCK_OFFSET"}


def test_a_clock_that_was_set_between_comparisons_fails_nothing_and_is_named():
    known = {
        "capture_class": "B",
        "declared": Declared(NINE + 3 * DAY, 480),
        "clock": ClockOffset(offset_ms=0, error_ms=50),
        "received_at_ms": NINE + HOUR,
        "window": VISIT,
    }

    found = judged(zoned(), bounds=Bounds(NINE - MINUTE, NINE + MINUTE), **known)

    assert {code: finding.evidence["expected"]["reason"] for code, finding in found.items()} == {
        "TIME_AFTER_RECEIPT": "device_clock",
        "CLOCK_OFFSET": "camera",
    }
    assert "fail" not in {finding.severity for finding in found.values()}


@pytest.mark.parametrize(
    ("zone", "wall", "expected"),
    [
        ("+08:00", NINE + MINUTE, None),
        ("+08:00", NINE + HOUR, "warn"),
        (None, NINE + MINUTE, None),
        (None, NINE + HOUR, "undecided"),
        (None, NINE + 2 * DAY, "warn"),
    ],
)
def test_a_camera_and_the_journal_of_one_device_share_a_clock(zone, wall, expected):
    found = judged(zoned(zone), capture_class="B", declared=Declared(wall, 480))

    assert severity(found, "CLOCK_OFFSET") == expected


@pytest.mark.parametrize(
    ("zone", "fix", "device", "expected"),
    [
        ("+08:00", (1, 3, 0), None, None),
        ("+08:00", (1, 30, 0), None, "warn"),
        ("+08:00", (3, 30, 0), None, "warn"),
        ("+08:00", (3, 30, 0), NINE + 2 * HOUR + 28 * MINUTE, "fail"),
        (None, (1, 2, 0), None, None),
        (None, (1, 9, 0), None, "warn"),
        (None, (3, 2, 0), None, "info"),
        (None, (3, 2, 0), NINE + 2 * HOUR, "info"),
    ],
)
def test_a_camera_against_gps_fails_only_if_the_signed_time_sides_with_gps(
    zone, fix, device, expected
):
    picture = zoned(zone, gps_utc=("2026:05:04", fix))
    declared = None if device is None else Declared(device, 480)

    found = judged(picture, capture_class="B", site_zone_min=480, declared=declared)

    assert severity(found, "GPS_TIME_MISMATCH") == expected


def test_a_gps_date_that_no_zone_reaches_is_doubtful():
    found = judged(zoned(None, gps_utc=("2026:05:01", (1, 2, 3))))

    assert found["GPS_TIME_MISMATCH"].evidence["expected"]["reason"] == "no_zone_fits"


@pytest.mark.parametrize(("lat", "expected"), [(22.5431, None), (22.5455, None), (22.5500, "warn")])
def test_a_position_counts_as_off_site_beyond_the_radius_and_its_error(lat, expected):
    found = judged(zoned(lat_lon=(lat, 114.0579)), site=SITE)

    assert severity(found, "GPS_OFF_SITE") == expected


def test_a_position_that_fits_in_the_chinese_datum_is_only_noted():
    found = judged(zoned(lat_lon=mapped_place()), site=SITE)

    assert 500 < found["GPS_DATUM"].evidence["expected"]["distance_m"] < 700
    assert severity(found, "GPS_DATUM") == "info"
    assert "GPS_OFF_SITE" not in found


@pytest.mark.parametrize("datum", ["WGS-84", "wgs84 ", "WGS 1984", "CGCS2000"])
def test_a_position_that_names_its_datum_is_not_read_in_another(datum):
    lat_lon = mapped_place()
    picture = draw.photo(draw.exif(zone="+08:00", lat_lon=lat_lon, datum=datum))

    found = judged(picture, site=SITE, policy=Policy(place_required=True))

    assert severity(found, "GPS_OFF_SITE") == "fail"
    assert found["GPS_OFF_SITE"].evidence["expected"]["datum"] == datum.strip()
    assert found["GPS_OFF_SITE"].evidence["expected"]["distance_if_gcj02_m"] < 20
    assert "GPS_DATUM" not in found


def test_a_signed_position_is_in_wgs84_and_no_map_excuses_it():
    lat, lon = (round(degrees * 1e7) for degrees in mapped_place())

    found = judged(zoned(), site=SITE, fix=Fix(lat, lon, 500), policy=Policy(place_required=True))

    assert severity(found, "GPS_OFF_SITE") == "fail"
    assert "GPS_DATUM" not in found


def test_a_signed_position_is_held_against_the_site_too():
    found = judged(zoned(), site=SITE, fix=Fix(235431000, 1140579000, 500))

    assert found["GPS_OFF_SITE"].evidence["tag"] == "journal:pos"


def test_other_bytes_than_announced_fail():
    found = judged(zoned(), announced=Content("ab", 1), received=Content("cd", 1))

    assert severity(found, "DIGEST_MISMATCH") == "fail"
    assert verdict(tuple(found.values())) == "inconsistent"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"IFD0:Make": "Drawn   "}, None),
        ({"IFD0:Make": "Other"}, "warn"),
        ({"GPS:GPSDateStamp": "2020:01:01"}, "warn"),
        ({"IFD0:Make": None}, "info"),
    ],
)
def test_a_second_reader_that_sees_something_else_is_a_finding(change, expected):
    facts = read_facts(MemorySource(zoned())).to_dict()
    ours = claims(facts, Hints())
    seen = {claim.tag: claim.raw for claim in ours if isinstance(claim, TextClaim)} | change
    values = tuple((tag, raw) for tag, raw in seen.items() if raw is not None)

    found = judged(zoned(), second=SecondReading("exifread 3", values))

    assert severity(found, "READERS_DISAGREE") == expected


def test_a_second_reader_that_gave_up_is_only_noted():
    found = judged(zoned(), second=SecondReading("exifread", failed="timeout"))

    assert severity(found, "READERS_DISAGREE") == "info"


def every_kind_of_finding() -> list[Finding]:
    """At least one finding of every code and reason that the rules can give."""
    rng = random.Random(8)
    found: dict[tuple[str, str], Finding] = {}
    fixes = [None, ("2026:05:04", (1, 30, 0)), ("2026:05:04", (3, 2, 0)), ("2026:05:01", (1, 2, 3))]
    zones = itertools.product(("+08:00", None), fixes, ("2026:05:04 09:02:03", "x", None))
    files = [
        read_facts(
            MemorySource(
                zoned(zone, gps_utc=fix, taken=taken, lat_lon=(22.5431, 114.0579 + 0.0046 * i))
            )
        ).to_dict()
        for i, (zone, fix, taken) in enumerate(zones)
    ]
    files += [read_facts(MemorySource(content)).to_dict() for content in (b"#!AMR\n", b"text")]
    files.append(read_facts(MemorySource(zoned(lat_lon=mapped_place()))).to_dict())
    seconds = [
        SecondReading("exifread", failed="timeout"),
        SecondReading("exifread", (("IFD0:Make", "Other"), ("IFD0:Software", "x"))),
    ]
    for _ in range(2000):
        around = [NINE + rng.choice((0, -MINUTE, HOUR, -HOUR, 3 * DAY, -3 * DAY)) for _ in range(5)]
        context = Context(
            hints=Hints(
                capture_class=rng.choice("ABC"),
                site_zone_min=rng.choice((None, 480)),
                declared=rng.choice((None, Declared(around[0], 480))),
                clock=rng.choice((None, ClockOffset(rng.choice((0, HOUR)), 200_000))),
                bounds=rng.choice((None, Bounds(around[4] - 2 * HOUR, around[4] + 2 * HOUR))),
                recorder=rng.choice(
                    (None, ClockOffset(0, 0, NINE), ClockOffset(0, 0, NINE + 8 * DAY))
                ),
            ),
            received_at_ms=around[1],
            window=rng.choice((None, VISIT, Window(around[2], None), Window(NINE, NINE + DAY))),
            not_before_ms=rng.choice((None, around[3])),
            site=rng.choice((None, SITE)),
            announced=Content("ab", 1),
            received=Content(rng.choice(("ab", "cd")), 1),
            second=rng.choice([None, *seconds]),
        )
        picked = rng.choice(files)
        for version in RULES:
            for finding in compare(claims(picked, context.hints, version), context, version):
                found[finding.code, finding.evidence["expected"]["reason"]] = finding
    for scenario in itertools.islice(scenarios(8), 400):
        for finding in compare(claims(scenario.facts, scenario.context.hints), scenario.context):
            found[finding.code, finding.evidence["expected"]["reason"]] = finding
    return list(found.values())


def test_every_finding_has_a_name_and_a_sentence_in_both_languages():
    found = every_kind_of_finding()

    for finding in found:
        for lang in ("zh", "en"):
            assert text(title_key(finding.code), lang)
            sentence = text(sentence_key(finding), lang, **placeholders(finding))
            assert not re.search(r"\{\w+\}", sentence)
    codes = {finding.code for finding in found}
    known = {key for key in area("findings") if key.split(".")[1] in codes}
    reached = {sentence_key(finding) for finding in found}
    # What fails outside of the rules is told by the server (tests/integration).
    elsewhere = {"findings.CHECK_FAILED.rules"}
    assert known - reached == {title_key(code) for code in codes} | elsewhere


def test_findings_are_the_same_bytes_each_time_and_come_back_from_storage():
    found = every_kind_of_finding()

    stored = to_json(found)

    assert stored == to_json(every_kind_of_finding())
    assert findings_from(json.loads(stored)) == tuple(found)
    assert "null" not in stored


def test_no_failure_ever_rests_on_an_assumed_zone():
    rng = random.Random(9)
    picture = read_facts(MemorySource(zoned(None))).to_dict()
    for _ in range(2000):
        start = NINE + rng.randrange(-40 * HOUR, 40 * HOUR)
        hints = Hints(site_zone_min=rng.choice((None, 480, -300)), **RIGHT)
        context = Context(
            hints=hints,
            window=Window(start, start + rng.randrange(HOUR)),
            received_at_ms=NINE + rng.randrange(-40 * HOUR, 40 * HOUR),
        )

        failed = {f.code for f in compare(claims(picture, hints), context) if f.severity == "fail"}

        bare = dataclasses.replace(context, hints=Hints(**RIGHT))
        assert failed == {
            f.code for f in compare(claims(picture, bare.hints), bare) if f.severity == "fail"
        }
