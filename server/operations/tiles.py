"""The ledger as tiles and proofs that anybody's tools can read (docs/evidence.md §5).

Implements https://c2sp.org/tlog-tiles and https://c2sp.org/tlog-proof. Only what a
signed checkpoint covers is handed out: what lies beyond may still be told otherwise.
Entries are salted commitments, so tiles say how much happened and nothing of what.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Invalid, NotFound
from server.models.ledger import (
    Checkpoint,
    LedgerEvent,
    LedgerLeaf,
    LedgerNode,
)
from server.operations import ledger, witnessing
from sync.evidence import merkle
from sync.evidence.tlog_proof import TlogProof, format_proof

#: Hashes in a full tile, and the height of the tree that they stand for.
_WIDTH, _HEIGHT = 256, 8
_LEVELS = 64
_TILE = re.compile(
    r"(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True)
class Tile:
    """A tile of hashes; of entries if ``level`` is None."""

    level: int | None
    index: int
    width: int

    def __str__(self) -> str:
        return f"{'entries' if self.level is None else self.level}/{self.index}.p/{self.width}"


def parse_tile(path: str) -> Tile:
    """The tile that ``path`` (what follows ``tile/``) names, in the one way it may be spelt.

    Raises:
        NotFound: if it names none.
    """
    found = _TILE.fullmatch(path)
    if found is None:
        raise NotFound("tile", path)
    level = None if found["level"] == "entries" else int(found["level"])
    groups = found["index"].replace("x", "").split("/")
    width = int(found["width"] or _WIDTH)
    padded = len(groups) > 1 and groups[0] == "000"
    if padded or (level or 0) >= _LEVELS or (found["width"] and width >= _WIDTH):
        raise NotFound("tile", path)
    return Tile(level, int("".join(groups)), width)


def checkpoint_of(session: Session, number: int | None) -> Checkpoint:
    """The newest checkpoint of a generation; of the present one for None.

    Raises:
        NotFound: if there is no such generation, or nothing was signed in it.
    """
    if number is None:
        number = ledger.current_generation(session).number
    found = session.scalars(
        select(Checkpoint)
        .where(Checkpoint.generation == number)
        .order_by(Checkpoint.size.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NotFound("generation", str(number))
    return found


def note_of(session: Session, checkpoint: Checkpoint) -> str:
    """The note with all cosignatures that there are."""
    return witnessing.with_cosignatures(
        session, checkpoint.note, generation=checkpoint.generation, size=checkpoint.size
    )


def read_tile(session: Session, number: int | None, tile: Tile) -> bytes:
    """The bytes of a tile under the newest checkpoint of the generation.

    Raises:
        NotFound: if the checkpoint does not cover all of it.
    """
    checkpoint = checkpoint_of(session, number)
    height = _HEIGHT * (tile.level or 0)
    first = tile.index * _WIDTH
    if height >= 63 or (first + tile.width) << height > checkpoint.size:
        raise NotFound("tile", str(tile))
    last = first + tile.width - 1
    if height:
        nodes = session.scalars(
            select(LedgerNode.hash)
            .where(
                LedgerNode.generation == checkpoint.generation,
                LedgerNode.level == height,
                LedgerNode.position.between(first, last),
            )
            .order_by(LedgerNode.position)
        ).all()
        return _whole(nodes, tile)
    entries = session.scalars(
        select(LedgerLeaf.entry)
        .where(
            LedgerLeaf.generation == checkpoint.generation, LedgerLeaf.index.between(first, last)
        )
        .order_by(LedgerLeaf.index)
    ).all()
    if tile.level is None:
        return _whole([len(entry).to_bytes(2, "big") + entry for entry in entries], tile)
    return _whole([merkle.leaf_hash(entry) for entry in entries], tile)


def proof_of(session: Session, number: int | None, index: int, *, disclose: bool = False) -> str:
    """The ``tlog-proof`` of one leaf; its ``extra`` is the entry, or salt and event.

    Raises:
        NotFound: if there is no such generation, or the event was erased.
        Invalid: if the newest checkpoint does not cover the leaf.
    """
    checkpoint = checkpoint_of(session, number)
    generation = checkpoint.generation
    if not 0 <= index < checkpoint.size:
        raise Invalid("index", f"below {checkpoint.size}, the size of the newest checkpoint")
    path = ledger.inclusion_proof(session, generation, index=index, size=checkpoint.size)
    extra = ledger.leaf_entry(session, generation, index)
    if disclose:
        event = session.get(LedgerEvent, (generation, index))
        if event is None:
            raise NotFound("event", str(index))
        extra = event.salt + event.event
    return format_proof(TlogProof(index, tuple(path), note_of(session, checkpoint), extra))


def _whole(rows: Sequence[bytes], tile: Tile) -> bytes:
    if len(rows) != tile.width:
        raise NotFound("tile", str(tile))
    return b"".join(rows)
