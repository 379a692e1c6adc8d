import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import merkle, note
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.errors import SyncError
from sync.evidence.fork import (
    ForkMalformed,
    ForkProof,
    ForkUnproved,
    OtherStart,
    check_fork,
    find_fork,
    format_fork,
    parse_fork,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/fork.json").read_text("utf-8"))
ORIGIN = "example.org/log"
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
RAW = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
KEY = note.parse_verifier_key(note.verifier_key(ORIGIN, RAW))


class Tree:
    def __init__(self, *entries):
        self.entries = [entry.ljust(32, b"\0") for entry in entries]

    def node(self, level, position):
        if level == 0:
            return merkle.leaf_hash(self.entries[position])
        return merkle.node_hash(
            self.node(level - 1, 2 * position), self.node(level - 1, 2 * position + 1)
        )

    def root(self, size=None):
        return merkle.root(len(self.entries) if size is None else size, self.node)

    def signed(self, origin=ORIGIN, private=PRIVATE):
        text = format_checkpoint(Checkpoint(origin, len(self.entries), self.root()))
        return note.sign_note(text, origin, RAW, private.sign)

    def start(self, size):
        path = merkle.consistency_proof(size, len(self.entries), self.node)
        return OtherStart(self.root(size), tuple(path))

    def leaves(self):
        size = len(self.entries)
        return {
            index: (entry, tuple(merkle.inclusion_proof(size, index, self.node)))
            for index, entry in enumerate(self.entries)
        }


ONE = Tree(b"a", b"b", b"c", b"d", b"e")
OTHER = Tree(b"a", b"b", b"C", b"d", b"e", b"f", b"g")
LONGER = Tree(b"a", b"b", b"c", b"d", b"e", b"f")


def test_two_roots_for_one_size_are_a_fork():
    other = Tree(b"a", b"b", b"c", b"d", b"x")

    fork = check_fork(ForkProof(ONE.signed(), other.signed()), [KEY])

    assert (fork.origin, fork.first_size, fork.second_size, fork.basis) == (ORIGIN, 5, 5, "roots")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_a_larger_tree_that_begins_otherwise_is_a_fork(size):
    kept = Tree(*[b"k%d" % n for n in range(size)])
    proof = ForkProof(kept.signed(), OTHER.signed(), start=OTHER.start(size))

    assert check_fork(proof, [KEY]).basis == "start"
    turned = ForkProof(proof.second, proof.first, start=proof.start)
    assert check_fork(turned, [KEY]).basis == "start"


def test_two_leaves_in_one_place_are_a_fork():
    proof = find_fork(
        ONE.signed(),
        OTHER.signed(),
        first_leaves=ONE.leaves(),
        second_leaves=OTHER.leaves(),
    )

    assert proof is not None
    assert proof.leaf.index == 2
    assert check_fork(proof, [KEY]).basis == "leaf"


def test_an_honest_ledger_gives_no_proof():
    assert (
        find_fork(
            ONE.signed(), LONGER.signed(), first_leaves=ONE.leaves(), second_leaves=LONGER.leaves()
        )
        is None
    )
    assert find_fork(ONE.signed(), ONE.signed(), first_leaves={}, second_leaves={}) is None
    for proof in (
        ForkProof(ONE.signed(), ONE.signed()),
        ForkProof(ONE.signed(), LONGER.signed()),
        ForkProof(ONE.signed(), LONGER.signed(), start=LONGER.start(5)),
        ForkProof(ONE.signed(), LONGER.signed(), start=OTHER.start(5)),
    ):
        with pytest.raises(ForkUnproved):
            check_fork(proof, [KEY])


def test_no_honest_ledger_is_accused_with_a_made_up_start():
    """Only a path that holds shows anything; whoever hands in another one shows nothing."""
    start = LONGER.start(5)
    for place in range(len(start.path)):
        nodes = list(start.path)
        nodes[place] = b"\7" * 32
        for root in (start.root, b"\7" * 32):
            proof = ForkProof(ONE.signed(), LONGER.signed(), start=OtherStart(root, tuple(nodes)))
            with pytest.raises(ForkUnproved):
                check_fork(proof, [KEY])


def test_two_ledgers_do_not_contradict_each_other():
    other = Tree(b"x", b"b", b"c", b"d", b"e").signed("example.org/2")
    keys = [KEY, note.parse_verifier_key(note.verifier_key("example.org/2", RAW))]

    with pytest.raises(ForkUnproved):
        check_fork(ForkProof(ONE.signed(), other), keys)
    assert find_fork(ONE.signed(), other, first_leaves={}, second_leaves={}) is None


def test_a_note_that_another_signed_accuses_nobody():
    stranger = Ed25519PrivateKey.from_private_bytes(b"\x06" * 32)
    forged = Tree(b"x", b"b", b"c", b"d", b"e").signed(private=stranger)

    with pytest.raises(note.NoteForged):
        check_fork(ForkProof(ONE.signed(), forged), [KEY])


def test_a_proof_is_read_as_it_was_written():
    for proof in (
        ForkProof(ONE.signed(), OTHER.signed(), start=OTHER.start(5)),
        find_fork(
            ONE.signed(),
            OTHER.signed(),
            first_leaves=ONE.leaves(),
            second_leaves=OTHER.leaves(),
        ),
    ):
        assert parse_fork(format_fork(proof).encode()) == proof


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_the_vectors_are_judged_as_they_say(case):
    keys = [note.parse_verifier_key(VECTORS["key"])]
    proof = parse_fork(json.dumps(case["proof"]).encode())
    try:
        basis = check_fork(proof, keys).basis
    except SyncError:
        basis = ""

    assert basis == case["basis"]


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"first": None},
        {"second": 5},
        {"start": []},
        {"start": {"root": "00", "path": []}},
        {"start": {"root": "0" * 64, "path": "x"}},
        {"start": {"root": "0" * 64, "path": ["0" * 64] * 65}},
        {"leaf": {"index": True, "first": {}, "second": {}}},
        {"leaf": {"index": -1}},
    ],
)
def test_what_is_no_proof_file_is_refused(change):
    whole = json.loads(format_fork(ForkProof(ONE.signed(), OTHER.signed())))

    with pytest.raises(ForkMalformed):
        parse_fork(json.dumps({**whole, **change}).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b" " * (1 << 19)])
def test_a_file_of_another_kind_is_refused(data):
    with pytest.raises(ForkMalformed):
        parse_fork(data)
