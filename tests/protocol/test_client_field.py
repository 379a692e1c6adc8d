"""Two officers without a network, handing over, and a device that is told to empty itself."""

import json

import pytest

from server.db import reading, transaction
from server.models.devices import ClockOffset
from server.models.devices import Device as DeviceModel
from server.models.inspections import Inspection, OfficerSession
from server.models.journal import JournalLine, PeerHead
from server.operations.access import Actor
from server.operations.inspection_doubts import inspection_doubts
from server.operations.revocation import revoke_device
from sync import shortcode
from sync.client.device import Device
from sync.client.errors import DeviceWiped, HeadMistyped
from tests.support.badnet import Fault
from tests.support.simdevice import new_id


def _open(world, device, **more):
    return device.open_inspection(world.officers, title="日常检查", **more).inspection


def _doubts(world, inspection):
    with world.app.app_context(), reading() as session:
        found = inspection_doubts(session, session.get_one(Inspection, inspection)).doubts
        return {(doubt.code, doubt.evidence["expected"]["reason"]) for doubt in found}


def _revoke(world, device, **how):
    administrator = Actor(
        user_id=new_id(),
        person_id=world.persons[0],
        name="示例",
        organization_id=world.organization,
        roles=frozenset({"administrator"}),
    )
    with world.app.app_context(), transaction() as session:
        revoke_device(
            session,
            administrator,
            device.enrolment.device,
            reason="遗失",
            now_ms=world.now_ms,
            **how,
        )


@pytest.mark.parametrize("said", ["typed", "scanned"])
def test_heads_that_two_devices_note_of_each_other_bear_each_other_out(world, enrol, said):
    first, second = enrol("one"), enrol("two")
    inspection = _open(world, first)
    _open(world, second, inspection=inspection)

    for device, other in ((first, second), (second, first)):
        head = other.head()
        text = (
            shortcode.spell_full(head)
            if said == "scanned"
            else shortcode.spell(head.seq, head.head).lower()
        )
        device.note_head(text)
    for device in (first, second):
        assert device.sync().complete

    assert _doubts(world, inspection) == set()


def test_lines_that_a_fellow_saw_and_that_never_come_are_named(world, enrol):
    first, second = enrol("one"), enrol("two")
    inspection = _open(world, first)
    _open(world, second, inspection=inspection)
    assert second.sync().complete

    second.note(inspection, "后来消失的一行")
    first.note_head(shortcode.spell_full(second.head()))
    assert first.sync().complete

    assert _doubts(world, inspection) == {
        ("PEER_LINES_MISSING", "lines"),
        ("PEER_HEAD_MISSING", "none"),
    }
    assert second.sync().complete
    assert _doubts(world, inspection) == {("PEER_HEAD_MISSING", "none")}


def test_a_slip_of_the_finger_accuses_nobody_and_a_strange_code_does(world, enrol):
    first, second = enrol("one"), enrol("two")
    inspection = _open(world, first)
    _open(world, second, inspection=inspection)
    head = second.head()
    code = shortcode.code_of(head.head)
    slip = ("X" if code[0] != "X" else "Y") + code[1:]

    first.note_head(f"{head.seq}-{slip}")
    second.note_head(shortcode.spell_full(first.head()))
    for device in (first, second):
        device.sync()
    assert _doubts(world, inspection) == set()

    first.note_head(f"{head.seq}-{'0' * 20}")
    first.sync()
    assert _doubts(world, inspection) == {("PEER_HEAD_CONTRADICTS", "digest")}


@pytest.mark.parametrize("said", ["", "412", "412-AAAAA", "412-UUUUU-UUUUU-UUUUU-UUUUU"])
def test_a_mistyped_head_is_refused_before_anything_is_written(device, said):
    before = device.head()

    with pytest.raises(HeadMistyped):
        device.note_head(said)

    assert device.head() == before


def test_a_device_does_not_note_its_own_head(device):
    with pytest.raises(HeadMistyped):
        device.note_head(shortcode.spell_full(device.head()))


def test_handing_over_closes_one_session_and_opens_the_next(world, device):
    first, second = world.officers
    old = device.login(first)

    new = device.hand_over(first, second)
    assert device.sync().complete

    assert [session.officer for session in device.sessions()] == [second]
    rows = {row.id: row for row in world.rows(OfficerSession, device_id=device.enrolment.device)}
    assert rows[old.id].closed_seq == rows[new.id].opened_seq - 1
    assert rows[new.id].closed_seq is None


def test_each_comparison_of_clocks_says_what_the_clocks_showed(world, device):
    device.sync()

    rows = world.rows(ClockOffset, device_id=device.enrolment.device)

    assert rows
    assert all(row.offset_ms == row.server_ms - row.wall_ms for row in rows)
    assert {row.boot for row in rows} == {"boot-1"}


def test_a_device_that_is_told_to_wipe_hands_in_everything_and_then_empties_itself(
    world, device, tmp_path
):
    inspection = _open(world, device)
    device.sync()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0 not yet sent")
    captured = device.capture(photo, inspection)
    _revoke(world, device, wipe=True)

    report = device.sync()

    assert report.wiped
    folder = tmp_path / "first"
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "wiped.json"]
    statement = json.loads((folder / "wiped.json").read_text("utf-8"))
    (row,) = world.rows(DeviceModel, id=statement["device"])
    lines = world.rows(JournalLine, device_id=statement["device"])
    assert row.wiped_at_ms is not None
    assert {line.seq for line in lines} == set(range(statement["epochs"][0]["last_seq"] + 1))
    assert statement["receipts"]
    key = f"media/{captured.sha256[:2]}/{captured.sha256}"
    assert world.services.store.head(key).size == captured.size
    device.close()
    with pytest.raises(DeviceWiped):
        Device.open(folder)


def test_a_device_keeps_everything_until_what_it_holds_is_handed_in(
    world, network, device, tmp_path
):
    inspection = _open(world, device)
    device.sync()
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8\xff\xe0 too slow")
    device.capture(photo, inspection)
    _revoke(world, device, wipe=True)
    network.plan = lambda _method, path: Fault.PORTAL if "uploads" in path else Fault.NONE

    report = device.sync()

    assert not report.wiped
    assert (tmp_path / "first" / "key.pem").exists()
    network.calm()
    assert device.sync().wiped


def test_a_wipe_that_was_cut_short_is_finished_when_the_folder_is_opened(
    world, device, tmp_path, monkeypatch
):
    device.sync()
    _revoke(world, device, wipe=True)
    with monkeypatch.context() as patched:
        patched.setattr("sync.client.wiping._delete", _die)
        with pytest.raises(KeyboardInterrupt):
            device.sync()
    device.close()

    with pytest.raises(DeviceWiped):
        Device.open(tmp_path / "first")

    assert not (tmp_path / "first" / "key.pem").exists()
    assert not (tmp_path / "first" / "journal.sqlite").exists()


def test_a_revoked_device_that_is_not_to_be_wiped_keeps_its_data(world, device):
    device.sync()
    _revoke(world, device)

    report = device.sync()

    assert not report.wiped
    assert report.problems == []
    assert world.rows(PeerHead, observer_id=device.enrolment.device) == []


def _die(_folder):
    raise KeyboardInterrupt
