"""What the store's page shows: the last runs, what is doubtful, what has not come, and room."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import JournalLine
from server.models.uploads import AdoptedObject, MediaObject, ObjectFixity, StoreCheck
from server.operations.access import Actor
from server.operations.cards import device_cards
from server.operations.storekeeping.reports import REHASH, SWEEP

_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run over the store; ``report`` is what :class:`reports.Report` keeps."""

    ended_at_ms: int
    objects: int
    bytes: int
    report: dict[str, Any]
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An original that changed or vanished, until a later reading finds it whole."""

    sha256: str
    outcome: str
    checked_at_ms: int
    ledger_index: int
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Announced, not received."""

    item_id: str
    title: str
    media_type: str
    size: int
    device: str
    inspection_id: str | None
    inspection: str
    announced_at_ms: int


@dataclass(frozen=True, kw_only=True)
class StoreView:
    sweep: Run | None
    rehash: Run | None
    stored: int
    never_read: int
    oldest_read_ms: int | None
    lost: tuple[Lost, ...]
    adopted: tuple[AdoptedObject, ...]
    expected: tuple[Expected, ...]
    expected_count: int


def read_store(session: Session, actor: Actor) -> StoreView:
    """The state of the store; items and what is expected are the actor's organisation's."""
    stored = session.scalar(
        select(func.count()).select_from(MediaObject).where(MediaObject.status == "stored")
    )
    read, oldest = session.execute(select(func.count(), func.min(ObjectFixity.checked_at_ms))).one()
    waiting = (EvidenceItem.organization_id == actor.organization_id) & (
        EvidenceItem.state == "captured"
    )
    return StoreView(
        sweep=_newest(session, SWEEP),
        rehash=_newest(session, REHASH),
        stored=stored or 0,
        never_read=max(0, (stored or 0) - read),
        oldest_read_ms=oldest,
        lost=_lost(session, actor),
        adopted=tuple(
            session.scalars(
                select(AdoptedObject).order_by(AdoptedObject.adopted_at_ms.desc()).limit(_SHOWN)
            )
        ),
        expected=_expected(session, waiting),
        expected_count=session.scalar(select(func.count()).select_from(EvidenceItem).where(waiting))
        or 0,
    )


def _newest(session: Session, kind: str) -> Run | None:
    row = session.scalars(
        select(StoreCheck).where(StoreCheck.kind == kind).order_by(StoreCheck.id.desc()).limit(1)
    ).first()
    if row is None:
        return None
    return Run(
        ended_at_ms=row.ended_at_ms,
        objects=row.objects,
        bytes=row.bytes,
        report=json.loads(row.report),
        ledger_index=row.ledger_index,
    )


def _lost(session: Session, actor: Actor) -> tuple[Lost, ...]:
    rows = session.scalars(
        select(ObjectFixity)
        .where(ObjectFixity.outcome != "whole")
        .order_by(ObjectFixity.checked_at_ms, ObjectFixity.sha256)
        .limit(_SHOWN)
    ).all()
    items: dict[str, list[tuple[str, str]]] = {}
    for sha256, item_id, title in session.execute(
        select(EvidenceItem.sha256, EvidenceItem.id, EvidenceItem.title).where(
            EvidenceItem.sha256.in_([row.sha256 for row in rows]),
            EvidenceItem.organization_id == actor.organization_id,
        )
    ):
        items.setdefault(sha256, []).append((item_id, title))
    return tuple(
        Lost(
            sha256=row.sha256,
            outcome=row.outcome,
            checked_at_ms=row.checked_at_ms,
            ledger_index=row.ledger_index,
            items=tuple(items.get(row.sha256, ())),
        )
        for row in rows
    )


def _expected(session: Session, waiting: Any) -> tuple[Expected, ...]:
    rows = session.execute(
        select(EvidenceItem, JournalLine.received_at_ms, Inspection.title)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .outerjoin(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .where(waiting)
        .order_by(JournalLine.received_at_ms, EvidenceItem.id)
        .limit(_SHOWN)
    ).all()
    devices = device_cards(session, {item.device_id for item, _, _ in rows})
    return tuple(
        Expected(
            item_id=item.id,
            title=item.title or item.name,
            media_type=item.media_type,
            size=item.size,
            device=devices[item.device_id].name,
            inspection_id=item.inspection_id,
            inspection=title or "",
            announced_at_ms=received_at_ms,
        )
        for item, received_at_ms, title in rows
    )
