"""Dropping what only a device long out of touch would still have to delete (§4.4)."""

from typing import Any

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from server.models.inspections import Document, FeedFloor, ScopeGrant
from server.operations import ledger
from server.operations.upsert import upsert

#: The only row of its table.
_ROW = 1


def compact(session: Session, *, older_than_ms: int, now_ms: int) -> bool:
    """Drop tombstones and lost grants of before ``older_than_ms``; whether there were any.

    The floor rises above them: whoever began to read before they came and has not
    read so far is told to begin anew.
    """
    # The first lock: nothing becomes a tombstone or comes back while this counts.
    ledger.lock_head(session)
    dead = (Document.op == "tombstone") & (Document.changed_at_ms < older_than_ms)
    lost = ScopeGrant.lost.is_not(None) & (ScopeGrant.lost_at_ms < older_than_ms)
    newest = max(_newest(session, Document.position, dead), _newest(session, ScopeGrant.lost, lost))
    if newest == 0:
        return False
    floor = max(newest + 1, session.scalar(select(FeedFloor.position)) or 0)
    ledger.append(
        session,
        "policy",
        actor={"server": "feed"},
        subject={"feed": "floor"},
        snapshot={"act": "feed_compacted", "floor": floor},
        now_ms=now_ms,
    )
    session.execute(delete(Document).where(dead))
    session.execute(delete(ScopeGrant).where(lost))
    upsert(session, FeedFloor, [{"id": _ROW, "position": floor}])
    return True


def _newest(session: Session, position: Any, which: ColumnElement[bool]) -> int:
    return session.scalar(select(func.max(position)).where(which)) or 0
