"""Putting documents where devices find them (docs/protocol.md §4.4).

A document that stands in several scopes is put into all of them at once, so that
whoever holds any of them holds the same version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from server.models.base import position_of
from server.models.inspections import Document
from server.operations import ledger
from server.operations.upsert import upsert
from sync.divergence import document_digest
from sync.evidence import canonical

_FEED = {"server": "feed"}


@dataclass(frozen=True, kw_only=True)
class Put:
    """The newest version of one document; ``body`` None means deleted for everyone."""

    scope: str
    kind: str
    id: str
    body: Mapping[str, Any] | None


def organization_scope(organization_id: str) -> str:
    return f"organization:{organization_id}"


def officer_scope(officer_id: str) -> str:
    return f"officer:{officer_id}"


def task_scope(task_id: str) -> str:
    return f"task:{task_id}"


def inspection_scope(inspection_id: str) -> str:
    return f"inspection:{inspection_id}"


def put_document(
    session: Session,
    *,
    scope: str,
    kind: str,
    identifier: str,
    body: Mapping[str, Any],
    now_ms: int,
) -> int:
    """Publish what somebody made here, with a ``document`` leaf; returns its position."""
    put = Put(scope=scope, kind=kind, id=identifier, body=body)
    return _put_with_leaf(session, put, {"body": dict(body)}, now_ms=now_ms)


def remove_document(
    session: Session, *, scope: str, kind: str, identifier: str, now_ms: int
) -> int:
    """Delete a document for everyone: a tombstone takes its place; returns its position."""
    put = Put(scope=scope, kind=kind, id=identifier, body=None)
    return _put_with_leaf(session, put, {"act": "removed"}, now_ms=now_ms)


def publish(session: Session, puts: Iterable[Put], *, position: int, now_ms: int) -> None:
    """Publish what follows from the ledger's event at ``position``, without a leaf of its own.

    ``position`` must be a place that this transaction itself has added to the
    ledger: a reader may have passed every earlier one.
    """
    rows = {
        (put.scope, put.kind, put.id): _row(put, position=position, now_ms=now_ms) for put in puts
    }
    upsert(session, Document, list(rows.values()))


def _put_with_leaf(session: Session, put: Put, snapshot: Mapping[str, Any], *, now_ms: int) -> int:
    index = ledger.append(
        session,
        "document",
        actor=_FEED,
        subject={"scope": put.scope, "kind": put.kind, "id": put.id},
        snapshot=snapshot,
        now_ms=now_ms,
        about=(f"{put.kind}:{put.id}",),
    )
    position = position_of(ledger.current_generation(session).number, index)
    publish(session, [put], position=position, now_ms=now_ms)
    return position


def _row(put: Put, *, position: int, now_ms: int) -> dict[str, Any]:
    body = "" if put.body is None else canonical.dumps(dict(put.body)).decode()
    return {
        "scope": put.scope,
        "kind": put.kind,
        "id": put.id,
        "op": "tombstone" if put.body is None else "put",
        "body": body,
        "digest": document_digest(body.encode()),
        "position": position,
        "changed_at_ms": now_ms,
    }
