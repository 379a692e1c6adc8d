"""Which device is sent what: scopes granted and lost, each with its own leaf (§4.4).

A device serves its holders or, if it is shared, every officer of its organisation.
An administrator decides that; who logs in on it does not, because a stolen device
could claim anybody. What a device should hold is computed here, compared with what
it was granted, and the difference written down.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from server.failures import Invalid, NotFound
from server.models.base import position_of
from server.models.devices import Device, DeviceHolder, DeviceKey
from server.models.inspections import (
    Inspection,
    InspectionOfficer,
    ScopeGrant,
    Task,
    TaskOfficer,
)
from server.models.people import Officer
from server.operations import ledger
from server.operations.feed.documents import (
    inspection_scope,
    officer_scope,
    organization_scope,
    task_scope,
)
from server.operations.upsert import upsert

#: Who grants what follows from something that is on the ledger already.
_SCOPES = {"server": "scopes"}

#: States in which nobody works on a task any more.
ENDED = ("closed", "cancelled")

#: How a ledger event names who changed something: ``Actor.for_ledger()`` or a server part.
By = Mapping[str, str]


@dataclass(frozen=True)
class _Change:
    device_id: str
    scope: str
    gained: bool


def settle_device(session: Session, device_id: str, *, by: By = _SCOPES, now_ms: int) -> None:
    """Give a device what it should hold now and take what it should not.

    Called when it is enrolled, when its holders change and when it is revoked.
    """
    device = session.get_one(Device, device_id)
    wanted = _wanted_scopes(session, device) if _is_in_force(session, device_id) else set()
    held = set(
        session.scalars(
            select(ScopeGrant.scope).where(
                ScopeGrant.device_id == device_id, ScopeGrant.lost.is_(None)
            )
        )
    )
    changes = [_Change(device_id, scope, True) for scope in wanted - held]
    changes += [_Change(device_id, scope, False) for scope in held - wanted]
    _write(session, changes, by=by, now_ms=now_ms)


def inspections_opened(session: Session, inspections: Iterable[Inspection], *, now_ms: int) -> None:
    """Let the devices of each inspection's officers have it; called whenever one joins."""
    # Written together: a push may open any number of them.
    changes = [
        change
        for inspection in inspections
        for change in _changes_of(
            session, inspection_scope(inspection.id), _devices_of_visit(session, inspection)
        )
    ]
    _write(session, changes, by=_SCOPES, now_ms=now_ms)


def task_changed(session: Session, task: Task, *, by: By, now_ms: int) -> None:
    """Let the devices of a task's officers have it; nobody, once it has ended.

    A closed task takes its inspections along: the work is done, and what a later
    visit needs of them stands in the target's dossier.
    """
    wanted: set[str] = set()
    if task.state not in ENDED:
        officers = select(TaskOfficer.officer_id).where(TaskOfficer.task_id == task.id)
        wanted = _devices_of(session, task.organization_id, officers)
    _settle_scope(session, task_scope(task.id), wanted, by=by, now_ms=now_ms)
    if task.state == "closed":
        for inspection_id in session.scalars(
            select(Inspection.id).where(Inspection.task_id == task.id)
        ).all():
            _settle_scope(session, inspection_scope(inspection_id), set(), by=by, now_ms=now_ms)


def officer_changed(session: Session, officer: Officer, *, by: By, now_ms: int) -> None:
    """Let the devices that serve an officer have what is meant for them alone."""
    own = select(Officer.id).where(Officer.id == officer.id)
    wanted = _devices_of(session, officer.organization_id, own)
    _settle_scope(session, officer_scope(officer.id), wanted, by=by, now_ms=now_ms)


def officer_withdrawn(session: Session, officer: Officer, *, by: By, now_ms: int) -> None:
    """Take from their own devices what only a withdrawn officer had; shared ones keep the rest."""
    officer_changed(session, officer, by=by, now_ms=now_ms)
    for device_id in session.scalars(
        select(DeviceHolder.device_id).where(DeviceHolder.officer_id == officer.id)
    ).all():
        settle_device(session, device_id, by=by, now_ms=now_ms)


def set_holders(
    session: Session,
    organization_id: str,
    device_id: str,
    holders: Collection[str] | None,
    *,
    by: By,
    now_ms: int,
) -> None:
    """Say whom a device serves: these officers, or all of the organisation (None).

    Raises:
        NotFound: if the device is not the organisation's.
        Invalid: if a holder is no officer of it.
    """
    ledger.lock_head(session)
    device = session.get(Device, device_id, populate_existing=True)
    if device is None or device.organization_id != organization_id:
        raise NotFound("device", device_id)
    need_officers(session, organization_id, holders or ())
    ledger.append(
        session,
        "policy",
        actor=by,
        subject={"device": device_id},
        snapshot={"act": "holders_set", "holders": named(holders)},
        now_ms=now_ms,
        about=(f"device:{device_id}",),
    )
    keep_holders(session, device, holders)
    settle_device(session, device_id, by=by, now_ms=now_ms)


def keep_holders(session: Session, device: Device, holders: Collection[str] | None) -> None:
    """Write down whom a device serves; the caller sees to ledger and grants."""
    device.shared = holders is None
    wanted = set(holders or ())
    for row in session.scalars(
        select(DeviceHolder).where(DeviceHolder.device_id == device.id)
    ).all():
        if row.officer_id not in wanted:
            session.delete(row)
        wanted.discard(row.officer_id)
    session.add_all(DeviceHolder(device_id=device.id, officer_id=who) for who in sorted(wanted))
    session.flush()


