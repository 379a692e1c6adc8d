"""Steps 7 to 9: receipts, time intervals, separation of duties."""

from __future__ import annotations

from typing import List, Optional, Sequence, Set, Tuple

from . import acts
from .errors import SyncError
from .interval import Interval, OutsideStamp, OutsideStamps, line_interval
from .note import VerifierKey, open_note, parse_verifier_key
from .package import CUSTODY, INDEX, RECEIPTS, ChainName
from .receipt import Receipt, parse_receipt
from .record_reading import parse_receipt_record
from .records import CaseIndex
from .stamp_event import read_stamp_event
from .verifier_chain import NAMED_ONE_BY_ONE, disclosed, listed, newest_anchors, place_of
from .verifier_claims import Book, first_line
from .verifier_journal import Journal
from .verifier_ledger import Ledger, Trust
from .verifier_source import EntryUnreadable, Source, read_lines


def check_receipts(book: Book, source: Source, trust: Trust, journal: Journal) -> None:
    """Step 7: each receipt is signed and speaks of lines that are here, unchanged."""
    key = _receipt_key(trust)
    mark = book.mark
    unsynchronised = count = 0
    for number, record in _receipt_lines(book, source):
        receipt = _receipt(book, record, number, key)
        if receipt is None:
            continue
        count += 1
        unsynchronised += receipt.clock != "synchronised"
        _check_receipt(book, receipt, number, journal)
    if count:
        book.conclude(mark, "receipts.good", count=count)
    else:
        book.not_checked("receipts.none")
    if unsynchronised:
        book.not_checked("receipts.clock", count=unsynchronised)


def _receipt_key(trust: Trust) -> Optional[VerifierKey]:
    try:
        return parse_verifier_key(trust.keys.receipt) if trust.keys else None
    except SyncError:
        return None  # an unusable key fails every receipt below, by number


def _receipt_lines(book: Book, source: Source) -> List[Tuple[int, bytes]]:
    try:
        return list(enumerate(read_lines(source, RECEIPTS), start=1))
    except EntryUnreadable as error:
        book.failed("receipts.unreadable", file=RECEIPTS, reason=first_line(error))
        return []


def _receipt(
    book: Book, record: bytes, number: int, key: Optional[VerifierKey]
) -> Optional[Receipt]:
    try:
        text, _ = open_note(parse_receipt_record(record), [key] if key else [])
        return parse_receipt(text)
    except SyncError as error:
        book.failed("receipts.bad", file=RECEIPTS, line=number, reason=first_line(error))
        return None


def _check_receipt(book: Book, receipt: Receipt, number: int, journal: Journal) -> None:
    name = ChainName(receipt.device, receipt.epoch, receipt.branch)
    chain = journal.chains.get(name)
    lines = chain.lines if chain else {}
    named = 0
    for seq in range(receipt.first_seq, receipt.last_seq + 1):
        if seq not in lines:
            book.failed("receipts.line_missing", **place_of(name, seq), line=number)
            named += 1
        # A receipt may claim more lines than anyone could count.
        if named == NAMED_ONE_BY_ONE:
            break
    last = lines.get(receipt.last_seq)
    if last is not None and last.digest != receipt.last_digest:
        book.failed("receipts.line_differs", **place_of(name, last.seq), line=number)
    ingest = journal.ingests.get((name, receipt.first_seq))
    if ingest is not None and ingest.index != receipt.first_index:
        book.failed("receipts.index_differs", **place_of(name, receipt.first_seq), line=number)


