"""The ledger's key changes under a device: it goes on if its own key named the new one."""

import json

import pytest

from server.models.ledger import LedgerEvent
from sync.client.answers import LineageSchema
from sync.client.errors import CheckpointInvalid, LedgerRestored
from sync.client.generation import renew_key
from tests.protocol.conftest import at, sign_checkpoint
from tests.support.restoring import restore
from tests.support.rotating import begin, finish, grow


def test_a_device_that_was_away_for_the_whole_overlap_follows_the_key(scene):
    world, device, _ = scene
    old = device.enrolment.ledger_key
    begin(world)
    grow(world)
    sign_checkpoint(world)
    finish(world)
    begin(world)
    finish(world)

    with at(world, device):
        device.open_inspection(world.officers)
        first, second = device.sync(), device.sync()

    assert (first.problems, second.problems) == ([], [])
    assert device.enrolment.ledger_key == world.services.ledger_signer.verifier_key
    assert list(device.enrolment.earlier_ledger_keys) == [old]
    assert first.lines_unsent == 0


def test_during_the_overlap_a_device_notices_nothing(scene):
    world, device, _ = scene
    old = device.enrolment.ledger_key
    begin(world)
    grow(world)
    sign_checkpoint(world)

    with at(world, device):
        report = device.sync()

    assert report.problems == []
    assert device.enrolment.ledger_key == old


def test_a_key_that_nothing_leads_to_is_not_believed(scene, monkeypatch):
    world, device, _ = scene
    old = device.enrolment.ledger_key
    begin(world)
    finish(world)
    grow(world)
    sign_checkpoint(world)
    monkeypatch.setattr("server.operations.generations.endorsements", lambda *_: ())

    with at(world, device):
        report = device.sync()

    assert [type(error) for error in report.problems] == [CheckpointInvalid]
    assert device.enrolment.ledger_key == old


def test_a_new_key_and_a_new_generation_at_once_are_followed(scene):
    world, device, _ = scene
    begin(world)
    finish(world)
    restore(world)

    with at(world, device):
        followed, again = device.sync(), device.sync()

    assert [type(error) for error in followed.problems] == [LedgerRestored]
    assert again.problems == []
    assert device.enrolment.ledger_key == world.services.ledger_signer.verifier_key


@pytest.mark.parametrize(
    "change",
    [
        lambda life: life.update(endorsements=[]),
        lambda life: life.update(endorsements=["x"]),
        lambda life: life.update(endorsements=[life["checkpoint"]]),
        lambda life: life.update(ledger_key="x"),
        lambda life: life.update(endorsements=[e.replace("+", "-") for e in life["endorsements"]]),
    ],
)
def test_what_does_not_hold_leads_to_no_other_key(scene, change):
    world, device, _ = scene
    begin(world)
    finish(world)
    lineage = world.client.get("/api/v1/ledger/generations").json
    change(lineage["generations"][0])

    lives = LineageSchema().load(lineage)["generations"]

    assert renew_key(device.enrolment, lives) == device.enrolment
    assert any(b"endorsement" in row.event for row in world.rows(LedgerEvent))
    assert json.dumps(lineage)
