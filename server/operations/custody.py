"""Who saw what: every page that shows evidence leaves a ``view`` leaf before its first byte.

A leaf names the actor, the page and all that it shows, thumbnails included;
what the same session fetches of it within 15 minutes belongs to it
(docs/evidence.md §5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.ledger import LedgerEvent, LedgerSubject
from server.operations import ledger
from server.operations.access import Actor
from sync.evidence import canonical

BELONGS_MS = 15 * 60_000

#: Fetches of one item's bytes; every other page name is a whole page or a download.
THUMBNAIL, ORIGINAL = "thumbnail", "original"

#: Pages whose leaf also covers fetching the bytes of the originals they show.
_SHOW_ORIGINALS = frozenset({"item", ORIGINAL})


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What one page is about to show; ``query`` is what was searched for, if anything."""

    page: str
    items: Sequence[str] = ()
    inspections: Sequence[str] = ()
    query: str = ""
    digests: Sequence[str] = ()


def is_covered(session: Session, shown: Shown, *, session_hash: str, now_ms: int) -> bool:
    """Whether a leaf of this session from the last 15 minutes covers ``shown`` already."""
    return any(_covers(seen, shown) for seen in _recent(session, session_hash, now_ms))


def record_view(
    session: Session, actor: Actor, shown: Shown, *, session_hash: str, now_ms: int
) -> int:
    """Append the ``view`` leaf of a page or a fetch; commit before its first byte leaves.

    What leaves the console as a copy (``download``, ``package``) is recorded every
    time; for anything else ask :func:`is_covered` first.
    """
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
    """Whether the event ``seen`` names all that is ``shown``.

    A thumbnail belongs to any page that showed its item; an original only to a
    page that showed the original, since a list of thumbnails is less than that.
    """
    subject = seen["subject"]
    if not set(shown.items) <= set(subject["items"]):
        return False
    if shown.page == THUMBNAIL:
        return True
    if shown.page == ORIGINAL:
        return subject["page"] in _SHOW_ORIGINALS
    return (
        subject["page"] == shown.page
        and seen["snapshot"].get("query", "") == shown.query
        and set(shown.inspections) <= set(subject["inspections"])
    )


def _session_name(session_hash: str) -> str:
    return f"session:{session_hash}"
