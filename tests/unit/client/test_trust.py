"""The device as a witness: what it believes of the server, and what raises an alarm."""

import json

import pytest

from sync.client.errors import (
    CheckpointInvalid,
    GenerationChanged,
    LedgerForked,
    ReceiptInvalid,
)
from sync.client.trust import LedgerWatch, read_checkpoint, read_receipt
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from tests.support.fieldkit import ORIGIN, Ledger, Signer, lines_of


def watch(device, kit, ledger):
    return LedgerWatch(device._folder, device._outbox, kit.enrolment, ledger.prove)


def test_a_longer_ledger_that_begins_with_ours_becomes_the_anchor(device, kit):
    kit.ledger.grow(b"two", b"three")

    watch(device, kit, kit.ledger).see(kit.ledger.note())
    device.peer_head(device="p", epoch="e", seq=1, head="a" * 64)

    assert lines_of(device)[-1].header.anchor.size == 3


def test_a_rewritten_ledger_raises_an_alarm_and_keeps_both_notes(device, kit):
    kept = kit.ledger.note()
    other = Ledger(kit.ledger.signer).grow(b"another enrolment", b"two")

    with pytest.raises(LedgerForked) as alarm:
        watch(device, kit, other).see(other.note())

    proof = json.loads((kit.folder / "alarms" / alarm.value.alarm).read_text())
    assert proof["kept"] == kept
    assert proof["got"] == other.note()
    assert device._outbox.anchor().size == 1
    assert device.status().alarms == (alarm.value.alarm,)


def test_two_roots_for_one_size_raise_an_alarm(device, kit):
    other = Ledger(kit.ledger.signer).grow(b"another enrolment")

    with pytest.raises(LedgerForked):
        watch(device, kit, other).see(other.note())


def test_a_ledger_that_shrank_raises_an_alarm(device, kit):
    kit.ledger.grow(b"two")
    watch(device, kit, kit.ledger).see(kit.ledger.note())
    shorter = Ledger(kit.ledger.signer).grow(b"enrolment")

    with pytest.raises(LedgerForked):
        watch(device, kit, shorter).see(shorter.note())


def test_a_checkpoint_by_another_key_is_not_believed(device, kit):
    stranger = Ledger(Signer(ORIGIN)).grow(b"enrolment", b"two")

    with pytest.raises(CheckpointInvalid):
        watch(device, kit, stranger).see(stranger.note())

    assert device._outbox.anchor().size == 1


def test_a_ledger_of_another_name_is_a_new_generation(kit):
    text = format_checkpoint(Checkpoint("test/other", 5, b"\0" * 32))

    with pytest.raises(GenerationChanged):
        read_checkpoint(Signer("test/other").sign(text), kit.enrolment)


def test_a_receipt_is_believed_only_from_the_pinned_key_for_this_device(device, kit):
    line = lines_of(device)[0]

    assert read_receipt(kit.receipt(line), kit.enrolment).last_digest == line.digest
    for changes in ({"device": "x"}, {"origin": "test/other"}, {"generation": 2}):
        with pytest.raises(ReceiptInvalid):
            read_receipt(kit.receipt(line, **changes), kit.enrolment)
    kit.receipts = Signer(f"{ORIGIN}/receipt")
    with pytest.raises(ReceiptInvalid):
        read_receipt(kit.receipt(line), kit.enrolment)
