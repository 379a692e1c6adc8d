"""The course of a visit over the real application: steps, gaps, recorders, doubts of the whole."""

import hashlib
import json
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from server.db import reading, transaction
from server.failures import Conflict, NotIndependent
from server.models.devices import ClockOffset
from server.models.inspections import (
    EvidenceItem,
    RegulatedEntity,
    TemplateVersion,
)
from server.models.journal import LineOutcome
from server.models.process import ExplainedGap, ProcessStep, RecorderClock, Recording
from server.operations import forms, frames, ledger, people, quarantine
from server.operations.access import Actor
from server.operations.doubts import VISIT_RULES_VERSION
from server.operations.frames import read_frame
from server.operations.peers import Upto
from server.operations.quarantine_view import Filter, list_quarantine
from server.operations.recorder_clocks import recorder_offset
from sync import shortcode
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.team import MINUTE, Team, facts, import_film, played

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


def test_the_comparison_nearest_to_the_recorders_own_time_counts(world, team):
    for day, offset in ((0, 1000), (10, 9000)):
        team.device.write(
            "recorder.compared",
            officer=team.officer,
            recorder="DSJ00012",
            method="docking",
            recorder_ms=MORNING_MS + day * 86_400_000,
            offset_ms=offset,
            error_ms=2000,
        )
    team.push()

    assert len(world.rows(RecorderClock)) == 2
    with world.app.app_context(), reading() as session:
        for day, offset in ((-3, 1000), (4, 1000), (6, 9000)):
            found = recorder_offset(
                session, world.organization, "DSJ00012", MORNING_MS + day * 86_400_000
            )
            assert found.offset_ms == offset
        assert recorder_offset(session, new_id(), "DSJ00012", MORNING_MS) is None


def test_a_comparison_says_nothing_of_what_the_recorder_made_after_it_was_set_right(world, team):
    team.device.write(
        "recorder.compared",
        officer=team.officer,
        recorder="DSJ00012",
        method="docking",
        recorder_ms=946_684_800_000,
        offset_ms=MORNING_MS - 946_684_800_000,
        error_ms=2000,
    )
    team.push()

    with world.app.app_context(), reading() as session:
        at_2000 = recorder_offset(session, world.organization, "DSJ00012", 946_684_900_000)
        set_right = recorder_offset(session, world.organization, "DSJ00012", MORNING_MS)

    assert at_2000.offset_ms == MORNING_MS - 946_684_800_000
    assert set_right is None


def _framed(team, item, *, shown=100_000, frame=12_500, **more):
    """What somebody reads from a frame of ``item``: the recorder's own time is the morning's."""
    fields = {
        "recorder": "DSJ00012",
        "method": "frame",
        "item": item,
        "frame_ms": frame,
        "shown_ms": MORNING_MS + shown,
        "recorder_ms": MORNING_MS,
        "offset_ms": shown,
        "error_ms": 2000,
    }
    return team.device.write("recorder.compared", officer=team.officer, **(fields | more))


def _compare_clock(team):
    """The device's clock was compared, and is right."""
    with team.world.app.app_context(), transaction() as session:
        session.add(
            ClockOffset(device_id=team.device.id, server_ms=MORNING_MS, offset_ms=0, error_ms=1000)
        )


def _offset(world):
    with world.app.app_context(), reading() as session:
        return recorder_offset(session, world.organization, "DSJ00012", MORNING_MS)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"offset_ms": 99_000}, "malformed_act"),
        ({"frame_ms": -1}, "malformed_act"),
        ({"recorder": "DSJ00099"}, "malformed_act"),
        ({"shown_ms": "09:00"}, "incomplete_act"),
        ({}, "frame_unconfirmed"),
    ],
)
def test_a_time_read_from_a_frame_is_used_for_nothing_by_itself(world, team, wrong, code):
    item, _ = import_film(team, "a.mp4", 0, 60)
    line = _framed(team, item, **wrong)
    team.push()

    [row] = world.rows(LineOutcome, seq=line.header.seq, device_id=team.device.id)
    assert (row.projection, row.code) == ("quarantined", f"projection.{code}")
    assert world.rows(RecorderClock) == []
    assert _offset(world) is None


