"""The state of one inspection as it was when the ledger had a given size.

Rows that can change (an item's state, an officer's name) are not read: their
values come from lines and events before that size, so that the same case state
always gives the same package (docs/evidence.md §8).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.devices import Device, DeviceKey
from server.models.inspections import (
    EvidenceItem,
    Finding,
    Inspection,
    Judgement,
    MediaFacts,
    RegulatedEntity,
    Task,
)
from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent, LedgerSubject
from server.models.people import Officer, Organization, Person
from server.models.uploads import MediaObject
from server.operations.export.chains import (
    Chain,
    Placed,
    Stamps,
    officers_of,
    read_chains,
)
from server.operations.export.moment import Moment
from sync.evidence import acts, canonical
from sync.evidence.interval import Interval

_PAGE = 500

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


@dataclass(frozen=True, kw_only=True)
class Word:
    """A reviewer's judgement, named as the ledger's event names the person."""

    person_id: str
    name: str
    verdict: str
    reason: str
    judged_at_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an item's bytes are, and their CRC-32, known since they arrived."""

    key: str
    size: int
    crc32: int


@dataclass(frozen=True, kw_only=True)
class ItemState:
    """One item; ``source`` is None while its bytes are missing or where they are withheld."""

    row: EvidenceItem
    line: Placed
    interval: Interval
    discard: str | None
    outside_seal: bool
    source: Source | None
    words: tuple[Word, ...]
    findings: tuple[Finding, ...]
    facts: tuple[MediaFacts, ...]


@dataclass(frozen=True, kw_only=True)
class CaseState:
    """Everything a package about one inspection is made from, but the bytes themselves."""

    moment: Moment
    inspection: Inspection
    organization: Fields
    task: Fields | None
    entity: Fields | None
    officers: tuple[OfficerState, ...]
    devices: tuple[DeviceState, ...]
    chains: tuple[Chain, ...]
    items: tuple[ItemState, ...]
    revisions: tuple[Placed, ...]
    sealed: Placed | None
    events: tuple[int, ...]


def read_case(session: Session, inspection_id: str, moment: Moment) -> CaseState:
    """Read the case as it was at ``moment``.

    Raises:
        NotFound: if there is no such inspection.
    """
    inspection = session.get(Inspection, inspection_id)
    if inspection is None:
        raise NotFound("inspection", inspection_id)
    chains = read_chains(session, moment, inspection_id)
    officers = _officers(session, moment, officers_of(chains, inspection_id))
    devices = _devices(session, chains)
    stamps = Stamps(session, moment)
    seal = _first(chains, acts.INSPECTION_SEALED)
    items = tuple(_items(session, moment, inspection_id, chains, stamps, seal))
    return CaseState(
        moment=moment,
        inspection=inspection,
        organization=_organization(session, moment, inspection.organization_id),
        task=_task(session, moment, inspection.task_id),
        entity=_entity(session, moment, inspection.entity_id),
        officers=officers,
        devices=devices,
        chains=chains,
        items=items,
        revisions=tuple(_acting(chains, acts.RECORD_SAVED)),
        sealed=seal,
        events=_events(session, moment, inspection, officers, devices, chains, items),
    )


def _items(
    session: Session,
    moment: Moment,
    inspection_id: str,
    chains: Sequence[Chain],
    stamps: Stamps,
    seal: Placed | None,
) -> Iterator[ItemState]:
    places = {(*chain.name, line.seq): line for chain in chains for line in chain.lines}
    discards = {
        line.act["item"]: str(line.act["reason"])
        for line in _acting(chains, acts.MEDIA_DISCARDED)
        if line.act is not None
    }
    rows = session.execute(
        select(EvidenceItem)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .where(
            EvidenceItem.inspection_id == inspection_id,
            JournalLine.device_id == EvidenceItem.device_id,
            JournalLine.generation == moment.generation,
            JournalLine.ledger_index < moment.size,
        )
        .order_by(JournalLine.ledger_index)
    ).scalars()
    items = rows.all()
    sources = _sources(session, moment, {row.sha256 for row in items})
    words = _by(_words(session, moment, inspection_id), "item_id")
    findings = _by(_of_items(session, moment, Finding, items), "item_id")
    facts = _by(_facts(session, moment, {row.sha256 for row in items}), "sha256")
    listed = set(seal.act["media"]) if seal is not None and seal.act is not None else None
    for row in items:
        line = places[row.device_id, row.epoch, row.branch, row.seq]
        discard = discards.get(row.id)
        yield ItemState(
            row=row,
            line=line,
            interval=stamps.interval(line),
            discard=discard,
            outside_seal=listed is not None and row.sha256 not in listed,
            source=None if discard is not None else sources.get(row.sha256),
            words=tuple(_word(session, moment, word) for word in words.get(row.id, ())),
            findings=tuple(findings.get(row.id, ())),
            facts=tuple(facts.get(row.sha256, ())),
        )


def _sources(session: Session, moment: Moment, digests: set[str]) -> dict[str, Source]:
    """Where the bytes are that had arrived by the moment."""
    found: dict[str, Source] = {}
    for page in _pages(sorted(digests)):
        arrived = set(
            session.execute(
                select(LedgerSubject.about)
                .join(LedgerEvent, _same_leaf())
                .where(
                    LedgerSubject.about.in_([f"media:{digest}" for digest in page]),
                    LedgerEvent.kind == "verify",
                    LedgerEvent.generation == moment.generation,
                    LedgerEvent.index < moment.size,
                )
            ).scalars()
        )
        rows = session.execute(
            select(MediaObject).where(MediaObject.sha256.in_(page), MediaObject.status == "stored")
        ).scalars()
        found.update(
            {
                row.sha256: Source(key=row.key, size=row.size, crc32=row.crc32)
                for row in rows
                if f"media:{row.sha256}" in arrived
            }
        )
    return found


