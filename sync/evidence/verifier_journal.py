"""Step 5: the journals: complete, in order, signed by enrolled keys, taken in by the ledger."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from . import acts, merkle
from .encoding import from_b64url
from .errors import BadEncoding
from .line import GENESIS, Verify, key_id_of, pre_authentication_encoding
from .p256 import KeyMalformed
from .package import CONSISTENCY, KEYS, ChainName, PackageMalformed, journal_chain
from .record_reading import parse_consistency
from .records import CaseIndex, ConsistencyRecord, DeviceKeyRecord
from .verifier_chain import Chain, KeptLine, disclosed, name_missing, place_of, read_chain, whole
from .verifier_claims import Book, first_line
from .verifier_ledger import Ledger, ProvedEvent, Trust, is_enrolled
from .verifier_signatures import MakeVerify
from .verifier_source import EntryUnreadable, Source, read_lines

Place = Tuple[ChainName, int]
SignatureTask = Tuple[Chain, KeptLine, Verify]

_BATCH = 256


@dataclass(frozen=True)
class Journal:
    """The chains that could be read, and the proved events that took their lines in."""

    chains: Mapping[ChainName, Chain] = field(default_factory=dict)
    ingests: Mapping[Place, ProvedEvent] = field(default_factory=dict)
    proved_anchors: Set[Tuple[int, str]] = field(default_factory=set)

    def line(self, chain: ChainName, seq: int) -> Optional[KeptLine]:
        found = self.chains.get(chain)
        return found.lines.get(seq) if found else None


@dataclass(frozen=True)
class Signatures:
    """How signatures are checked: ``every`` line's, or only each chain's last."""

    make: MakeVerify
    every: bool


def check_journal(
    book: Book,
    source: Source,
    trust: Trust,
    ledger: Ledger,
    index: Optional[CaseIndex],
    signatures: Signatures,
) -> Journal:
    """Read every journal file and check it against keys, ledger and case index."""
    mark = book.mark
    chains = _read_chains(book, source)
    _check_heads(book, chains, index)
    ingests = _ingests(ledger)
    _check_ingests(book, chains, ingests)
    _check_branches(book, chains)
    total = sum(len(chain.lines) for chain in chains.values())
    book.conclude(mark, "journal.complete", chains=len(chains), lines=total)
    withheld = total - sum(len(disclosed(chain)) for chain in chains.values())
    if withheld:
        # Of another case, or so it is said: what they say counts nowhere below.
        book.not_checked("journal.withheld", count=withheld, lines=total)
    _check_keys(book, chains, trust, ledger)
    _check_signatures(book, chains, trust, signatures)
    _check_openings(book, chains)
    _name_after_revocation(book, chains, ledger, ingests)
    proved = _check_anchors(book, source, chains, trust)
    return Journal(chains, ingests, proved)


def _read_chains(book: Book, source: Source) -> Dict[ChainName, Chain]:
    chains = {}
    for path in source.names:
        name = journal_chain(path)
        if name is None:
            if path.startswith("data/journal/"):
                book.failed("journal.file_name", file=path)
            continue
        try:
            chains[name] = read_chain(book, name, read_lines(source, path))
        except EntryUnreadable as error:
            book.failed("journal.file_unreadable", file=path, reason=first_line(error))
    return chains


def _check_heads(book: Book, chains: Mapping[ChainName, Chain], index: Optional[CaseIndex]) -> None:
    """The case index says how far each chain goes, so that none can be cut short."""
    if index is None:
        book.not_checked("journal.no_index")
        return
    listed = {head.chain: head for head in index.chains}
    for name in chains:
        if name not in listed:
            book.failed("journal.chain_unlisted", **place_of(name, 0))
    for name, head in listed.items():
        chain = chains.get(name)
        if chain is None:
            book.failed("journal.chain_missing", **place_of(name, 0), last=head.next_seq - 1)
            continue
        end = max(chain.lines, default=-1) + 1
        name_missing(book, name, end, head.next_seq)
        for seq in chain.lines:
            if seq >= head.next_seq:
                book.failed("journal.beyond_index", **place_of(name, seq))
        last = chain.lines.get(head.next_seq - 1)
        if last is not None and last.digest != head.head:
            book.failed("journal.other_head", **place_of(name, last.seq))


def _ingests(ledger: Ledger) -> Dict[Place, ProvedEvent]:
    ingests = {}
    for event in ledger.of_kind("ingest", "branch"):
        subject = event.body["subject"]
        chain = ChainName(
            str(subject.get("device")), str(subject.get("epoch")), str(subject.get("branch", ""))
        )
        ingests[(chain, whole(subject.get("seq")))] = event
    return ingests


def _check_ingests(
    book: Book, chains: Mapping[ChainName, Chain], ingests: Mapping[Place, ProvedEvent]
) -> None:
    """Every line taken in is here unchanged, and every line of this case was taken in."""
    for (name, seq), event in ingests.items():
        chain = chains.get(name)
        line = chain.lines.get(seq) if chain else None
        if line is None:
            book.failed("journal.taken_in_but_missing", **place_of(name, seq), index=event.index)
        elif event.body["subject"].get("digest") != line.digest:
            book.failed("journal.changed_since", **place_of(name, seq), index=event.index)
    for chain in chains.values():
        for line, _ in disclosed(chain):
            if (chain.name, line.seq) not in ingests:
                book.failed("journal.not_taken_in", **chain.place(line.seq))


def _check_branches(book: Book, chains: Mapping[ChainName, Chain]) -> None:
    for name, chain in chains.items():
        if not name.branch or not chain.lines:
            continue
        first = chain.lines[chain.first]
        if first.digest != name.branch:
            book.failed("journal.branch_name", **chain.place(first.seq))
        before = {
            other.lines[first.seq - 1].digest
            for other in chains.values()
            if (other.name.device, other.name.epoch) == (name.device, name.epoch)
            and first.seq - 1 in other.lines
        }
        attached = first.prev in before or (first.seq == 0 and first.prev == GENESIS)
        # Two lines for one place are the device's doing, not the package's fault.
        code = "journal.forked" if attached else "journal.branch_unattached"
        book.not_checked(code, **chain.place(first.seq))


def _keys_of(trust: Trust) -> Dict[str, DeviceKeyRecord]:
    return {key.key_id: key for key in trust.keys.devices} if trust.keys else {}


def _check_keys(
    book: Book, chains: Mapping[ChainName, Chain], trust: Trust, ledger: Ledger
) -> None:
    mark = book.mark
    keys = _keys_of(trust)
    for key in keys.values():
        if key_id_of(key.spki) != key.key_id:
            book.failed("journal.key_id", file=KEYS, device=key.device, key_id=key.key_id)
        elif not is_enrolled(ledger, key):
            book.failed("journal.key_not_enrolled", file=KEYS, device=key.device, key_id=key.key_id)
    for name, chain in chains.items():
        used = sorted({line.key_id for line in chain.lines.values()})
        if len(used) > 1:
            seq = next(s for s, ln in chain.lines.items() if ln.key_id != _first_key(chain))
            book.failed("journal.two_keys", **chain.place(seq))
        for key_id in used:
            if key_id not in keys or keys[key_id].device != name.device:
                book.failed("journal.key_unknown", **chain.place(chain.first), key_id=key_id)
    book.conclude(mark, "journal.keys_enrolled", count=len(keys))


def _first_key(chain: Chain) -> str:
    return chain.lines[chain.first].key_id


def _check_signatures(
    book: Book, chains: Mapping[ChainName, Chain], trust: Trust, signatures: Signatures
) -> None:
    """The signature of a chain's last line covers all before it through ``prev``."""
    mark = book.mark
    keys = _keys_of(trust)
    checks = {}
    for key_id, key in keys.items():
        try:
            checks[key_id] = signatures.make(key.spki)
        except KeyMalformed as error:
            book.failed(
                "journal.key_malformed", file=KEYS, device=key.device, reason=first_line(error)
            )
    # Lines of an unknown key are left out here; that key has been named.
    tasks = [
        (chain, line, checks[line.key_id])
        for chain in chains.values()
        for line in _to_check(chain, signatures.every)
        if line.key_id in checks
    ]
    for chain, line in _badly_signed(tasks):
        book.failed("journal.bad_signature", **chain.place(line.seq))
    code = "journal.signatures_all" if signatures.every else "journal.signatures_heads"
    book.conclude(mark, code, count=len(tasks))


