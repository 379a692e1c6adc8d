"""Who and what a page names beside an id: officers with certificates, devices, persons."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings.words import moment
from server.models.devices import Device
from server.models.people import Officer, Person


def in_force(valid_from: str, valid_to: str, at_ms: int) -> bool:
    """Whether the day of ``at_ms`` in China lies between two dates, both inclusive.

    A device's clock may say anything, also what no calendar holds.
    """
    day = moment(at_ms).partition(" ")[0]
    return len(day) == len(valid_from) and valid_from <= day <= valid_to


@dataclass(frozen=True, kw_only=True)
class OfficerCard:
    """An officer and the certificate; dates are ``YYYY-MM-DD``, both inclusive."""

    officer_id: str
    person_id: str
    name: str
    certificate_no: str
    issuer: str
    valid_from: str
    valid_to: str

    def valid_at(self, at_ms: int) -> bool:
        """Whether the certificate was in force on the local day of ``at_ms``."""
        return in_force(self.valid_from, self.valid_to, at_ms)


@dataclass(frozen=True, kw_only=True)
class DeviceCard:
    """A device by the names that people know it by."""

    device_id: str
    name: str
    kind: str
    serial: str


def officer_cards(session: Session, ids: Iterable[str]) -> dict[str, OfficerCard]:
    """The officers among ``ids``, by officer id."""
    rows = session.execute(
        select(Officer, Person.name)
        .join(Person, Person.id == Officer.person_id)
        .where(Officer.id.in_(set(ids)))
        .order_by(Officer.certificate_no)
    )
    return {
        officer.id: OfficerCard(
            officer_id=officer.id,
            person_id=officer.person_id,
            name=name,
            certificate_no=officer.certificate_no,
            issuer=officer.issuer,
            valid_from=officer.valid_from,
            valid_to=officer.valid_to,
        )
        for officer, name in rows
    }


def device_cards(session: Session, ids: Iterable[str]) -> dict[str, DeviceCard]:
    """The devices among ``ids``, by device id."""
    rows = session.scalars(select(Device).where(Device.id.in_(set(ids))))
    return {
        row.id: DeviceCard(device_id=row.id, name=row.name, kind=row.kind, serial=row.serial)
        for row in rows
    }


def person_names(session: Session, ids: Iterable[str]) -> dict[str, str]:
    """The names of the persons among ``ids``."""
    rows = session.execute(select(Person.id, Person.name).where(Person.id.in_(set(ids))))
    return {row.id: row.name for row in rows}
