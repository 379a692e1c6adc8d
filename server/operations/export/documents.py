"""The documents of a case as published before its moment: officers, devices, party, task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.devices import Device, DeviceKey
from server.models.inspections import RegulatedEntity, Task
from server.models.ledger import LedgerEvent, LedgerSubject
from server.models.people import Officer, Organization, Person
from server.operations.export.chains import Chain
from server.operations.export.moment import Moment
from server.operations.export.proofs import same_leaf
from sync.evidence import canonical

Fields = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class OfficerState:
    """An officer with the certificate as the newest document before the moment says."""

    id: str
    person_id: str
    name: str
    certificate_no: str
    valid_from: str
    valid_to: str


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    id: str
    kind: str
    serial: str
    name: str
    key_id: str
    spki: bytes
    enrolled_index: int


def read_officers(
    session: Session, moment: Moment, identifiers: frozenset[str]
) -> tuple[OfficerState, ...]:
    rows = session.execute(
        select(Officer, Person)
        .join(Person, Person.id == Officer.person_id)
        .where(Officer.id.in_(identifiers))
        .order_by(Officer.certificate_no, Officer.id)
    ).all()
    states = []
    for officer, person in rows:
        known = read_document(session, moment, "officer", officer.id) or {}
        states.append(
            OfficerState(
                id=officer.id,
                person_id=person.id,
                name=known.get("name", person.name),
                certificate_no=known.get("certificate_no", officer.certificate_no),
                valid_from=known.get("valid_from", officer.valid_from),
                valid_to=known.get("valid_to", officer.valid_to),
            )
        )
    return tuple(states)


def read_devices(
    session: Session, moment: Moment, chains: Sequence[Chain]
) -> tuple[DeviceState, ...]:
    """The devices that wrote ``chains``; a restore has enrolled their keys in its generation."""
    rows = session.execute(
        select(DeviceKey, Device)
        .join(Device, Device.id == DeviceKey.device_id)
        .where(DeviceKey.key_id.in_({chain.key_id for chain in chains}))
        .order_by(Device.id, DeviceKey.key_id)
    ).all()
    again = {
        about.removeprefix("key:"): index
        for about, index in session.execute(
            select(LedgerSubject.about, LedgerEvent.index)
            .join(LedgerEvent, same_leaf())
            .where(
                LedgerSubject.about.in_([f"key:{key.key_id}" for key, _ in rows]),
                LedgerSubject.generation == moment.generation,
                LedgerEvent.kind == "enrol",
            )
        )
    }
    return tuple(
        DeviceState(
            id=device.id,
            kind=device.kind,
            serial=device.serial,
            name=device.name,
            key_id=key.key_id,
            spki=key.spki,
            enrolled_index=again.get(key.key_id, key.enrolled_index),
        )
        for key, device in rows
    )


def read_organization(session: Session, moment: Moment, identifier: str) -> Fields:
    row = session.get_one(Organization, identifier)
    default = {"id": row.id, "name": row.name, "division_code": row.division_code}
    return read_document(session, moment, "organization", identifier) or default


def read_task(session: Session, moment: Moment, identifier: str | None) -> Fields | None:
    if identifier is None:
        return None
    row = session.get_one(Task, identifier)
    return read_document(session, moment, "task", identifier) or {"id": row.id, "title": row.title}


def read_entity(session: Session, moment: Moment, identifier: str | None) -> Fields | None:
    if identifier is None:
        return None
    row = session.get_one(RegulatedEntity, identifier)
    default = {"id": row.id, "name": row.name, "uscc": row.uscc, "address": row.address}
    return read_document(session, moment, "entity", identifier) or default


def read_document(session: Session, moment: Moment, kind: str, identifier: str) -> Fields | None:
    """The body of the newest published version of a document before the moment."""
    event = session.execute(
        select(LedgerEvent.event)
        .join(LedgerSubject, same_leaf())
        .where(
            LedgerSubject.about == f"{kind}:{identifier}",
            LedgerEvent.kind == "document",
            LedgerEvent.generation == moment.generation,
            LedgerEvent.index < moment.size,
        )
        .order_by(LedgerEvent.index.desc())
        .limit(1)
    ).scalar_one_or_none()
    if event is None:
        return None
    body: Fields = canonical.loads(event)["snapshot"]["body"]
    return body