def check_times(
    book: Book,
    trust: Trust,
    ledger: Ledger,
    index: CaseIndex,
    journal: Journal,
    stamped: Set[int],
) -> None:
    """Step 8: the intervals in the case index follow from anchors and stamps in the ledger.

    Args:
        stamped: ledger indexes of the outside time stamps that hold.
    """
    if trust.checkpoint is None:
        book.not_checked("time.no_checkpoint")
        return
    stamps, outside = _stamps(ledger)
    anchors = {name: newest_anchors(chain) for name, chain in journal.chains.items()}
    mark = book.mark
    count = 0
    for item in index.items:
        name, seq = item.line.chain, item.line.seq
        expected: Optional[Interval] = None
        ingest = journal.ingests.get((name, seq))
        anchor = anchors.get(name, {}).get(seq)
        if anchor is not None and (anchor.size, anchor.root) not in journal.proved_anchors:
            anchor = None
        if ingest is not None:
            expected = line_interval(
                anchor_size=anchor.size if anchor else None,
                ingest_index=ingest.index,
                ingest_at_ms=ingest.at_ms,
                stamps=stamps,
                outside=filter(
                    None, outside.deciding(anchor.size if anchor else None, ingest.index)
                ),
            )
            count += 1
        if item.interval != expected:
            book.failed(
                "time.interval_differs", **{**place_of(name, seq), "file": INDEX}, item=item.item
            )
    book.conclude(mark, "time.intervals", count=count)
    _say_whose_clocks(book, [item.interval for item in index.items], stamped)


def _stamps(ledger: Ledger) -> Tuple[List[Tuple[int, int]], OutsideStamps]:
    """Readings of the bureau's own clock, and first stamps of checkpoints by outside ones."""
    own, outside = [], []
    for event in ledger.of_kind("stamp"):
        stamp = read_stamp_event(event.body)
        if stamp is None and "authority" not in event.body["subject"]:
            own.append((event.index, event.at_ms))
        elif stamp is not None and stamp.checkpoint is not None and not stamp.renews:
            earliest = stamp.gen_time_ms - stamp.margin_ms
            latest = stamp.gen_time_ms + stamp.margin_ms
            outside.append(OutsideStamp(event.index, stamp.checkpoint[1], earliest, latest))
    return own, OutsideStamps(outside)


def _say_whose_clocks(
    book: Book, intervals: Sequence[Optional[Interval]], stamped: Set[int]
) -> None:
    proved = claimed = differing = 0
    for interval in intervals:
        if interval is None or interval.outside is None:
            continue
        bounds = interval.outside
        ends = {bounds.not_before_index, bounds.not_after_index} - {None}
        proved += ends <= stamped
        claimed += not ends <= stamped
        differing += interval.clocks_differ
    if proved:
        book.passed("time.outside", count=proved)
    if claimed:
        book.not_checked("time.outside_claimed", count=claimed)
    if proved + claimed < len(intervals) or not intervals:
        book.not_checked("time.bureau_clock")
    if differing:
        book.not_checked("time.clocks_differ", count=differing)


def check_duties(book: Book, ledger: Ledger, index: CaseIndex, journal: Journal) -> None:
    """Step 9: nobody judged a case that they investigated."""
    unlisted = _opened_by(journal, index) - {officer.officer for officer in index.officers}
    for officer_id in sorted(unlisted):
        book.not_checked("duties.officer_unlisted", file=INDEX, officer=officer_id)
    investigators = {officer.person: officer.name for officer in index.officers}
    reviews = ledger.of_kind("review")
    mark = book.mark
    nameless = 0
    for event in reviews:
        person = event.body["actor"].get("person")
        if not isinstance(person, str):
            nameless += 1
        elif person in investigators:
            book.failed(
                "duties.own_case",
                file=CUSTODY,
                index=event.index,
                person=investigators[person],
                item=str(event.body["subject"].get("item", "")),
            )
    if not reviews:
        book.not_checked("duties.no_reviews")
    elif nameless:
        book.not_checked("duties.nameless", count=nameless)
    elif not unlisted:
        book.conclude(mark, "duties.separate", count=len(reviews))


def _opened_by(journal: Journal, index: CaseIndex) -> Set[str]:
    """The officers with whom the inspection was opened, by any line."""
    return {
        officer
        for chain in journal.chains.values()
        for _, act in disclosed(chain)
        if act["type"] == acts.INSPECTION_OPENED and act.get("inspection") == index.inspection["id"]
        for officer in listed(act, "officers")
        if isinstance(officer, str)
    }
