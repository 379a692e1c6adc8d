"""What is sent to the officers of an inspection: its state, its items, addenda and deadlines.

Revisions of records need no document: the feed reads them where they are kept.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.base import position_of
from server.models.inspections import (
    Addendum,
    Document,
    EvidenceItem,
    Finding,
    Inspection,
    InspectionOfficer,
    Judgement,
)
from server.models.uploads import MediaObject
from server.operations import deadlines, dossiers, ledger, scopes
from server.operations.erased import marks_of_items
from server.operations.feed.documents import Put, inspection_scope, officer_scope, publish
from server.operations.standing import standing_checks, standing_runs

#: Items of these states still wait for their bytes.
_LACKING = "captured"
#: How many older inspections are read together.
_AT_ONCE = 100


def visits_changed(
    session: Session,
    inspections: Collection[str],
    items: Collection[str],
    addenda: Collection[str],
    *,
    position: int,
    now_ms: int,
) -> None:
    """Tell the officers of what a push has changed, and whoever has joined of all of it."""
    if not inspections and not items and not addenda:
        return
    puts: list[Put] = []
    rows = [session.get_one(Inspection, inspection_id) for inspection_id in sorted(inspections)]
    for inspection in rows:
        puts.append(_inspection(session, inspection))
        puts += _upload_deadline(session, inspection, now_ms=now_ms)
    puts += _items(session, sorted(items))
    puts += _addenda(session, sorted(addenda))
    publish(session, puts, position=position, now_ms=now_ms)
    for entity_id in sorted({row.entity_id for row in rows if row.entity_id is not None}):
        dossiers.publish_dossier(session, entity_id, position=position, now_ms=now_ms)
    # Last, so that a device which is new to the inspection is sent all of this as one block.
    scopes.inspections_opened(session, rows, now_ms=now_ms)


def send_older_visits(session: Session, *, now_ms: int) -> None:
    """Send down the inspections that were here before inspections were sent at all."""
    sent = select(Document.id).where(Document.kind == "inspection")
    older = session.scalars(select(Inspection.id).where(Inspection.id.not_in(sent))).all()
    if not older:
        return
    index = ledger.append(
        session,
        "policy",
        actor={"server": "feed"},
        subject={"feed": "inspections"},
        snapshot={"act": "older_inspections_sent", "count": len(older)},
        now_ms=now_ms,
    )
    position = position_of(ledger.current_generation(session).number, index)
    for start in range(0, len(older), _AT_ONCE):
        some = older[start : start + _AT_ONCE]
        items = session.scalars(
            select(EvidenceItem.id).where(EvidenceItem.inspection_id.in_(some))
        ).all()
        visits_changed(session, some, items, (), position=position, now_ms=now_ms)


def items_changed(
    session: Session, items: Sequence[EvidenceItem], *, position: int, now_ms: int
) -> None:
    """Tell the officers what became of items: bytes received, findings, reviews."""
    session.flush()
    puts = list(_items(session, [item.id for item in items]))
    for inspection_id in sorted({i.inspection_id for i in items if i.inspection_id is not None}):
        inspection = session.get_one(Inspection, inspection_id)
        puts += _upload_deadline(session, inspection, now_ms=now_ms)
    publish(session, puts, position=position, now_ms=now_ms)


def _inspection(session: Session, inspection: Inspection) -> Put:
    officers = session.scalars(
        select(InspectionOfficer.officer_id)
        .where(InspectionOfficer.inspection_id == inspection.id)
        .order_by(InspectionOfficer.officer_id)
    ).all()
    body = {
        "id": inspection.id,
        "title": inspection.title,
        "purpose": inspection.purpose,
        "state": inspection.state,
        "officers": list(officers),
        "external_ids": json.loads(inspection.external_ids),
        "opened_at_ms": inspection.opened_at_ms,
        "opened_line": inspection.opened_line,
        "task": inspection.task_id,
        "entity": inspection.entity_id,
        "sealed_at_ms": inspection.sealed_at_ms,
        "sealed_line": inspection.sealed_line,
    }
    return _put(inspection_scope(inspection.id), "inspection", inspection.id, body)


def _upload_deadline(session: Session, inspection: Inspection, *, now_ms: int) -> Iterator[Put]:
    """Until when the media of a sealed inspection must be here, and since when they are."""
    if inspection.sealed_at_ms is None:
        return
    limit = deadlines.due_after("upload_media", inspection.sealed_at_ms)
    if limit is None:
        return
    lacking = session.scalar(
        select(func.count())
        .select_from(EvidenceItem)
        .where(EvidenceItem.inspection_id == inspection.id, EvidenceItem.state == _LACKING)
    )
    body = deadlines.deadline(
        "upload_media",
        {"inspection": inspection.id},
        starts_at_ms=inspection.sealed_at_ms,
        due_at_ms=limit[0],
        source=limit[1],
        lacking=lacking,
    )
    yield _put(inspection_scope(inspection.id), "deadline", body["id"], body)


def _items(session: Session, ids: Sequence[str]) -> Iterator[Put]:
    if not ids:
        return
    rows = session.scalars(select(EvidenceItem).where(EvidenceItem.id.in_(ids))).all()
    stored = session.execute(
        select(MediaObject.sha256, MediaObject.stored_at_ms).where(
            MediaObject.sha256.in_({row.sha256 for row in rows}), MediaObject.status == "stored"
        )
    )
    received = {row.sha256: row.stored_at_ms for row in stored}
    checks = _checks(session, ids)
    reviews = _newest_judgements(session, ids)
    erased = marks_of_items(session, ids)
    for row in rows:
        body = {
            "id": row.id,
            "inspection": row.inspection_id,
            "officer": row.officer_id,
            "device": row.device_id,
            "line": row.line_digest,
            "sha256": row.sha256,
            "size": row.size,
            "media_type": row.media_type,
            "name": row.name,
            "title": row.title,
            "captured_at_ms": row.captured_at_ms,
            "state": row.state,
            # Equal bytes may be here from others: only one's own sending is a receipt.
            "received_at_ms": None if row.state == _LACKING else received.get(row.sha256),
            "erased_at_ms": erased[row.id].erased_at_ms if row.id in erased else None,
            "discard_reason": row.discard_reason or None,
            "check": checks.get(row.id),
            "review": reviews.get(row.id),
        }
        inspection = row.inspection_id
        scope = (
            officer_scope(row.officer_id) if inspection is None else inspection_scope(inspection)
        )
        yield _put(scope, "item", row.id, body)


def _checks(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[tuple[str, str], dict[str, str]]] = defaultdict(dict)
    for finding in session.scalars(
        select(Finding).where(Finding.check_id.in_(standing_runs(ids))).order_by(Finding.id)
    ):
        told = {"code": finding.code, "severity": finding.severity}
        found[finding.item_id].setdefault((finding.code, finding.evidence), told)
    return {
        item: {
            "verdict": check.verdict,
            "checked_at_ms": check.checked_at_ms,
            "rules": check.rule_version,
            "findings": list(found[item].values()),
        }
        for item, check in standing_checks(session, ids).items()
    }


def _newest_judgements(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = session.scalars(
        select(Judgement)
        .where(Judgement.item_id.in_(ids))
        .order_by(Judgement.generation, Judgement.ledger_index)
    )
    # The last of each item stays.
    return {
        row.item_id: {
            "verdict": row.verdict,
            "reason": row.reason,
            "judged_at_ms": row.judged_at_ms,
        }
        for row in rows
    }


def _addenda(session: Session, digests: Sequence[str]) -> Iterator[Put]:
    if not digests:
        return
    for row in session.scalars(select(Addendum).where(Addendum.line_digest.in_(digests))):
        body = {
            "id": row.line_digest,
            "inspection": row.inspection_id,
            "record": row.record_id,
            "field": row.field,
            "chosen": row.chosen,
            "base": json.loads(row.base),
            "text": row.text,
            "officer": row.officer_id,
            "device": row.device_id,
            "epoch": row.epoch,
            "seq": row.seq,
            "saved_at_ms": row.saved_at_ms,
        }
        yield _put(inspection_scope(row.inspection_id), "addendum", row.line_digest, body)


def _put(scope: str, kind: str, identifier: str, body: dict[str, Any]) -> Put:
    present = {name: value for name, value in body.items() if value is not None}
    return Put(scope=scope, kind=kind, id=identifier, body=present)
