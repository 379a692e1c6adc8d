"""Step 6: the case index — every item accounted for, and the originals behind it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import acts
from .package import (
    INDEX,
    ChainName,
    PackageMalformed,
    original_digest,
)
from .record_reading import parse_index
from .records import ENCLOSED, ERASED, MISSING, WITHHELD, CaseIndex, IndexItem
from .verifier_bag import Files
from .verifier_chain import Chain, KeptLine, disclosed, listed, whole
from .verifier_claims import Book, first_line
from .verifier_copies import REDACTED, check_copies
from .verifier_journal import Journal
from .verifier_ledger import Ledger, ProvedEvent
from .verifier_source import EntryUnreadable, Measured, Source, read

#: What is said of an item whose bytes are not here.
_ABSENT = {WITHHELD: "case.withheld", MISSING: "case.missing", ERASED: "case.erased"}

#: What a reviewer can say of an item, and the states that such a word ends.
_VERDICTS = ("accepted", "questioned", "rejected")
_JUDGED = frozenset((*_VERDICTS, "captured", "stored", "checked"))

Announcement = Tuple[Chain, KeptLine, Mapping[str, Any]]


def read_index(source: Source) -> Tuple[Optional[CaseIndex], str]:
    """The case index, or the reason why there is none to go by."""
    try:
        return parse_index(read(source, INDEX)), ""
    except (PackageMalformed, EntryUnreadable) as error:
        return None, first_line(error)


def check_case(
    book: Book, source: Source, files: Files, index: CaseIndex, journal: Journal, ledger: Ledger
) -> None:
    """Compare the index with the journals both ways, and with the files."""
    announcements = _announcements(journal)
    mark = book.mark
    _check_announced(book, index, announcements, journal)
    _check_discards(book, index, journal)
    _check_seals(book, index, journal)
    _check_states(book, index, ledger)
    book.conclude(mark, "case.complete", count=len(index.items))
    mark = book.mark
    enclosed = [item for item in index.items if item.disposition == ENCLOSED]
    for item in enclosed:
        _check_original(book, files, item)
    files_listed = {item.file for item in enclosed}
    for name in files:
        if name.startswith("data/original/") and name not in files_listed:
            book.failed("case.original_unlisted", file=name)
    book.conclude(mark, "case.originals", count=len(enclosed))
    absent = [item for item in index.items if item.disposition != ENCLOSED]
    _check_erased(book, index, ledger, journal)
    for item in absent:
        if (item.disposition, item.discarded) == (WITHHELD, None) and item.reason != REDACTED:
            book.failed("case.withheld_undiscarded", file=INDEX, item=item.item, sha256=item.sha256)
            continue
        code = "case.redacted" if item.reason == REDACTED else _ABSENT[item.disposition]
        book.not_checked(code, item=item.item, sha256=item.sha256, reason=item.reason)
    check_copies(book, source, files, index, ledger)


def _announcements(journal: Journal) -> Dict[str, List[Announcement]]:
    """The disclosed lines that announce a file, by item; a branch may repeat its main chain."""
    found: Dict[str, List[Announcement]] = {}
    for _, chain in sorted(journal.chains.items(), key=lambda pair: pair[0].branch):
        for line, act in disclosed(chain):
            if act["type"] in acts.MEDIA_ACTS:
                found.setdefault(str(act.get("item")), []).append((chain, line, act))
    return found


def _check_announced(
    book: Book,
    index: CaseIndex,
    announcements: Mapping[str, List[Announcement]],
    journal: Journal,
) -> None:
    items = {item.item: item for item in index.items}
    if len(items) != len(index.items):
        book.failed("case.item_twice", file=INDEX)
    for name, found in announcements.items():
        chain, line, act = found[0]
        if name not in items:
            book.failed(
                "case.item_left_out",
                **chain.place(line.seq),
                item=name,
                sha256=str(act.get("sha256")),
            )
    for item in index.items:
        announced = announcements.get(item.item)
        if not announced and item.disposition == ERASED and _is_without_text(journal, item):
            continue  # the ledger says below whether that was lawful
        if not announced:
            book.failed("case.item_without_line", file=INDEX, item=item.item)
            continue
        here = [a for a in announced if (a[0].name, a[1].seq) == (item.line.chain, item.line.seq)]
        chain, line, act = (here or announced)[0]
        if (item.sha256, item.size) != (act.get("sha256"), act.get("size")) or any(
            said != (act[name] if isinstance(act.get(name), str) else "")
            for name, said in _repeated(item).items()
        ):
            book.failed("case.item_differs", **chain.place(line.seq), item=item.item)
        if (item.line.chain, item.line.seq) != (chain.name, line.seq):
            book.failed("case.item_elsewhere", **chain.place(line.seq), item=item.item)
    if list(index.announced) != sorted({item.sha256 for item in index.items}):
        book.failed("case.announced", file=INDEX)


def _repeated(item: IndexItem) -> Dict[str, str]:
    """The texts that the index repeats of the line that announced an item."""
    return {
        "media_type": item.media_type,
        "class": item.capture_class,
        "officer": item.officer,
    }


def _is_without_text(journal: Journal, item: IndexItem) -> bool:
    """Whether the line that is said to have announced the item is here without its text."""
    line = journal.line(item.line.chain, item.line.seq)
    return line is not None and line.act is None


def _check_erased(book: Book, index: CaseIndex, ledger: Ledger, journal: Journal) -> None:
    """What was erased by law was erased by an order on the ledger, which names each digest."""
    absent = [item for item in index.items if item.disposition == ERASED]
    if not absent:
        return
    orders = [
        event
        for event in ledger.of_kind("erase")
        if event.body["subject"].get("inspection") == index.inspection["id"]
    ]
    named: Dict[Tuple[str, str], Tuple[ProvedEvent, str]] = {}
    for event in orders:
        if event.body["snapshot"].get("act") != "erased":
            continue
        for one in listed(event.body["snapshot"], "items"):
            if isinstance(one, dict):
                key = (str(one.get("item")), str(one.get("sha256")))
                named[key] = (event, str(one.get("line")))
    mark = book.mark
    events = set()
    for item in absent:
        found = named.get((item.item, item.sha256))
        if found is None:
            book.failed("case.erased_unproved", file=INDEX, item=item.item, sha256=item.sha256)
            continue
        event, digest = found
        events.add(event.index)
        line = journal.line(item.line.chain, item.line.seq)
        if line is not None and line.digest != digest:
            book.failed("case.erased_elsewhere", file=INDEX, item=item.item, index=event.index)
    for at in sorted(events):
        if not _is_approved(ledger.events[at], orders):
            book.failed("case.erased_unapproved", file=INDEX, index=at)
    laws = sorted({str(named[k][0].body["snapshot"].get("law")) for k in named})
    book.conclude(
        mark,
        "case.erased_lawfully",
        count=len(absent),
        law="; ".join(laws),
        index=max(events, default=-1),
    )


def _is_approved(erased: ProvedEvent, orders: Sequence[ProvedEvent]) -> bool:
    """Whether one person asked for what ``erased`` did, and another one approved it, before."""
    persons: Dict[object, object] = {}
    for event in orders:
        same = event.body["subject"].get("order") == erased.body["subject"].get("order")
        if same and event.index < erased.index:
            persons[event.body["snapshot"].get("act")] = event.body["actor"].get("person")
    asked, approved = persons.get("requested"), persons.get("approved")
    return isinstance(asked, str) and isinstance(approved, str) and asked != approved


def _check_discards(book: Book, index: CaseIndex, journal: Journal) -> None:
    """What was thrown away on the device stays listed, with the line that says why."""
    discards: Dict[str, List[Tuple[ChainName, int]]] = {}
    for chain in journal.chains.values():
        for line, act in disclosed(chain):
            if act["type"] == acts.MEDIA_DISCARDED:
                discards.setdefault(str(act.get("item")), []).append((chain.name, line.seq))
    for item in index.items:
        places = discards.pop(item.item, [])
        if item.discarded is None:
            for name, seq in places:
                place = journal.chains[name].place(seq)
                book.failed("case.discard_hidden", **place, item=item.item)
        elif (item.discarded.chain, item.discarded.seq) not in places:
            book.failed("case.discard_without_line", file=INDEX, item=item.item)
    for unlisted, places in discards.items():
        chain_name, seq = places[0]
        book.failed(
            "case.item_left_out", **journal.chains[chain_name].place(seq), item=unlisted, sha256=""
        )


def _check_states(book: Book, index: CaseIndex, ledger: Ledger) -> None:
    """What an item was judged to be is what the last reviewer said of it on the ledger."""
    verdicts: Dict[str, Tuple[object, int]] = {}
    for event in ledger.of_kind("review"):
        subject = event.body["subject"]
        if subject.get("inspection") == index.inspection["id"]:
            verdict = event.body["snapshot"].get("verdict")
            verdicts[str(subject.get("item"))] = (verdict, event.index)
    for item in index.items:
        verdict, at = verdicts.get(item.item, ("", -1))
        if at >= 0 and item.state in _JUDGED and item.state != verdict:
            book.failed("case.state_differs", file=INDEX, item=item.item, index=at)
        elif at < 0 and item.state in _VERDICTS:
            book.not_checked("case.state_unproved", item=item.item)


def _check_seals(book: Book, index: CaseIndex, journal: Journal) -> None:
    """Every medium and every head that a seal names is here."""
    digests = {item.sha256 for item in index.items}
    heads = {
        (chain.name.device, chain.name.epoch, line.seq): line.digest
        for chain in journal.chains.values()
        for line in chain.lines.values()
    }
    chains = {(name.device, name.epoch) for name in journal.chains}
    for chain in journal.chains.values():
        for line, act in disclosed(chain):
            if act["type"] == acts.INSPECTION_SEALED:
                if act.get("inspection") != index.inspection["id"]:
                    continue
                for digest in listed(act, "media"):
                    if str(digest) not in digests:
                        book.failed(
                            "case.sealed_left_out", **chain.place(line.seq), sha256=str(digest)
                        )
                for head in listed(act, "heads"):
                    _check_peer(book, chain, line, head, heads, chains)
            elif act["type"] == acts.PEER_HEAD:
                _check_peer(book, chain, line, act, heads, chains)


def _check_peer(
    book: Book,
    chain: Chain,
    line: KeptLine,
    head: Any,
    heads: Mapping[Tuple[str, str, int], str],
    chains: "set[Tuple[str, str]]",
) -> None:
    """What one device noted of another's journal is held against that journal.

    A difference is reported and fails nothing: both lines are signed, and which of
    them errs (a mistyped note, a journal continued elsewhere, lines that have not
    arrived) no verifier can tell. If it failed, one wrong note would keep every
    other item of the case from court.
    """
    if not isinstance(head, dict):
        return
    device, epoch, seq = str(head.get("device")), str(head.get("epoch")), whole(head.get("seq"))
    places = {**chain.place(line.seq), "peer": device}
    if (device, epoch) not in chains:
        book.not_checked("case.peer_absent", **places)
    elif (device, epoch, seq) not in heads:
        book.not_checked("case.peer_beyond", **places, peer_seq=seq)
    elif heads[device, epoch, seq] != head.get("head"):
        book.not_checked("case.peer_differs", **places, peer_seq=seq)


def _check_original(book: Book, files: Files, item: IndexItem) -> None:
    file = files.get(item.file)
    if file is None:
        book.failed("case.original_missing", file=item.file, item=item.item)
    elif original_digest(item.file) != item.sha256:
        book.failed("case.original_name", file=item.file, item=item.item)
    elif isinstance(file, Measured) and (file.sha256, file.size) != (item.sha256, item.size):
        book.failed("case.original_altered", file=item.file, item=item.item)
