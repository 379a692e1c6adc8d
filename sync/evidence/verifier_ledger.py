"""Steps 3 and 4: whose keys these are, what the ledger's key signed, and what the ledger proves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from . import bag, merkle, package
from .checkpoint import Checkpoint, open_checkpoint
from .encoding import to_b64url
from .errors import SyncError
from .note import VerifierKey, open_note, parse_verifier_key
from .package import PackageMalformed
from .record_reading import parse_custody_event, parse_inclusion, parse_keys
from .records import CaseIndex, CustodyEvent, DeviceKeyRecord, Keys, Object
from .succession import read_succession, successors
from .verifier_bag import Files
from .verifier_claims import Book, first_line
from .verifier_source import EntryUnreadable, Measured, Source, read, read_lines


@dataclass(frozen=True)
class Trust:
    """The keys in use, and the checkpoint if its signature holds.

    ``ledger_keys`` are this ledger's: those that the user brought, else the enclosed one.
    ``known_keys`` are these and those of other ledgers that the user brought.
    """

    keys: Optional[Keys]
    ledger_keys: Tuple[VerifierKey, ...]
    checkpoint: Optional[Checkpoint]
    known_keys: Tuple[VerifierKey, ...]


@dataclass(frozen=True)
class ProvedEvent:
    """A custody event whose leaf is under the checkpoint."""

    index: int
    body: Object

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def at_ms(self) -> int:
        return int(self.body["at_ms"])


@dataclass(frozen=True)
class Ledger:
    """The proved events by index; empty where nothing could be proved."""

    events: Mapping[int, ProvedEvent] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> List[ProvedEvent]:
        return [event for _, event in sorted(self.events.items()) if event.kind in kinds]


def check_trust(book: Book, source: Source, files: Files, outside: Sequence[VerifierKey]) -> Trust:
    """Step 3: keys, the checkpoint's signature, and the signed statement over the whole bag.

    Args:
        outside: ledger keys that the user got elsewhere; none means "as enclosed".
    """
    keys = _keys(book, source)
    enclosed = _verifier_key(book, keys.ledger) if keys else None
    known = tuple(outside) or ((enclosed,) if enclosed else ())
    if not outside:
        book.not_checked("trust.key_as_enclosed", key=str(enclosed or ""))
    elif enclosed in outside:
        book.passed("trust.key_known", key=str(enclosed))
    elif enclosed and _leads_to(outside, enclosed, _endorsements(source)):
        book.passed("trust.key_endorsed", key=str(enclosed))
        known = (*known, enclosed)
    else:
        book.failed("trust.key_unknown", file=package.KEYS, key=str(enclosed or ""))
    # A key that is known of another bureau signs nothing for this one.
    own = tuple(key for key in known if enclosed is None or key.name == enclosed.name)
    checkpoint = _checkpoint(book, source, own)
    _check_statement(book, source, files, own, checkpoint)
    return Trust(keys, own, checkpoint, known)


def _leads_to(
    outside: Sequence[VerifierKey], enclosed: VerifierKey, endorsements: Sequence[str]
) -> bool:
    """Whether a key of this very ledger that is known outside named ``enclosed``, if by others."""
    known = [key for key in outside if key.name == enclosed.name]
    return any(key.public_key == enclosed.public_key for key in successors(known, endorsements))


def _endorsements(source: Source) -> List[str]:
    """By which the ledger's keys named their successors; each is judged by its own signature."""
    try:
        return read_succession(read_lines(source, package.SUCCESSION))
    except EntryUnreadable:
        # A ledger that never changed its key has none.
        return []


def _keys(book: Book, source: Source) -> Optional[Keys]:
    try:
        return parse_keys(read(source, package.KEYS))
    except (PackageMalformed, EntryUnreadable) as error:
        book.failed("trust.keys_unreadable", file=package.KEYS, reason=first_line(error))
        return None


def _verifier_key(book: Book, text: str) -> Optional[VerifierKey]:
    try:
        return parse_verifier_key(text)
    except SyncError as error:
        book.failed("trust.keys_unreadable", file=package.KEYS, reason=first_line(error))
        return None


def _checkpoint(
    book: Book, source: Source, ledger_keys: Sequence[VerifierKey]
) -> Optional[Checkpoint]:
    try:
        note = read(source, package.CHECKPOINT).decode("utf-8")
        checkpoint, _ = open_checkpoint(note, ledger_keys)
    except (SyncError, UnicodeDecodeError) as error:
        book.failed("trust.note", file=package.CHECKPOINT, reason=first_line(error))
        return None
    book.passed("trust.checkpoint", origin=checkpoint.origin, size=checkpoint.size)
    return checkpoint


def _check_statement(
    book: Book,
    source: Source,
    files: Files,
    ledger_keys: Sequence[VerifierKey],
    checkpoint: Optional[Checkpoint],
) -> None:
    mark = book.mark
    try:
        note = read(source, package.STATEMENT).decode("utf-8")
        statement = package.parse_statement(open_note(note, ledger_keys)[0])
    except (SyncError, UnicodeDecodeError) as error:
        book.failed("trust.note", file=package.STATEMENT, reason=first_line(error))
        return
    manifest = files.get(bag.TAG_MANIFEST)
    if not isinstance(manifest, Measured) or manifest.sha256 != statement.tag_manifest:
        book.failed("trust.statement", file=bag.TAG_MANIFEST)
    if checkpoint and (statement.origin, statement.ledger_size) != (
        checkpoint.origin,
        checkpoint.size,
    ):
        book.failed("trust.statement_elsewhere", file=package.STATEMENT)
    book.conclude(mark, "trust.signed")


