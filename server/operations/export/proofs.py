"""Proofs for many leaves at once: the nodes that they share are fetched once."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.ledger import Erasure, LedgerEvent, LedgerLeaf, LedgerNode, LedgerSubject
from server.operations.export.moment import Moment
from sync.evidence import merkle

_STEP = 1000
#: Below the limit of bound variables of every database that we run on.
_PAGE = 500

T = TypeVar("T")

Place = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ProvedLeaf:
    """A leaf with its audit path in the tree of the package's checkpoint."""

    index: int
    entry: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """An event behind a leaf: its canonical bytes and its salt."""

    index: int
    kind: str
    at_ms: int
    salt: bytes
    event: bytes


def read_events(session: Session, moment: Moment, indexes: Iterable[int]) -> Iterator[StoredEvent]:
    """The events at ``indexes``, oldest first; erased ones are absent."""
    for page in pages_of(sorted(set(indexes))):
        rows = session.execute(
            select(
                LedgerEvent.index,
                LedgerEvent.kind,
                LedgerEvent.at_ms,
                LedgerEvent.salt,
                LedgerEvent.event,
            )
            .where(LedgerEvent.generation == moment.generation, LedgerEvent.index.in_(page))
            .order_by(LedgerEvent.index)
        )
        # Unpacked by place: ``index`` of a row is the method of a tuple.
        for index, kind, at_ms, salt, event in rows:
            yield StoredEvent(index=index, kind=kind, at_ms=at_ms, salt=salt, event=event)


def kinds_of(session: Session, moment: Moment, indexes: Iterable[int]) -> dict[int, str]:
    """The kinds of the events at ``indexes``; erased ones are absent."""
    found: dict[int, str] = {}
    for page in pages_of(sorted(set(indexes))):
        rows = session.execute(
            select(LedgerEvent.index, LedgerEvent.kind).where(
                LedgerEvent.generation == moment.generation, LedgerEvent.index.in_(page)
            )
        )
        found.update((index, kind) for index, kind in rows)
    return found


def erased_events(session: Session, moment: Moment) -> set[int]:
    """The indexes of the moment's generation whose event was erased by law."""
    prefix = f"ledger_event:{moment.generation}:"
    targets = session.scalars(select(Erasure.target).where(Erasure.target.startswith(prefix)))
    return {int(target.removeprefix(prefix)) for target in targets}


def events_named(
    session: Session, moment: Moment, names: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Name and index of every event found under one of ``names`` before the moment."""
    for page in pages_of(names):
        rows = session.execute(
            select(LedgerSubject.about, LedgerSubject.index).where(
                LedgerSubject.about.in_(page),
                LedgerSubject.generation == moment.generation,
                LedgerSubject.index < moment.size,
            )
        )
        yield from ((about, index) for about, index in rows)


def prove_leaves(session: Session, moment: Moment, indexes: Iterable[int]) -> Iterator[ProvedLeaf]:
    """Entry and audit path of each of ``indexes``, in order.

    Raises:
        NotFound: if the ledger lacks a leaf or a node.
    """
    wanted = sorted(set(indexes))
    for start in range(0, len(wanted), _STEP):
        step = wanted[start : start + _STEP]

        def prove(get: merkle.GetNode, step: list[int] = step) -> list[list[bytes]]:
            return [merkle.inclusion_proof(moment.size, index, get) for index in step]

        paths = _with_nodes(session, moment, prove)
        entries = _entries(session, moment, step)
        for index, path in zip(step, paths, strict=True):
            if index not in entries:
                raise NotFound("leaf", str(index))
            yield ProvedLeaf(index=index, entry=entries[index], path=tuple(path))


def prove_sizes(
    session: Session, moment: Moment, sizes: Iterable[int]
) -> list[tuple[int, list[bytes]]]:
    """For each smaller tree size the proof that the checkpoint's tree begins with it."""
    wanted = sorted(set(sizes))

    def prove(get: merkle.GetNode) -> list[list[bytes]]:
        return [merkle.consistency_proof(size, moment.size, get) for size in wanted]

    return list(zip(wanted, _with_nodes(session, moment, prove), strict=True))


def _with_nodes(
    session: Session, moment: Moment, prove: Callable[[merkle.GetNode], list[list[bytes]]]
) -> list[list[bytes]]:
    """Run ``prove`` twice: once to learn which nodes it asks for, once with them at hand."""
    asked: set[Place] = set()

    def record(level: int, position: int) -> bytes:
        asked.add((level, position))
        return bytes(merkle.HASH_BYTES)

    prove(record)
    nodes = _nodes(session, moment, asked)

    def get(level: int, position: int) -> bytes:
        if (level, position) not in nodes:
            raise NotFound("node", f"{level}/{position}")
        return nodes[level, position]

    return prove(get)


def _nodes(session: Session, moment: Moment, asked: set[Place]) -> dict[Place, bytes]:
    by_level: dict[int, list[int]] = {}
    for level, position in sorted(asked):
        by_level.setdefault(level, []).append(position)
    leaves = _entries(session, moment, by_level.pop(0, []))
    found = {(0, index): merkle.leaf_hash(entry) for index, entry in leaves.items()}
    for level, positions in by_level.items():
        for page in pages_of(positions):
            rows = session.execute(
                select(LedgerNode.position, LedgerNode.hash).where(
                    LedgerNode.generation == moment.generation,
                    LedgerNode.level == level,
                    LedgerNode.position.in_(page),
                )
            )
            found.update({(level, row.position): row.hash for row in rows})
    return found


def _entries(session: Session, moment: Moment, indexes: list[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for page in pages_of(indexes):
        rows = session.execute(
            select(LedgerLeaf.index, LedgerLeaf.entry).where(
                LedgerLeaf.generation == moment.generation, LedgerLeaf.index.in_(page)
            )
        )
        found.update((index, entry) for index, entry in rows)
    return found


def pages_of(values: Sequence[T]) -> Iterator[list[T]]:
    """``values`` in pieces that fit into one statement."""
    for start in range(0, len(values), _PAGE):
        yield list(values[start : start + _PAGE])


def same_leaf() -> Any:
    """The join of events with the names they are found under."""
    return (LedgerSubject.generation == LedgerEvent.generation) & (
        LedgerSubject.index == LedgerEvent.index
    )
