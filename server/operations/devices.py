"""Devices as administrators see them: a list, one device's page, letting one in, its holders."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.devices import ClockOffset, Device, DeviceHolder, DeviceKey
from server.models.inspections import EvidenceItem
from server.models.journal import JournalHead, JournalLine
from server.models.people import Officer, Organization, Person
from server.operations import enrolment, scopes
from server.operations.access import Actor, require
from server.operations.clocks import ClockHistory, clock_history
from sync.wire import Standing

LIMIT = 500


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """One device; ``offset_ms`` is what must be added to its clock, as last measured.

    ``holders`` are the names of those it serves, empty if it is ``shared`` by all.
    """

    id: str
    name: str
    kind: str
    serial: str
    enrolled_at_ms: int
    standing: Standing
    revoked_from_ms: int | None
    wiped_at_ms: int | None
    shared: bool
    holders: tuple[str, ...]
    last_line_at_ms: int | None
    lines: int
    offset_ms: int | None
    error_ms: int | None
    missing: int

    @property
    def revoked(self) -> bool:
        return self.standing is not Standing.ACTIVE


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """One key of a device: when it was enrolled, and since when it is revoked, if it is."""

    key_id: str
    enrolled_at_ms: int
    enrolled_index: int
    revoked_at_ms: int | None
    revoked_from_ms: int | None


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """Where one chain of a device's journal stands; ``branch`` is empty on the main chain."""

    epoch: str
    branch: str
    last_seq: int
    digest: str
    received_at_ms: int


@dataclass(frozen=True, kw_only=True)
class OfficerChoice:
    """An officer who may hold a device."""

    id: str
    name: str
    certificate_no: str


@dataclass(frozen=True, kw_only=True)
class DevicePage:
    """Everything that the page of one device shows."""

    row: DeviceRow
    wipe_wanted_at_ms: int | None
    holder_ids: frozenset[str]
    keys: tuple[KeyRow, ...]
    epochs: tuple[EpochRow, ...]
    clock: ClockHistory
    officers: tuple[OfficerChoice, ...]


def owned_device(session: Session, actor: Actor, device_id: str) -> Device:
    """The device of that id if it belongs to the actor's organisation.

    Raises:
        NotFound: otherwise; that it exists elsewhere is not told.
    """
    row = session.get(Device, device_id)
    if row is None or row.organization_id != actor.organization_id:
        raise NotFound("device", device_id)
    return row


def list_devices(session: Session, actor: Actor) -> tuple[DeviceRow, ...]:
    """The devices of the actor's organisation with what was last heard of them."""
    devices = session.scalars(
        select(Device)
        .where(Device.organization_id == actor.organization_id)
        .order_by(Device.enrolled_at_ms, Device.id)
        .limit(LIMIT)
    ).all()
    return _rows(session, devices)


def read_device(session: Session, actor: Actor, device_id: str) -> DevicePage:
    """Assemble the page of one device.

    Raises:
        NotFound: if it is not the actor's organisation's.
    """
    device = owned_device(session, actor, device_id)
    keys = session.scalars(
        select(DeviceKey)
        .where(DeviceKey.device_id == device_id)
        .order_by(DeviceKey.enrolled_at_ms, DeviceKey.key_id)
    ).all()
    return DevicePage(
        row=_rows(session, [device])[0],
        wipe_wanted_at_ms=device.wipe_wanted_at_ms,
        holder_ids=frozenset(
            session.scalars(
                select(DeviceHolder.officer_id).where(DeviceHolder.device_id == device_id)
            )
        ),
        keys=tuple(
            KeyRow(
                key_id=key.key_id,
                enrolled_at_ms=key.enrolled_at_ms,
                enrolled_index=key.enrolled_index,
                revoked_at_ms=key.revoked_at_ms,
                revoked_from_ms=key.revoked_from_ms,
            )
            for key in keys
        ),
        epochs=epochs_of(session, device_id),
        clock=clock_history(session, device_id),
        officers=officer_choices(session, actor),
    )


def epochs_of(session: Session, device_id: str) -> tuple[EpochRow, ...]:
    """Where each chain of the device's journal stands, in the order they last grew."""
    rows = session.execute(
        select(JournalHead, JournalLine.received_at_ms)
        .join(
            JournalLine,
            (JournalLine.device_id == JournalHead.device_id)
            & (JournalLine.epoch == JournalHead.epoch)
            & (JournalLine.branch == JournalHead.branch)
            & (JournalLine.seq == JournalHead.next_seq - 1),
        )
        .where(JournalHead.device_id == device_id)
        .order_by(JournalLine.received_at_ms, JournalHead.epoch, JournalHead.branch)
        .limit(LIMIT)
    )
    return tuple(
        EpochRow(
            epoch=head.epoch,
            branch=head.branch,
            last_seq=head.next_seq - 1,
            digest=head.digest,
            received_at_ms=received_at_ms,
        )
        for head, received_at_ms in rows
    )


