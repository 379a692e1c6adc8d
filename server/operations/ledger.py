"""Appending to the ledger (存证总账), reading proofs from it, and signing its checkpoints.

The head row is locked by the first append of a transaction and freed by its
commit, so that index order is commit order and the ledger has no holes
(docs/evidence.md §5). Take it before every other lock (docs/decisions/0003).
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from server.failures import GenerationEnded, LedgerBehind, NotFound
from server.models.base import table_of
from server.models.ledger import (
    Checkpoint,
    Generation,
    KnownCheckpoint,
    LedgerEvent,
    LedgerHead,
    LedgerLeaf,
    LedgerNode,
    LedgerSubject,
)
from server.operations.insert import insert_rows
from server.signing import NoteSigner
from sync.evidence import canonical, merkle
from sync.evidence.checkpoint import Checkpoint as TreeHead
from sync.evidence.checkpoint import format_checkpoint
from sync.evidence.encoding import sha256_hex

EVENT_VERSION = 1
_NO_HASH = bytes(merkle.HASH_BYTES)
_Result = TypeVar("_Result")
_SALT_BYTES = 32

# What every push says is built once: building a statement costs more than running it.
_HEAD, _CHECKPOINT, _KNOWN = (table_of(kind) for kind in (LedgerHead, Checkpoint, KnownCheckpoint))
_NEWEST_GENERATION = select(Generation).order_by(Generation.number.desc()).limit(1)
_LOCKED_HEAD = (
    select(LedgerHead)
    .order_by(LedgerHead.generation.desc())
    .limit(1)
    .with_for_update()
    .execution_options(populate_existing=True)
)
_NEXT = select(_HEAD.c.generation, _HEAD.c.size).order_by(_HEAD.c.generation.desc()).limit(1)
_LARGEST_SEEN = select(
    *(
        select(func.max(table.c.size))
        .where(table.c.generation == bindparam("of"))
        .scalar_subquery()
        for table in (_CHECKPOINT, _KNOWN)
    )
)
_ADVANCE = update(_HEAD).where(_HEAD.c.generation == bindparam("of"))
_ADVANCE = _ADVANCE.values({name: bindparam(name) for name in ("size", "last_at_ms", "edge")})
_NEWEST_NOTE = (
    select(_CHECKPOINT.c.note)
    .order_by(_CHECKPOINT.c.generation.desc(), _CHECKPOINT.c.size.desc())
    .limit(1)
)
_STORED_POSTGRESQL = (
    "SELECT 0, leaf_index, entry FROM ledger_leaf "
    "WHERE generation = %s AND leaf_index = ANY(%s::bigint[]) "
    "UNION ALL SELECT n.level, n.position, n.hash "
    "FROM unnest(%s::int[], %s::bigint[]) AS wanted(level, position) JOIN ledger_node AS n "
    "ON n.level = wanted.level AND n.position = wanted.position AND n.generation = %s"
)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened. ``about`` are ``kind:id`` names under which it is found again.

    Where there are many, ``actor`` and ``subject`` may be given in their canonical bytes.
    """

    kind: str
    actor: Mapping[str, Any] | bytes
    subject: Mapping[str, Any] | bytes
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    about: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A stored event with its place: ``event`` are the canonical bytes behind the leaf."""

    generation: int
    index: int
    salt: bytes
    event: bytes


def open_generation(
    session: Session, *, number: int, origin: str, now_ms: int, last_at_ms: int = 0
) -> None:
    """Begin the ledger's life ``number`` under ``origin``; no entry is before ``last_at_ms``."""
    session.add(Generation(number=number, origin=origin, opened_at_ms=now_ms))
    session.flush()
    session.add(LedgerHead(generation=number, size=0, last_at_ms=last_at_ms, edge=""))
    session.flush()


def current_generation(session: Session) -> Generation:
    """The generation that takes entries now."""
    return session.execute(_NEWEST_GENERATION).scalar_one()