def _badly_signed(tasks: Sequence[SignatureTask]) -> List[Tuple[Chain, KeptLine]]:
    """Those lines of ``tasks`` whose signature does not hold, in order."""

    def check(batch: Sequence[SignatureTask]) -> List[Tuple[Chain, KeptLine]]:
        return [
            (chain, line)
            for chain, line, good in batch
            if not good(pre_authentication_encoding(line.header_bytes), line.signature)
        ]

    batches = [tasks[start : start + _BATCH] for start in range(0, len(tasks), _BATCH)]
    # The library lets other threads go on while it computes.
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return [bad for found in pool.map(check, batches) for bad in found]


def _to_check(chain: Chain, every: bool) -> List[KeptLine]:
    lines = chain.lines
    if every:
        return list(lines.values())
    # A line after which the links break is covered by no later signature.
    return [
        line
        for seq, line in lines.items()
        if seq + 1 not in lines or lines[seq + 1].prev != line.digest
    ]


def _check_openings(book: Book, chains: Mapping[ChainName, Chain]) -> None:
    """The first line of an epoch names its key, and the epoch before, so that none is dropped."""
    for name, chain in chains.items():
        first = chain.lines.get(0)
        if first is None or name.branch:
            continue
        if first.act is None:
            book.not_checked("journal.opening_withheld", **chain.place(0))
            continue
        if first.act["type"] != acts.EPOCH_OPENED or not _names_its_key(first):
            book.failed("journal.no_opening", **chain.place(0))
        before = first.act.get("before")
        if isinstance(before, dict):
            _check_epoch_before(book, chains, chain, before)