def test_a_frame_corrects_once_a_reviewer_has_looked_at_it(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    line = _framed(team, item)
    team.push()
    assert team.doubts("RECORDER_CLOCK") == [("RECORDER_CLOCK", "pending")]

    with pytest.raises(Conflict), world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest)
    team.arrive(item)
    with world.app.app_context(), reading() as session:
        upto = Upto(1, ledger.size(session))
    with world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest)

    assert _offset(world).offset_ms == 100_000
    assert team.doubts("RECORDER_CLOCK") == []
    assert ("RECORDER_CLOCK", "pending") in [
        (one.code, one.evidence["expected"]["reason"]) for one in team.whole(upto).doubts
    ]


def test_a_frame_that_a_reviewer_does_not_accept_corrects_nothing(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    line = _framed(team, item)
    team.push()
    team.arrive(item)

    with world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, "kept")

    assert _offset(world) is None
    [frame] = team.whole().frames
    assert frame.state == "refused"


def test_whoever_took_part_cannot_confirm_a_frame(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    line = _framed(team, item)
    team.push()
    team.arrive(item)

    with pytest.raises(NotIndependent), world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, person=world.persons[1])


def test_the_head_in_a_frame_is_that_of_a_journal_at_the_time_shown(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    shown = team.mark("arrival")
    here = shortcode.spell(shown.header.seq, shown.digest)
    full = shortcode.FullHead(team.device.id, shown.header.epoch, shown.header.seq, shown.digest)
    team.at(20)
    for head in (
        here,
        shortcode.spell_full(full),
        shortcode.spell_full(replace(full, head="0" * 64)),
        shortcode.spell(shown.header.seq, "f" * 64),
        "unreadable",
    ):
        _framed(team, item, shown=10_000, head=head)
    _framed(team, item, shown=60 * MINUTE, head=here)
    _framed(team, item, shown=-60 * MINUTE, head=here)
    team.push()
    _compare_clock(team)

    checks = [frame.head_check for frame in team.whole().frames]
    told = [reason for _, reason in team.doubts("RECORDER_CLOCK") if reason != "pending"]
    assert checks == [
        "holds",
        "holds",
        "contradicts",
        "unknown",
        "unknown",
        "elsewhen",
        "elsewhen",
    ]
    assert told == [f"head_{check}" for check in checks[2:]]


def test_whoever_took_part_confirms_no_frame_that_was_first_kept_back_for_another_reason(
    world, team
):
    item, _ = import_film(team, "a.mp4", 0, 60)
    opened = next(line.act for line in team.device.lines if line.act["type"] == "session.opened")
    team.device.write("session.closed", officer=team.officer, session=opened["session"])
    line = _framed(team, item)
    team.push()
    team.arrive(item)
    [before] = world.rows(LineOutcome, seq=line.header.seq, device_id=team.device.id)

    with pytest.raises(NotIndependent), world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, person=world.persons[1])
    with world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest)
    [after] = world.rows(LineOutcome, seq=line.header.seq, device_id=team.device.id)

    assert before.code == "projection.no_officer_session"
    assert (after.projection, after.code) == ("quarantined", "projection.frame_unconfirmed")
    assert _offset(world) is None
    assert _listed(world, line) == ("waiting", "projection.frame_unconfirmed")
    assert team.doubts("RECORDER_CLOCK") == [("RECORDER_CLOCK", "pending")]

    with pytest.raises(NotIndependent), world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, person=world.persons[1], seen=1)
    with world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, seen=1)
    assert _offset(world).offset_ms == 100_000
    assert _listed(world, line)[0] == "released"


def _listed(world, line):
    with world.app.app_context(), reading() as session:
        listing = list_quarantine(session, _reviewer(world, new_id()), Filter(kind="line"))
    return next((row.state, row.code) for row in listing.rows if row.subject == line.digest)


def test_a_frame_belongs_to_the_visit_of_a_film_that_became_known_only_later(world, team):
    item, code = new_id(), "projection.frame_unconfirmed"
    line = _framed(team, item)
    team.push()
    [before] = world.rows(LineOutcome, seq=line.header.seq, device_id=team.device.id)
    import_film(team, "a.mp4", 0, 60, item=item)
    team.push()
    team.arrive(item)
    [after] = world.rows(LineOutcome, seq=line.header.seq, device_id=team.device.id)

    assert (before.code, before.inspection_id) == (code, None)
    assert (after.code, after.inspection_id) == (code, team.inspection)
    assert team.doubts("RECORDER_CLOCK") == [("RECORDER_CLOCK", "pending")]
    with pytest.raises(NotIndependent), world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, person=world.persons[1])