def check_ledger(book: Book, source: Source, trust: Trust, index: Optional[CaseIndex]) -> Ledger:
    """Step 4: every custody event is the one behind its leaf, every leaf under the checkpoint."""
    checkpoint = trust.checkpoint
    if checkpoint is None:
        _prove(book, source, None)
        for _ in _events(book, source):
            pass  # every line is read, so that the malformed ones are named
        book.not_checked("ledger.no_checkpoint")
        return Ledger()
    if index and (index.origin, index.ledger_size) != (checkpoint.origin, checkpoint.size):
        book.failed("ledger.other_state", file=package.INDEX)
    proved = _prove(book, source, checkpoint)
    events = list(_events(book, source))
    mark = book.mark
    generation = index.generation if index else None
    tied = {}  # type: Dict[int, ProvedEvent]
    elsewhere = 0
    for event in events:
        if generation is not None and event.generation != generation:
            elsewhere += 1
        elif _is_tied(book, event, proved):
            tied[event.index] = ProvedEvent(event.index, event.body)
    _check_order(book, list(tied.values()))
    book.conclude(mark, "ledger.events", count=len(tied))
    if elsewhere:
        book.not_checked("ledger.other_generation", count=elsewhere)
    _check_server_keys(book, trust.keys, Ledger(tied), _endorsements(source))
    return Ledger(tied)


def _prove(book: Book, source: Source, checkpoint: Optional[Checkpoint]) -> Dict[int, bytes]:
    """The entries by index whose proofs lead to the checkpoint; without one, none."""
    checker = merkle.InclusionChecker(checkpoint.size, checkpoint.root) if checkpoint else None
    proved: Dict[int, bytes] = {}
    seen: Set[int] = set()
    failed = False
    for number, line in _numbered(book, source, package.INCLUSION):
        try:
            record = parse_inclusion(line)
        except PackageMalformed as error:
            book.failed("ledger.line", file=package.INCLUSION, line=number, reason=error.reason)
            continue
        index = record.index
        if index in seen:
            book.failed("ledger.line", file=package.INCLUSION, line=number, reason="twice")
        seen.add(index)
        if checker is None:
            continue
        try:
            checker.check(merkle.leaf_hash(record.entry), index=index, path=record.path)
        except merkle.ProofInvalid as error:
            failed = True
            reason = first_line(error)
            book.failed("ledger.not_included", file=package.INCLUSION, index=index, reason=reason)
        else:
            proved[index] = record.entry
    if checkpoint and not failed:
        book.passed("ledger.inclusion", count=len(proved), size=checkpoint.size)
    return proved


def _events(book: Book, source: Source) -> Iterator[CustodyEvent]:
    before = (-1, -1)
    for number, line in _numbered(book, source, package.CUSTODY):
        try:
            event = parse_custody_event(line)
        except PackageMalformed as error:
            book.failed("ledger.line", file=package.CUSTODY, line=number, reason=error.reason)
            continue
        place = (event.generation, event.index)
        if place <= before:
            book.failed("ledger.line", file=package.CUSTODY, line=number, reason="out of order")
        before = max(place, before)
        yield event


def _numbered(book: Book, source: Source, name: str) -> Iterator[Tuple[int, bytes]]:
    try:
        yield from enumerate(read_lines(source, name), start=1)
    except EntryUnreadable as error:
        book.failed("ledger.unreadable", file=name, reason=first_line(error))


def _is_tied(book: Book, event: CustodyEvent, proved: Mapping[int, bytes]) -> bool:
    entry = proved.get(event.index)
    if entry is None:
        book.failed("ledger.unproved", file=package.CUSTODY, index=event.index)
    elif event.entry != entry:
        book.failed("ledger.altered", file=package.CUSTODY, index=event.index)
    else:
        return True
    return False


def _check_order(book: Book, events: Sequence[ProvedEvent]) -> None:
    latest = None  # type: Optional[ProvedEvent]
    for event in sorted(events, key=lambda event: event.index):
        if latest is not None and event.at_ms < latest.at_ms:
            book.failed("ledger.time_runs_back", file=package.CUSTODY, index=event.index)
        latest = event


def _check_server_keys(
    book: Book, keys: Optional[Keys], ledger: Ledger, endorsements: Sequence[str]
) -> None:
    """The receipt key counts because the ledger published it, not because it lies here.

    A ledger's own key may also come from one that was published: a generation that has
    ended goes on being signed by the keys of those after it.
    """
    if keys is None:
        return
    published = [event.body["snapshot"].get("verifier_key") for event in ledger.of_kind("enrol")]
    for name, key in (("ledger", keys.ledger), ("receipt", keys.receipt)):
        if key in published or (name == "ledger" and _comes_from(published, key, endorsements)):
            book.passed("ledger.key_published", key=key, use=name)
        else:
            book.failed("ledger.key_unpublished", file=package.KEYS, key=key, use=name)


def _comes_from(published: Sequence[object], key: str, endorsements: Sequence[str]) -> bool:
    known = []
    for text in published:
        try:
            known.append(parse_verifier_key(str(text)))
        except SyncError:
            # The key of a device stands there in another form.
            continue
    reached = {one.public_key for one in successors(known, endorsements)}
    try:
        return parse_verifier_key(key).public_key in reached
    except SyncError:
        return False


def is_enrolled(ledger: Ledger, key: DeviceKeyRecord) -> bool:
    """Whether the ledger proves that ``key`` was enrolled for its device where it says."""
    event = ledger.events.get(key.enrolled_index)
    if event is None or event.kind != "enrol":
        return False
    subject, snapshot = event.body["subject"], event.body["snapshot"]
    return (subject.get("device"), subject.get("key_id"), snapshot.get("spki")) == (
        key.device,
        key.key_id,
        to_b64url(key.spki),
    )
