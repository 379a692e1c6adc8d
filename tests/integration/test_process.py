"""The course of a visit over the real application: steps, gaps, recorders, doubts of the whole."""

import hashlib
import json

import pytest
from sqlalchemy import delete

from server.db import reading, transaction
from server.models.devices import ClockOffset
from server.models.inspections import (
    EvidenceItem,
    Inspection,
    MediaFacts,
    RegulatedEntity,
    TemplateVersion,
)
from server.models.journal import LineOutcome
from server.models.process import ExplainedGap, ProcessStep, RecorderClock, Recording
from server.operations import forms
from server.operations.inspection_doubts import inspection_doubts
from server.operations.recorder_clocks import recorder_offset
from tests.support.simdevice import MORNING_MS, new_id

MINUTE = 60_000
STEPS = ("arrival", "certificates_shown", "rights_told", "inspected", "signed", "left")


class Team:
    """A device on patrol that says things of one inspection."""

    def __init__(self, world):
        self.world = world
        self.device = world.on_patrol()
        self.inspection = self.device.inspection
        self.officer = world.officers[0]

    def say(self, kind, **fields):
        fields.setdefault("officer", self.officer)
        return self.device.write(kind, inspection=self.inspection, **fields)

    def at(self, minute):
        self.device.now_ms = MORNING_MS + minute * MINUTE

    def mark(self, *steps):
        for step in steps:
            self.say("step.marked", step=step)

    def photo(self, **more):
        item = new_id()
        self.say(
            "media.captured",
            item=item,
            sha256=hashlib.sha256(item.encode()).hexdigest(),
            size=5,
            media_type="image/jpeg",
            **{"class": "B"},
            **more,
        )
        return item

    def record(self, template, fields, record=None):
        return self.device.write_parts(
            {
                "type": "record.saved",
                "officer": self.officer,
                "inspection": self.inspection,
                "record": record or new_id(),
                "template": {"id": template, "version": 1},
                "fields": fields,
                "base": [],
            }
        )

    def run(self, start, stop, **more):
        recording = new_id()
        self.at(start)
        self.say("recording.started", recording=recording)
        self.at(stop)
        self.say("recording.stopped", recording=recording, **more)
        return recording

    def push(self):
        answer = self.world.push(self.device)
        assert answer.status_code == 200, answer.text

    def whole(self):
        with self.world.app.app_context(), reading() as session:
            return inspection_doubts(session, session.get_one(Inspection, self.inspection))

    def doubts(self, code=None):
        return [
            (one.code, one.evidence["expected"]["reason"])
            for one in self.whole().doubts
            if code in (None, one.code)
        ]


@pytest.fixture
def team(world):
    return Team(world)


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
    recording = new_id()
    team.say("recording.started", recording=recording)
    team.mark(*STEPS)
    team.say("recording.stopped", recording=recording)
    team.push()

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


def test_a_gap_is_told_until_its_reason_is_stated(team):
    team.mark("arrival")
    team.run(0, 10)
    team.run(30, 40)
    team.mark("left")
    team.push()
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


def test_a_seizure_must_be_filmed_whatever_the_reason_of_the_gap(team):
    team.mark("arrival")
    team.run(0, 10)
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

    assert team.doubts("RECORDING_GAP") == []
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


def _interview(team, name, start, end, answer, certificate="示例001", record=None):
    team.record(
        "interview_record",
        {
            "started_at": f"2026-05-04T{start}+08:00",
            "ended_at": f"2026-05-04T{end}+08:00",
            "interviewee": {"name": name},
            "officers": [{"officer": {"name": "甲", "certificate_no": certificate}}],
            "dialogue": [{"question": "请说明情况。", "answer": answer}],
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


def _film(team, name, minute, length_min, **more):
    """A recorder's file whose container says, by a clock in local time, when it began."""
    item, sha256 = new_id(), hashlib.sha256(name.encode()).hexdigest()
    local_s = (MORNING_MS + minute * MINUTE) // 1000 + 8 * 3600 + 2_082_844_800
    facts = {
        "bytes_read": 0,
        "faults": [],
        "limits_hit": [],
        "mime": "video/mp4",
        "reader_version": "1",
        "size": 5,
        "type": "MP4",
        "values": [
            {"tag": tag, "raw": raw, "offset": 0, "size": 4}
            for tag, raw in (
                ("QuickTime:CreateDate", str(local_s)),
                ("QuickTime:Duration", f"{length_min * 60_000}/1000"),
            )
        ],
    }
    with team.world.app.app_context(), transaction() as session:
        session.add(
            MediaFacts(
                sha256=sha256,
                reader_version="1",
                facts=json.dumps(facts),
                second="",
                read_at_ms=1,
                generation=1,
                ledger_index=0,
            )
        )
    team.say(
        "media.imported",
        item=item,
        sha256=sha256,
        size=5,
        media_type="video/mp4",
        source={"path": name, "recorder": "DSJ00012"},
        **{"class": "C"},
        **more,
    )
    return item


def test_a_recorders_film_counts_by_its_corrected_clock(team):
    team.mark("arrival")
    team.at(60)
    team.mark("left")
    team.at(600)
    # Its clock is seven minutes fast: what it calls minute 7 to 67 was 0 to 60.
    item = _film(team, "a.mp4", 7, 60)
    team.push()
    [gap] = team.whole().visit.coverage.gaps
    assert gap.span.length_ms // MINUTE == 6

    team.device.write(
        "recorder.compared",
        officer=team.officer,
        recorder="DSJ00012",
        method="frame",
        item=item,
        recorder_ms=MORNING_MS + 7 * MINUTE,
        offset_ms=-7 * MINUTE,
        error_ms=2000,
    )
    team.push()

    coverage = team.whole().visit.coverage
    assert coverage.gaps == ()
    assert coverage.steps[0].recorded


def test_a_recording_whose_file_plays_shorter_than_the_journal_says_is_told(team):
    team.mark("arrival")
    item = _film(team, "b.mp4", 0, 50)
    team.run(0, 60, item=item)
    team.mark("left")
    team.push()

    assert team.doubts("RECORDING_GAP") == [("RECORDING_GAP", "shorter")]
