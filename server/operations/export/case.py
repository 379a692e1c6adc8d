"""The state of one inspection as it was when the ledger had a given size.

Rows that can change (an item's state, an officer's name) are not read: their
values come from lines and events before that size, so that the same case state
always gives the same package (docs/evidence.md §8).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.inspections import Inspection, InspectionOfficer
from server.operations.erased import Mark, text_mark
from server.operations.export.chains import (
    Chain,
    Placed,
    Stamps,
    acting,
    officers_of,
    read_chains,
)
from server.operations.export.documents import (
    DeviceState,
    Fields,
    OfficerState,
    read_devices,
    read_entity,
    read_officers,
    read_organization,
    read_task,
)
from server.operations.export.items import ItemState, outside_of, read_items
from server.operations.export.moment import Moment
from server.operations.export.proofs import events_named, kinds_of
from server.operations.export.timestamps import EnclosedStamp, read_stamps
from sync.evidence import acts

#: Events that take a journal line in.
_LINE_KINDS = ("ingest", "branch")


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
    addenda: tuple[Placed, ...]
    #: The digests of revisions that the seal does not cover.
    outside_seal: frozenset[str]
    sealed: Placed | None
    time_stamps: tuple[EnclosedStamp, ...]
    events: tuple[int, ...]
    #: Why the case has no text any more, where it was erased by law.
    erased: Mark | None = None

    @property
    def quarantine(self) -> dict[str, int]:
        """How many lines of the case waited, were kept back, and were released by a reviewer."""
        own = [line for chain in self.chains for line in chain.lines if line.own]
        held = [line for line in own if not line.applied]
        kept = sum(line.decision == "kept" for line in held)
        return {
            "waiting": len(held) - kept,
            "kept": kept,
            "released": sum(line.applied and line.decision == "released" for line in own),
        }


def read_case(session: Session, inspection_id: str, moment: Moment) -> CaseState:
    """Read the case as it was at ``moment``.

    Raises:
        NotFound: if there is no such inspection.
    """
    inspection = session.get(Inspection, inspection_id)
    if inspection is None:
        raise NotFound("inspection", inspection_id)
    chains = read_chains(session, moment, inspection_id)
    erased = text_mark(session, inspection_id)
    listed = session.scalars(
        select(InspectionOfficer.officer_id).where(InspectionOfficer.inspection_id == inspection_id)
    )
    # The line that named them has no text any more: the visit's own rows do.
    named = frozenset(listed) if erased else officers_of(chains)
    officers = read_officers(session, moment, named)
    devices = read_devices(session, moment, chains)
    stamps = Stamps(session, moment)
    seal = next((line for line, _ in acting(chains, acts.INSPECTION_SEALED)), None)
    revisions = tuple(line for line, _ in acting(chains, acts.RECORD_SAVED))
    is_outside = outside_of(session, moment, seal)
    items = tuple(read_items(session, moment, inspection_id, chains, stamps, seal))
    time_stamps = read_stamps(session, moment, (item.interval for item in items))
    return CaseState(
        moment=moment,
        inspection=inspection,
        organization=read_organization(session, moment, inspection.organization_id),
        task=read_task(session, moment, inspection.task_id),
        entity=read_entity(session, moment, inspection.entity_id),
        officers=officers,
        devices=devices,
        chains=chains,
        items=items,
        revisions=revisions,
        addenda=tuple(line for line, _ in acting(chains, acts.ADDENDUM_ADDED)),
        outside_seal=frozenset(x.digest for x in revisions if is_outside(x.digest, x)),
        sealed=seal,
        time_stamps=time_stamps,
        events=_events(session, moment, inspection, officers, devices, chains, items, time_stamps),
        erased=erased,
    )


def _events(
    session: Session,
    moment: Moment,
    inspection: Inspection,
    officers: Sequence[OfficerState],
    devices: Sequence[DeviceState],
    chains: Sequence[Chain],
    items: Sequence[ItemState],
    time_stamps: Sequence[EnclosedStamp],
) -> tuple[int, ...]:
    """The ledger indexes of every event that concerns the case, oldest first."""
    names = [
        f"inspection:{inspection.id}",
        "server:keys",
        *(f"officer:{officer.id}" for officer in officers),
        *(f"item:{item.id}" for item in items),
        *sorted({f"media:{item.sha256}" for item in items}),
        *(f"key:{device.key_id}" for device in devices),
    ]
    if inspection.entity_id is not None:
        names.append(f"entity:{inspection.entity_id}")
    if inspection.task_id is not None:
        names.append(f"task:{inspection.task_id}")
    indexes = {device.enrolled_index for device in devices}
    indexes.update(line.ledger_index for chain in chains for line in chain.lines)
    indexes.update(stamp.index for stamp in time_stamps)
    for item in items:
        interval = item.interval
        indexes.add(interval.not_after_index)
        if interval.not_before_index is not None:
            indexes.add(interval.not_before_index)
        indexes.update(check.ledger_index for check in item.checks)
        indexes.update(row.ledger_index for row in item.facts)
    named = {index for _, index in events_named(session, moment, names)}
    # Of lines only those that the package carries: another case's line may name
    # one of our items, by mistake or on purpose.
    kinds = kinds_of(session, moment, named - indexes)
    # An event without a kind was erased by law: its leaf is proved all the same.
    indexes.update(index for index in named if kinds.get(index) not in _LINE_KINDS)
    return tuple(sorted(indexes))