def test_whoever_imported_a_film_confirms_no_frame_of_it(world, team):
    item = new_id()
    team.device.write(
        "media.imported",
        officer=world.officers[1],
        item=item,
        sha256=hashlib.sha256(b"alone").hexdigest(),
        size=5,
        media_type="video/mp4",
        source={"path": "a.mp4", "recorder": "DSJ00012"},
        **{"class": "C"},
    )
    line = _framed(team, item)
    team.push()
    team.arrive(item)

    with pytest.raises(NotIndependent), world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest, person=world.persons[1])


def test_a_frame_of_a_film_that_was_discarded_corrects_nothing_any_more(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    other, _ = import_film(team, "b.mp4", 60, 60)
    line = _framed(team, item)
    team.push()
    team.arrive(item, other)
    with world.app.app_context(), transaction() as session:
        _confirm(world, session, line.digest)
        session.execute(update(EvidenceItem).values(check_wanted=False))
    before = _offset(world)

    team.say("media.discarded", item=item, reason="误录")
    team.push()

    assert before.offset_ms == 100_000
    assert _offset(world) is None
    [told] = world.rows(EvidenceItem, id=other)
    assert told.check_wanted


def test_a_head_of_a_device_whose_clock_nobody_compared_is_a_note(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    shown = team.mark("arrival")
    team.at(20)
    _framed(team, item, shown=60 * MINUTE, head=shortcode.spell(shown.header.seq, shown.digest))
    team.push()

    found = {one.evidence["expected"]["reason"]: one.severity for one in team.whole().doubts}

    assert found["head_uncompared"] == "info"
    assert "head_elsewhen" not in found


def test_a_later_line_does_not_change_what_a_package_said_of_a_head(world, team):
    item, _ = import_film(team, "a.mp4", 0, 60)
    shown = team.mark("arrival")
    head = shortcode.spell(shown.header.seq, shown.digest)
    team.push()
    team.at(20)
    line = _framed(team, item, shown=40 * MINUTE, head=head)
    with world.app.app_context(), reading() as session:
        size = ledger.size(session)
    team.push()
    _compare_clock(team)

    with world.app.app_context(), reading() as session:
        then = read_frame(session, world.organization, line.digest, line.act, Upto(1, size))
        now = read_frame(session, world.organization, line.digest, line.act)

    assert (then.head_check, now.head_check) == ("holds", "elsewhen")


def test_a_visit_of_many_released_lines_still_shows_its_frames(world, team, monkeypatch):
    monkeypatch.setattr(frames, "_LIMIT", 2)
    item, _ = import_film(team, "a.mp4", 0, 60)
    marks = [team.mark("arrival") for _ in range(3)]
    team.at(20)
    line = _framed(team, item)
    team.push()
    with world.app.app_context(), transaction() as session:
        session.execute(
            update(LineOutcome)
            .where(LineOutcome.seq.in_([mark.header.seq for mark in marks]))
            .values(released=True)
        )

    assert [frame.line_digest for frame in team.whole().frames] == [line.digest]


def _reviewer(world, person):
    return Actor(
        person_id=person,
        user_id=new_id(),
        name="审核员",
        organization_id=world.organization,
        roles=frozenset({"reviewer"}),
    )


def _confirm(world, session, digest, decision="released", person=None, seen=0):
    if person is None:
        person = people.create_person(session, "审核员")
    quarantine.decide(
        session,
        _reviewer(world, person),
        "line",
        digest,
        quarantine.Decision(decision=decision, reason="画面已看，时间一致", seen=seen),
        now_ms=world.now_ms,
    )


def test_an_imported_item_names_its_recorder(world, team):
    team.device.write(
        "media.imported",
        officer=team.officer,
        inspection=team.inspection,
        item=new_id(),
        sha256="0" * 64,
        size=5,
        media_type="video/mp4",
        source={"path": "DSJ00012_031234_20260314092230_0007.MP4", "recorder": "DSJ00012"},
        **{"class": "C"},
    )
    team.push()

    [item] = world.rows(EvidenceItem)
    assert item.recorder == "DSJ00012"


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


@pytest.mark.parametrize(("slow_min", "told"), [(0, True), (30, False)])
def test_one_officer_at_two_distant_parties_within_a_minute(world, team, slow_min, told):
    """By the bureau's clock: where one device's is half an hour slow, both can be true."""
    far, other = new_id(), new_id()
    with world.app.app_context(), transaction() as session:
        session.add(
            RegulatedEntity(
                id=far,
                organization_id=world.organization,
                name="远处的示例厂",
                uscc="",
                address="",
                lat_e7=226431000,
                lon_e7=1140579000,
                radius_cm=30000,
            )
        )
    team.photo()
    team.push()
    fellow = Team(world)
    fellow.device.write(
        "inspection.opened",
        officer=team.officer,
        inspection=other,
        officers=world.officers,
        entity=far,
        title="另一处",
    )
    fellow.inspection = other
    fellow.photo()
    fellow.push()
    with world.app.app_context(), transaction() as session:
        session.execute(delete(ClockOffset))
        session.add(
            ClockOffset(
                device_id=fellow.device.id,
                server_ms=MORNING_MS,
                offset_ms=slow_min * MINUTE,
                error_ms=1000,
            )
        )

    assert team.doubts("OFFICER_TWO_PLACES") == ([("OFFICER_TWO_PLACES", "items")] if told else [])


def _interview(team, name, start, end, answer, certificate="示例001", record=None, pages=()):
    team.record(
        "interview_record",
        {
            "started_at": f"2026-05-04T{start}+08:00",
            "ended_at": f"2026-05-04T{end}+08:00",
            "interviewee": {"name": name},
            "officers": [{"officer": {"name": "甲", "certificate_no": certificate}}],
            "dialogue": [{"question": "请说明情况。", "answer": answer}],
            "pages": [
                {"page": number, "signature": {"how": "paper", "name": signer}}
                for number, signer in enumerate(pages, 1)
            ],
        },
        record,
    )


@pytest.fixture
def forms_known(world):
    """The interview's form, as if published."""
    with world.app.app_context(), transaction() as session:
        for form in forms.shipped_forms():
            if form["id"] in ("interview_record", "sampling_record") and form["version"] == 1:
                session.add(
                    TemplateVersion(
                        organization_id=world.organization,
                        id=form["id"],
                        version=1,
                        in_force_from="2021-07-15",
                        body=json.dumps(form),
                        published_at_ms=world.now_ms,
                        generation=1,
                        ledger_index=0,
                    )
                )


@pytest.mark.usefixtures("forms_known")
def test_interviews_of_one_officer_at_once_and_the_same_words_from_two_people(team):
    story = "废水经暗管排入雨水沟，时间为每天夜里十点以后，由我本人打开阀门，" * 3
    _interview(team, "张某", "09:00", "10:00", "我是厂长。" + story)
    _interview(team, "李某", "09:30", "10:30", "我是工人，" + story)
    team.push()

    assert team.doubts("INTERVIEWS_OVERLAP") == [("INTERVIEWS_OVERLAP", "officer")]
    [copied] = [one for one in team.whole().doubts if one.code == "RECORD_COPIED"]
    assert copied.evidence["raw"] == story


@pytest.mark.usefixtures("forms_known")
def test_one_interview_that_was_given_two_names(team):
    record = new_id()
    for name in ("张某", "李某"):
        _interview(team, name, "09:00", "10:00", "是", record=record)
    team.push()

    assert team.doubts("INTERVIEWS_OVERLAP") == [("INTERVIEWS_OVERLAP", "persons")]


@pytest.mark.usefixtures("forms_known")
def test_an_interview_that_was_saved_often_leaves_room_for_the_others(world, team):
    """The newest 200 interviews are compared, however many revisions each of them has."""
    story = "废水经暗管排入雨水沟，时间为每天夜里十点以后，由我本人打开阀门，" * 3
    before = Team(world)
    _interview(before, "张某", "07:00", "08:00", "我是厂长。" + story)
    chatty = new_id()
    for number in range(201):
        _interview(before, "王某", "08:00", "08:30", f"第{number}次修改。", record=chatty)
    before.push()

    _interview(team, "李某", "09:30", "10:30", "我是工人，" + story)
    team.push()

    assert team.doubts("RECORD_COPIED") == [("RECORD_COPIED", "passage")]


@pytest.mark.parametrize("party", ["same", "other", "none"])
def test_what_a_site_record_found_at_another_party_is_not_found_here_too(world, team, party):
    found = (
        "厂区东侧废水收集池未做防渗处理，池内积存黑色废液约三立方米，液面漂浮油污；池壁有一根直径约"
        "十厘米的软管通向雨水沟，管口潮湿，沟底有黑色沉积物；喷漆房活性炭箱门敞开，箱内未装填活性炭，"
        "风机停用，漆雾自窗口外溢；危险废物贮存间未上锁，门口无警示标志，内有废油漆桶二十余只，未设台账"
    )
    before = Team(world)
    other = new_id()
    with world.app.app_context(), transaction() as session:
        session.add(
            RegulatedEntity(
                id=other,
                organization_id=world.organization,
                name="另一示例厂",
                uscc="",
                address="",
                lat_e7=None,
                lon_e7=None,
                radius_cm=None,
            )
        )
    before.device.write(
        "inspection.opened",
        officer=before.officer,
        inspection=other,
        officers=world.officers,
        **({} if party == "none" else {"entity": world.entity if party == "same" else other}),
        title="上月检查",
    )
    before.inspection = other
    before.record("site_inspection_record", {"findings": "生产正常。" + found})
    before.push()

    team.record("site_inspection_record", {"findings": "已停产。" + found + "无人值守。"})
    team.push()

    told = [("RECORD_COPIED", "findings")] if party == "other" else []
    assert team.doubts("RECORD_COPIED") == told


def test_what_a_form_says_itself_is_no_copied_passage(world, team):
    printed = (
        "现场检查时，执法人员依次查看了生产车间、污染防治设施、危险废物贮存场所及各排放口，" * 4
    )
    form = next(one for one in forms.shipped_forms() if one["id"] == "site_inspection_record")
    with world.app.app_context(), transaction() as session:
        session.add(
            TemplateVersion(
                organization_id=world.organization,
                id="site_inspection_record",
                version=9,
                in_force_from="2021-07-15",
                body=json.dumps({**form, "hint": {"zh": printed, "en": ""}}),
                published_at_ms=world.now_ms,
                generation=1,
                ledger_index=0,
            )
        )
    before = Team(world)
    before.device.write(
        "inspection.opened",
        officer=before.officer,
        inspection=(other := new_id()),
        officers=world.officers,
        title="没有登记对象的检查",
    )
    before.inspection = other
    before.record("site_inspection_record", {"findings": printed + "一切正常。"})
    before.push()

    team.record("site_inspection_record", {"findings": "未见异常。" + printed})
    team.push()

    assert team.doubts("RECORD_COPIED") == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("李某", True),
        ("李某（签字）", True),
        ("张 某", False),
        ("张某（签名），2026年5月4日", False),
        ("现场负责人签名：张某 2026年5月4日", False),
        ("签名时间：2026年5月4日", False),
        ("当事人拒绝签名", False),
        ("已签", False),
        ("无", False),
    ],
)
@pytest.mark.usefixtures("forms_known")
def test_a_signature_in_words_is_compared_as_far_as_it_is_a_name(team, written, told):
    team.record("site_inspection_record", {"party_signature": written})
    team.record("sampling_record", {"party_signature": {"how": "paper", "name": "张某"}})
    team.push()

    assert team.doubts("SIGNERS_DIFFER") == ([("SIGNERS_DIFFER", "party")] if told else [])