def officer_choices(session: Session, actor: Actor) -> tuple[OfficerChoice, ...]:
    """The officers of the actor's organisation who may hold a device."""
    rows = session.execute(
        select(Officer.id, Person.name, Officer.certificate_no)
        .join(Person, Person.id == Officer.person_id)
        .where(Officer.organization_id == actor.organization_id, Officer.withdrawn_at_ms.is_(None))
        .order_by(Officer.certificate_no, Officer.id)
        .limit(LIMIT)
    )
    return tuple(OfficerChoice(id=i, name=name, certificate_no=no) for i, name, no in rows)


def issue_enrolment_code(
    session: Session,
    actor: Actor,
    *,
    holders: Collection[str] | None,
    now_ms: int,
    valid_ms: int,
) -> str:
    """Issue a one-time code for a device that will serve ``holders``, or everybody (None).

    Raises:
        Forbidden: if the actor is no administrator.
        Invalid: if a holder is no officer of the organisation.
    """
    require(actor, "administrator")
    return enrolment.issue_code(
        session,
        organization_id=actor.organization_id,
        issued_by=actor.person_id,
        now_ms=now_ms,
        valid_ms=valid_ms,
        holders=None if holders is None else sorted(holders),
    )


def set_holders(
    session: Session,
    actor: Actor,
    device_id: str,
    holders: Collection[str] | None,
    *,
    now_ms: int,
) -> None:
    """Say whom a device serves from now on: these officers, or everybody (None).

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound, Invalid: as :func:`scopes.set_holders`.
    """
    require(actor, "administrator")
    scopes.set_holders(
        session,
        actor.organization_id,
        device_id,
        holders,
        by=actor.for_ledger(),
        now_ms=now_ms,
    )


def organization_name(session: Session, actor: Actor) -> str:
    return session.get_one(Organization, actor.organization_id).name


def _rows(session: Session, devices: Sequence[Device]) -> tuple[DeviceRow, ...]:
    ids = [device.id for device in devices]
    heard = {
        device_id: (count, last)
        for device_id, count, last in session.execute(
            select(JournalLine.device_id, func.count(), func.max(JournalLine.received_at_ms))
            .where(JournalLine.device_id.in_(ids))
            .group_by(JournalLine.device_id)
        )
    }
    # The newest key says how the device stands; it has one unless it was enrolled again.
    keys = {
        key.device_id: key
        for key in session.scalars(
            select(DeviceKey)
            .where(DeviceKey.device_id.in_(ids))
            .order_by(DeviceKey.revoked_at_ms.is_(None), DeviceKey.enrolled_at_ms)
        )
    }
    newest = (
        select(func.max(ClockOffset.id))
        .where(ClockOffset.device_id.in_(ids))
        .group_by(ClockOffset.device_id)
    )
    clocks = {
        row.device_id: row
        for row in session.scalars(select(ClockOffset).where(ClockOffset.id.in_(newest)))
    }
    missing = {
        row.device_id: row.number
        for row in session.execute(
            select(EvidenceItem.device_id, func.count().label("number"))
            .where(EvidenceItem.device_id.in_(ids), EvidenceItem.state == "captured")
            .group_by(EvidenceItem.device_id)
        )
    }
    holders = _holder_names(session, ids)
    return tuple(
        DeviceRow(
            id=device.id,
            name=device.name,
            kind=device.kind,
            serial=device.serial,
            enrolled_at_ms=device.enrolled_at_ms,
            standing=enrolment.standing_of(device, keys[device.id]),
            revoked_from_ms=keys[device.id].revoked_from_ms or keys[device.id].revoked_at_ms,
            wiped_at_ms=device.wiped_at_ms,
            shared=device.shared,
            holders=tuple(holders.get(device.id, ())),
            last_line_at_ms=heard[device.id][1] if device.id in heard else None,
            lines=heard[device.id][0] if device.id in heard else 0,
            offset_ms=clocks[device.id].offset_ms if device.id in clocks else None,
            error_ms=clocks[device.id].error_ms if device.id in clocks else None,
            missing=missing.get(device.id, 0),
        )
        for device in devices
    )


def _holder_names(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for device_id, name in session.execute(
        select(DeviceHolder.device_id, Person.name)
        .join(Officer, Officer.id == DeviceHolder.officer_id)
        .join(Person, Person.id == Officer.person_id)
        .where(DeviceHolder.device_id.in_(ids))
        .order_by(Officer.certificate_no)
    ):
        names.setdefault(device_id, []).append(name)
    return names
