"""The course of a visit over the real application: steps, gaps, recordings, doubts of the whole."""

import pytest

from server.db import reading
from server.models.journal import LineOutcome
from server.models.process import ExplainedGap, ProcessStep, Recording
from server.operations import ledger
from server.operations.doubts import VISIT_RULES_VERSION
from server.operations.peers import Upto
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.team import MINUTE, facts, import_film, played

STEPS = ("arrival", "certificates_shown", "rights_told", "inspected", "signed", "left")


def test_acts_about_the_course_become_rows(world, team):
    item = team.photo(step="arrival")
    team.say("step.marked", step="something_of_2031", text="新环节", item=item)
    team.say("gap.explained", from_ms=1, to_ms=2, reason="a_new_reason")
    recording = team.run(10, 20)
    team.push()

    assert {row.step: row.item_id for row in world.rows(ProcessStep)} == {
        "arrival": item,
        "something_of_2031": item,
    }
    [gap] = world.rows(ExplainedGap)
    assert gap.reason == "a_new_reason"
    [row] = world.rows(Recording)
    assert (row.id, row.stopped_at_ms - row.started_at_ms) == (recording, 10 * MINUTE)


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("gap.explained", {"from_ms": 2, "to_ms": 1, "reason": "fault"}, "malformed_act"),
        ("gap.explained", {"from_ms": 1, "to_ms": 2, "reason": "other"}, "malformed_act"),
        ("step.marked", {}, "incomplete_act"),
        ("recording.stopped", {"recording": new_id()}, "unknown_item"),
    ],
)
def test_an_act_that_says_nothing_usable_is_quarantined(world, team, kind, fields, code):
    line = team.say(kind, **fields)
    team.push()

    [row] = world.rows(LineOutcome, seq=line.header.seq, device_id=team.device.id)
    assert row.code == f"projection.{code}"


def test_a_visit_with_every_step_on_record_and_filmed_throughout_raises_no_doubt(team):
    team.mark(*STEPS)
    film = team.film(0, 1)
    team.push()
    team.arrive(film)

    whole = team.whole()

    assert [one.code for one in whole.doubts] == []
    assert all(step.recorded for step in whole.visit.coverage.steps)
    assert whole.visit.coverage.gaps == ()


def test_a_step_that_nothing_shows_is_named_once_the_visit_has_ended(team):
    team.mark("arrival", "certificates_shown", "rights_told", "inspected")
    team.push()
    assert team.doubts("COVERAGE_MISSING") == []

    team.mark("left")
    team.push()

    assert team.doubts("COVERAGE_MISSING") == [("COVERAGE_MISSING", "signed")]


def test_a_step_that_is_only_marked_is_told_apart_from_one_that_something_shows(team):
    team.mark("arrival", "certificates_shown")
    photo, lost = team.photo(step="inspected"), team.photo(step="signed")
    team.at(5)
    team.mark("left")
    team.push()
    team.arrive(photo)

    marked = {reason for _, reason in team.doubts("COVERAGE_MARKED")}
    missing = {reason for _, reason in team.doubts("COVERAGE_MISSING")}
    assert marked == {"arrival", "certificates_shown", "signed", "left"}
    assert missing == {"rights_told"}

    team.arrive(lost)

    assert "signed" not in {reason for _, reason in team.doubts("COVERAGE_MARKED")}


def test_a_recording_counts_only_with_its_file(team):
    """Whatever the journal says: announced without a file, not arrived, discarded, no film."""
    team.mark("arrival")
    team.run(0, 10)
    expected, gone, text = team.film(10, 20), team.film(20, 30), team.film(30, 40)
    team.run(40, 50, item=new_id())
    team.say("recording.started", recording=new_id())
    team.say("media.discarded", item=gone, reason="误操作")
    team.at(60)
    team.mark("left")
    team.record("site_inspection_record", {"measures": "对设备予以查封"})
    team.push()
    team.arrive(text)
    facts(team, text, type=None, mime=None)

    coverage = team.whole().visit.coverage
    assert coverage.recorded_ms == 0
    assert sorted(reason for _, reason in team.doubts("RECORDING_GAP")) == [
        "discarded",
        "expected",
        "no_file",
        "no_file",
        # The rest of the visit, of which not even the journal says that it was recorded.
        "unexplained",
        "unreadable",
        "unstopped",
    ]
    assert team.doubts("COVERAGE_INTERRUPTED") == [("COVERAGE_INTERRUPTED", "none")]
    assert team.doubts("MEDIA_EXPECTED") == [("MEDIA_EXPECTED", "waiting")]

    team.arrive(expected)

    assert team.minutes() == 10


