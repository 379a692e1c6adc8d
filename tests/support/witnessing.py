"""A ledger small enough to fork at will, for those who witness it."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import merkle, note
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.witness.submission import Submission, format_submission

ORIGIN = "liuhen.example/ledger"


class SmallLedger:
    """Entries in a list, signed by the key made of ``seed``."""

    def __init__(self, *entries, origin=ORIGIN, seed=11):
        self.origin = origin
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.vkey = note.verifier_key(origin, self.public)
        self.entries = [*entries]

    def grow(self, *entries):
        self.entries += entries
        return self

    def fork(self, size, *entries):
        """Another history after the first ``size`` entries, by the same key."""
        other = SmallLedger(*self.entries[:size], *entries, origin=self.origin)
        other.private, other.public, other.vkey = self.private, self.public, self.vkey
        return other

    def node(self, level, position):
        if level == 0:
            return merkle.leaf_hash(self.entries[position].ljust(32, "\0").encode())
        return merkle.node_hash(
            self.node(level - 1, 2 * position), self.node(level - 1, 2 * position + 1)
        )

    def note(self, size=None):
        size = len(self.entries) if size is None else size
        text = format_checkpoint(Checkpoint(self.origin, size, merkle.root(size, self.node)))
        return note.sign_note(text, self.origin, self.public, self.private.sign)

    def submission(self, old, size=None):
        size = len(self.entries) if size is None else size
        path = merkle.consistency_proof(min(old, size), size, self.node)
        return format_submission(Submission(old, tuple(path), self.note(size)))
