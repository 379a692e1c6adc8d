"""What rests on a clock that nobody compared with the server's is a doubt, never a failure."""

import random

import pytest

from media.findings import Context, Finding, Hints, claims, compare
from media.findings.model import Bounds, ClockOffset, Declared, Fix, Neighbour, Window
from media.findings.timetext import iso_seconds
from tests.support.scenarios import exif_text, facts

NINE = 1777856523000  # 2026-05-04T09:02:03+08:00
MINUTE, HOUR, DAY = 60_000, 3600_000, 86_400_000
LOCAL = iso_seconds(NINE + 8 * HOUR)
VISIT = Window(NINE - HOUR, NINE + HOUR)
PROVEN = {"clock": ClockOffset(0, 50), "bounds": Bounds(NINE - 1000, NINE + 1000)}


def photo(at_ms: int = NINE, zone: str | None = "+08:00") -> dict:
    written = {"ExifIFD__DateTimeOriginal": exif_text(at_ms), "IFD0__Make": "示例"}
    return facts(**written, **({"ExifIFD__OffsetTimeOriginal": zone} if zone else {}))


def judged(file: dict, **known) -> dict[str, Finding]:
    names = [name for name in known if name in Hints.__annotations__]
    hints = Hints(**{name: known.pop(name) for name in names})
    found = compare(claims(file, hints), Context(hints=hints, **known))
    return {one.code: one for one in found}


def outcome(found: dict[str, Finding], code: str) -> tuple[str, str] | None:
    one = found.get(code)
    return None if one is None else (one.severity, one.evidence["expected"]["reason"])


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, ("warn", "uncompared")),
        ({"clock": ClockOffset(0, 50)}, ("warn", "uncompared")),
        (
            {
                "clock": ClockOffset(0, 50),
                "bounds": Bounds(NINE - 20 * MINUTE, NINE - 11 * MINUTE),
            },
            ("warn", "device_clock"),
        ),
    ],
    ids=["never", "another time", "this line"],
)
def test_a_signed_time_after_its_receipt_is_a_doubt_about_the_clock(known, expected):
    found = judged(
        facts("AMR", "audio/amr"),
        capture_class="A",
        declared=Declared(NINE, 480),
        received_at_ms=NINE - 10 * MINUTE,
        **known,
    )

    assert outcome(found, "TIME_AFTER_RECEIPT") == expected


@pytest.mark.parametrize(
    ("known", "severity", "reason"),
    [
        ({"capture_class": "B", **PROVEN}, "fail", "outside"),
        ({"capture_class": "B"}, "warn", "uncompared"),
        ({"capture_class": "B", "clock": ClockOffset(0, 50)}, "warn", "uncompared"),
        ({"capture_class": "C", **PROVEN}, "warn", "uncompared"),
        ({"capture_class": "C", "recorder": ClockOffset(0, 1000, NINE)}, "fail", "outside"),
        ({"capture_class": "C", "recorder": ClockOffset(0, 1000)}, "warn", "uncompared"),
        ({"capture_class": "C", "recorder": ClockOffset(5 * HOUR, 1000, NINE)}, None, None),
    ],
)
@pytest.mark.parametrize("zone", ["+08:00", None])
def test_a_camera_time_outside_the_visit_fails_by_a_compared_clock_alone(
    known, severity, reason, zone
):
    # Five days are outside in every zone; the clock that is five hours ahead explains five hours.
    away = 5 * HOUR if zone or not reason else 5 * DAY

    found = judged(photo(NINE + away, zone), window=VISIT, site_zone_min=480, **known)

    assert outcome(found, "TIME_OUTSIDE_WINDOW") == (severity and (severity, reason))


def test_a_clock_that_comparisons_show_to_have_been_set_bears_out_no_failure():
    known = {
        "capture_class": "B",
        "declared": Declared(NINE + 3 * DAY, 480),
        "received_at_ms": NINE + HOUR,
        "window": VISIT,
        **PROVEN,
    }

    found = judged(photo(NINE + 3 * DAY), **known)

    assert outcome(found, "CLOCK_OFFSET") == ("warn", "clock_set")
    assert outcome(found, "TIME_AFTER_RECEIPT") == ("warn", "uncompared")
    assert outcome(found, "TIME_OUTSIDE_WINDOW") == ("warn", "uncompared")


@pytest.mark.parametrize(
    ("known", "expected"),
    [(PROVEN, ("fail", "before_proof")), ({}, ("warn", "before_proof_uncompared"))],
)
def test_what_the_app_took_before_its_chain_allows_fails_by_a_compared_clock_alone(known, expected):
    found = judged(photo(), capture_class="A", not_before_ms=NINE + HOUR, **known)

    assert outcome(found, "TIME_OUTSIDE_WINDOW") == expected


@pytest.mark.parametrize(
    ("bounds", "proven", "expected"),
    [(True, True, "fail"), (False, True, "warn"), (True, False, "warn")],
)
def test_a_speed_is_impossible_only_by_two_proven_times(bounds, proven, expected):
    other = Neighbour(
        "previous",
        "other",
        "a.jpg",
        1,
        NINE - MINUTE,
        NINE - MINUTE,
        lat_e7=255431000,
        lon_e7=1140579000,
        accuracy_cm=1000,
        proven=proven,
    )

    found = judged(
        photo(),
        capture_class="A",
        declared=Declared(NINE, 480),
        clock=ClockOffset(0, 50),
        bounds=PROVEN["bounds"] if bounds else None,
        fix=Fix(225431000, 1140579000, 1000),
        neighbours=(other,),
    )

    assert outcome(found, "SPEED_IMPOSSIBLE") == (expected, "previous")