def test_one_file_shows_one_recording(team):
    team.mark("arrival")
    film = team.film(0, 10)
    team.run(10, 20, item=film)
    team.mark("left")
    team.push()
    team.arrive(film)

    assert team.minutes() == 10
    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "no_file")]


def test_a_package_holds_what_was_here_at_its_size_of_the_ledger(team):
    """Files that arrive and are discarded while it is built change nothing in it."""
    team.mark("arrival")
    kept, late = team.film(0, 10), team.film(10, 20)
    team.mark("left")
    team.push()
    team.arrive(kept)
    with team.world.app.app_context(), reading() as session:
        upto = Upto(1, ledger.size(session))
    before = team.whole(upto).doubts

    team.arrive(late)
    team.say("media.discarded", item=kept, reason="误操作")
    team.push()

    assert team.whole(upto).doubts == before
    assert ("RECORDING_GAP", "discarded") in team.doubts()
    assert ("RECORDING_GAP", "expected") not in team.doubts()


def test_findings_about_a_visit_name_the_rules_about_visits(team):
    team.mark("arrival", "left")
    team.push()

    assert {doubt.rule_version for doubt in team.whole().doubts} == {VISIT_RULES_VERSION}


@pytest.mark.parametrize("typo", ["0001-01-01T00:00", "9999-12-31T23:59-23:59", "0002-01-01T00:00"])
def test_no_mistyped_time_of_a_record_breaks_the_visit_or_silences_it(team, typo):
    team.mark("arrival")
    team.at(30)
    team.record("site_inspection_record", {"started_at": typo, "ended_at": typo})
    team.mark("left")
    team.photo()
    team.push()

    assert team.minutes("visit") == 30
    assert ("MEDIA_EXPECTED", "waiting") in team.doubts()
    far = team.doubts("RECORD_TIMES")
    assert set(far) <= {("RECORD_TIMES", "far"), ("RECORD_TIMES", "photo")}
    assert typo == "0001-01-01T00:00" or ("RECORD_TIMES", "far") in far


def test_leaving_before_arriving_is_told_and_silences_nothing(team):
    team.mark("left")
    team.at(20)
    team.mark("arrival")
    team.at(50)
    team.mark("sampled")
    team.photo()
    team.push()

    assert {code for code, _ in team.doubts()} >= {
        "RECORD_TIMES",
        "COVERAGE_MISSING",
        "RECORDING_GAP",
        "MEDIA_EXPECTED",
    }
    assert team.doubts("RECORD_TIMES") == [("RECORD_TIMES", "left_first")]
    assert team.minutes("visit") == 30


def test_a_gap_is_told_until_its_reason_is_stated(team):
    team.mark("arrival")
    films = team.film(0, 10), team.film(30, 40)
    team.mark("left")
    team.push()
    team.arrive(*films)
    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "unexplained")]

    team.say(
        "gap.explained",
        from_ms=MORNING_MS + 9 * MINUTE,
        to_ms=MORNING_MS + 31 * MINUTE,
        reason="explosion_proof",
    )
    team.push()

    assert team.doubts("RECORDING_GAP") == []
    [gap] = team.whole().visit.coverage.gaps
    assert gap.reasons == ("explosion_proof",)


@pytest.mark.parametrize(
    ("span", "told"), [((0, 60), {"whole"}), ((-1e8, 1e8), {"none", "overlong"})]
)
def test_a_reason_for_the_whole_visit_is_told_and_one_for_years_settles_nothing(team, span, told):
    team.mark("arrival")
    team.at(60)
    team.mark("left")
    first, last = (MORNING_MS + int(minute * MINUTE) for minute in span)
    team.say("gap.explained", from_ms=max(first, 0), to_ms=last, reason="battery")
    team.push()

    assert {reason for _, reason in team.doubts("RECORDING_GAP")} == told


