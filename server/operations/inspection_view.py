"""Everything that the page of one inspection shows, as values read from one snapshot."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.inspections import (
    Derivative,
    EvidenceItem,
    EvidencePackage,
    Inspection,
    InspectionOfficer,
    Judgement,
    RegulatedEntity,
    Task,
)
from server.models.journal import JournalLine, JournalPart, LineOutcome, same_line
from server.models.people import Organization
from server.operations.access import Actor
from server.operations.cards import OfficerCard, device_cards, officer_cards, person_names
from server.operations.coverage import Coverage
from server.operations.doubts import Doubt, doubts_of
from server.operations.erased import Mark, marks_of_items, text_mark
from server.operations.frames import Frame
from server.operations.holding import held
from server.operations.inspection_doubts import inspection_doubts
from server.operations.quarantine_view import Counts, count_lines, released_lines
from server.operations.record_view import AddendumRow, Record, read_writings
from server.operations.revocation import came_after, revoked_before
from server.operations.standing import standing_checks
from sync.evidence import canonical
from sync.evidence.line import parse_header
from sync.wire import Projection

ITEM_LIMIT = 500
LINE_LIMIT = 500


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """One item of the list. ``verdict`` is of the standing checks, None before the first."""

    id: str
    title: str
    name: str
    media_type: str
    capture_class: str
    state: str
    sha256: str
    size: int
    captured_at_ms: int
    officer: str
    certificate_valid: bool
    verdict: str | None
    doubts: tuple[Doubt, ...]
    judged: bool
    has_thumbnail: bool
    outside_seal: bool
    discard_reason: str
    announced_at_ms: int
    line_digest: str
    erased: bool


@dataclass(frozen=True, kw_only=True)
class LineRow:
    """One journal line; ``act_type`` is empty where its text was lawfully erased."""

    device: str
    epoch: str
    branch: str
    seq: int
    digest: str
    act_type: str
    wall_ms: int
    received_at_ms: int
    ledger_index: int
    after_revocation: bool
    projection: str
    code: str
    released: bool


@dataclass(frozen=True, kw_only=True)
class PackageRow:
    """One export and how far it has come."""

    id: str
    requested_by: str
    requested_at_ms: int
    reason: str
    state: str
    sha256: str | None
    size: int | None
    verdict: str | None
    failure: str | None
    #: How much of it is written, while it is built and large enough for that to matter.
    percent: int | None


@dataclass(frozen=True, kw_only=True)
class TaskCard:
    title: str
    kind: str
    source: str
    launch_mode: str
    approved_by: str
    due_at_ms: int | None


@dataclass(frozen=True, kw_only=True)
class EntityCard:
    name: str
    uscc: str
    address: str


@dataclass(frozen=True, kw_only=True)
class InspectionPage:
    """One inspection with all that hangs on it; lists longer than their limit are cut."""

    id: str
    organization: str
    title: str
    purpose: str
    state: str
    opened_at_ms: int
    opened_line: str
    sealed_at_ms: int | None
    sealed_line: str | None
    task: TaskCard | None
    entity: EntityCard | None
    officers: tuple[OfficerCard, ...]
    items: tuple[ItemRow, ...]
    records: tuple[Record, ...]
    addenda: tuple[AddendumRow, ...]
    lines: tuple[LineRow, ...]
    packages: tuple[PackageRow, ...]
    #: Findings about the inspection as a whole, and how many devices wrote its lines.
    doubts: tuple[Doubt, ...]
    devices: int
    #: What shows each required step, and when nothing was recorded.
    coverage: Coverage
    #: Recorders' clocks as frames of its films show them.
    frames: tuple[Frame, ...]
    #: How many lines wait or were decided on; ``released`` are the digests of those let through.
    quarantine: Counts
    released: frozenset[str]
    #: Why there is no text, where the inspection was erased by law.
    erased: Mark | None

    @property
    def quarantined(self) -> tuple[LineRow, ...]:
        return tuple(x for x in self.lines if x.projection == Projection.QUARANTINED.value)


def owned_inspection(session: Session, actor: Actor, inspection_id: str) -> Inspection:
    """The inspection of that id if it belongs to the actor's organisation.

    Raises:
        NotFound: otherwise; that it exists elsewhere is not told.
    """
    row = session.get(Inspection, inspection_id)
    if row is None or row.organization_id != actor.organization_id:
        raise NotFound("inspection", inspection_id)
    return row


def read_inspection(session: Session, actor: Actor, inspection_id: str) -> InspectionPage:
    """Assemble the page of one inspection.

    Raises:
        NotFound: if it is not the actor's organisation's.
    """
    row = owned_inspection(session, actor, inspection_id)
    listed = session.scalars(
        select(InspectionOfficer.officer_id).where(InspectionOfficer.inspection_id == row.id)
    ).all()
    writings = read_writings(session, row)
    whole = inspection_doubts(session, row)
    erased = text_mark(session, row.id)
    return InspectionPage(
        id=row.id,
        organization=session.get_one(Organization, row.organization_id).name,
        title=row.title,
        purpose=row.purpose,
        state=row.state,
        opened_at_ms=row.opened_at_ms,
        opened_line=row.opened_line,
        sealed_at_ms=row.sealed_at_ms,
        sealed_line=row.sealed_line,
        task=_task(session, row.task_id),
        entity=_entity(session, row.entity_id),
        officers=tuple(officer_cards(session, listed).values()),
        items=_items(session, row),
        records=writings.records,
        addenda=writings.addenda,
        lines=_lines(session, row.id),
        packages=_packages(session, row.id),
        # What the rules miss of a case without text says nothing about the case.
        doubts=() if erased else whole.doubts,
        devices=whole.devices,
        coverage=whole.visit.coverage,
        frames=whole.frames,
        quarantine=count_lines(session, row.id),
        released=released_lines(session, row.id),
        erased=erased,
    )


def _task(session: Session, task_id: str | None) -> TaskCard | None:
    task = session.get(Task, task_id) if task_id else None
    if task is None:
        return None
    approver = task.approved_by or ""
    return TaskCard(
        title=task.title,
        kind=task.kind,
        source=task.source,
        launch_mode=task.launch_mode,
        approved_by=person_names(session, [approver]).get(approver, ""),
        due_at_ms=task.due_at_ms,
    )


def _entity(session: Session, entity_id: str | None) -> EntityCard | None:
    row = session.get(RegulatedEntity, entity_id) if entity_id else None
    return None if row is None else EntityCard(name=row.name, uscc=row.uscc, address=row.address)


def _items(session: Session, inspection: Inspection) -> tuple[ItemRow, ...]:
    found = session.execute(
        select(EvidenceItem, JournalLine.received_at_ms)
        .join(
            JournalLine,
            same_line(JournalLine, EvidenceItem),
        )
        .where(EvidenceItem.inspection_id == inspection.id)
        .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
        .limit(ITEM_LIMIT)
    ).all()
    items = [item for item, _ in found]
    ids = [item.id for item in items]
    officers = officer_cards(session, (item.officer_id for item in items))
    doubts, checks = doubts_of(session, ids), standing_checks(session, ids)
    erased = marks_of_items(session, ids)
    judged = set(session.scalars(select(Judgement.item_id).where(Judgement.item_id.in_(ids))))
    drawn = set(
        session.scalars(
            select(Derivative.source_sha256).where(
                Derivative.source_sha256.in_({item.sha256 for item in items}),
                Derivative.purpose == "thumbnail",
                held(Derivative.source_sha256, inspection.organization_id),
            )
        )
    )
    rows = []
    for item, announced_at_ms in found:
        officer = officers.get(item.officer_id)
        check = checks.get(item.id)
        rows.append(
            ItemRow(
                id=item.id,
                title=item.title,
                name=item.name,
                media_type=item.media_type,
                capture_class=item.capture_class,
                state=item.state,
                sha256=item.sha256,
                size=item.size,
                captured_at_ms=item.captured_at_ms,
                officer=officer.name if officer else "",
                certificate_valid=officer is not None and officer.valid_at(item.captured_at_ms),
                verdict=check.verdict if check else None,
                doubts=doubts.get(item.id, ()),
                judged=item.id in judged,
                has_thumbnail=item.sha256 in drawn and item.id not in erased,
                outside_seal=item.outside_seal,
                discard_reason=item.discard_reason,
                announced_at_ms=announced_at_ms,
                line_digest=item.line_digest,
                erased=item.id in erased,
            )
        )
    return tuple(rows)


def _lines(session: Session, inspection_id: str) -> tuple[LineRow, ...]:
    place = (JournalLine.device_id, JournalLine.epoch, JournalLine.branch, JournalLine.seq)
    rows = session.execute(
        select(
            JournalLine,
            LineOutcome.projection,
            LineOutcome.code,
            LineOutcome.released,
            JournalPart.body,
        )
        .join(
            LineOutcome,
            (LineOutcome.device_id == place[0])
            & (LineOutcome.epoch == place[1])
            & (LineOutcome.branch == place[2])
            & (LineOutcome.seq == place[3]),
        )
        .outerjoin(
            JournalPart,
            (JournalPart.device_id == place[0])
            & (JournalPart.epoch == place[1])
            & (JournalPart.branch == place[2])
            & (JournalPart.seq == place[3])
            & (JournalPart.number == 0),
        )
        .where(LineOutcome.inspection_id == inspection_id)
        .order_by(JournalLine.generation, JournalLine.ledger_index)
        .limit(LINE_LIMIT)
    ).all()
    devices = device_cards(session, (line.device_id for line, *_ in rows))
    since = revoked_before(session, (line.key_id for line, *_ in rows))
    return tuple(
        LineRow(
            device=devices[line.device_id].name,
            epoch=line.epoch,
            branch=line.branch,
            seq=line.seq,
            digest=line.digest,
            act_type=canonical.loads(body)["type"] if body else "",
            wall_ms=parse_header(line.header).t.wall_ms,
            received_at_ms=line.received_at_ms,
            ledger_index=line.ledger_index,
            after_revocation=came_after(line, since),
            projection=projection,
            code=code,
            released=released,
        )
        for line, projection, code, released, body in rows
    )


def _packages(session: Session, inspection_id: str) -> tuple[PackageRow, ...]:
    rows = session.scalars(
        select(EvidencePackage)
        .where(EvidencePackage.inspection_id == inspection_id)
        .order_by(EvidencePackage.requested_at_ms.desc())
    ).all()
    names = person_names(session, (row.requested_by for row in rows))
    return tuple(
        PackageRow(
            id=row.id,
            requested_by=names.get(row.requested_by, ""),
            requested_at_ms=row.requested_at_ms,
            reason=row.reason,
            state=row.state,
            sha256=row.sha256,
            size=row.size,
            verdict=row.verdict,
            failure=row.failure,
            percent=row.written * 100 // row.of_bytes if row.written and row.of_bytes else None,
        )
        for row in rows
    )