def test_nothing_about_time_or_speed_ever_fails_where_no_clock_was_compared():
    rng = random.Random(12)
    for _ in range(2000):
        at = NINE + rng.randrange(-40 * DAY, 40 * DAY)
        file = rng.choice(
            (
                photo(at, rng.choice(("+08:00", None))),
                facts("MOV", "video/quicktime", **film(at)[rng.randrange(6)]),
            )
        )
        other = Neighbour("next", "o", "a", 1, NINE, NINE, None, 255431000, 1140579000, 100)

        found = judged(
            file,
            capture_class=rng.choice("ABC"),
            site_zone_min=rng.choice((None, 480)),
            declared=Declared(at + rng.randrange(-DAY, DAY), 480),
            clock=rng.choice((None, ClockOffset(rng.randrange(-HOUR, HOUR), 50))),
            received_at_ms=NINE,
            window=VISIT,
            not_before_ms=NINE - HOUR,
            fix=Fix(225431000, 1140579000, 100),
            neighbours=(other,),
        )

        assert "fail" not in {one.severity for one in found.values()}


def film(at_ms: int) -> list[dict[str, str]]:
    """Every place in which a recording may say when it was made."""
    local = iso_seconds(at_ms + 8 * HOUR)
    return [
        {"Keys__com.apple.quicktime.creationdate": local + "+0800"},
        {"QuickTime__CreateDate": str(at_ms // 1000 + 2082844800)},
        {"Matroska__DateTimeOriginal": str((at_ms - 978307200000) * 10**6)},
        {"RIFF__DateTimeOriginal": local.replace("T", "")},
        {"RIFF__DigitizationDate": local.replace("T", " ")},
        {"UserData__ContentCreateDate": local + "+0800"},
    ]


@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("capture_class", ["A", "B", "C"])
def test_every_time_of_a_recording_is_corrected_by_the_clock_that_wrote_it(place, capture_class):
    ahead = ClockOffset(10 * MINUTE, 50, NINE)
    known = (
        {"recorder": ahead}
        if capture_class == "C"
        else {
            "declared": Declared(NINE + 10 * MINUTE, 480),
            "clock": ahead,
            "bounds": Bounds(NINE - 1000, NINE + 1000),
        }
    )

    found = judged(
        facts("MOV", "video/quicktime", **film(NINE + 10 * MINUTE)[place]),
        capture_class=capture_class,
        site_zone_min=480,
        received_at_ms=NINE + 30_000,
        window=Window(NINE - MINUTE, NINE + MINUTE),
        **known,
    )

    assert set(found) <= {"CLOCK_OFFSET"}


@pytest.mark.parametrize(("days", "expected"), [(6, "fail"), (8, "warn"), (-8, "warn")])
def test_a_recorders_clock_bears_out_what_it_wrote_within_a_week_of_its_comparison(days, expected):
    """A recorder that wrote two times far apart was set in between, at whichever end."""
    compared = NINE - days * DAY
    file = facts(
        "MOV",
        "video/quicktime",
        **film(compared)[0],
        RIFF__DigitizationDate=iso_seconds(NINE + 8 * HOUR).replace("T", " "),
    )

    hints = Hints("C", site_zone_min=480, recorder=ClockOffset(HOUR, 50, compared))
    stated = claims(file, hints)
    context = Context(hints=hints, window=Window(NINE + 2 * DAY, NINE + 3 * DAY))
    found = {one.evidence["tag"]: one for one in compare(stated, context)}

    [idit] = [one for one in stated if getattr(one, "source", "") == "idit"]
    [keys] = [one for one in stated if getattr(one, "source", "") == "keys"]
    assert found["RIFF:DigitizationDate"].severity == expected
    assert idit.assumed[0].lo_ms == (
        NINE - HOUR - 50 if expected == "fail" else NINE // 1000 * 1000
    )
    assert keys.lo_ms == compared // 1000 * 1000 - HOUR - 50


def test_a_clock_that_was_lost_is_near_its_comparison_by_its_own_reckoning():
    lost = NINE - 9000 * DAY
    file = facts("MOV", "video/quicktime", **film(lost + DAY)[0])

    found = judged(
        file,
        capture_class="C",
        recorder=ClockOffset(-9000 * DAY, 50, lost),
        window=Window(NINE + 2 * DAY, NINE + 3 * DAY),
    )

    assert outcome(found, "TIME_OUTSIDE_WINDOW") == ("fail", "outside")


def test_version_two_goes_on_correcting_recordings_by_a_recorder_alone():
    file = facts("MOV", "video/quicktime", **film(NINE)[0])
    hints = Hints("B", clock=ClockOffset(10 * MINUTE, 50), recorder=ClockOffset(HOUR, 50))

    [keys] = [one for one in claims(file, hints, "2") if getattr(one, "source", "") == "keys"]

    assert (keys.lo_ms, keys.hi_ms) == (NINE, NINE + 999)
