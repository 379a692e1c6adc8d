"""Which files of a visit count as recordings, and for which time of it."""

import pytest

from server.operations import process_doubts
from server.operations.coverage import filmed, gather
from tests.support.team import MINUTE, facts, import_film, played

_KEY = "Keys:com.apple.quicktime.creationdate"


def _an_hour(team, *items):
    """The visit lasts an hour, and all files come in."""
    team.mark("arrival")
    team.at(60)
    team.mark("left")
    team.push()
    team.arrive(*items)


@pytest.mark.parametrize(
    "media_type", ["application/octet-stream", "image/jpeg", "Video/MP4", "video/mp4"]
)
def test_a_film_counts_whatever_its_device_calls_it(team, media_type):
    item = team.photo(media_type)
    _an_hour(team, item)
    facts(
        team,
        item,
        [(_KEY, "2026-05-04T09:00:00+0800"), ("QuickTime:Duration", f"{60 * MINUTE}/1000")],
    )

    assert team.doubts("RECORDING_GAP") == []
    assert team.minutes() == 60


def test_a_recording_that_the_app_named_counts_whatever_its_device_calls_it(team):
    team.mark("arrival")
    item = team.photo("application/octet-stream")
    team.run(0, 60, item=item)
    team.mark("left")
    team.push()
    team.arrive(item)
    facts(team, item)

    assert team.minutes() == 60
    assert team.doubts("RECORDING_GAP") == []


def test_a_recording_whose_start_the_app_forgot_counts_by_its_own_time(team):
    team.mark("arrival")
    team.at(40)
    item = team.photo("video/mp4")
    team.at(60)
    team.mark("left")
    team.push()
    team.arrive(item)
    facts(team, item, [("QuickTime:Duration", f"{40 * MINUTE}/1000")])

    assert team.minutes() == 40
    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "unexplained")]


@pytest.mark.parametrize("measures", ["", "对设备予以查封"])
def test_recordings_that_do_not_say_when_they_ran_are_told_apart_from_none(team, measures):
    item, values = import_film(team, "a.mp4", 0, 60)
    team.record("site_inspection_record", {"measures": measures})
    _an_hour(team, item)
    facts(team, item, [one for one in values if one[0] == "QuickTime:Duration"])

    assert team.minutes() == 0
    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "undated")]
    told = [("COVERAGE_INTERRUPTED", "undated")] if measures else []
    assert team.doubts("COVERAGE_INTERRUPTED") == told


def test_a_film_that_nothing_of_ours_reads_counts_as_long_as_somebody_played_it(team):
    team.at(60)
    item = team.photo("video/mp2t")
    team.at(0)
    team.mark("arrival")
    team.at(60)
    team.mark("left")
    team.push()
    team.arrive(item)
    facts(team, item, type=None, mime=None)
    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "undated")]

    played(team, item, 60 * MINUTE)

    assert team.minutes() == 60
    assert team.doubts("RECORDING_GAP") == []


def test_what_is_beyond_the_limit_of_a_visit_is_said(team, monkeypatch):
    """Not all of it is looked at; nothing of that is silent."""
    for module in (gather, filmed, process_doubts):
        monkeypatch.setattr(module, "ROW_LIMIT", 3)
    for number in range(3):
        team.say("gap.explained", from_ms=number, to_ms=number + 1, reason="battery")
        team.run(number, number + 1)
    team.push()

    assert team.doubts("VISIT_TOO_LARGE") == [
        ("VISIT_TOO_LARGE", "recordings"),
        ("VISIT_TOO_LARGE", "reasons"),
    ]


def test_gaps_beyond_the_fiftieth_are_told_as_a_sum(team):
    team.mark("arrival")
    films = [team.film(number * 3, number * 3 + 1) for number in range(60)]
    team.mark("left")
    team.push()
    team.arrive(*films)

    reasons = [reason for _, reason in team.doubts("RECORDING_GAP")]
    assert reasons == ["unexplained"] * 50 + ["more"]
