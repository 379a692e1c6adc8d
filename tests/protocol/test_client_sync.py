"""A device and the real application, over a network that loses, cuts, repeats and forges."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.models.inspections import EvidenceItem, Inspection, RecordRevision
from server.models.journal import IngestReceipt, JournalLine, LineOutcome
from server.models.uploads import MediaObject
from sync.client.device import Device
from sync.client.errors import (
    CaptivePortal,
    EnrolmentUnclear,
    ServerRefused,
    Unreachable,
)
from tests.protocol.conftest import sign_checkpoint
from tests.support.badnet import Fault
from tests.support.fieldkit import TEMPLATE, HandClock, lines_of, write

_ROOT = Path(__file__).resolve().parents[2]
LOSSES = (Fault.REQUEST_LOST, Fault.REQUEST_CUT, Fault.REPLY_LOST, Fault.REPLY_CUT, Fault.TWICE)


@pytest.fixture
def patrol(world, tmp_path):
    """Plays a whole inspection on a device, offline; returns its id."""

    def patrol(device, *, photos=3):
        opened = device.open_inspection(world.officers, task=world.task, entity=world.entity)
        for number in range(photos):
            path = write(tmp_path / f"{number}.jpg", b"\xff\xd8\xff" + os.urandom(3000))
            taken = device.capture(path, opened.inspection, capture_class="A")
        device.discard(taken.item, "拍糊了")
        device.save_record(opened.inspection, TEMPLATE, {"weather": "晴"})
        device.seal(opened.inspection)
        return opened.inspection

    return patrol


def assert_all_arrived(world, device, inspection, photos=3):
    """The server holds exactly what the device signed, once each, and can show it."""
    here = [line.digest for line in lines_of(device)]
    rows = world.rows(JournalLine, device_id=device.enrolment.device)
    assert sorted(row.digest for row in rows) == sorted(here)
    outcomes = world.rows(LineOutcome, device_id=device.enrolment.device)
    assert {row.projection for row in outcomes} == {"applied"}
    items = world.rows(EvidenceItem, inspection_id=inspection)
    assert len(items) == photos
    for item in items:
        assert world.rows(MediaObject, sha256=item.sha256)[0].status == "stored"
    assert len(world.rows(RecordRevision, inspection_id=inspection)) == 1
    assert world.rows(Inspection, id=inspection)[0].state == "sealed"


def test_a_patrol_made_offline_arrives_whole_in_one_sync(world, device, patrol):
    inspection = patrol(device)

    report = device.sync()

    assert report.problems == []
    assert report.complete
    assert device.status().clear
    assert_all_arrived(world, device, inspection)


def test_the_clock_comparison_is_itself_in_the_journal(world, device):
    device._clock.wall_ms -= 90_000

    report = device.sync()

    assert abs(report.offset.offset_ms - 90_000) <= report.offset.error_ms + 100
    assert lines_of(device)[-1].act["type"] == "clock.compared"


def test_a_second_sync_sends_nothing_again(world, device, patrol, network):
    patrol(device)
    device.sync()
    before = len(world.rows(IngestReceipt, device_id=device.enrolment.device))
    network.seen.clear()

    report = device.sync()

    assert report.complete
    assert not [path for method, path, _ in network.seen if "/uploads" in path]
    assert len(world.rows(IngestReceipt, device_id=device.enrolment.device)) == before + 1


@pytest.mark.parametrize("fault", LOSSES, ids=lambda fault: fault.name.lower())
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/journal/"), ("POST", "/tokens"), ("POST", "/uploads"), ("PATCH", "/uploads/")],
    ids=["push", "token", "upload", "patch"],
)
def test_a_fault_in_the_middle_costs_nothing(world, device, patrol, network, fault, method, path):
    inspection = patrol(device)
    network.once(fault, method, path)

    report = device.sync()
    if not report.complete:
        report = device.sync()

    assert fault in [befell for _, _, befell in network.seen]
    assert report.complete, report.problems
    assert_all_arrived(world, device, inspection)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_network_that_fails_one_request_in_four_only_takes_longer(
    world, device, patrol, network, seed
):
    inspection = patrol(device, photos=8)
    network.randomly(0.25, seed)

    for _ in range(30):
        if device.sync().complete:
            break
    network.calm()
    report = device.sync()

    assert report.complete, report.problems
    assert_all_arrived(world, device, inspection, photos=8)


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        (Fault.REDIRECT, "/hello"),
        *(
            (Fault.PORTAL, path)
            for path in ("/hello", "/journal/", "/lacking", "/uploads", "/feed")
        ),
    ],
)
def test_a_captive_portal_is_never_taken_for_the_server(device, patrol, network, fault, path):
    patrol(device)
    network.plan = lambda _method, got: fault if path in got else Fault.NONE

    report = device.sync()

    assert any(isinstance(error, CaptivePortal) for error in report.problems)
    assert report.media_unsent == 3
    if path in ("/hello", "/journal/"):
        assert report.lines_safe == 0


def test_without_a_network_everything_stays_and_the_report_says_so(device, patrol, network):
    patrol(device)
    network.plan = lambda *_: Fault.REQUEST_LOST

    report = device.sync()

    assert [type(error) for error in report.problems] == [Unreachable]
    assert (report.lines_unsent, report.media_unsent) == (len(lines_of(device)), 3)


def test_an_expired_token_is_replaced_on_the_way(world, device, patrol):
    inspection = patrol(device)
    device.sync()
    world.now_ms += 10 * 3600 * 1000
    device._clock.wall_ms += 10 * 3600 * 1000
    device.note(inspection, "later")

    assert device.sync().complete


def test_a_large_file_goes_on_where_the_link_was_cut(world, device, network, tmp_path, monkeypatch):
    monkeypatch.setattr("sync.client.uploading.CHUNK_BYTES", 1 << 20)
    data = os.urandom(5 << 20)
    inspection = device.open_inspection(world.officers).inspection
    device.capture(write(tmp_path / "long.mp4", data), inspection)
    cut = iter([Fault.NONE, Fault.REQUEST_CUT, Fault.REPLY_LOST])
    network.plan = lambda method, _path: next(cut, Fault.NONE) if method == "PATCH" else Fault.NONE

    report = device.sync()

    assert report.complete, report.problems
    stored = world.rows(MediaObject, sha256=hashlib.sha256(data).hexdigest())[0]
    assert (stored.status, stored.size) == ("stored", len(data))
    patches = [path for method, path, _ in network.seen if method == "PATCH"]
    assert len(set(patches)) == 1
    assert len(patches) <= 7


def test_a_file_damaged_on_the_device_is_named_and_does_not_block_the_others(
    world, device, patrol, tmp_path
):
    patrol(device)
    broken = sorted((tmp_path / "first" / "media").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:-1] + b"\x00")

    report = device.sync()

    assert (report.media_safe, report.media_unsent) == (2, 1)
    stuck = device.status().stuck
    assert [(trouble.where, trouble.code) for trouble in stuck] == [
        (broken.stem, "media.local_damage")
    ]


def test_two_devices_work_on_one_inspection(world, enrol, tmp_path):
    first, second = enrol("first"), enrol("second")
    inspection = first.open_inspection(world.officers).inspection
    second.open_inspection(world.officers, inspection=inspection)
    head = first.status()
    second.peer_head(device=head.device, epoch=head.epoch, seq=head.next_seq - 1, head=head.head)
    second.capture(write(tmp_path / "b.jpg", b"\xff\xd8\xff second"), inspection)

    assert second.sync().complete
    assert first.sync().complete
    assert len(world.rows(EvidenceItem, inspection_id=inspection)) == 1


def test_a_line_in_quarantine_keeps_its_medium_unsafe_until_it_is_shown(world, enrol, tmp_path):
    first, second = enrol("first"), enrol("second")
    inspection = first.open_inspection(world.officers).inspection
    # The second device writes into an inspection of which the server has not heard yet.
    second.login(world.officers[0])
    with second._outbox.transaction() as db:
        db.execute("INSERT INTO inspection VALUES (?, '', ?, 0, 0)", (inspection, "[]"))
    data = b"\xff\xd8\xff" + os.urandom(3000)
    taken = second.capture(write(tmp_path / "b.jpg", data), inspection)

    early = second.sync()
    stored = world.rows(MediaObject, sha256=taken.sha256)
    reasons = [trouble.code for trouble in second.status().quarantined]
    first.sync()
    late = second.sync()

    assert reasons == ["projection.unknown_inspection"]
    assert [row.status for row in stored] == ["stored"]
    assert (early.lines_quarantined, early.media_unsent) == (1, 1)
    assert late.complete
    assert late.lines_quarantined == 0


def test_a_refused_line_costs_an_epoch_and_no_evidence(world, device, patrol, tmp_path):
    inspection = patrol(device)
    bad = lines_of(device)[4]
    with device._outbox.transaction() as db:
        db.execute("DROP TRIGGER line_is_fixed")
        db.execute(
            "UPDATE line SET raw = ? WHERE digest = ?",
            (bad.to_bytes().replace(b'"type":"', b'"type": "'), bad.digest),
        )

    report = device.sync()

    assert report.problems == []
    epochs = device._outbox.epochs()
    assert len(epochs) == 2
    opening = next(iter(device._outbox.lines("line.epoch = ?", (epochs[1],))))
    assert b'"reason":"refused"' in opening.raw
    # The refused photo is lost with its line, all that stood behind it was said again.
    items = world.rows(EvidenceItem, inspection_id=inspection)
    assert len(items) == 2
    assert world.rows(Inspection, id=inspection)[0].state == "sealed"
    assert [trouble.what for trouble in device.status().stuck] == ["media.captured"]


def test_a_copied_folder_forks_and_the_device_goes_on_in_a_new_epoch(
    world, device, patrol, network, tmp_path
):
    device.sync()
    device.close()
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    with Device.open(tmp_path / "copy", clock=HandClock(world.now_ms)) as copy:
        copy.login(world.officers[0])
        assert copy.sync().complete
    with Device.open(tmp_path / "first", clock=HandClock(world.now_ms)) as original:
        inspection = patrol(original)

        original.sync()
        report = original.sync()

        assert len(original._outbox.epochs()) == 2
        assert report.lines_unsent == 0
        assert report.lines_quarantined > 0
        later = original.open_inspection(world.officers)
        original.sync()
        assert world.rows(Inspection, id=later.inspection)
    branches = {row.branch for row in world.rows(JournalLine, device_id=device.enrolment.device)}
    assert len(branches) == 2
    assert inspection


def test_the_newest_checkpoint_becomes_the_anchor_only_with_its_proof(world, device):
    before = device._outbox.anchor().size
    device.sync()
    sign_checkpoint(world)

    assert device.sync().complete
    assert device._outbox.anchor().size > before
    device.sync()
    assert lines_of(device)[-1].header.anchor == device._outbox.anchor()


def test_a_sync_that_is_killed_again_and_again_goes_on_where_it_was(
    world, device, patrol, network, tmp_path
):
    inspection = patrol(device, photos=12)
    device.close()
    command = [
        sys.executable,
        "-m",
        "sync.client",
        "--device",
        tmp_path / "first",
        "--json",
        "sync",
    ]
    moments = random.Random(5)

    for _ in range(4):
        process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL)
        # Counted from the first request, so that every kill strikes in mid-sync.
        seen = len(network.seen)
        while len(network.seen) == seen and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.8))
        process.kill()
        process.wait()
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)["complete"]
    with Device.open(tmp_path / "first", clock=HandClock(world.now_ms)) as device:
        assert_all_arrived(world, device, inspection, photos=12)


def test_enrolling_and_syncing_over_the_command_line(world, network, tmp_path):
    liuhen = [sys.executable, "-m", "sync.client", "--device", tmp_path / "new", "--json"]

    enrolled = subprocess.run(
        [*liuhen, "enrol", "--server", network.url, "--code", world.code(), "--name", "采集站"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    synced = subprocess.run([*liuhen, "sync"], cwd=_ROOT, capture_output=True, text=True)

    assert json.loads(enrolled.stdout)["officers"] == 2
    assert (enrolled.returncode, synced.returncode) == (0, 0)
    assert json.loads(synced.stdout)["lines_safe"] == 2


def test_a_wrong_code_enrols_nothing_and_another_one_works(world, network, tmp_path):
    with Device.open(tmp_path / "new", clock=HandClock(world.now_ms)) as device:
        with pytest.raises(ServerRefused) as refused:
            device.enrol(server=network.url, code="WRONG-CODE0-00000-00000")
        assert refused.value.problem == "enrolment.code_unknown"

        typed = world.code().lower().replace("-", " ")
        device.enrol(server=network.url, code=typed)

        assert len(device.documents.all("officer")) == 2


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.REQUEST_CUT])
def test_an_enrolment_that_never_arrived_is_tried_again(world, network, tmp_path, fault):
    network.once(fault, "POST", "/enrolments")
    with Device.open(tmp_path / "new", clock=HandClock(world.now_ms)) as device:
        assert device.enrol(server=network.url, code=world.code()).organization_name


@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.REPLY_CUT])
def test_an_enrolment_whose_one_reply_is_lost_does_not_call_the_code_wrong(
    world, network, tmp_path, fault
):
    network.once(fault, "POST", "/enrolments")
    with (
        Device.open(tmp_path / "new", clock=HandClock(world.now_ms)) as device,
        pytest.raises(EnrolmentUnclear),
    ):
        device.enrol(server=network.url, code=world.code())


def test_an_enrolment_whose_reply_is_lost_says_that_the_code_is_spent(world, network, tmp_path):
    code = world.code()
    network.plan = lambda method, path: Fault.REPLY_LOST if "enrolments" in path else Fault.NONE
    with Device.open(tmp_path / "new", clock=HandClock(world.now_ms)) as device:
        with pytest.raises((EnrolmentUnclear, Unreachable)):
            device.enrol(server=network.url, code=code)
        network.calm()
        with pytest.raises(EnrolmentUnclear):
            device.enrol(server=network.url, code=code)

        assert device.enrol(server=network.url, code=world.code()).organization_name
