"""The rows that one device may see, in the order of its feed.

Within one scope that order is the order of positions, kinds and ids: a change stands
at its own position or at that of the grant, whichever is later. Each statement reads
on from a place by an index, so a page costs the same however much lies around it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, select, tuple_

from server.models.base import table_of
from server.models.inspections import Document, RecordRevision, ScopeGrant
from server.operations.feed.cursor import Place
from server.operations.feed.revisions import REVISION, revision_body

INSPECTION = "inspection:"
#: Sorts behind every digest in hex.
_BEYOND_DIGESTS = "g"


class Change(NamedTuple):
    """One document as it is told to a device; ``body`` is canonical JSON, empty without one."""

    place: Place
    op: str
    body: str


class Window(NamedTuple):
    """Positions, kinds and ids beyond the first three, positions before ``end``; so many rows."""

    position: int
    kind: str
    id: str
    end: int
    most: int


Rows = Callable[[Window], Sequence[Change]]

_documents = table_of(Document).c
_revisions = table_of(RecordRevision).c


def _held_before(statement: Select[Any]) -> Select[Any]:
    """Of the scopes that a device holds since before the window, all but the organisation's."""
    return statement.where(
        ScopeGrant.device_id == bindparam("device"),
        ScopeGrant.lost.is_(None),
        ScopeGrant.granted < bindparam("position"),
        ScopeGrant.scope != bindparam("scope"),
    )


_DOCUMENTS = (
    select(_documents.position, _documents.kind, _documents.id, _documents.op, _documents.body)
    .where(
        tuple_(_documents.position, _documents.kind, _documents.id)
        > tuple_(bindparam("position"), bindparam("kind"), bindparam("id")),
        _documents.position < bindparam("end"),
    )
    .order_by(_documents.position, _documents.kind, _documents.id)
    .limit(bindparam("most"))
)
_REVISIONS = (
    select(*_revisions)
    .where(
        _revisions.device_id != bindparam("device"),
        tuple_(_revisions.position, _revisions.line_digest)
        > tuple_(bindparam("position"), bindparam("id")),
        _revisions.position < bindparam("end"),
    )
    .order_by(_revisions.position, _revisions.line_digest)
    .limit(bindparam("most"))
)
_DOCUMENTS_IN = _DOCUMENTS.where(_documents.scope == bindparam("scope"))
_REVISIONS_IN = _REVISIONS.where(_revisions.inspection_id == bindparam("inspection"))
_DOCUMENTS_ELSEWHERE = _held_before(
    _DOCUMENTS.select_from(ScopeGrant).join(Document, _documents.scope == ScopeGrant.scope)
)
_REVISIONS_ELSEWHERE = _held_before(
    _REVISIONS.select_from(ScopeGrant)
    .join(
        RecordRevision,
        _revisions.inspection_id == func.substr(ScopeGrant.scope, len(INSPECTION) + 1),
    )
    .where(func.substr(ScopeGrant.scope, 1, len(INSPECTION)) == INSPECTION)
)


def rows_in_scope(connection: Connection, device_id: str, scope: str, granted: int) -> list[Rows]:
    """What ``scope`` holds, for a device that was granted it at the position ``granted``."""

    def documents(window: Window) -> list[Change]:
        values = {**window._asdict(), "scope": scope}
        return [_document(row, granted) for row in connection.execute(_DOCUMENTS_IN, values)]

    def revisions(window: Window) -> list[Change]:
        values = {**_of_digests(window), "device": device_id}
        values["inspection"] = scope.removeprefix(INSPECTION)
        return [_revision(row, granted) for row in connection.execute(_REVISIONS_IN, values)]

    return [documents, revisions] if scope.startswith(INSPECTION) else [documents]


def rows_elsewhere(connection: Connection, device_id: str, organization_scope: str) -> list[Rows]:
    """What came into the scopes that the device has held since before the window.

    All but the organisation's: they are many and small, so one statement looks
    through all of them, and sorts what it finds.
    """
    who = {"device": device_id, "scope": organization_scope}

    def documents(window: Window) -> list[Change]:
        values = {**window._asdict(), **who}
        return [_document(row, 0) for row in connection.execute(_DOCUMENTS_ELSEWHERE, values)]

    def revisions(window: Window) -> list[Change]:
        values = {**_of_digests(window), **who}
        return [_revision(row, 0) for row in connection.execute(_REVISIONS_ELSEWHERE, values)]

    return [documents, revisions]


def window_after(place: Place, *, granted: int, end: int, most: int) -> Window:
    """Where a scope granted at the position ``granted`` goes on after ``place``."""
    if granted > place.at:
        return Window(0, "", "", end, most)
    if granted == place.at or place.position == place.at:
        return Window(place.position, place.kind, place.id, end, most)
    # The place lies within what another grant brought: here, its position is where to go on.
    return Window(place.at, "", "", end, most)


def _of_digests(window: Window) -> dict[str, Any]:
    """The window for revisions, which all are of one kind and have a digest for id."""
    after = window.id if window.kind == REVISION else ""
    if window.kind > REVISION:
        after = _BEYOND_DIGESTS
    return {"position": window.position, "id": after, "end": window.end, "most": window.most}


def _document(row: Row[*tuple[Any, ...]], granted: int) -> Change:
    position, kind, identifier, op, body = row
    return Change(Place(max(position, granted), position, kind, identifier), op, body)


def _revision(row: Row[*tuple[Any, ...]], granted: int) -> Change:
    position = row.position
    place = Place(max(position, granted), position, REVISION, row.line_digest)
    return Change(place, "put", revision_body(row))
