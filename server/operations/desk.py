"""The desk: an organisation's inspections, newest first, found by text, digest or id."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from server.failures import Invalid
from server.models.inspections import (
    EvidenceItem,
    Finding,
    Inspection,
    InspectionOfficer,
    Judgement,
    RegulatedEntity,
)
from server.models.journal import LineOutcome
from server.models.people import Officer, Person
from server.operations.access import Actor
from server.operations.doubts import standing
from server.operations.erased import ERASED
from sync.wire import Projection

PAGE = 50
_MAX_QUERY = 100
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_CURSOR = re.compile(r"(-?[0-9]{1,16})\.([0-9a-f-]{36})")


@dataclass(frozen=True, kw_only=True)
class DeskRow:
    """One inspection as the desk lists it; ``findings`` counts by severity."""

    id: str
    title: str
    entity: str
    officers: tuple[str, ...]
    state: str
    opened_at_ms: int
    items: int
    missing: int
    discarded: int
    to_review: int
    quarantined: int
    findings: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One page of the desk; ``next`` is the cursor of the page after it."""

    rows: tuple[DeskRow, ...]
    next: str | None


def read_desk(session: Session, actor: Actor, *, query: str, after: str, limit: int = PAGE) -> Desk:
    """The inspections of the actor's organisation that fit ``query``.

    Raises:
        Invalid: if the query is too long or ``after`` is no cursor of ours.
    """
    wanted = query.strip()
    if len(wanted) > _MAX_QUERY:
        raise Invalid("q", "too long")
    statement = select(Inspection).where(Inspection.organization_id == actor.organization_id)
    if wanted:
        statement = statement.where(_fits(wanted))
    if after:
        statement = statement.where(_beyond(after))
    rows = session.scalars(
        statement.order_by(Inspection.opened_at_ms.desc(), Inspection.id.desc()).limit(limit + 1)
    ).all()
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    return Desk(
        rows=_with_counts(session, shown),
        next=f"{last.opened_at_ms}.{last.id}" if last else None,
    )


def _fits(wanted: str) -> ColumnElement[bool]:
    lowered = wanted.lower()
    if _UUID.fullmatch(lowered):
        return or_(
            Inspection.id == lowered,
            Inspection.id.in_(select(EvidenceItem.inspection_id).where(EvidenceItem.id == lowered)),
        )
    text = or_(
        Inspection.title.contains(wanted, autoescape=True),
        Inspection.entity_id.in_(
            select(RegulatedEntity.id).where(RegulatedEntity.name.contains(wanted, autoescape=True))
        ),
        Inspection.id.in_(
            select(InspectionOfficer.inspection_id)
            .join(Officer, Officer.id == InspectionOfficer.officer_id)
            .join(Person, Person.id == Officer.person_id)
            .where(Person.name.contains(wanted, autoescape=True))
        ),
    )
    if not _DIGEST.fullmatch(lowered):
        return text
    by_digest = select(EvidenceItem.inspection_id).where(
        or_(
            EvidenceItem.sha256.startswith(lowered),
            EvidenceItem.line_digest.startswith(lowered),
        )
    )
    return or_(text, Inspection.id.in_(by_digest))


def _beyond(cursor: str) -> ColumnElement[bool]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise Invalid("after", "not a cursor of this list")
    opened_at_ms, identifier = int(match[1]), match[2]
    return or_(
        Inspection.opened_at_ms < opened_at_ms,
        and_(Inspection.opened_at_ms == opened_at_ms, Inspection.id < identifier),
    )


def _with_counts(session: Session, rows: Sequence[Inspection]) -> tuple[DeskRow, ...]:
    ids = [row.id for row in rows]
    states = _states(session, ids)
    findings = _findings(session, ids)
    judged = _judged(session, ids)
    quarantined = _quarantined(session, ids)
    entities = _entity_names(session, rows)
    officers = _officers(session, ids)
    result = []
    for row in rows:
        counts = states.get(row.id, {})
        discarded = counts.get("discarded", 0)
        missing = counts.get("captured", 0)
        total = sum(counts.values())
        # Nothing of what was erased by law is waited for any more.
        gone = row.state == ERASED
        result.append(
            DeskRow(
                id=row.id,
                title=row.title,
                entity=entities.get(row.entity_id or "", ""),
                officers=tuple(officers.get(row.id, ())),
                state=row.state,
                opened_at_ms=row.opened_at_ms,
                items=total,
                missing=0 if gone else missing,
                discarded=discarded,
                to_review=0
                if gone
                else max(0, total - discarded - missing - judged.get(row.id, 0)),
                quarantined=0 if gone else quarantined.get(row.id, 0),
                findings=findings.get(row.id, {}),
            )
        )
    return tuple(result)


def _states(session: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for inspection_id, state, count in session.execute(
        select(EvidenceItem.inspection_id, EvidenceItem.state, func.count())
        .where(EvidenceItem.inspection_id.in_(ids))
        .group_by(EvidenceItem.inspection_id, EvidenceItem.state)
    ):
        found.setdefault(inspection_id or "", {})[state] = count
    return found


def _findings(session: Session, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """The standing findings of each inspection, counted by severity."""
    found: dict[str, dict[str, int]] = {}
    # What two standing runs found alike is one finding.
    once = (
        select(
            EvidenceItem.inspection_id,
            Finding.item_id,
            Finding.severity,
            Finding.code,
            Finding.evidence,
        )
        .join(Finding, Finding.item_id == EvidenceItem.id)
        .where(
            EvidenceItem.inspection_id.in_(ids),
            standing(select(EvidenceItem.id).where(EvidenceItem.inspection_id.in_(ids))),
        )
        .distinct()
        .subquery()
    )
    for inspection_id, severity, count in session.execute(
        select(once.c.inspection_id, once.c.severity, func.count()).group_by(
            once.c.inspection_id, once.c.severity
        )
    ):
        found.setdefault(inspection_id or "", {})[severity] = count
    return found


def _entity_names(session: Session, rows: Sequence[Inspection]) -> dict[str, str]:
    wanted = {row.entity_id for row in rows if row.entity_id}
    found = session.execute(
        select(RegulatedEntity.id, RegulatedEntity.name).where(RegulatedEntity.id.in_(wanted))
    )
    return {row.id: row.name for row in found}


def _judged(session: Session, ids: Sequence[str]) -> dict[str, int]:
    """How many items of each inspection bear a judgement."""
    found = session.execute(
        select(Judgement.case_id, func.count(Judgement.item_id.distinct()).label("number"))
        .where(Judgement.case_id.in_(ids))
        .group_by(Judgement.case_id)
    )
    return {row.case_id: row.number for row in found}


def _quarantined(session: Session, ids: Sequence[str]) -> dict[str, int]:
    rows = session.execute(
        select(LineOutcome.inspection_id, func.count())
        .where(
            LineOutcome.inspection_id.in_(ids),
            LineOutcome.projection == Projection.QUARANTINED.value,
        )
        .group_by(LineOutcome.inspection_id)
    )
    return {inspection_id: count for inspection_id, count in rows if inspection_id}


def _officers(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for inspection_id, name in session.execute(
        select(InspectionOfficer.inspection_id, Person.name)
        .join(Officer, Officer.id == InspectionOfficer.officer_id)
        .join(Person, Person.id == Officer.person_id)
        .where(InspectionOfficer.inspection_id.in_(ids))
        .order_by(Officer.certificate_no)
    ):
        found.setdefault(inspection_id, []).append(name)
    return found
