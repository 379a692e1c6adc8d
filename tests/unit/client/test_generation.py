"""A restore that the server itself signs: what is wrong inside it is refused, not stumbled over."""

import hashlib

import pytest

from sync.client.answers import Life, Restore
from sync.client.errors import GenerationChanged
from sync.client.generation import believe
from sync.evidence import canonical, note
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.merkle import leaf_hash
from tests.support.fieldkit import ORIGIN

_NEXT = f"{ORIGIN}/2"
_SUBJECT = {"generation": 1, "origin": ORIGIN, "root": "0" * 64, "size": 1}


def _life(kit, event):
    """A generation whose only leaf is ``event``, signed by the keys that the device has pinned."""
    ledger, receipts = kit.ledger.signer, kit.receipts
    raw = canonical.dumps({"kind": "restore", "snapshot": {"known": []}, **event})
    root = leaf_hash(hashlib.sha256(bytes(32) + raw).digest())
    text = format_checkpoint(Checkpoint(_NEXT, 1, root))
    receipt_name = f"{_NEXT}/receipt"
    return Life(
        generation=2,
        origin=_NEXT,
        ledger_key=note.verifier_key(_NEXT, ledger._public),
        receipt_key=note.verifier_key(receipt_name, receipts._public),
        checkpoint=note.sign_note(text, _NEXT, ledger._public, ledger._key.sign),
        restore=Restore(event=raw.decode(), salt="00" * 32, path=[]),
    )


def test_a_whole_restore_is_believed(kit):
    found = believe(kit.enrolment, [_life(kit, {"subject": _SUBJECT})], origin=_NEXT)

    assert (found.enrolment.origin, found.enrolment.generation) == (_NEXT, 2)


@pytest.mark.parametrize(
    "event",
    [
        {"subject": {**_SUBJECT, "size": "1"}},
        {"subject": {**_SUBJECT, "size": -1}},
        {"subject": {**_SUBJECT, "size": True}},
        {"subject": {**_SUBJECT, "root": 5}},
        {"subject": []},
        {"subject": {**_SUBJECT, "origin": []}},
        {"subject": _SUBJECT, "snapshot": []},
        {"subject": _SUBJECT, "snapshot": {"known": [[]]}},
        {"subject": _SUBJECT, "snapshot": {"known": 1}},
        {"subject": _SUBJECT, "kind": "policy"},
    ],
)
def test_a_restore_of_another_form_is_not_followed(kit, event):
    with pytest.raises(GenerationChanged):
        believe(kit.enrolment, [_life(kit, event)], origin=_NEXT)
