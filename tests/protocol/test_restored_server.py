"""A server restored from a backup, and the device that had seen what the backup lacks."""

import json
import os
from contextlib import contextmanager

import pytest

from server.db import db, reading, transaction
from server.failures import Invalid
from server.models.inspections import EvidenceItem
from server.models.journal import JournalLine
from server.models.uploads import MediaObject
from server.operations import generations, ledger
from sync.client.answers import LineageSchema
from sync.client.device import Device
from sync.client.errors import GenerationChanged, LedgerForked, LedgerRestored, ServerRefused
from sync.client.generation import believe
from sync.evidence.fork import check_fork, parse_fork
from sync.evidence.note import parse_verifier_key
from sync.evidence.verify_cli import main as verify
from tests.protocol.conftest import at, sign_checkpoint
from tests.support.fieldkit import HandClock, lines_of, write
from tests.support.restoring import copy_database, restore


@contextmanager
def reading_in(world):
    with world.app.app_context(), reading() as session:
        yield session


def put_back(world):
    with world.app.app_context():
        db.engine.dispose()
    copy_database(world.backup, world.live)


def test_a_device_stops_a_server_that_went_back_and_fills_it_again_after_the_restore(scene):
    world, device, folder = scene
    with at(world, device):
        inspection = device.open_inspection(world.officers).inspection
        taken = device.capture(
            write(folder / "a.jpg", b"\xff\xd8\xff" + os.urandom(3000)), inspection
        )
        assert device.sync().complete
        sign_checkpoint(world)
        assert device.sync().complete
    safe = device.status().lines_safe

    put_back(world)
    with at(world, device):
        stopped = device.sync()
    restore(world)
    with at(world, device):
        followed = device.sync()
        again = device.sync()

    assert [type(error) for error in stopped.problems][:1] == [LedgerForked]
    assert stopped.lines_unsent > 0
    assert [type(error) for error in followed.problems] == [LedgerRestored]
    assert followed.problems[0].lost > 0
    assert (followed.lines_unsent, followed.media_unsent) == (0, 0)
    assert again.problems == []
    assert device.status().lines_safe >= safe
    assert world.rows(EvidenceItem, id=taken.item)
    assert world.rows(MediaObject, sha256=taken.sha256)[0].status == "stored"
    stored = {row.digest for row in world.rows(JournalLine)}
    assert stored == {line.digest for line in lines_of(device)}


def test_a_device_proves_to_anyone_that_a_server_went_on_from_an_old_copy(scene):
    """Database and folder went back and were written on, past what the device had seen."""
    world, device, _ = scene
    with at(world, device):
        device.open_inspection(world.officers)
        device.sync()
        sign_checkpoint(world)
        device.sync()
    kept = device._outbox.anchor().size
    put_back(world)
    with world.app.app_context(), transaction() as session:
        for number in range(kept):
            ledger.append(
                session,
                "policy",
                actor={"server": "t"},
                subject={"n": number},
                now_ms=world.now_ms,
            )
    sign_checkpoint(world)

    with at(world, device):
        report = device.sync()

    (alarm,) = report.alarms
    proof = parse_fork((device._folder.alarms / alarm).read_bytes())
    fork = check_fork(proof, [parse_verifier_key(device.enrolment.ledger_key)])
    assert (fork.first_size, fork.basis) == (kept, "start")
    assert fork.second_size > kept
    path = device._folder.alarms / alarm
    assert verify(["--fork", str(path), "--key", device.enrolment.ledger_key]) == 0
    with reading_in(world) as session:
        assert generations.standing(session).behind


def test_a_server_that_proves_nothing_is_not_believed_and_told_of(scene, monkeypatch):
    """A checkpoint without a proof is not taken over; what the device holds still goes out."""
    world, device, _ = scene
    kept = device._outbox.anchor().size
    sign_checkpoint(world)

    def refuse(*_arguments, **_named):
        raise Invalid("second", "no")

    monkeypatch.setattr(ledger, "consistency_proof", refuse)
    with at(world, device):
        inspection = device.open_inspection(world.officers).inspection
        report = device.sync()

    assert inspection
    assert [type(error) for error in report.problems] == [ServerRefused]
    assert report.lines_unsent == 0
    assert device._outbox.anchor().size == kept


def test_a_restore_that_lost_nothing_is_followed_with_a_proof_and_a_notice(scene):
    world, device, _ = scene
    before = device.enrolment
    restore(world)

    with at(world, device):
        report = device.sync()
        device.sync()

    assert [(type(error), error.lost) for error in report.problems] == [(LedgerRestored, 0)]
    assert report.alarms == ()
    assert (device.enrolment.generation, device.enrolment.server != "") == (2, True)
    assert lines_of(device)[-1].header.anchor.origin == device.enrolment.origin != before.origin
    (notice,) = (device._folder.path / "notices").iterdir()
    assert json.loads(notice.read_text())["kept"].startswith(before.origin)


def test_receipts_of_both_generations_are_believed_after_the_folder_is_opened_again(scene):
    world, device, _ = scene
    restore(world)
    with at(world, device):
        device.sync()
        device.close()
        with Device.open(device._folder.path, clock=HandClock(world.now_ms)) as reopened:
            with reopened._outbox.transaction() as database:
                database.execute("UPDATE line SET state = 'kept'")

            report = reopened.sync()

            assert (report.lines_unsent, report.problems) == (0, [])
            notes = [row[0] for row in reopened._outbox.db.execute("SELECT note FROM receipt")]
            assert any("\ngeneration 1\n" in note for note in notes)
            assert any("\ngeneration 2\n" in note for note in notes)


def test_two_restores_since_the_last_contact_are_followed_at_once(scene):
    world, device, _ = scene
    restore(world)
    restore(world)

    with at(world, device):
        report = device.sync()

    assert [type(error) for error in report.problems] == [LedgerRestored]
    assert device.enrolment.generation == 3


def test_an_old_ledger_that_was_rewritten_before_the_restore_raises_the_alarm(scene):
    """The copy went on for a while, then the restore named its head as the old one's."""
    world, device, _ = scene
    with at(world, device):
        device.open_inspection(world.officers)
        device.sync()
        sign_checkpoint(world)
        device.sync()
    put_back(world)
    for _ in range(30):
        world.code()
        with world.app.app_context(), transaction() as session:
            ledger.append(session, "policy", actor={"server": "t"}, subject={}, now_ms=world.now_ms)
    restore(world)

    with at(world, device):
        report = device.sync()

    assert [type(error) for error in report.problems] == [LedgerForked]
    assert report.alarms
    assert report.lines_unsent == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda life: life["restore"].update(event=life["restore"]["event"].replace("磁盘", "其他")),
        lambda life: life["restore"].update(salt="0" * 64),
        lambda life: life["restore"].update(path=[]),
        lambda life: life.update(checkpoint=""),
        lambda life: life.update(ledger_key="x"),
        lambda life: life.update(receipt_key=life["ledger_key"]),
        lambda life: life.update(restore=None),
        lambda life: life.update(origin="elsewhere/liuhen"),
    ],
)
def test_a_name_that_is_not_proved_is_not_followed(scene, change):
    world, device, _ = scene
    restore(world)
    answer = world.client.get("/api/v1/ledger/generations").json
    origin = answer["generations"][1]["origin"]
    change(answer["generations"][1])

    with pytest.raises(GenerationChanged):
        believe(device.enrolment, LineageSchema().load(answer)["generations"], origin=origin)