def append(
    session: Session,
    kind: str,
    *,
    actor: Mapping[str, Any],
    subject: Mapping[str, Any],
    now_ms: int,
    snapshot: Mapping[str, Any] | None = None,
    about: Sequence[str] = (),
) -> int:
    """Append one event and return its index."""
    event = Event(kind=kind, actor=actor, subject=subject, snapshot=snapshot or {}, about=about)
    return append_events(session, [event], now_ms=now_ms)


def append_events(
    session: Session, events: Sequence[Event], *, now_ms: int, head: LedgerHead | None = None
) -> int:
    """Append ``events`` in order and return the index of the first.

    ``head`` is what :func:`lock_head` gave to whoever has asked it in this transaction.

    Raises:
        LedgerBehind: if a checkpoint is known that is larger than the ledger.
    """
    head = head or lock_head(session)
    first, at_ms = head.size, max(head.last_at_ms, now_ms)
    generation = head.generation
    tree = _tree_at(head)
    leaves: list[tuple[object, ...]] = []
    bodies: list[tuple[object, ...]] = []
    nodes: list[tuple[object, ...]] = []
    subjects: list[tuple[object, ...]] = []
    salts = os.urandom(_SALT_BYTES * len(events))
    for number, event in enumerate(events):
        index, body = first + number, _event_bytes(event, at_ms)
        salt = salts[number * _SALT_BYTES : (number + 1) * _SALT_BYTES]
        entry = hashlib.sha256(salt + body).digest()
        leaves.append((generation, index, entry))
        bodies.append((generation, index, event.kind, at_ms, salt, body))
        # A leaf's own hash is not stored: it follows from the entry.
        for level, position, node in tree.append(merkle.leaf_hash(entry))[1:]:
            nodes.append((generation, level, position, node))
        for name in dict.fromkeys(event.about):
            subjects.append((name, generation, index))
    place = ("generation", "leaf_index")
    insert_rows(session, LedgerLeaf, (*place, "entry"), leaves)
    insert_rows(session, LedgerEvent, (*place, "kind", "at_ms", "salt", "event"), bodies)
    insert_rows(session, LedgerNode, ("generation", "level", "position", "hash"), nodes)
    insert_rows(session, LedgerSubject, ("about", *place), subjects)
    edge = ",".join(node.hex() for node in tree.edge)
    advanced = {"size": tree.size, "last_at_ms": at_ms, "edge": edge}
    session.execute(_ADVANCE, {"of": generation, **advanced})
    for name, value in advanced.items():
        set_committed_value(head, name, value)
    session.flush()
    return first


def edge_of(head: LedgerHead) -> list[bytes]:
    """The hashes at the right edge of the tree, largest subtree first.

    Raises:
        ValueError: if they are not what this program wrote.
    """
    return [bytes.fromhex(text) for text in head.edge.split(",") if text]


def _tree_at(head: LedgerHead) -> merkle.CompactRange:
    try:
        return merkle.CompactRange(head.size, edge_of(head))
    except ValueError as error:
        raise LedgerBehind("the head was changed: it ends no tree") from error


def _event_bytes(event: Event, at_ms: int) -> bytes:
    """The canonical bytes of the event as it stands in the ledger (docs/evidence.md §5)."""
    return b'{"actor":%s,"at_ms":%d,"kind":"%s","snapshot":%s,"subject":%s,"v":%d}' % (
        _canonical(event.actor),
        at_ms,
        event.kind.encode("ascii"),
        _canonical(event.snapshot),
        _canonical(event.subject),
        EVENT_VERSION,
    )