def _words(session: Session, moment: Moment, inspection_id: str) -> Iterable[Judgement]:
    return session.execute(
        select(Judgement)
        .where(Judgement.case_id == inspection_id, Judgement.ledger_index < moment.size)
        .order_by(Judgement.ledger_index)
    ).scalars()


def _word(session: Session, moment: Moment, row: Judgement) -> Word:
    event = session.get(LedgerEvent, (moment.generation, row.ledger_index))
    actor = canonical.loads(event.event)["actor"] if event is not None else {}
    return Word(
        person_id=row.person_id,
        name=actor.get("name") or session.get_one(Person, row.person_id).name,
        verdict=row.verdict,
        reason=row.reason,
        judged_at_ms=row.judged_at_ms,
        ledger_index=row.ledger_index,
    )


def _of_items(
    session: Session, moment: Moment, table: type[Finding], items: Sequence[EvidenceItem]
) -> Iterator[Finding]:
    for page in _pages([item.id for item in items]):
        yield from session.execute(
            select(table)
            .where(table.item_id.in_(page), table.ledger_index < moment.size)
            .order_by(table.ledger_index, table.id)
        ).scalars()


def _facts(session: Session, moment: Moment, digests: set[str]) -> Iterator[MediaFacts]:
    for page in _pages(sorted(digests)):
        yield from session.execute(
            select(MediaFacts)
            .where(MediaFacts.sha256.in_(page), MediaFacts.ledger_index < moment.size)
            .order_by(MediaFacts.ledger_index)
        ).scalars()


def _officers(
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
        known = _document(session, moment, "officer", officer.id) or {}
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


def _devices(session: Session, chains: Sequence[Chain]) -> tuple[DeviceState, ...]:
    rows = session.execute(
        select(DeviceKey, Device)
        .join(Device, Device.id == DeviceKey.device_id)
        .where(DeviceKey.key_id.in_({chain.key_id for chain in chains}))
        .order_by(Device.id, DeviceKey.key_id)
    ).all()
    return tuple(
        DeviceState(
            id=device.id,
            kind=device.kind,
            serial=device.serial,
            name=device.name,
            key_id=key.key_id,
            spki=key.spki,
            enrolled_index=key.enrolled_index,
        )
        for key, device in rows
    )


def _organization(session: Session, moment: Moment, identifier: str) -> Fields:
    row = session.get_one(Organization, identifier)
    default = {"id": row.id, "name": row.name, "division_code": row.division_code}
    return _document(session, moment, "organization", identifier) or default


def _task(session: Session, moment: Moment, identifier: str | None) -> Fields | None:
    if identifier is None:
        return None
    row = session.get_one(Task, identifier)
    return _document(session, moment, "task", identifier) or {"id": row.id, "title": row.title}


def _entity(session: Session, moment: Moment, identifier: str | None) -> Fields | None:
    if identifier is None:
        return None
    row = session.get_one(RegulatedEntity, identifier)
    default = {"id": row.id, "name": row.name, "uscc": row.uscc, "address": row.address}
    return _document(session, moment, "entity", identifier) or default


def _document(session: Session, moment: Moment, kind: str, identifier: str) -> Fields | None:
    """The body of the newest published version of a document before the moment."""
    event = session.execute(
        select(LedgerEvent.event)
        .join(LedgerSubject, _same_leaf())
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


def _events(
    session: Session,
    moment: Moment,
    inspection: Inspection,
    officers: Sequence[OfficerState],
    devices: Sequence[DeviceState],
    chains: Sequence[Chain],
    items: Sequence[ItemState],
) -> tuple[int, ...]:
    """The ledger indexes of every event that concerns the case, oldest first."""
    names = [
        f"inspection:{inspection.id}",
        "server:keys",
        *(f"officer:{officer.id}" for officer in officers),
        *(f"item:{item.row.id}" for item in items),
        *sorted({f"media:{item.row.sha256}" for item in items}),
    ]
    if inspection.entity_id is not None:
        names.append(f"entity:{inspection.entity_id}")
    if inspection.task_id is not None:
        names.append(f"task:{inspection.task_id}")
    indexes = {device.enrolled_index for device in devices}
    indexes.update(line.ledger_index for chain in chains for line in chain.lines)
    for item in items:
        interval = item.interval
        indexes.add(interval.not_after_index)
        if interval.not_before_index is not None:
            indexes.add(interval.not_before_index)
        indexes.update(row.ledger_index for row in item.findings)
        indexes.update(row.ledger_index for row in item.facts)
    for page in _pages(names):
        indexes.update(
            session.execute(
                select(LedgerSubject.index).where(
                    LedgerSubject.about.in_(page),
                    LedgerSubject.generation == moment.generation,
                    LedgerSubject.index < moment.size,
                )
            ).scalars()
        )
    return tuple(sorted(indexes))


def _acting(chains: Iterable[Chain], kind: str) -> Iterator[Placed]:
    """The lines of one kind that took effect, in ledger order."""
    lines = [
        line
        for chain in chains
        for line in chain.lines
        if line.applied and line.act is not None and line.act.get("type") == kind
    ]
    return iter(sorted(lines, key=lambda line: line.ledger_index))


def _first(chains: Iterable[Chain], kind: str) -> Placed | None:
    return next(_acting(chains, kind), None)


def _by(rows: Iterable[Any], name: str) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        grouped.setdefault(getattr(row, name), []).append(row)
    return grouped


def _same_leaf() -> Any:
    return (LedgerSubject.generation == LedgerEvent.generation) & (
        LedgerSubject.index == LedgerEvent.index
    )


def _pages(values: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _PAGE):
        yield list(values[start : start + _PAGE])
