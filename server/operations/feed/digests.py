"""Finding where a device's copy has silently come to differ, and repairing it (§4.4)."""

import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.base import table_of
from server.models.inspections import Document, RecordRevision, ScopeGrant
from server.operations.feed.cursor import Place
from server.operations.feed.reading import begin_walk, changes_json
from server.operations.feed.revisions import REVISION, revision_body
from server.operations.feed.rows import INSPECTION, Change
from sync import divergence

#: One answer repairs at most so many documents; a device that lacks more begins anew.
REPAIRED = 500


@dataclass(frozen=True, kw_only=True)
class Digest:
    """The sums of what a device holds at its cursor; ``reset`` as in the feed."""

    bits: int
    count: int
    sums: str
    reset: bool


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What a device lacks, and the fingerprints that nothing of its documents has."""

    changes: tuple[Change, ...]
    gone: tuple[str, ...]
    more: bool

    def to_json(self) -> bytes:
        """The answer as docs/protocol.md §4.4 has it."""
        rest = json.dumps({"gone": self.gone, "more": self.more})
        return f'{{"documents":{changes_json(self.changes)},{rest[1:]}'.encode()


class _Held(NamedTuple):
    """One document that a device may hold; ``body`` where it is at hand, else in ``scope``."""

    place: Place
    digest: str
    scope: str
    body: str


def read_digest(session: Session, *, device_id: str, cursor: str) -> Digest:
    """The sums of all that the device has been given up to ``cursor``.

    Raises:
        Invalid: if the cursor is not one that the feed gave.
    """
    walk = begin_walk(session, cursor)
    fold = divergence.Fold()
    for held in _each_once(session, device_id):
        if held.place <= walk.place:
            kind, identifier = held.place.kind, held.place.id
            mark = divergence.fingerprint(kind, identifier, held.digest)
            fold.add(divergence.place_of(kind, identifier), mark)
    bits = divergence.bits_for(fold.count)
    return Digest(
        bits=bits,
        count=fold.count,
        sums=divergence.encode_sums(fold.sums(bits)),
        reset=walk.reset,
    )


def repair_buckets(
    session: Session, *, device_id: str, bits: int, buckets: Mapping[int, Set[str]]
) -> Repair:
    """What the device lacks in ``buckets``, of which it holds documents with these marks."""
    gone = set().union(*buckets.values())
    lacking: list[_Held] = []
    for held in _each_once(session, device_id):
        kind, identifier = held.place.kind, held.place.id
        marks = buckets.get(divergence.bucket_of(divergence.place_of(kind, identifier), bits))
        if marks is None:
            continue
        mark = divergence.mark_text(divergence.fingerprint(kind, identifier, held.digest))
        gone.discard(mark)
        if mark not in marks:
            lacking.append(held)
    changes = [_whole(session, held) for held in sorted(lacking)[:REPAIRED]]
    return Repair(
        changes=tuple(change for change in changes if change is not None),
        gone=tuple(sorted(gone)),
        more=len(lacking) > REPAIRED,
    )


def _each_once(session: Session, device_id: str) -> Iterator[_Held]:
    """What the device is to hold at the end of its feed; equal in whichever scope it stands."""
    seen: set[int] = set()
    for held in _documents(session, device_id):
        name = divergence.place_of(held.place.kind, held.place.id)
        if name not in seen:
            seen.add(name)
            yield held
    yield from _revisions(session, device_id)


def _documents(session: Session, device_id: str) -> Iterator[_Held]:
    rows = session.execute(
        select(
            Document.scope,
            Document.kind,
            Document.id,
            Document.digest,
            Document.position,
            ScopeGrant.granted,
        )
        .join(ScopeGrant, ScopeGrant.scope == Document.scope)
        .where(ScopeGrant.device_id == device_id, ScopeGrant.lost.is_(None), Document.op == "put"),
        execution_options={"yield_per": 2000},
    )
    for scope, kind, identifier, digest, position, granted in rows:
        place = Place(max(position, granted), position, kind, identifier)
        yield _Held(place, digest, scope, "")


def _revisions(session: Session, device_id: str) -> Iterator[_Held]:
    columns = table_of(RecordRevision).c
    rows = session.execute(
        select(*columns, ScopeGrant.granted, ScopeGrant.scope)
        .join(
            ScopeGrant, columns.inspection_id == func.substr(ScopeGrant.scope, len(INSPECTION) + 1)
        )
        .where(
            ScopeGrant.device_id == device_id,
            ScopeGrant.lost.is_(None),
            func.substr(ScopeGrant.scope, 1, len(INSPECTION)) == INSPECTION,
            columns.device_id != device_id,
        ),
        execution_options={"yield_per": 2000},
    )
    for row in rows:
        body = revision_body(row)
        place = Place(max(row.position, row.granted), row.position, REVISION, row.line_digest)
        yield _Held(place, divergence.document_digest(body.encode()), row.scope, body)


def _whole(session: Session, held: _Held) -> Change | None:
    """The document to send; None if it has gone since the sums were compared."""
    body = held.body or session.scalar(
        select(Document.body).where(
            Document.scope == held.scope,
            Document.kind == held.place.kind,
            Document.id == held.place.id,
            Document.op == "put",
        )
    )
    return None if body is None else Change(held.place, "put", body)