def need_officers(session: Session, organization_id: str, officers: Iterable[str]) -> None:
    """Refuse anybody who is not an officer of the organisation now.

    Raises:
        Invalid: naming the first who is not.
    """
    for officer_id in officers:
        officer = session.get(Officer, officer_id)
        if (
            officer is None
            or officer.organization_id != organization_id
            or officer.withdrawn_at_ms is not None
        ):
            raise Invalid("officers", f"{officer_id} is no officer of this organisation")


def named(holders: Collection[str] | None) -> list[str] | str:
    """How an event of the ledger names holders."""
    return "all" if holders is None else sorted(holders)


def _wanted_scopes(session: Session, device: Device) -> set[str]:
    own = Officer.organization_id == device.organization_id
    officers = select(Officer.id).where(own, Officer.withdrawn_at_ms.is_(None))
    if not device.shared:
        officers = officers.join(DeviceHolder, DeviceHolder.officer_id == Officer.id).where(
            DeviceHolder.device_id == device.id
        )
    served = set(session.scalars(officers))
    tasks = session.scalars(
        select(TaskOfficer.task_id)
        .join(Task, Task.id == TaskOfficer.task_id)
        .where(TaskOfficer.officer_id.in_(officers), Task.state.not_in(ENDED))
    )
    inspections = session.scalars(
        select(InspectionOfficer.inspection_id)
        .join(Inspection, Inspection.id == InspectionOfficer.inspection_id)
        .outerjoin(Task, Task.id == Inspection.task_id)
        .where(
            InspectionOfficer.officer_id.in_(officers),
            or_(Task.state.is_(None), Task.state != "closed"),
        )
    )
    return {
        organization_scope(device.organization_id),
        *map(officer_scope, served),
        *map(task_scope, tasks),
        *map(inspection_scope, inspections),
    }


def _devices_of(session: Session, organization_id: str, officers: Select[str]) -> set[str]:
    """The devices in force that serve any of the officers whose ids the query gives."""
    serving = select(Officer.id).where(Officer.id.in_(officers), Officer.withdrawn_at_ms.is_(None))
    if session.scalar(serving.limit(1)) is None:
        return set()
    held = select(DeviceHolder.device_id).where(DeviceHolder.officer_id.in_(serving))
    return set(
        session.scalars(
            select(Device.id)
            .join(DeviceKey, DeviceKey.device_id == Device.id)
            .where(
                Device.organization_id == organization_id,
                DeviceKey.revoked_at_ms.is_(None),
                or_(Device.shared, Device.id.in_(held)),
            )
        )
    )


def _devices_of_visit(session: Session, inspection: Inspection) -> set[str]:
    task = session.get(Task, inspection.task_id) if inspection.task_id else None
    if task is not None and task.state == "closed":
        return set()
    officers = select(InspectionOfficer.officer_id).where(
        InspectionOfficer.inspection_id == inspection.id
    )
    return _devices_of(session, inspection.organization_id, officers)


def _is_in_force(session: Session, device_id: str) -> bool:
    keys = select(DeviceKey.key_id).where(
        DeviceKey.device_id == device_id, DeviceKey.revoked_at_ms.is_(None)
    )
    return session.scalar(keys.limit(1)) is not None


def _settle_scope(session: Session, scope: str, wanted: set[str], *, by: By, now_ms: int) -> None:
    _write(session, _changes_of(session, scope, wanted), by=by, now_ms=now_ms)


def _changes_of(session: Session, scope: str, wanted: set[str]) -> list[_Change]:
    held = set(
        session.scalars(
            select(ScopeGrant.device_id).where(ScopeGrant.scope == scope, ScopeGrant.lost.is_(None))
        )
    )
    changes = [_Change(device, scope, True) for device in wanted - held]
    return changes + [_Change(device, scope, False) for device in held - wanted]


def _write(session: Session, changes: Sequence[_Change], *, by: By, now_ms: int) -> None:
    """Add a leaf for each change, and the rows that the feed goes by."""
    if not changes:
        return
    # In one order whatever the sets said, so that the same acts make the same ledger.
    ordered = sorted(changes, key=lambda change: (change.gained, change.device_id, change.scope))
    first = ledger.append_events(
        session,
        [
            ledger.Event(
                kind="policy",
                actor=by,
                subject={"device": change.device_id, "scope": change.scope},
                snapshot={"act": "scope_granted" if change.gained else "scope_lost"},
                about=(f"device:{change.device_id}",),
            )
            for change in ordered
        ],
        now_ms=now_ms,
    )
    generation = ledger.current_generation(session).number
    places = [position_of(generation, index) for index in range(first, first + len(ordered))]
    granted = [
        {
            "device_id": change.device_id,
            "scope": change.scope,
            "granted": place,
            "lost": None,
            "lost_at_ms": None,
        }
        for change, place in zip(ordered, places, strict=True)
        if change.gained
    ]
    upsert(session, ScopeGrant, granted)
    for change, place in zip(ordered, places, strict=True):
        if not change.gained:
            session.execute(
                update(ScopeGrant)
                .where(ScopeGrant.device_id == change.device_id, ScopeGrant.scope == change.scope)
                .values(lost=place, lost_at_ms=now_ms)
            )