def _name_after_revocation(
    book: Book,
    chains: Mapping[ChainName, Chain],
    ledger: Ledger,
    ingests: Mapping[Place, ProvedEvent],
) -> None:
    """Lines that came in since their key is revoked are kept, and doubtful.

    A revocation counts from the moment that it states, which may be before it was entered.
    """
    revoked: Dict[str, List[ProvedEvent]] = {}
    for event in ledger.of_kind("revoke"):
        revoked.setdefault(str(event.body["subject"].get("key_id")), []).append(event)
    for name, chain in chains.items():
        for seq, line in chain.lines.items():
            ingest = ingests.get((name, seq))
            if ingest and any(_is_since(ingest, event) for event in revoked.get(line.key_id, ())):
                book.not_checked("journal.after_revocation", **chain.place(seq))


def _is_since(ingest: ProvedEvent, revocation: ProvedEvent) -> bool:
    stated = revocation.body["snapshot"].get("revoked_from_ms")
    if type(stated) is int and stated < revocation.at_ms and ingest.at_ms >= stated:
        return True
    return ingest.index > revocation.index


def _names_its_key(opening: KeptLine) -> bool:
    try:
        spki = from_b64url(str((opening.act or {}).get("spki")))
    except BadEncoding:
        return False
    return key_id_of(spki) == opening.key_id


def _check_epoch_before(
    book: Book, chains: Mapping[ChainName, Chain], chain: Chain, before: Mapping[str, Any]
) -> None:
    earlier = chains.get(ChainName(chain.name.device, str(before.get("epoch"))))
    if earlier is None:
        book.not_checked(
            "journal.epoch_before_absent", **chain.place(0), before=before.get("epoch")
        )
        return
    line = earlier.lines.get(whole(before.get("seq")))
    if line is None:
        book.not_checked(
            "journal.epoch_before_absent", **chain.place(0), before=before.get("epoch")
        )
    elif line.digest != before.get("head"):
        book.failed("journal.epoch_before_differs", **chain.place(0), before=before.get("epoch"))


def _check_anchors(
    book: Book, source: Source, chains: Mapping[ChainName, Chain], trust: Trust
) -> Set[Tuple[int, str]]:
    """The checkpoint grew out of every checkpoint that a device had seen: nothing was rewritten."""
    proved: Set[Tuple[int, str]] = set()
    checkpoint = trust.checkpoint
    if checkpoint is None:
        book.not_checked("journal.anchors_unchecked")
        return proved
    mark = book.mark
    for record in _consistency(book, source):
        try:
            merkle.verify_consistency(
                first=record.size,
                second=checkpoint.size,
                first_root=record.root,
                second_root=checkpoint.root,
                path=record.path,
            )
        except merkle.ProofInvalid as error:
            book.failed(
                "journal.inconsistent", file=CONSISTENCY, size=record.size, reason=str(error)
            )
        else:
            proved.add((record.size, record.root.hex()))
    elsewhere = 0
    for chain in chains.values():
        for seq, line in chain.lines.items():
            if line.anchor is None:
                continue
            if line.anchor.origin != checkpoint.origin:
                elsewhere += 1
            elif (line.anchor.size, line.anchor.root) not in proved:
                book.failed("journal.anchor_unproved", **chain.place(seq), size=line.anchor.size)
    book.conclude(mark, "journal.anchors", count=len(proved))
    if elsewhere:
        book.not_checked("journal.anchors_elsewhere", count=elsewhere)
    return proved


def _consistency(book: Book, source: Source) -> List[ConsistencyRecord]:
    records = []
    try:
        for line in read_lines(source, CONSISTENCY):
            records.append(parse_consistency(line))
    except (EntryUnreadable, PackageMalformed) as error:
        book.failed("journal.consistency_unreadable", file=CONSISTENCY, reason=first_line(error))
    return records
