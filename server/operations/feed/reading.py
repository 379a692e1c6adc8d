"""One page of a device's feed: what it is to keep, to delete, and to give up (§4.4).

Nothing is written. The page ends where the ledger ended when the reading began, so
that statements which see different moments cannot make a reader skip anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from json.encoder import encode_basestring as _quoted

from sqlalchemy import bindparam, func, or_, select
from sqlalchemy.orm import Session

from server.models.base import position_of
from server.models.inspections import Document, FeedFloor, RecordRevision, ScopeGrant
from server.models.ledger import LedgerHead
from server.operations.feed.cursor import Cursor, Outdated, Place, read_cursor, write_cursor
from server.operations.feed.documents import organization_scope
from server.operations.feed.revisions import REVISION
from server.operations.feed.rows import (
    INSPECTION,
    Change,
    rows_elsewhere,
    rows_in_scope,
    window_after,
)

PAGE = 500

_START = Place(0)
_HEAD = (
    select(
        LedgerHead.generation,
        LedgerHead.size,
        select(FeedFloor.position).scalar_subquery().label("floor"),
    )
    .order_by(LedgerHead.generation.desc())
    .limit(1)
)
_TURNS = select(ScopeGrant.scope, ScopeGrant.granted, ScopeGrant.lost).where(
    ScopeGrant.device_id == bindparam("device"),
    func.coalesce(ScopeGrant.lost, ScopeGrant.granted) < bindparam("end"),
    or_(
        ScopeGrant.granted >= bindparam("at"),
        ScopeGrant.lost >= bindparam("at"),
        ScopeGrant.scope == bindparam("own"),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the feed; ``reset`` tells the device to start over, keeping its outbox."""

    changes: tuple[Change, ...]
    cursor: str
    more: bool
    reset: bool

    def to_json(self) -> bytes:
        """The answer as docs/protocol.md §4.4 has it."""
        return (
            f'{{"documents":{changes_json(self.changes)},"cursor":"{self.cursor}",'
            f'"more":{_bool(self.more)},"reset":{_bool(self.reset)}}}'
        ).encode()


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Where a device stands in its feed, and where the ledger ends for this reading."""

    generation: int
    end: int
    since: int
    place: Place
    reset: bool


def read_page(
    session: Session, *, device_id: str, organization_id: str, cursor: str, limit: int = PAGE
) -> Page:
    """What the device is to do next, at most ``limit`` documents.

    Raises:
        Invalid: if the cursor is not one that this feed gave.
    """
    walk = begin_walk(session, cursor)
    gathered = _Gathered(limit + 1)
    own = organization_scope(organization_id)
    place, connection = walk.place, session.connection()
    held, lost = _scopes(session, device_id, walk, own=own)
    since = window_after(place, granted=0, end=walk.end, most=limit + 1)
    if own in held and held[own] < place.at:
        for rows in rows_in_scope(connection, device_id, own, held.pop(own)):
            gathered.add(rows(since))
    for rows in rows_elsewhere(connection, device_id, own):
        gathered.add(rows(since))
    # A scope that came or went is told as a whole, at the place where it did.
    turns = [(granted, scope, True) for scope, granted in held.items()]
    turns += [(at, scope, False) for scope, at in lost.items()]
    for at, scope, is_held in sorted(turns):
        if gathered.is_full_before(at):
            break
        if not is_held:
            gathered.add(_evictions(session, scope, at, place))
            continue
        window = window_after(place, granted=at, end=walk.end, most=limit + 1)
        for rows in rows_in_scope(connection, device_id, scope, at):
            gathered.add(rows(window))
    more = len(gathered.changes) > limit
    shown = gathered.changes[:limit]
    reached = Cursor(
        generation=walk.generation,
        since=walk.since,
        place=shown[-1].place if more else Place(max(walk.end, place.at)),
    )
    return Page(
        changes=tuple(_without_kept(session, device_id, shown)),
        cursor=write_cursor(reached),
        more=more,
        reset=walk.reset,
    )


def begin_walk(session: Session, cursor: str) -> Walk:
    """Where ``cursor`` stands; at the start, with ``reset``, if that cannot be told from it.

    Raises:
        Invalid: if the cursor is not one that this feed gave.
    """
    known = read_cursor(cursor) if cursor else None
    # Read first: whatever has a position below the end is visible to every later statement.
    head = session.connection().execute(_HEAD).one()
    end = position_of(head.generation, head.size)
    if known is None:
        return Walk(generation=head.generation, end=end, since=end, place=_START, reset=False)
    if (
        isinstance(known, Outdated)
        or known.generation != head.generation
        or max(known.place.at, known.since) > end
        # What it still had to delete may have been compacted away. Whoever began after
        # that never had it, however far back the walk still stands.
        or max(known.place.at, known.since) < (head.floor or 0)
    ):
        return Walk(generation=head.generation, end=end, since=end, place=_START, reset=True)
    return Walk(
        generation=head.generation, end=end, since=known.since, place=known.place, reset=False
    )


def _scopes(
    session: Session, device_id: str, walk: Walk, *, own: str
) -> tuple[dict[str, int], dict[str, int]]:
    """The scopes granted and lost since the walk's place, with their positions, and the own one."""
    at = walk.place.at
    where = {"device": device_id, "end": walk.end, "at": at, "own": own}
    rows = session.connection().execute(_TURNS, where).all()
    held = {row.scope: row.granted for row in rows if row.lost is None}
    return held, {row.scope: row.lost for row in rows if row.lost is not None and row.lost >= at}


