"""From journal lines to what the screens show: inspections, records and evidence items.

Every line is in the journal before this looks at it. What cannot be shown yet
or at all is quarantined (待核) with its reason, never dropped, and never costs
another line its place (docs/protocol.md §4.2).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from server.models.base import position_of, table_of
from server.models.devices import Device
from server.models.inspections import (
    CaseSide,
    EvidenceItem,
    Inspection,
    InspectionOfficer,
    RecordRevision,
    RegulatedEntity,
    Task,
)
from server.models.journal import MAIN, JournalLine, JournalPart, LineOutcome
from server.models.people import Officer
from server.models.uploads import MediaObject
from server.operations.enrolment import DeviceIdentity
from server.operations.holding import held
from server.operations.outcomes import mark_changed
from server.operations.projection.act import (
    Act,
    NotShown,
    header_of,
    is_uuid,
    within,
)
from server.operations.projection.contacts import compare_clock, note_peer, note_wiped
from server.operations.projection.sealing import mark_outside, seals_line, touched_by
from server.operations.projection.sessions import OfficerSessions
from sync.evidence import acts, canonical
from sync.evidence.encoding import from_hex
from sync.evidence.errors import BadEncoding
from sync.evidence.line import Line
from sync.wire import Projection

#: Reasons that a later line can remove; their lines are tried again when it comes.
_WAITING = frozenset({"projection.unknown_inspection", "projection.unknown_item"})

#: Reasons that an entry in the bureau's directory can remove: tried again at the next push.
_UNKNOWN = frozenset(
    {
        "projection.unknown_officer",
        "projection.unknown_task",
        "projection.unknown_entity",
        "projection.no_officer_session",
    }
)

#: The reason of a line that would change what is sealed or judged.
_TOO_LATE = "projection.too_late"
_JUDGED = frozenset({"accepted", "questioned", "rejected"})

#: What a column of 32 bits holds; no template has had so many versions.
_MAX_VERSION = 2**31 - 1
#: No zone is further than a day from UTC.
_MAX_ZONE_MIN = 24 * 60

_Owned = TypeVar("_Owned", Task, RegulatedEntity, Officer)


@dataclass(frozen=True)
class Outcome:
    """What became of one line on the screens."""

    projection: Projection
    code: str = ""
    inspection_id: str | None = None


class Projector:
    """Projects the lines of one push; holds what it has looked up for that long."""

    def __init__(self, session: Session, device: DeviceIdentity, *, now_ms: int) -> None:
        self._session = session
        self._device = device
        self._now_ms = now_ms
        self._opened: set[str] = set()
        self._chains: set[tuple[str, str]] = set()
        self._inspections: dict[str, Inspection] = {}
        self._sessions = OfficerSessions(session, device.organization_id)
        # A patrol is mostly revisions: they are inserted together, when something asks for them.
        self._revisions: list[dict[str, object]] = []
        #: Whether anything came that makes the worker check media again.
        self.wants_check = False
        self._rules: dict[str, Callable[[Act], str | None]] = {
            acts.EPOCH_OPENED: self._nothing,
            acts.SESSION_OPENED: self._sessions.open,
            acts.SESSION_CLOSED: self._sessions.close,
            acts.INSPECTION_OPENED: self._open_inspection,
            acts.INSPECTION_SEALED: self._seal_inspection,
            acts.RECORD_SAVED: self._save_record,
            acts.MEDIA_CAPTURED: self._announce_item,
            acts.MEDIA_IMPORTED: self._announce_item,
            acts.MEDIA_DISCARDED: self._discard_item,
            acts.CLOCK_COMPARED: lambda act: compare_clock(session, act),
            acts.PEER_HEAD: lambda act: note_peer(session, act, now_ms),
            acts.DEVICE_WIPED: lambda act: note_wiped(session, act, now_ms),
        }

    def apply(self, line: Line, *, branch: str, position: int) -> Outcome:
        """Project one line that is in the journal."""
        act = Act(
            header=line.header,
            digest=line.digest,
            branch=branch,
            position=position,
            body=line.act or {},
        )
        return self._outcome(act)

    def finish(self) -> None:
        """Write what was gathered, and try again the lines that waited for what has come."""
        self._retry_chains(_UNKNOWN)
        # A line that falls into place may be what another one waited for.
        while self._opened:
            opened, self._opened = sorted(self._opened), set()
            for inspection_id in opened:
                self._retry_where(
                    LineOutcome.inspection_id == inspection_id, LineOutcome.code.in_(_WAITING)
                )
        # So may the journal head up to which a seal reaches.
        self._retry_chains({_TOO_LATE})
        self._write_revisions()
        # What came after a seal, or with the head that the seal names, is judged once it is here.
        for device, epoch in sorted(self._chains):
            for inspection in touched_by(self._session, device, epoch):
                mark_outside(self._session, inspection)
        self._chains.clear()

    def _retry_chains(self, codes: Collection[str]) -> None:
        """Try again the lines of this push's own epochs that wait for one of ``codes``."""
        for device, epoch in sorted(self._chains):
            self._retry_where(
                LineOutcome.device_id == device,
                LineOutcome.epoch == epoch,
                LineOutcome.code.in_(codes),
            )

    def _retry_where(self, *which: ColumnElement[bool]) -> None:
        # Only the bureau's own: whoever has learnt an id elsewhere waits for nothing here.
        own = select(Device.id).where(Device.organization_id == self._device.organization_id)
        waiting = self._session.scalars(
            select(LineOutcome)
            .where(
                LineOutcome.projection == Projection.QUARANTINED.value,
                LineOutcome.device_id.in_(own),
                *which,
            )
            .order_by(LineOutcome.device_id, LineOutcome.epoch, LineOutcome.seq)
        )
        for row in waiting.all():
            self._retry(row)

    def _retry(self, row: LineOutcome) -> None:
        place = (row.device_id, row.epoch, row.branch, row.seq)
        stored = self._session.get_one(JournalLine, place)
        body = self._session.get(JournalPart, (*place, 0))
        if body is None:
            return
        outcome = self._outcome(
            Act(
                header=header_of(stored),
                digest=stored.digest,
                branch=stored.branch,
                position=position_of(stored.generation, stored.ledger_index),
                body=canonical.loads(body.body),
            )
        )
        if (row.projection, row.code) != (outcome.projection.value, outcome.code):
            row.projection, row.code = outcome.projection.value, outcome.code
            mark_changed(self._session, row)

    def _outcome(self, act: Act) -> Outcome:
        self._chains.add((act.header.device, act.header.epoch))
        claimed = act.body.get("inspection")
        inspection_id = claimed if is_uuid(claimed) else None
        try:
            if act.branch != MAIN:
                raise NotShown("projection.forked")
            if act.body["type"] not in acts.KNOWN:
                raise NotShown("projection.unknown_act")
            if acts.missing_fields(act.body):
                raise NotShown("projection.incomplete_act")
            officer = act.body.get("officer")
            if officer is not None and act.body["type"] != acts.SESSION_OPENED:
                self._sessions.need(act, officer)
            rule = self._rules.get(act.body["type"], self._keep)
            return Outcome(Projection.APPLIED, "", rule(act) or inspection_id)
        except NotShown as reason:
            return Outcome(Projection.QUARANTINED, reason.code, inspection_id)

    def _nothing(self, _act: Act) -> None:
        return None

    def _keep(self, act: Act) -> None:
        """Acts that the chain keeps and the inspection's journal shows as they are."""
        if "inspection" in act.body:
            self._inspection(act)

    def _open_inspection(self, act: Act) -> str:
        """Open a visit, or join the one that a fellow officer's device opened."""
        inspection_id = act.uuid("inspection")
        officers = self._officers(act.body["officers"])
        existing = self._session.get(Inspection, inspection_id)
        if existing is not None and existing.organization_id != self._device.organization_id:
            raise NotShown("projection.unknown_inspection")
        if existing is None:
            task = self._own(Task, act.body.get("task"), "projection.unknown_task")
            entity = self._own(RegulatedEntity, act.body.get("entity"), "projection.unknown_entity")
            entity_id = entity.id if entity else task.entity_id if task else None
            self._session.add(
                Inspection(
                    id=inspection_id,
                    organization_id=self._device.organization_id,
                    task_id=task.id if task else None,
                    entity_id=entity_id,
                    title=act.text("title") or (task.title if task else ""),
                    purpose=act.text("purpose", 4000),
                    state="open",
                    opened_at_ms=act.header.t.wall_ms,
                    opened_line=act.digest,
                )
            )
            self._session.flush()
        elif self._too_late(existing, act):
            self._need_listed(inspection_id, officers)
        for officer in officers:
            self._session.merge(
                InspectionOfficer(inspection_id=inspection_id, officer_id=officer.id)
            )
            if self._session.get(CaseSide, (inspection_id, officer.person_id)) is None:
                self._session.add(
                    CaseSide(case_id=inspection_id, person_id=officer.person_id, side="investigate")
                )
        self._session.flush()
        self._opened.add(inspection_id)
        return inspection_id

    def _too_late(self, inspection: Inspection, act: Act) -> bool:
        """Whether the inspection is sealed and the act was not before the seal."""
        return inspection.sealed_line is not None and not seals_line(
            self._session, inspection, act.header
        )

    def _need_listed(self, inspection_id: str, officers: list[Officer]) -> None:
        """Nobody joins a sealed inspection; that someone listed says so again changes nothing."""
        for officer in officers:
            if self._session.get(InspectionOfficer, (inspection_id, officer.id)) is None:
                raise NotShown(_TOO_LATE)

    def _seal_inspection(self, act: Act) -> str:
        inspection = self._inspection(act)
        if inspection.sealed_line is not None:
            raise NotShown("projection.already_sealed")
        self._write_revisions()
        inspection.state = "sealed"
        inspection.sealed_at_ms = act.header.t.wall_ms
        inspection.sealed_line = act.digest
        self._session.flush()
        mark_outside(self._session, inspection)
        # The window of the visit is known only now.
        self.wants_check = True
        self._session.execute(
            update(EvidenceItem)
            .where(EvidenceItem.inspection_id == inspection.id, EvidenceItem.state != "captured")
            .values(check_wanted=True)
        )
        return inspection.id

    def _save_record(self, act: Act) -> str:
        inspection = self._inspection(act)
        template = act.body["template"]
        template_id, version = template.get("id"), within(template.get("version"), _MAX_VERSION)
        if not isinstance(template_id, str) or "\0" in template_id or version is None:
            raise NotShown("projection.malformed_act")
        if not all(isinstance(digest, str) for digest in act.body["base"]):
            raise NotShown("projection.malformed_act")
        self._revisions.append(
            {
                "line_digest": act.digest,
                "inspection_id": inspection.id,
                "record_id": act.uuid("record"),
                "template_id": template_id[:64],
                "template_version": version,
                "fields": canonical.dumps(act.body["fields"]).decode(),
                "base": canonical.dumps(act.body["base"]).decode(),
                "officer_id": act.uuid("officer"),
                "device_id": act.header.device,
                "epoch": act.header.epoch,
                "seq": act.header.seq,
                "position": act.position,
                "saved_at_ms": act.header.t.wall_ms,
                "outside_seal": inspection.sealed_line is not None,
            }
        )
        return inspection.id

    def _write_revisions(self) -> None:
        if self._revisions:
            self._session.execute(insert(table_of(RecordRevision)), self._revisions)
            self._revisions.clear()

    def _announce_item(self, act: Act) -> str | None:
        inspection = self._inspection(act) if "inspection" in act.body else None
        item_id, sha256 = act.uuid("item"), act.body["sha256"]
        try:
            from_hex(sha256, size=32)
        except BadEncoding as error:
            raise NotShown("projection.malformed_act") from error
        if act.body["size"] < 0 or act.body["class"] not in acts.CLASSES:
            raise NotShown("projection.malformed_act")
        tz_min = within(act.header.t.tz_min, _MAX_ZONE_MIN)
        if tz_min is None:
            raise NotShown("projection.malformed_act")
        if self._session.get(EvidenceItem, item_id) is not None:
            raise NotShown("projection.repeated_id")
        stored = self._is_here(sha256)
        self.wants_check |= stored
        pos = act.body.get("pos")
        pos = pos if isinstance(pos, dict) else {}
        self._session.add(
            EvidenceItem(
                id=item_id,
                organization_id=self._device.organization_id,
                inspection_id=inspection.id if inspection else None,
                device_id=act.header.device,
                epoch=act.header.epoch,
                branch=act.branch,
                seq=act.header.seq,
                line_digest=act.digest,
                officer_id=act.uuid("officer"),
                capture_class=act.body["class"],
                sha256=sha256,
                size=act.body["size"],
                media_type=act.text("media_type", 100),
                name=act.text("name"),
                title=act.text("title"),
                fact_to_prove=act.text("fact_to_prove", 4000),
                method=act.text("method", 1000),
                captured_at_ms=act.header.t.wall_ms,
                tz_min=tz_min,
                lat_e7=within(pos.get("lat"), 900_000_000),
                lon_e7=within(pos.get("lon"), 1_800_000_000),
                accuracy_cm=within(pos.get("acc"), 2_000_000_000),
                fix_at_ms=within(pos.get("fix_ms"), 2**53),
                state="stored" if stored else "captured",
                check_wanted=stored,
                discard_reason="",
                outside_seal=inspection is not None and inspection.sealed_line is not None,
            )
        )
        self._session.flush()
        if inspection is not None:
            self._opened.add(inspection.id)
        return inspection.id if inspection else None

    def _is_here(self, sha256: str) -> bool:
        """Whether the organisation has sent the bytes of that digest before their line."""
        found = self._session.execute(
            select(MediaObject.sha256).where(
                MediaObject.sha256 == sha256,
                MediaObject.status == "stored",
                held(MediaObject.sha256, self._device.organization_id),
            )
        )
        return found.first() is not None

    def _discard_item(self, act: Act) -> str:
        """Mark an item as discarded; its line, its digest and the reason stay."""
        inspection = self._inspection(act)
        item = self._session.get(EvidenceItem, act.uuid("item"))
        if item is None or item.inspection_id != inspection.id:
            raise NotShown("projection.unknown_item")
        if item.state in _JUDGED or self._too_late(inspection, act):
            raise NotShown(_TOO_LATE)
        item.state = "discarded"
        item.discard_reason = act.text("reason", 4000)
        return inspection.id

    def _inspection(self, act: Act) -> Inspection:
        inspection_id = act.uuid("inspection")
        inspection = self._inspections.get(inspection_id)
        if inspection is None:
            inspection = self._session.get(Inspection, inspection_id)
            if inspection is None or inspection.organization_id != self._device.organization_id:
                raise NotShown("projection.unknown_inspection")
            self._inspections[inspection_id] = inspection
        return inspection

    def _officers(self, ids: list[Any]) -> list[Officer]:
        officers = []
        for officer_id in ids:
            officer = self._own(Officer, officer_id, "projection.unknown_officer")
            if officer is None:
                raise NotShown("projection.unknown_officer")
            officers.append(officer)
        return officers

    def _own(self, kind: type[_Owned], identifier: object, code: str) -> _Owned | None:
        """The row of that id if one is named; it must belong to the device's organisation."""
        if identifier is None:
            return None
        row = self._session.get(kind, identifier) if is_uuid(identifier) else None
        if row is None or row.organization_id != self._device.organization_id:
            raise NotShown(code)
        return row
