"""The device as a witness: what it believes of the server, and what raises an alarm."""

import json

import pytest

from sync.client.errors import (
    CheckpointInvalid,
    GenerationChanged,
    LedgerForked,
    ReceiptInvalid,
    ServerRefused,
)
from sync.client.trust import LedgerWatch, read_checkpoint, read_receipt
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.fork import check_fork, parse_fork
from sync.evidence.note import parse_verifier_key
from tests.support.fieldkit import ORIGIN, Ledger, Signer, lines_of


def watch(device, kit, ledger):
    return LedgerWatch(device._folder, device._outbox, kit.enrolment, ledger.prove, ledger.root_of)


def fork_in(kit, alarm):
    """The alarm as whoever has the ledger's key reads it."""
    proof = parse_fork((kit.folder / "alarms" / alarm).read_bytes())
    return check_fork(proof, [parse_verifier_key(kit.enrolment.ledger_key)])


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
    assert (proof["first"], proof["second"], proof["proved"]) == (kept, other.note(), True)
    assert fork_in(kit, alarm.value.alarm).basis == "start"
    assert device._outbox.anchor().size == 1
    assert device.status().alarms == (alarm.value.alarm,)


def test_two_roots_for_one_size_raise_an_alarm(device, kit):
    other = Ledger(kit.ledger.signer).grow(b"another enrolment")

    with pytest.raises(LedgerForked) as alarm:
        watch(device, kit, other).see(other.note())

    assert fork_in(kit, alarm.value.alarm).basis == "roots"


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6, 7])
def test_whatever_size_is_kept_a_longer_fork_is_proved(device, kit, size):
    kit.ledger.grow(*(b"%d" % n for n in range(size - 1)))
    watch(device, kit, kit.ledger).see(kit.ledger.note())
    other = Ledger(kit.ledger.signer).grow(b"enrolment", *(b"x%d" % n for n in range(8)))

    with pytest.raises(LedgerForked) as alarm:
        watch(device, kit, other).see(other.note())

    fork = fork_in(kit, alarm.value.alarm)
    assert (fork.first_size, fork.second_size, fork.basis) == (size, 9, "start")


@pytest.mark.parametrize("size", [3, 5, 6, 7])
def test_a_path_alone_proves_a_fork_where_nobody_can_be_asked(device, kit, size):
    """As in a reply that came on a disk; where the size is a power of two it cannot."""
    kit.ledger.grow(*(b"%d" % n for n in range(size - 1)))
    watch(device, kit, kit.ledger).see(kit.ledger.note())
    other = Ledger(kit.ledger.signer).grow(b"enrolment", *(b"x%d" % n for n in range(8)))

    with pytest.raises(LedgerForked) as alarm:
        LedgerWatch(device._folder, device._outbox, kit.enrolment, other.prove).see(other.note())

    assert fork_in(kit, alarm.value.alarm).basis == "start"


def test_a_server_that_will_not_be_asked_raises_an_alarm_without_a_proof(device, kit):
    other = Ledger(kit.ledger.signer).grow(b"another enrolment", b"two")

    def refuse(_size):
        raise ServerRefused(422, "server.invalid")

    silent = LedgerWatch(device._folder, device._outbox, kit.enrolment, other.prove, refuse)
    with pytest.raises(LedgerForked) as alarm:
        silent.see(other.note())

    assert not json.loads((kit.folder / "alarms" / alarm.value.alarm).read_text())["proved"]
    with pytest.raises(LedgerForked):
        watch(device, kit, other).see(other.note())
    assert fork_in(kit, alarm.value.alarm).basis == "start"


def test_a_path_that_leads_nowhere_accuses_nobody(device, kit):
    kit.ledger.grow(b"two", b"three")

    liar = LedgerWatch(
        device._folder,
        device._outbox,
        kit.enrolment,
        lambda _first, _second: [b"\0" * 32],
        kit.ledger.root_of,
    )
    with pytest.raises(LedgerForked) as alarm:
        liar.see(kit.ledger.note())

    assert not json.loads((kit.folder / "alarms" / alarm.value.alarm).read_text())["proved"]


def test_a_ledger_that_shrank_raises_an_alarm(device, kit):
    kit.ledger.grow(b"two")
    watch(device, kit, kit.ledger).see(kit.ledger.note())
    shorter = Ledger(kit.ledger.signer).grow(b"enrolment")

    with pytest.raises(LedgerForked) as alarm:
        watch(device, kit, shorter).see(shorter.note())

    assert not json.loads((kit.folder / "alarms" / alarm.value.alarm).read_text())["proved"]
    shorter.grow(b"other", b"three")
    with pytest.raises(LedgerForked) as alarm:
        watch(device, kit, shorter).see(shorter.note())
    assert fork_in(kit, alarm.value.alarm).basis == "start"


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
