"""Who saw what: every page that shows evidence leaves a ``view`` leaf before its first byte.

A leaf names the actor, the page and all that it shows, thumbnails included;
what the same session fetches of it within 15 minutes belongs to it
(docs/evidence.md §5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.ledger import LedgerEvent, LedgerSubject
from server.operations import ledger
from server.operations.access import Actor
from sync.evidence import canonical

BELONGS_MS = 15 * 60_000

#: Pages whose leaf also covers fetching the bytes of the originals they show.
_SHOW_ORIGINALS = frozenset({"item", "original"})


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one page is about to show; ``query`` is what was searched for, if anything."""

    page: str
    items: Sequence[str] = ()
    inspections: Sequence[str] = ()
    query: str = ""
    digests: Sequence[str] = field(default=())


def record_view(
    session: Session, actor: Actor, shown: Shown, *, session_hash: str, now_ms: int
) -> int | None:
    """Append the ``view`` leaf of a page; None if an earlier leaf of this session covers it.

    Commit before the first byte of the page leaves.
    """
    for seen in _recent(session, session_hash, now_ms):
        if _covers(seen, shown):
            return None
    return _append(session, actor, shown, session_hash=session_hash, now_ms=now_ms)


def record_fetch(
    session: Session, actor: Actor, shown: Shown, *, session_hash: str, now_ms: int
) -> int | None:
    """The same for the bytes of one item: ``page`` is ``thumbnail`` or ``original``.

    A thumbnail belongs to any page that showed its item; an original only to a
    page that showed the original, since a list of thumbnails is less than that.
    """
    for seen in _recent(session, session_hash, now_ms):
        page_covers = shown.page == "thumbnail" or seen["subject"]["page"] in _SHOW_ORIGINALS
        if page_covers and set(shown.items) <= set(seen["subject"]["items"]):
            return None
    return _append(session, actor, shown, session_hash=session_hash, now_ms=now_ms)


def record_download(
    session: Session, actor: Actor, shown: Shown, *, session_hash: str, now_ms: int
) -> int:
    """A copy that leaves the console has a leaf of its own, every time."""
    return _append(session, actor, shown, session_hash=session_hash, now_ms=now_ms)


def _append(session: Session, actor: Actor, shown: Shown, *, session_hash: str, now_ms: int) -> int:
    subject: dict[str, Any] = {
        "page": shown.page,
        "items": sorted(shown.items),
        "inspections": sorted(shown.inspections),
    }
    snapshot: dict[str, Any] = {"session": session_hash}
    if shown.query:
        snapshot["query"] = shown.query
    if shown.digests:
        snapshot["digests"] = sorted(shown.digests)
    return ledger.append(
        session,
        "view",
        actor=actor.for_ledger(),
        subject=subject,
        snapshot=snapshot,
        now_ms=now_ms,
        about=(
            _session_name(session_hash),
            f"person:{actor.person_id}",
            *(f"inspection:{name}" for name in shown.inspections),
            *(f"item:{name}" for name in shown.items),
        ),
    )


def _recent(session: Session, session_hash: str, now_ms: int) -> list[dict[str, Any]]:
    """The ``view`` events of this session that are not older than 15 minutes, newest first."""
    rows = session.scalars(
        select(LedgerEvent.event)
        .join(
            LedgerSubject,
            (LedgerSubject.generation == LedgerEvent.generation)
            & (LedgerSubject.index == LedgerEvent.index),
        )
        .where(
            LedgerSubject.about == _session_name(session_hash),
            LedgerEvent.kind == "view",
            LedgerEvent.at_ms > now_ms - BELONGS_MS,
        )
        .order_by(LedgerEvent.index.desc())
    )
    return [canonical.loads(row) for row in rows]


def _covers(seen: dict[str, Any], shown: Shown) -> bool:
    return (
        seen["subject"]["page"] == shown.page
        and seen["snapshot"].get("query", "") == shown.query
        and set(shown.items) <= set(seen["subject"]["items"])
        and set(shown.inspections) <= set(seen["subject"]["inspections"])
    )


def _session_name(session_hash: str) -> str:
    return f"session:{session_hash}"
