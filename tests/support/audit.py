"""What must hold of every database at rest, whatever was done to it: recomputed from the rows.

The ledger has no holes and its root is that of its leaves; every line is stored
once, on a whole chain, behind its own leaf, under exactly one receipt that verifies.
"""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache

from server.db import reading
from server.models.journal import IngestReceipt, JournalHead, JournalLine, JournalPart, LineOutcome
from server.models.ledger import (
    Checkpoint,
    Generation,
    LedgerEvent,
    LedgerHead,
    LedgerLeaf,
)
from server.operations import ledger
from sync.evidence import merkle, note
from sync.evidence.line import GENESIS, parse_header, signed_bytes
from sync.evidence.receipt import parse_receipt


@dataclass(frozen=True)
class Audit:
    """What is stored: raw lines by digest, outcomes by digest, receipts' notes, leaves in all."""

    lines: dict[str, bytes]
    outcomes: dict[str, tuple[str, str]]
    receipts: frozenset[str]
    size: int


def audit(app, receipt_keys) -> Audit:
    """Check everything and return what is stored; ``receipt_keys`` are C2SP verifier keys.

    Raises:
        AssertionError: naming what does not hold.
    """
    with app.app_context(), reading() as session:
        size = sum(_ledger(session, row.number) for row in session.query(Generation))
        rows = session.query(JournalLine).all()
        raws = _raw_lines(session, rows)
        _chains(session, rows)
        _leaves(session, rows)
        notes = _receipts(session, rows, tuple(receipt_keys))
        digests = {_place(row): row.digest for row in rows}
        outcomes = session.query(LineOutcome).all()
        assert {_place(row) for row in outcomes} == set(digests), "a line without an outcome"
        return Audit(
            lines=raws,
            outcomes={digests[_place(row)]: (row.projection, row.code) for row in outcomes},
            receipts=frozenset(notes),
            size=size,
        )


@lru_cache(100_000)
def open_receipt(text, keys):
    """The receipt in a note that verifies; one text is checked once, it costs milliseconds."""
    return parse_receipt(note.open_note(text, [note.parse_verifier_key(key) for key in keys])[0])


def _ledger(session, generation):
    """Indices without holes, entries over their events, and the root recomputed; the size."""
    leaves = (
        session.query(LedgerLeaf).filter_by(generation=generation).order_by(LedgerLeaf.index).all()
    )
    head = session.get_one(LedgerHead, generation)
    assert [leaf.index for leaf in leaves] == list(range(head.size)), "the ledger has holes"
    tree, roots = merkle.CompactRange(), {0: hashlib.sha256(b"").digest()}
    for leaf in leaves:
        tree.append(merkle.leaf_hash(leaf.entry))
        roots[tree.size] = tree.root()
    stored = ledger.tree_root(session, generation, head.size)
    assert stored == roots[head.size], "the stored nodes give another root"
    for row in session.query(Checkpoint).filter_by(generation=generation):
        assert row.root == roots[row.size].hex(), f"checkpoint {row.size} signs another tree"
    at_ms = 0
    entries = {leaf.index: leaf.entry for leaf in leaves}
    events = session.query(LedgerEvent).filter_by(generation=generation).order_by(LedgerEvent.index)
    for row in events:
        assert hashlib.sha256(row.salt + row.event).digest() == entries[row.index], row.index
        assert row.at_ms >= at_ms, f"time runs back at {row.index}"
        at_ms = row.at_ms
    return head.size


def _raw_lines(session, rows):
    """Every stored line as it was pushed, by digest; no two with one digest."""
    parts = defaultdict(dict)
    for part in session.query(JournalPart):
        parts[_place(part)][part.number] = part.body
    raws = {}
    for row in rows:
        signed = signed_bytes(row.header, row.key_id, row.signature)
        assert hashlib.sha256(signed).hexdigest() == row.digest
        assert row.digest not in raws, f"line {row.digest} is stored twice"
        bodies = [parts[_place(row)][n] for n in range(len(parts[_place(row)]))]
        raws[row.digest] = b'{"b":[%s],%s' % (b",".join(bodies), signed[1:])
    return raws


def _chains(session, rows):
    """Each branch is one whole chain and its head stands at its end."""
    chains = defaultdict(list)
    for row in sorted(rows, key=_place):
        chains[row.device_id, row.epoch, row.branch].append(row)
    heads = {(row.device_id, row.epoch, row.branch): row for row in session.query(JournalHead)}
    assert set(heads) == set(chains), "heads and chains differ"
    for place, chain in chains.items():
        first = chain[0].seq
        assert [row.seq for row in chain] == list(range(first, first + len(chain))), place
        assert place[2] or first == 0, f"{place} begins at {first}"
        before = GENESIS if not place[2] else parse_header(chain[0].header).prev
        for row in chain:
            assert parse_header(row.header).prev == before, f"{place} breaks at {row.seq}"
            before = row.digest
        head = heads[place]
        assert (head.next_seq, head.digest) == (chain[-1].seq + 1, before), place


def _leaves(session, rows):
    """The leaf that a line names is its own."""
    named = {}
    for event in session.query(LedgerEvent).filter(LedgerEvent.kind.in_(("ingest", "branch"))):
        named[event.generation, event.index] = json.loads(event.event)["subject"]["digest"]
    taken = {(row.generation, row.ledger_index): row.digest for row in rows}
    assert len(taken) == len(rows), "two lines at one leaf"
    for place, digest in taken.items():
        assert named.get(place) == digest, f"leaf {place} is another line's"
    again = [digest for digest, count in Counter(named.values()).items() if count > 1]
    assert set(named.values()) == set(taken.values()), "an ingest leaf without its line"
    assert not again, f"lines with two leaves: {again}"


def _receipts(session, rows, keys):
    """Every receipt verifies and names what is stored; every line has exactly one."""
    by_place = {_place(row): row for row in rows}
    covered, notes = Counter(), []
    for stored in session.query(IngestReceipt):
        receipt = open_receipt(stored.note, keys)
        for seq in range(receipt.first_seq, receipt.last_seq + 1):
            place = (receipt.device, receipt.epoch, receipt.branch, seq)
            covered[place] += 1
            row = by_place[place]
            assert row.generation == receipt.generation, place
            assert row.ledger_index == receipt.first_index + seq - receipt.first_seq, place
        assert row.digest == receipt.last_digest, place
        notes.append(stored.note)
    assert set(covered) == set(by_place), "a line without a receipt"
    assert set(covered.values()) <= {1}, "a line under two receipts"
    return notes


def _place(row):
    return row.device_id, row.epoch, row.branch, row.seq
