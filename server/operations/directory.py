"""The bureau's own directory: inspected parties and tasks, and sending them to devices."""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from server.failures import Invalid
from server.models.inspections import RegulatedEntity, Task, TaskOfficer
from server.operations import feed, ledger

_MIN_OFFICERS = 2
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}")


@dataclass(frozen=True, kw_only=True)
class NewEntity:
    """An inspected party; coordinates WGS-84 in 1e-7 degrees, all or none of the three."""

    name: str
    uscc: str
    address: str
    lat_e7: int | None = None
    lon_e7: int | None = None
    radius_cm: int | None = None


@dataclass(frozen=True, kw_only=True)
class NewTask:
    """An approved piece of work; ``due_at_ms`` in UTC or None."""

    title: str
    source: str
    kind: str
    launch_mode: str
    entity_id: str | None
    officers: Sequence[str]
    due_at_ms: int | None


def create_entity(session: Session, organization_id: str, new: NewEntity, *, now_ms: int) -> str:
    """Record an inspected party, send it to devices, and return its id."""
    row = RegulatedEntity(
        id=str(uuid.uuid4()),
        organization_id=organization_id,
        name=new.name,
        uscc=new.uscc,
        address=new.address,
        lat_e7=new.lat_e7,
        lon_e7=new.lon_e7,
        radius_cm=new.radius_cm,
    )
    session.add(row)
    session.flush()
    names = ("id", "name", "uscc", "address", "lat_e7", "lon_e7", "radius_cm")
    body = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
    _publish(session, organization_id, "entity", row.id, body, now_ms=now_ms)
    return row.id


def create_task(
    session: Session,
    organization_id: str,
    new: NewTask,
    *,
    approved_by: str,
    approver: Mapping[str, Any],
    now_ms: int,
) -> str:
    """Record an approved task, send it to devices, and return its id.

    ``approved_by`` is the approver's person id, ``approver`` names them on the ledger.

    Raises:
        Invalid: with fewer than two officers (docs/operations.md §9).
    """
    if len(set(new.officers)) < _MIN_OFFICERS:
        raise Invalid("officers", "at least two")
    task_id = str(uuid.uuid4())
    ledger.append(
        session,
        "decide",
        actor=approver,
        subject={"task": task_id},
        snapshot={"act": "task_approved", "title": new.title},
        now_ms=now_ms,
        about=(f"task:{task_id}",),
    )
    row = Task(
        id=task_id,
        organization_id=organization_id,
        title=new.title,
        source=new.source,
        kind=new.kind,
        launch_mode=new.launch_mode,
        entity_id=new.entity_id,
        approved_by=approved_by,
        state="assigned",
        due_at_ms=new.due_at_ms,
    )
    session.add(row)
    session.flush()
    session.add_all(TaskOfficer(task_id=task_id, officer_id=officer) for officer in new.officers)
    names = ("id", "title", "source", "kind", "launch_mode", "due_at_ms", "state")
    body = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
    body["officers"] = list(new.officers)
    if new.entity_id is not None:
        body["entity"] = new.entity_id
    _publish(session, organization_id, "task", task_id, body, now_ms=now_ms)
    return task_id


def is_uscc(code: str) -> bool:
    """Whether ``code`` has the form and check character of GB 32100.

    Some genuine codes fail, so a caller warns and never refuses.
    """
    if not _USCC.fullmatch(code):
        return False
    total = sum(_ALPHABET.index(c) * pow(3, place, 31) for place, c in enumerate(code[:17]))
    return _ALPHABET[(31 - total % 31) % 31] == code[17]


def _publish(
    session: Session,
    organization_id: str,
    kind: str,
    identifier: str,
    body: dict[str, Any],
    *,
    now_ms: int,
) -> None:
    feed.put_document(
        session,
        scope=feed.organization_scope(organization_id),
        kind=kind,
        identifier=identifier,
        body=body,
        now_ms=now_ms,
    )