def _canonical(value: Mapping[str, Any] | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    return canonical.dumps(dict(value)) if value else b"{}"


def hold_head(session: Session) -> LedgerHead:
    """Lock the counter row until this transaction ends, also where nothing may be appended."""
    return session.execute(_LOCKED_HEAD).scalar_one()


def lock_head(session: Session) -> LedgerHead:
    """Lock the counter row until this transaction ends.

    Raises:
        LedgerBehind: if a signed checkpoint is larger than the ledger, or one is
            known outside that it does not contain: the database has been rolled
            back and must become a new generation.
    """
    head = hold_head(session)
    signed, known = session.execute(_LARGEST_SEEN, {"of": head.generation}).one()
    if signed is not None and signed > head.size:
        raise LedgerBehind(f"checkpoint {signed}, ledger {head.size}")
    if known is not None:
        raise LedgerBehind(f"known outside {known}, ledger {head.size}")
    return head


def sign_checkpoint(session: Session, signer: NoteSigner, *, now_ms: int) -> Checkpoint:
    """Sign the present tree and keep the checkpoint; the newest one again if nothing was added.

    A ``stamp`` leaf with the server's own clock goes in first: it is what a
    device that embeds this checkpoint proves as "not before" (docs/evidence.md §6).

    Raises:
        GenerationEnded: if ``signer`` speaks for an earlier generation.
    """
    head = lock_head(session)
    generation = current_generation(session)
    if signer.name != generation.origin:
        raise GenerationEnded(signer.name)
    newest = newest_checkpoint(session)
    if newest is not None and (newest.generation, newest.size) == (head.generation, head.size):
        return newest
    append(session, "stamp", actor={"server": "clock"}, subject={"clock": "server"}, now_ms=now_ms)
    root = tree_root(session, generation.number, head.size)
    tree = TreeHead(origin=generation.origin, size=head.size, root=root)
    checkpoint = Checkpoint(
        generation=generation.number,
        size=head.size,
        root=root.hex(),
        signed_at_ms=now_ms,
        note=signer.sign(format_checkpoint(tree)),
    )
    session.add(checkpoint)
    session.flush()
    return checkpoint


def size(session: Session) -> int:
    """How many leaves the current generation has."""
    return session.execute(
        select(LedgerHead.size).order_by(LedgerHead.generation.desc()).limit(1)
    ).scalar_one()


def place(session: Session) -> tuple[int, int]:
    """Generation and index of the entry that would be next."""
    generation, index = session.execute(_NEXT).one()
    return generation, index


def newest_checkpoint(session: Session) -> Checkpoint | None:
    """The newest signed checkpoint of the current generation."""
    return session.execute(
        select(Checkpoint).order_by(Checkpoint.generation.desc(), Checkpoint.size.desc()).limit(1)
    ).scalar_one_or_none()


def newest_note(session: Session) -> str:
    """The text of :func:`newest_checkpoint`; empty where none was signed yet."""
    return session.execute(_NEWEST_NOTE).scalar_one_or_none() or ""


def tree_root(session: Session, generation: int, size: int) -> bytes:
    """The root of the first ``size`` leaves.

    Raises:
        NotFound: if the ledger has fewer.
    """
    return _read(session, generation, lambda get: merkle.root(size, get))


def inclusion_proof(session: Session, generation: int, *, index: int, size: int) -> list[bytes]:
    """The RFC 6962 audit path of leaf ``index`` in the tree of ``size`` leaves."""
    return _read(session, generation, lambda get: merkle.inclusion_proof(size, index, get))


def consistency_proof(session: Session, generation: int, *, first: int, second: int) -> list[bytes]:
    """The RFC 6962 proof that the tree of ``second`` leaves begins with that of ``first``."""
    return _read(session, generation, lambda get: merkle.consistency_proof(first, second, get))


def is_report(report: str, members: Collection[str]) -> bool:
    """Whether a kept report still is one: whoever owns the database may write anything there."""
    try:
        said = json.loads(report)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and said.keys() >= set(members)


def bears_out(session: Session, generation: int, index: int, report: str) -> bool:
    """Whether the event at that place names ``report`` by digest: a row alone is nobody's word."""
    try:
        (one,) = events_at(session, generation, [index])
        return bool(json.loads(one.event)["snapshot"]["report"] == sha256_hex(report.encode()))
    except (ValueError, RecursionError, KeyError, TypeError):
        # Somebody has been at the event: an audit will say so.
        return False


def events_about(session: Session, names: Iterable[str]) -> list[Entry]:
    """All events under any of the ``kind:id`` names, oldest first."""
    wanted = (
        select(LedgerSubject.generation, LedgerSubject.index)
        .where(LedgerSubject.about.in_(list(names)))
        .distinct()
        .subquery()
    )
    rows = session.execute(
        select(LedgerEvent)
        .join(
            wanted,
            (LedgerEvent.generation == wanted.c.generation)
            & (LedgerEvent.index == wanted.c["index"]),
        )
        .order_by(LedgerEvent.generation, LedgerEvent.index)
    ).scalars()
    return [_entry(row) for row in rows]


def events_at(session: Session, generation: int, indexes: Iterable[int]) -> list[Entry]:
    """The events at ``indexes``, oldest first; erased ones are absent."""
    wanted, found = sorted(set(indexes)), []
    for start in range(0, len(wanted), 500):
        rows = session.execute(
            select(LedgerEvent)
            .where(
                LedgerEvent.generation == generation,
                LedgerEvent.index.in_(wanted[start : start + 500]),
            )
            .order_by(LedgerEvent.index)
        ).scalars()
        found += [_entry(row) for row in rows]
    return found


def leaf_entry(session: Session, generation: int, index: int) -> bytes:
    """The 32-byte entry at ``index``: the salted commitment, which survives an erasure.

    Raises:
        NotFound: if the ledger is shorter.
    """
    leaf = session.get(LedgerLeaf, (generation, index))
    if leaf is None:
        raise NotFound("leaf", str(index))
    return leaf.entry


def _entry(row: LedgerEvent) -> Entry:
    return Entry(generation=row.generation, index=row.index, salt=row.salt, event=row.event)


def _read(session: Session, generation: int, work: Callable[[merkle.GetNode], _Result]) -> _Result:
    """What ``work`` makes of stored nodes, which are read in one or two statements.

    It is run twice: first to find out which nodes it asks for, since asking for each
    by itself costs twenty times the work at a million leaves.
    """
    wanted: set[tuple[int, int]] = set()

    def note(level: int, position: int) -> bytes:
        wanted.add((level, position))
        return _NO_HASH

    work(note)
    found = _stored(session, generation, wanted)

    def get(level: int, position: int) -> bytes:
        node = found.get((level, position))
        if node is None:
            raise NotFound(
                "node" if level else "leaf", f"{level}/{position}" if level else str(position)
            )
        return node

    return work(get)


def _stored(
    session: Session, generation: int, places: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """The hashes at ``places``; what is not stored is left out."""
    leaves = [position for level, position in places if not level]
    nodes = [(level, position) for level, position in places if level]
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # Always the same text, which the driver prepares: planning costs more than reading.
        levels, positions = [node[0] for node in nodes], [node[1] for node in nodes]
        values: tuple[object, ...] = (generation, leaves, levels, positions, generation)
        rows = connection.exec_driver_sql(_STORED_POSTGRESQL, values)
    else:
        # Whole numbers of our own counting; SQLite bounds how many may be bound. In this
        # order of tables, or it would walk through all nodes.
        listed = ",".join(f"{position:d}" for position in leaves)
        pairs = ",".join(f"({level:d},{position:d})" for level, position in nodes) or "(0,0)"
        rows = connection.exec_driver_sql(
            "SELECT 0, leaf_index, entry FROM ledger_leaf "  # noqa: S608
            f"WHERE generation = ? AND leaf_index IN ({listed}) "
            "UNION ALL SELECT n.level, n.position, n.hash "
            f"FROM (VALUES {pairs}) AS wanted CROSS JOIN ledger_node AS n "
            "ON n.generation = ? AND n.level = column1 AND n.position = column2",
            (generation, generation),
        )
    return {
        (level, position): node if level else merkle.leaf_hash(node)
        for level, position, node in rows
    }
