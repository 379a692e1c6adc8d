"""Comparing events with their leaves, and journal lines with the events that name them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, cast, select, tuple_
from sqlalchemy.orm import Session

from server.models.journal import JournalLine, JournalPart
from server.models.ledger import Erasure, LedgerEvent, LedgerLeaf, LedgerNode
from server.operations.ledger_audit.found import (
    check_cases,
    check_names,
    check_originals,
    is_word,
)
from server.operations.ledger_audit.reports import Doubt
from server.operations.ledger_audit.tree import Place
from sync.evidence.encoding import sha256_hex
from sync.evidence.line import signed_bytes

#: The events behind which a journal line stands.
OF_LINES = frozenset({"ingest", "branch"})
_LINE = ("device", "epoch", "branch", "seq")
_PLACES = 400
#: What no column holds.
_TOO_LARGE = 1 << 63


@dataclass(frozen=True)
class Row:
    """One place of the ledger: its entry as stored, its event; None where a row is lacking."""

    index: int
    entry: bytes | None
    event: "StoredEvent | None"


@dataclass(frozen=True)
class StoredEvent:
    kind: str
    at_ms: int
    salt: bytes
    event: bytes

    @property
    def entry(self) -> bytes:
        return hashlib.sha256(self.salt + self.event).digest()


def raw(column: Any) -> ColumnElement[bytes]:
    """A column of bytes, as bytes: SQLite lets whoever owns the database put text into it."""
    return cast(column, LargeBinary)


def read_rows(session: Session, generation: int, start: int, end: int) -> list[Row]:
    """The places ``start`` to ``end``, whether rows are there or not."""
    entries = session.execute(
        select(LedgerLeaf.index, raw(LedgerLeaf.entry)).where(
            LedgerLeaf.generation == generation, LedgerLeaf.index.between(start, end - 1)
        )
    )
    leaves: dict[int, bytes] = {row[0]: row[1] for row in entries}
    events = {
        index: StoredEvent(kind, at_ms, salt, event)
        for index, kind, at_ms, salt, event in session.execute(
            select(
                LedgerEvent.index,
                LedgerEvent.kind,
                LedgerEvent.at_ms,
                raw(LedgerEvent.salt),
                raw(LedgerEvent.event),
            ).where(LedgerEvent.generation == generation, LedgerEvent.index.between(start, end - 1))
        )
    }
    return [Row(index, leaves.get(index), events.get(index)) for index in range(start, end)]


def read_nodes(session: Session, generation: int, start: int, end: int) -> dict[Place, bytes]:
    """The stored hashes of all subtrees that the leaves ``start`` to ``end`` complete."""
    nodes: dict[Place, bytes] = {}
    level = 1
    while (end >> level) > 0:
        first, after = start >> level, end >> level
        if first < after:
            for position, node in session.execute(
                select(LedgerNode.position, raw(LedgerNode.hash)).where(
                    LedgerNode.generation == generation,
                    LedgerNode.level == level,
                    LedgerNode.position.between(first, after - 1),
                )
            ):
                nodes[level, position] = node
        level += 1
    return nodes


def erased(session: Session, targets: Iterable[str]) -> set[str]:
    """Those of ``targets`` whose text was lawfully erased."""
    wanted, found = list(targets), set[str]()
    for start in range(0, len(wanted), _PLACES):
        found.update(
            session.scalars(
                select(Erasure.target).where(Erasure.target.in_(wanted[start : start + _PLACES]))
            )
        )
    return found


def check_events(session: Session, generation: int, rows: Sequence[Row]) -> Iterator[Doubt]:
    """Whether each event is there, and what stands beside it in its row is what it says."""
    gone = [row.index for row in rows if row.event is None]
    lawful = erased(session, (f"ledger_event:{generation}:{index}" for index in gone))
    for index in gone:
        if f"ledger_event:{generation}:{index}" not in lawful:
            yield Doubt(kind="event_missing", generation=generation, place=str(index))
    before = 0
    told: list[tuple[int, dict[str, Any]]] = []
    for row in rows:
        if row.event is None:
            continue
        said = _said(row.event)
        told.append((row.index, said))
        if (said.get("kind"), said.get("at_ms")) != (row.event.kind, row.event.at_ms):
            yield Doubt(kind="event_row", generation=generation, place=str(row.index))
        if type(row.event.at_ms) is not int:
            # Said above: no event has another time than a whole number.
            continue
        if row.event.at_ms < before:
            yield Doubt(kind="time", generation=generation, place=str(row.index))
        before = max(before, row.event.at_ms)
    yield from check_names(session, generation, told)
    yield from check_originals(session, generation, told)


def check_lines(session: Session, generation: int, rows: Sequence[Row]) -> tuple[int, list[Doubt]]:
    """Whether each line is the one its event names, and its text that which it signs; how many."""
    named = {
        row.index: subject
        for row in rows
        if row.event is not None and row.event.kind in OF_LINES
        if (subject := _line_of(row.event)) is not None
    }
    doubts: list[Doubt] = []
    for some in _some(list(named.items())):
        keys = [tuple(subject[name] for name in _LINE) for _, subject in some]
        lines = _lines(session, keys)
        parts = _parts(session, keys)
        gone: list[str] = []
        acts: dict[tuple[Any, ...], tuple[int, bytes]] = {}
        for (index, subject), key in zip(some, keys, strict=True):
            line = lines.get(key)
            if line is None:
                doubts.append(_doubt("line_missing", generation, index, key))
                continue
            digest = sha256_hex(signed_bytes(line.header, line.key_id, line.signature))
            place = (line.generation, line.ledger_index)
            if not (digest == line.digest == subject["digest"] and place == (generation, index)):
                doubts.append(_doubt("line", generation, index, key))
                continue
            parted = _parts_of(line.header)
            if parted is None:
                doubts.append(_doubt("line", generation, index, key))
                continue
            if (act := parts.get((*key, 0))) is not None:
                acts[key] = (index, act)
            for number, wanted in enumerate(parted):
                body = parts.get((*key, number))
                if body is None:
                    gone.append(f"journal_part:{':'.join(map(str, key))}:{number}")
                elif sha256_hex(body) != wanted:
                    doubts.append(_doubt("part", generation, index, (*key, number)))
        doubts += check_cases(session, generation, acts)
        doubts += [
            Doubt(kind="part_missing", generation=generation, place=target.partition(":")[2])
            for target in sorted(set(gone) - erased(session, gone))
        ]
    return len(named), doubts


def _lines(session: Session, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], Any]:
    place = (JournalLine.device_id, JournalLine.epoch, JournalLine.branch, JournalLine.seq)
    rows = session.execute(
        select(
            *place,
            JournalLine.digest,
            JournalLine.key_id,
            raw(JournalLine.header).label("header"),
            raw(JournalLine.signature).label("signature"),
            JournalLine.generation,
            JournalLine.ledger_index,
        ).where(tuple_(*place).in_(keys))
    )
    return {tuple(row[:4]): row for row in rows}


def _parts(session: Session, keys: Sequence[tuple[Any, ...]]) -> dict[tuple[Any, ...], bytes]:
    place = (JournalPart.device_id, JournalPart.epoch, JournalPart.branch, JournalPart.seq)
    rows = session.execute(
        select(*place, JournalPart.number, raw(JournalPart.body)).where(tuple_(*place).in_(keys))
    )
    return {tuple(row[:5]): row[5] for row in rows}


def _some(rows: list[tuple[int, Any]]) -> Iterator[list[tuple[int, Any]]]:
    for start in range(0, len(rows), _PLACES):
        yield rows[start : start + _PLACES]


def _said(event: StoredEvent) -> dict[str, Any]:
    """The event's members; none where its bytes are no JSON object, which its leaf shows too."""
    try:
        said = json.loads(event.event)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _parts_of(header: bytes) -> list[str] | None:
    """The digests of a line's parts; None where the header is none of ours."""
    try:
        parts = json.loads(header)["parts"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return parts if isinstance(parts, list) else None


def _line_of(event: StoredEvent) -> dict[str, Any] | None:
    subject = _said(event).get("subject")
    if not isinstance(subject, dict) or not {*_LINE, "digest"} <= subject.keys():
        return None
    words = [subject[name] for name in ("device", "epoch", "branch", "digest")]
    seq = subject["seq"]
    known = all(map(is_word, words)) and type(seq) is int and 0 <= seq < _TOO_LARGE
    return subject if known else None


def _doubt(kind: str, generation: int, index: int, key: Sequence[Any]) -> Doubt:
    return Doubt(kind=kind, generation=generation, place=":".join(map(str, key)), found=str(index))