def test_a_film_of_seconds_in_each_minute_is_no_film_of_a_seizure(team):
    team.mark("arrival")
    films = [team.film(minute, minute + 0.1) for minute in range(10)]
    team.at(10)
    team.mark("left")
    team.record("site_inspection_record", {"measures": "当场扣押"})
    team.push()
    team.arrive(*films)

    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "pieces")]
    assert team.doubts("COVERAGE_INTERRUPTED") == [("COVERAGE_INTERRUPTED", "pieces")]


def test_a_seizure_must_be_filmed_whatever_the_reason_of_the_gap(team):
    team.mark("arrival")
    film = team.film(0, 10)
    team.at(40)
    team.record("site_inspection_record", {"measures": "对设备予以查封"})
    team.say(
        "gap.explained",
        from_ms=MORNING_MS,
        to_ms=MORNING_MS + 60 * MINUTE,
        reason="battery",
    )
    team.mark("left")
    team.push()
    team.arrive(film)

    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "whole")]
    assert team.doubts("COVERAGE_INTERRUPTED") == [("COVERAGE_INTERRUPTED", "gap")]


@pytest.mark.parametrize(
    "measures", ["未予查封、扣押，责令改正", "解除扣押", "不予查封或扣押", "责令停止排放"]
)
def test_a_seizure_that_was_denied_or_lifted_need_not_be_filmed(team, measures):
    team.mark("arrival")
    team.record("site_inspection_record", {"measures": measures})
    team.at(40)
    team.mark("left")
    team.push()

    assert team.doubts("COVERAGE_INTERRUPTED") == []


def test_certificates_that_come_after_the_inspecting_are_told(team):
    team.mark("inspected")
    team.at(5)
    team.mark("certificates_shown")
    team.push()

    assert team.doubts("CERTIFICATES_NOT_FIRST") == [("CERTIFICATES_NOT_FIRST", "inspected")]


def test_files_that_never_came_are_told_when_the_visit_has_ended(team):
    team.photo()
    team.push()
    assert team.doubts("MEDIA_EXPECTED") == []

    team.mark("left")
    team.push()

    assert team.doubts("MEDIA_EXPECTED") == [("MEDIA_EXPECTED", "waiting")]


def test_a_recorders_film_counts_by_its_corrected_clock(team):
    team.mark("arrival")
    team.at(60)
    team.mark("left")
    team.at(600)
    # Its clock is seven minutes fast: what it calls minute 7 to 67 was 0 to 60.
    item, values = import_film(team, "a.mp4", 7, 60)
    team.push()
    team.arrive(item)
    facts(team, item, values)
    [gap] = team.whole().visit.coverage.gaps
    assert gap.span.length_ms // MINUTE == 6

    team.device.write(
        "recorder.compared",
        officer=team.officer,
        recorder="DSJ00012",
        method="docking",
        recorder_ms=MORNING_MS + 7 * MINUTE,
        offset_ms=-7 * MINUTE,
        error_ms=2000,
    )
    team.push()

    coverage = team.whole().visit.coverage
    assert coverage.gaps == ()
    assert coverage.steps[0].recorded


@pytest.mark.parametrize(("played_ms", "minutes"), [(None, 60), (20 * MINUTE, 20)])
def test_a_film_that_breaks_off_counts_for_as_long_as_it_plays(team, played_ms, minutes):
    """Whatever length its head states; where nobody has played it, that is all there is."""
    team.mark("arrival")
    team.at(60)
    team.mark("left")
    item, values = import_film(team, "c.mp4", 0, 60)
    team.push()
    team.arrive(item)
    facts(team, item, values)
    if played_ms:
        played(team, item, played_ms)

    assert team.minutes() == minutes


@pytest.mark.parametrize("stated_min", [50, 60])
def test_a_recording_whose_file_plays_shorter_than_the_journal_says_is_told(team, stated_min):
    team.mark("arrival")
    item, values = import_film(team, "b.mp4", 0, stated_min)
    team.run(0, 60, item=item)
    team.mark("left")
    team.push()
    team.arrive(item)
    facts(team, item, values)
    if stated_min == 60:
        played(team, item, 50 * MINUTE)

    assert sorted(team.doubts("RECORDING_GAP")) == [
        ("RECORDING_GAP", "shorter"),
        ("RECORDING_GAP", "unexplained"),
    ]
    assert team.minutes() == 50
