"""The dossier of an inspected party (一厂一档), sent along with the tasks that visit it."""

import json
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.inspections import GridCell, Inspection, RegulatedEntity, Task
from server.operations.feed.documents import Put, publish, task_scope
from server.operations.scopes import ENDED

#: How many of the last visits a dossier tells of.
_VISITS = 5


def dossier(session: Session, entity: RegulatedEntity) -> dict[str, Any]:
    """All that an officer should know of a party before visiting it."""
    body: dict[str, Any] = {
        **json.loads(entity.dossier),
        "id": entity.id,
        "name": entity.name,
        "uscc": entity.uscc,
        "address": entity.address,
        "external_ids": json.loads(entity.external_ids),
        "inspections": _last_visits(session, entity.id),
    }
    for name in ("lat_e7", "lon_e7", "radius_cm"):
        if getattr(entity, name) is not None:
            body[name] = getattr(entity, name)
    if entity.grid_cell_id is not None:
        cell = session.get_one(GridCell, entity.grid_cell_id)
        body["grid_cell"] = {"id": cell.id, "code": cell.code, "name": cell.name}
    return body


def publish_dossier(session: Session, entity_id: str, *, position: int, now_ms: int) -> None:
    """Send the dossier to whoever has a task there now; to all of them the same version."""
    entity = session.get_one(RegulatedEntity, entity_id)
    tasks = session.scalars(
        select(Task.id).where(Task.entity_id == entity_id, Task.state.not_in(ENDED))
    ).all()
    if tasks:
        body = dossier(session, entity)
        publish(
            session,
            [Put(scope=task_scope(t), kind="dossier", id=entity_id, body=body) for t in tasks],
            position=position,
            now_ms=now_ms,
        )


def _last_visits(session: Session, entity_id: str) -> list[dict[str, Any]]:
    rows = session.execute(
        select(
            Inspection.id,
            Inspection.title,
            Inspection.state,
            Inspection.opened_at_ms,
            func.coalesce(Inspection.sealed_at_ms, 0).label("sealed_at_ms"),
        )
        .where(Inspection.entity_id == entity_id)
        .order_by(Inspection.opened_at_ms.desc(), Inspection.id)
        .limit(_VISITS)
    )
    return [
        {name: value for name, value in row._mapping.items() if name != "sealed_at_ms" or value}
        for row in rows
    ]