@pytest.mark.parametrize(
    ("pages", "told"), [(("张某", "张 某"), False), (("张某", "李某"), True), ((), False)]
)
@pytest.mark.usefixtures("forms_known")
def test_each_page_of_an_interview_is_signed_by_the_person(team, pages, told):
    _interview(team, "张某", "09:00", "10:00", "是", pages=pages)
    team.push()

    assert team.doubts("SIGNERS_DIFFER") == ([("SIGNERS_DIFFER", "page")] if told else [])


@pytest.mark.usefixtures("forms_known")
def test_times_and_signers_of_the_papers_are_compared(team):
    team.record(
        "site_inspection_record",
        {
            "started_at": "2026-05-03T09:00+08:00",
            "ended_at": "2026-05-03T10:00+08:00",
            "party_signature": {"how": "paper", "name": "张某"},
        },
    )
    team.record(
        "sampling_record",
        {
            "sampled_at": "2026-05-04T09:00+08:00",
            "party_signature": {"how": "paper", "name": "李某"},
            "officers": [{"officer": {"name": "乙", "certificate_no": "别处001"}}],
        },
    )
    team.photo()
    team.push()

    assert sorted(team.doubts("RECORD_TIMES")) == [
        ("RECORD_TIMES", "far"),
        ("RECORD_TIMES", "photo"),
        ("RECORD_TIMES", "sample"),
    ]
    assert sorted(team.doubts("SIGNERS_DIFFER")) == [
        ("SIGNERS_DIFFER", "officer"),
        ("SIGNERS_DIFFER", "party"),
    ]


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
