"""What flows down to devices: the newest version of each document, in ledger order.

The cursor is opaque to devices: generation and ledger index (docs/protocol.md §4.4).
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Invalid
from server.models.base import position_of
from server.models.inspections import Document
from server.operations import ledger
from sync.evidence import canonical
from sync.evidence.encoding import sha256_hex

PAGE = 500


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of the feed; ``reset`` tells the device to start over, keeping its outbox."""

    documents: tuple[dict[str, Any], ...]
    cursor: str
    more: bool
    reset: bool


def organization_scope(organization_id: str) -> str:
    return f"organization:{organization_id}"


def put_document(
    session: Session, *, scope: str, kind: str, identifier: str, body: dict[str, Any], now_ms: int
) -> None:
    """Publish a version of a document; it replaces the older one in the feed."""
    text = canonical.dumps(body).decode()
    generation = ledger.current_generation(session).number
    index = ledger.append(
        session,
        "document",
        actor={"server": "feed"},
        subject={"scope": scope, "kind": kind, "id": identifier},
        snapshot={"body": body},
        now_ms=now_ms,
        about=(f"{kind}:{identifier}",),
    )
    session.merge(
        Document(
            scope=scope,
            kind=kind,
            id=identifier,
            op="put",
            body=text,
            digest=sha256_hex(text.encode())[:16],
            position=position_of(generation, index),
            changed_at_ms=now_ms,
        )
    )


def read_page(session: Session, *, scope: str, cursor: str, limit: int = PAGE) -> Page:
    """The documents of ``scope`` that changed since ``cursor``, at most ``limit``.

    Raises:
        Invalid: if the cursor is not one that this feed gave.
    """
    generation = ledger.current_generation(session).number
    place = _read_cursor(cursor)
    reset = place is not None and place[0] != generation
    after = -1 if place is None or reset else position_of(*place)
    rows = list(
        session.execute(
            select(Document)
            .where(Document.scope == scope, Document.position > after)
            .order_by(Document.position)
            .limit(limit + 1)
        ).scalars()
    )
    shown = rows[:limit]
    last = shown[-1].position if shown else after
    return Page(
        documents=tuple(
            {"op": "put", "kind": row.kind, "id": row.id, "body": json.loads(row.body)}
            for row in shown
        ),
        cursor=_write_cursor(generation, max(0, last - position_of(generation, 0))),
        more=len(rows) > limit,
        reset=reset,
    )


def _write_cursor(generation: int, index: int) -> str:
    return base64.urlsafe_b64encode(f"1.{generation}.{index}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, int] | None:
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        version, generation, index = text.split(".")
        place = int(generation), int(index)
        if version != "1" or max(place) > canonical.MAX_INTEGER:
            raise ValueError(version)
        return place
    except (binascii.Error, ValueError) as error:
        raise Invalid("cursor", "not a cursor of this feed") from error