class _Gathered:
    """The first changes found so far, in order, at most ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.changes: list[Change] = []

    def add(self, changes: Iterable[Change]) -> None:
        self.changes.extend(changes)
        self.changes.sort()
        del self.changes[self._limit :]

    def is_full_before(self, at: int) -> bool:
        """Whether nothing at ``at`` or later can be among the first any more."""
        return len(self.changes) == self._limit and self.changes[-1].place.at < at


def _evictions(session: Session, scope: str, lost: int, after: Place) -> list[Change]:
    """Everything of a scope that is the device's no longer, whatever version it holds."""
    names = [
        (row.kind, row.id)
        for row in session.execute(
            select(Document.kind, Document.id).where(Document.scope == scope)
        )
    ]
    if scope.startswith(INSPECTION):
        digests = session.scalars(
            select(RecordRevision.line_digest).where(
                RecordRevision.inspection_id == scope.removeprefix(INSPECTION)
            )
        )
        names += [(REVISION, digest) for digest in digests]
    changes = [Change(Place(lost, 0, kind, name), "evict", "") for kind, name in names]
    return [change for change in changes if change.place > after]


def _without_kept(session: Session, device_id: str, changes: list[Change]) -> Iterable[Change]:
    """Leave out what another scope of the device still holds: it is not to be deleted."""
    going = sorted({change.place.id for change in changes if change.op != "put"})
    if not going:
        return changes
    kept = {
        (row.kind, row.id)
        for row in session.execute(
            select(Document.kind, Document.id)
            .join(ScopeGrant, ScopeGrant.scope == Document.scope)
            .where(
                ScopeGrant.device_id == device_id,
                ScopeGrant.lost.is_(None),
                Document.op == "put",
                Document.id.in_(going),
            )
        )
    }
    return [change for change in changes if change.op == "put" or change.place[2:] not in kept]


def changes_json(changes: Iterable[Change]) -> str:
    """Changes as a JSON list; bodies go out as they are stored."""
    return f"[{','.join(map(_change_json, changes))}]"


def _change_json(change: Change) -> str:
    place, op, body = change
    name = f'{{"op":"{op}","kind":{_quoted(place.kind)},"id":{_quoted(place.id)}'
    return f'{name},"body":{body}}}' if op == "put" else name + "}"


def _bool(value: bool) -> str:
    return "true" if value else "false"
