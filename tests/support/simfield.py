"""A simulated device with a memory: what it wrote, what it was promised, what it holds.

It believes a promise only as a client must: a receipt that verifies and names its own
lines. Whatever contradicts an earlier promise is an assertion that fails at once.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field

from sync.evidence import note
from sync.evidence.chain import Head, advance
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.encoding import from_hex, to_b64url
from sync.evidence.merkle import verify_consistency
from tests.support.audit import open_receipt
from tests.support.simdevice import SimDevice

_PLACED = frozenset({"accepted", "already", "forked"})


@dataclass
class SimField:
    """All chains that one enrolled device has written, and all that the server told it."""

    sim: SimDevice
    receipt_keys: list[str]
    ledger_keys: list[str]
    #: Every chain, of every epoch; a fork is a chain that begins with another one's lines.
    chains: list[SimDevice] = field(default_factory=list)
    #: Digest of a line → its raw bytes: everything ever signed.
    written: dict[str, bytes] = field(default_factory=dict)
    #: Digest → the receipt that covers it.
    promised: dict[str, str] = field(default_factory=dict)
    #: Digest → (projection, code), as told last.
    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    documents: dict[tuple[str, str], dict] = field(default_factory=dict)
    cursor: str = ""
    since: str = ""
    checkpoint: str = ""
    revoked: bool = False
    inspections: list[str] = field(default_factory=list)
    #: Item → the bytes announced.
    media: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self):
        self.chains.append(self.sim)

    def write(self, kind, **fields):
        return self.keep(self.sim.write(kind, **fields))

    def write_parts(self, *parts):
        return self.keep(self.sim.write_parts(*parts))

    def keep(self, line):
        self.written[line.digest] = line.to_bytes()
        return line

    def open_epoch(self, officers, reason):
        """Begin a further epoch with the same key and open everybody's session."""
        before, old = None, self.sim
        if old.lines:
            before = {"epoch": old.epoch, "seq": old.head.next_seq - 1, "head": old.head.digest}
        self.sim = SimDevice(id=old.id, key=old.key, now_ms=old.now_ms)
        self.sim.headers = old.headers
        self.chains.append(self.sim)
        spki = to_b64url(self.sim.spki)
        extra = {"before": before} if before else {}
        self.write("epoch.opened", spki=spki, reason=reason, **extra)
        for officer in officers:
            self.open_session(officer)

    def open_session(self, officer):
        return self.keep(self.sim.open_session(officer))

    def fork_at(self, seq):
        """Go on from line ``seq`` as if the later ones had never been written: an old backup."""
        old = self.sim
        self.sim = SimDevice(id=old.id, epoch=old.epoch, key=old.key, now_ms=old.now_ms)
        self.sim.headers = old.headers
        self.sim.lines = old.lines[:seq]
        head = Head(old.id, old.epoch)
        for line in self.sim.lines:
            head = advance(head, line)
        self.sim.head = head
        self.chains.append(self.sim)

    def believe(self, lines, answer):
        """Take in the answer to a push of ``lines``.

        Raises:
            AssertionError: if it is not what the protocol promises.
        """
        covered = defaultdict(list)
        for text in answer["receipts"]:
            receipt = open_receipt(text, tuple(self.receipt_keys))
            assert receipt.device == self.sim.id
            for seq in range(receipt.first_seq, receipt.last_seq + 1):
                covered[receipt.epoch, seq].append((receipt, text))
        sent = [line.digest for line in lines]
        placed = [row["digest"] for row in answer["results"] if row["journal"] in _PLACED]
        assert placed == sent[: len(placed)], "results are not those of the lines sent"
        by_digest = {line.digest: line for line in lines}
        for row in answer["results"]:
            if row["journal"] not in _PLACED:
                continue
            self.told[row["digest"]] = row["projection"], row["code"]
            self._count_as_safe(by_digest[row["digest"]], covered)

    def _count_as_safe(self, line, covered):
        known = self.promised.get(line.digest)
        texts = [text for _, text in covered[line.header.epoch, line.header.seq]]
        if known is not None:
            assert known in texts, "a replay did not bring the receipt of the first answer"
            return
        # Of two branches at one place the receipt that ends with, or leads to, this line counts.
        for receipt, text in covered[line.header.epoch, line.header.seq]:
            if self._leads_to(receipt, line):
                self.promised[line.digest] = text
                return
        raise AssertionError(f"line {line.header.seq} was answered without a receipt")

    def _leads_to(self, receipt, line):
        for chain in self.chains:
            if chain.epoch != receipt.epoch or receipt.last_seq >= len(chain.lines):
                continue
            if chain.lines[receipt.last_seq].digest != receipt.last_digest:
                continue
            if chain.lines[line.header.seq].digest == line.digest:
                return True
        return False

    def see(self, text, prove):
        """Believe a newer checkpoint only if it continues the one seen before."""
        if not text or text == self.checkpoint:
            return
        keys = [note.parse_verifier_key(key) for key in self.ledger_keys]
        new = parse_checkpoint(note.open_note(text, keys)[0])
        if self.checkpoint:
            old = parse_checkpoint(note.open_note(self.checkpoint, keys)[0])
            # After a restore the ledger begins anew under another name.
            if new.origin == old.origin:
                assert new.size >= old.size, "the ledger has shrunk"
                verify_consistency(
                    first=old.size,
                    second=new.size,
                    first_root=old.root,
                    second_root=new.root,
                    path=[from_hex(node, size=32) for node in prove(old.size, new.size)],
                )
        self.checkpoint = text

    def apply(self, page):
        """Take in one page of the feed."""
        if page["reset"]:
            self.documents.clear()
        reduce_feed(self.documents, page["documents"])
        self.cursor = page["cursor"]

    def unsafe(self):
        """Digests signed on some chain without a receipt yet."""
        return set(self.written) - set(self.promised)


def reduce_feed(documents, changes):
    """Apply the operations of a feed to ``documents``."""
    for row in changes:
        key = row["kind"], row["id"]
        match row["op"]:
            case "put":
                documents[key] = row["body"]
            case "tombstone" | "evict":
                documents.pop(key, None)
            case other:
                raise AssertionError(f"operation {other}")
    return documents


def photo(rng):
    """A few bytes that no other photo has."""
    return b"\xff\xd8\xff" + hashlib.sha256(str(rng.random()).encode()).digest() * 3
