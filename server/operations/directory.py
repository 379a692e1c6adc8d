"""The bureau's own directory: inspected parties and tasks, and sending them to devices."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound
from server.models.inspections import RegulatedEntity, Task, TaskOfficer
from server.operations import deadlines, dossiers, feed, ledger, scopes
from sync.evidence import canonical

_MIN_OFFICERS = 2
_MAX_REASON = 1000
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}")


@dataclass(frozen=True, kw_only=True)
class NewEntity:
    """An inspected party; coordinates WGS-84 in 1e-7 degrees, all or none of the three.

    ``external_ids`` are its names in other systems by scheme, ``dossier`` what
    officers should know beside the rest, such as ``permits`` and ``sensitive_areas``.
    """

    name: str
    uscc: str
    address: str
    lat_e7: int | None = None
    lon_e7: int | None = None
    radius_cm: int | None = None
    grid_cell_id: str | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict)
    dossier: Mapping[str, Any] = field(default_factory=dict)


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
    external_ids: Mapping[str, str] = field(default_factory=dict)


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
        grid_cell_id=new.grid_cell_id,
        external_ids=_text(new.external_ids),
        dossier=_text(new.dossier),
    )
    session.add(row)
    session.flush()
    names = ("id", "name", "uscc", "address", "lat_e7", "lon_e7", "radius_cm")
    body = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
    feed.put_document(
        session,
        scope=feed.organization_scope(organization_id),
        kind="entity",
        identifier=row.id,
        body={**body, "external_ids": dict(new.external_ids)},
        now_ms=now_ms,
    )
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
    """Record an approved task, send it to its officers' devices, and return its id.

    ``approved_by`` is the approver's person id, ``approver`` names them on the ledger.

    Raises:
        Invalid: with fewer than two officers (docs/operations.md §9).
    """
    _need_enough(session, organization_id, new.officers)
    row = Task(
        id=str(uuid.uuid4()),
        organization_id=organization_id,
        title=new.title,
        source=new.source,
        kind=new.kind,
        launch_mode=new.launch_mode,
        entity_id=new.entity_id,
        approved_by=approved_by,
        state="assigned",
        due_at_ms=new.due_at_ms,
        external_ids=_text(new.external_ids),
    )
    _decide(session, row, "task_approved", {"title": new.title}, by=approver, now_ms=now_ms)
    session.add(row)
    session.flush()
    session.add_all(TaskOfficer(task_id=row.id, officer_id=officer) for officer in new.officers)
    _send_task(session, row, by=approver, now_ms=now_ms)
    return row.id


def assign_task(
    session: Session,
    organization_id: str,
    task_id: str,
    officers: Sequence[str],
    *,
    by: Mapping[str, Any],
    now_ms: int,
) -> None:
    """Give a task to other officers; the devices of those who had it are told to give it up.

    Raises:
        NotFound: if the organisation has no such task.
        Conflict: if it has ended.
        Invalid: with fewer than two officers.
    """
    row = _open_task(session, organization_id, task_id)
    _need_enough(session, organization_id, officers)
    named = {"officers": sorted(set(officers))}
    _decide(session, row, "task_assigned", named, by=by, now_ms=now_ms)
    session.execute(delete(TaskOfficer).where(TaskOfficer.task_id == task_id))
    session.add_all(TaskOfficer(task_id=task_id, officer_id=who) for who in sorted(set(officers)))
    _send_task(session, row, by=by, now_ms=now_ms)


def end_task(
    session: Session,
    organization_id: str,
    task_id: str,
    *,
    state: str,
    reason: str,
    by: Mapping[str, Any],
    now_ms: int,
) -> None:
    """Close a task that is done, or cancel one that will not be; devices give it up.

    Raises:
        NotFound: if the organisation has no such task.
        Conflict: if it has ended already.
        Invalid: for another state than ``closed`` and ``cancelled``, or without a reason.
    """
    if state not in scopes.ENDED:
        raise Invalid("state", "closed or cancelled")
    if not 0 < len(reason.strip()) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    row = _open_task(session, organization_id, task_id)
    row.state = state
    _decide(session, row, f"task_{state}", {"reason": reason.strip()}, by=by, now_ms=now_ms)
    _send_task(session, row, by=by, now_ms=now_ms)


def _open_task(session: Session, organization_id: str, task_id: str) -> Task:
    # The first lock: a push under way sees the task before this or after it.
    ledger.lock_head(session)
    row = session.get(Task, task_id, populate_existing=True)
    if row is None or row.organization_id != organization_id:
        raise NotFound("task", task_id)
    if row.state in scopes.ENDED:
        raise Conflict(row.state)
    return row


def _need_enough(session: Session, organization_id: str, officers: Sequence[str]) -> None:
    if len(set(officers)) < _MIN_OFFICERS:
        raise Invalid("officers", "at least two")
    scopes.need_officers(session, organization_id, officers)


def _decide(
    session: Session,
    task: Task,
    act: str,
    more: Mapping[str, Any],
    *,
    by: Mapping[str, Any],
    now_ms: int,
) -> None:
    ledger.append(
        session,
        "decide",
        actor=by,
        subject={"task": task.id},
        snapshot={"act": act, **more},
        now_ms=now_ms,
        about=(f"task:{task.id}",),
    )


def _send_task(session: Session, task: Task, *, by: Mapping[str, Any], now_ms: int) -> None:
    """Publish a task with its target's dossier and its deadline, and settle who is sent it."""
    session.flush()
    names = ("id", "title", "source", "kind", "launch_mode", "due_at_ms", "state")
    body = {name: getattr(task, name) for name in names if getattr(task, name) is not None}
    body["officers"] = list(
        session.scalars(
            select(TaskOfficer.officer_id)
            .where(TaskOfficer.task_id == task.id)
            .order_by(TaskOfficer.officer_id)
        )
    )
    body["external_ids"] = json.loads(task.external_ids)
    if task.entity_id is not None:
        body["entity"] = task.entity_id
    scope = feed.task_scope(task.id)
    position = feed.put_document(
        session, scope=scope, kind="task", identifier=task.id, body=body, now_ms=now_ms
    )
    if task.due_at_ms is not None:
        due = deadlines.deadline("task", {"task": task.id}, due_at_ms=task.due_at_ms)
        put = feed.Put(scope=scope, kind="deadline", id=due["id"], body=due)
        feed.publish(session, [put], position=position, now_ms=now_ms)
    if task.entity_id is not None:
        dossiers.publish_dossier(session, task.entity_id, position=position, now_ms=now_ms)
    scopes.task_changed(session, task, by=by, now_ms=now_ms)


def _text(value: Mapping[str, Any]) -> str:
    return canonical.dumps(dict(value)).decode()


def is_uscc(code: str) -> bool:
    """Whether ``code`` has the form and check character of GB 32100.

    Some genuine codes fail, so a caller warns and never refuses.
    """
    if not _USCC.fullmatch(code):
        return False
    total = sum(_ALPHABET.index(c) * pow(3, place, 31) for place, c in enumerate(code[:17]))
    return _ALPHABET[(31 - total % 31) % 31] == code[17]
