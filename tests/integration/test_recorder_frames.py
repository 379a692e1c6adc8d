"""Comparisons of a recorder's clock: read at docking, or from a frame that a reviewer looks at."""

import hashlib
from dataclasses import replace

import pytest
from sqlalchemy import update

from server.db import reading, transaction
from server.failures import Conflict, NotIndependent
from server.models.devices import ClockOffset
from server.models.inspections import EvidenceItem
from server.models.journal import LineOutcome
from server.models.process import RecorderClock
from server.operations import frames, ledger, people, quarantine
from server.operations.access import Actor
from server.operations.frames import read_frame
from server.operations.peers import Upto
from server.operations.quarantine_view import Filter, list_quarantine
from server.operations.recorder_clocks import recorder_offset
from sync import shortcode
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.team import MINUTE, import_film


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
