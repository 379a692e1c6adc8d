"""The rows that one device may see, in the order of its feed.

Within one scope that order is the order of positions: a change stands at its own
position or at that of the grant, whichever is later. The database sorts by position
alone, because its order of texts depends on its locale; ties are settled here.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, bindparam, func, select
from sqlalchemy.orm import Session

from server.models.base import table_of
from server.models.inspections import Document, RecordRevision, ScopeGrant
from server.operations.feed.cursor import Place
from server.operations.feed.revisions import REVISION, revision_body

INSPECTION = "inspection:"
_UNBOUNDED = 1 << 62


class Change(NamedTuple):
    """One document as it is told to a device; ``body`` is canonical JSON, empty without one."""

    place: Place
    op: str
    body: str


#: The rows at positions from ``low`` to before ``high``, by position, at most ``most``.
Rows = Callable[[int, int, int], Sequence[Change]]


def _windowed(statement: Select[Any], position: Any) -> Select[Any]:
    return (
        statement.where(position >= bindparam("low"), position < bindparam("high"))
        .order_by(position)
        .limit(bindparam("most"))
    )


def _held_before(statement: Select[Any]) -> Select[Any]:
    """Of the scopes that a device holds since before the window, all but the organisation's."""
    return statement.where(
        ScopeGrant.device_id == bindparam("device"),
        ScopeGrant.lost.is_(None),
        ScopeGrant.granted < bindparam("low"),
        ScopeGrant.scope != bindparam("scope"),
    )


_documents = table_of(Document).c
_revisions = table_of(RecordRevision).c
_DOCUMENTS = select(
    _documents.position, _documents.kind, _documents.id, _documents.op, _documents.body
)
_REVISIONS = select(*_revisions).where(_revisions.device_id != bindparam("device"))
_OF_INSPECTION = func.substr(ScopeGrant.scope, 1, len(INSPECTION)) == INSPECTION
_ID_IN_SCOPE = func.substr(ScopeGrant.scope, len(INSPECTION) + 1)

_DOCUMENTS_IN = _windowed(
    _DOCUMENTS.where(_documents.scope == bindparam("scope")), _documents.position
)
_REVISIONS_IN = _windowed(
    _REVISIONS.where(_revisions.inspection_id == bindparam("inspection")), _revisions.position
)
_DOCUMENTS_ELSEWHERE = _windowed(
    _held_before(
        _DOCUMENTS.select_from(ScopeGrant).join(Document, _documents.scope == ScopeGrant.scope)
    ),
    _documents.position,
)
_REVISIONS_ELSEWHERE = _windowed(
    _held_before(
        _REVISIONS.select_from(ScopeGrant).join(
            RecordRevision, _revisions.inspection_id == _ID_IN_SCOPE
        )
    ).where(_OF_INSPECTION),
    _revisions.position,
)


def rows_in_scope(session: Session, device_id: str, scope: str, granted: int) -> list[Rows]:
    """What ``scope`` holds, for a device that was granted it at the position ``granted``."""

    def documents(low: int, high: int, most: int) -> list[Change]:
        window = {"scope": scope, "low": low, "high": high, "most": most}
        return [_document(row, granted) for row in session.execute(_DOCUMENTS_IN, window)]

    def revisions(low: int, high: int, most: int) -> list[Change]:
        window = {"low": low, "high": high, "most": most}
        where = {"inspection": scope.removeprefix(INSPECTION), "device": device_id}
        return [_revision(row, granted) for row in session.execute(_REVISIONS_IN, window | where)]

    return [documents, revisions] if scope.startswith(INSPECTION) else [documents]


def rows_elsewhere(session: Session, device_id: str, organization_scope: str) -> list[Rows]:
    """What came into the scopes that the device has held since before the window.

    All but the organisation's: they are many and small, so one statement looks
    through all of them, and sorts what it finds.
    """
    who = {"device": device_id, "scope": organization_scope}

    def documents(low: int, high: int, most: int) -> list[Change]:
        window = {**who, "low": low, "high": high, "most": most}
        return [_document(row, 0) for row in session.execute(_DOCUMENTS_ELSEWHERE, window)]

    def revisions(low: int, high: int, most: int) -> list[Change]:
        window = {**who, "low": low, "high": high, "most": most}
        return [_revision(row, 0) for row in session.execute(_REVISIONS_ELSEWHERE, window)]

    return [documents, revisions]


def rows_after(rows: Rows, after: Place, *, low: int, high: int, most: int) -> list[Change]:
    """The first ``most`` changes beyond ``after`` (or a few more), in order."""
    found: list[Change] = []
    while True:
        window = rows(low, high, most)
        cut = len(window) == most
        if cut:
            # The statement may have ended between documents of one position.
            low = window[-1].place.position
            window = [row for row in window if row.place.position < low]
            window += rows(low, low + 1, _UNBOUNDED)
        found += sorted(row for row in window if row.place > after)
        if not cut or len(found) >= most:
            return found
        low += 1


def _document(row: Row[Any], granted: int) -> Change:
    position = row.position
    place = Place(max(position, granted), position, row.kind, row.id)
    return Change(place, row.op, row.body)


def _revision(row: Row[Any], granted: int) -> Change:
    position = row.position
    place = Place(max(position, granted), position, REVISION, row.line_digest)
    return Change(place, "put", revision_body(row))
