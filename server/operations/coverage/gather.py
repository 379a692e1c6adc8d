"""Gathering what is on record of one visit, by the bureau's clock as far as it is known."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from server.models.inspections import (
    Addendum,
    EvidenceItem,
    Inspection,
    MediaFacts,
    RecordRevision,
)
from server.models.journal import JournalLine
from server.models.process import ExplainedGap, ProcessStep, Recording
from server.operations.coverage.clocks import DeviceClocks
from server.operations.coverage.core import Coverage, Explained, Marked, Recorded, Span, cover
from server.operations.coverage.footage import is_recording, playing_ms, span_of
from server.operations.coverage.required import SITE_RECORD, required_on, stated
from server.operations.media_hints import SITE_ZONE_MIN
from server.operations.peers import Upto, before
from server.operations.record_view import merged_record

#: Items of one visit that are looked at; beyond them a page would take seconds.
ITEM_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A record as it stands: ``names`` are all values that its revisions gave ``interviewee``."""

    record_id: str
    template_id: str
    inspection_id: str
    values: Mapping[str, Any]
    names: frozenset[str] = frozenset()

    def at_ms(self, field: str) -> int | None:
        """A ``datetime`` field as milliseconds; None if it is empty or no time."""
        try:
            moment = datetime.fromisoformat(str(self.values.get(field, "")))
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC) - timedelta(minutes=SITE_ZONE_MIN)
        return int(moment.timestamp() * 1000)


@dataclass(frozen=True, kw_only=True)
class Shot:
    """An item and when its line says it was taken, by the bureau's clock."""

    item: EvidenceItem
    at_ms: int


@dataclass(frozen=True, kw_only=True)
class Visit:
    """All that is on record of one inspection, as far as the rules about the whole look at it."""

    inspection: Inspection
    opened_ms: int
    #: None while it goes on: neither sealed nor has anybody marked that they left.
    ended_ms: int | None
    papers: tuple[Paper, ...]
    shots: tuple[Shot, ...]
    marks: tuple[Marked, ...]
    recordings: tuple[Recorded, ...]
    coverage: Coverage


def read_visit(session: Session, inspection: Inspection, upto: Upto | None = None) -> Visit:
    """Gather one visit, as of now or of an earlier size of the ledger."""
    clocks = DeviceClocks(session, inspection.opened_at_ms)
    papers = read_papers(session, RecordRevision.inspection_id == inspection.id, upto)
    site = next((one for one in papers if one.template_id == SITE_RECORD), None)
    shots = _shots(session, inspection, clocks, upto)
    photos = {one.item.id for one in shots if one.item.media_type.startswith("image/")}
    marks = (*_marks(session, inspection, clocks, photos, upto), *_stated_times(site))
    opened_ms = clocks.corrected(
        _device_of(session, inspection.opened_line), inspection.opened_at_ms
    )
    ended_ms = _ended(session, inspection, clocks, marks, upto)
    visit = _span(marks, opened_ms, ended_ms)
    recordings = _recordings(session, inspection, clocks, shots, visit, upto)
    required = required_on(_day_at_site(opened_ms))
    return Visit(
        inspection=inspection,
        opened_ms=opened_ms,
        ended_ms=ended_ms,
        papers=papers,
        shots=shots,
        marks=marks,
        recordings=recordings,
        coverage=cover(
            required=[one.step for one in required],
            stated=[one.step for one in required if site and stated(one, site.values)],
            marks=marks,
            recordings=recordings,
            explained=_explained(session, inspection, clocks, upto),
            visit=visit,
        ),
    )


def _day_at_site(at_ms: int) -> str:
    """The ISO day; a moment beyond the calendar (only a false clock names one) counts as latest."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(minutes=SITE_ZONE_MIN)
    except (ValueError, OverflowError, OSError):
        return date.max.isoformat()
    return moment.date().isoformat()


def read_papers(
    session: Session, which: ColumnElement[bool], upto: Upto | None
) -> tuple[Paper, ...]:
    """The records whose revisions satisfy ``which``, each as it stands."""
    limit = RecordRevision.position < upto.position if upto else true()
    rows = session.scalars(
        select(RecordRevision)
        .where(which, limit)
        .order_by(RecordRevision.position, RecordRevision.line_digest)
    ).all()
    by_record: dict[str, list[RecordRevision]] = {}
    for row in rows:
        by_record.setdefault(row.record_id, []).append(row)
    chosen: dict[str, list[Addendum]] = {}
    for addendum in session.scalars(
        select(Addendum).where(
            Addendum.record_id.in_(by_record),
            Addendum.position < upto.position if upto else true(),
        )
    ):
        chosen.setdefault(addendum.record_id or "", []).append(addendum)
    return tuple(_paper(own, chosen.get(record, ())) for record, own in by_record.items())


def _paper(rows: Sequence[RecordRevision], addenda: Sequence[Addendum]) -> Paper:
    return Paper(
        record_id=rows[0].record_id,
        template_id=rows[0].template_id,
        inspection_id=rows[0].inspection_id,
        values=merged_record(rows, addenda).values,
        names=frozenset(name for row in rows if (name := _interviewee(row))),
    )


def _interviewee(row: RecordRevision) -> str:
    person = json.loads(row.fields).get("interviewee")
    return str(person.get("name", "")) if isinstance(person, dict) else ""


def _shots(
    session: Session, inspection: Inspection, clocks: DeviceClocks, upto: Upto | None
) -> tuple[Shot, ...]:
    rows = session.scalars(
        select(EvidenceItem)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .where(
            EvidenceItem.inspection_id == inspection.id,
            EvidenceItem.state != "discarded",
            before(upto),
        )
        .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
        .limit(ITEM_LIMIT)
    )
    return tuple(
        Shot(item=item, at_ms=clocks.corrected(item.device_id, item.captured_at_ms))
        for item in rows
    )


def _marks(
    session: Session,
    inspection: Inspection,
    clocks: DeviceClocks,
    photos: set[str],
    upto: Upto | None,
) -> tuple[Marked, ...]:
    rows = session.scalars(
        select(ProcessStep)
        .where(
            ProcessStep.inspection_id == inspection.id,
            ProcessStep.position < upto.position if upto else true(),
        )
        .order_by(ProcessStep.position)
    )
    return tuple(
        Marked(
            step=row.step,
            at_ms=clocks.corrected(row.device_id, row.at_ms),
            item_id=row.item_id,
            photo=row.item_id in photos,
        )
        for row in rows
    )


def _stated_times(site: Paper | None) -> tuple[Marked, ...]:
    """Beginning and end as the site record states them, to the minute."""
    if site is None:
        return ()
    times = (("arrival", site.at_ms("started_at")), ("left", site.at_ms("ended_at")))
    return tuple(Marked(step=step, at_ms=at) for step, at in times if at is not None)


def _ended(
    session: Session,
    inspection: Inspection,
    clocks: DeviceClocks,
    marks: Sequence[Marked],
    upto: Upto | None,
) -> int | None:
    left = [mark.at_ms for mark in marks if mark.step == "left"]
    if left:
        return max(left)
    line = session.scalars(
        select(JournalLine).where(JournalLine.digest == inspection.sealed_line, before(upto))
    ).first()
    if line is None or inspection.sealed_at_ms is None:
        return None
    return clocks.corrected(line.device_id, inspection.sealed_at_ms)


def _span(marks: Sequence[Marked], opened_ms: int, ended_ms: int | None) -> Span | None:
    """From arriving to leaving; where neither was marked, from opening to sealing."""
    arrived = min((mark.at_ms for mark in marks if mark.step == "arrival"), default=opened_ms)
    return None if ended_ms is None or ended_ms < arrived else Span(arrived, ended_ms)


def _device_of(session: Session, line_digest: str) -> str | None:
    return session.scalar(select(JournalLine.device_id).where(JournalLine.digest == line_digest))


def _recordings(
    session: Session,
    inspection: Inspection,
    clocks: DeviceClocks,
    shots: Sequence[Shot],
    visit: Span | None,
    upto: Upto | None,
) -> tuple[Recorded, ...]:
    rows = session.scalars(
        select(Recording)
        .join(JournalLine, JournalLine.digest == Recording.stopped_line)
        .where(Recording.inspection_id == inspection.id, before(upto))
        .order_by(Recording.started_at_ms, Recording.id)
    )
    files = {shot.item.id: shot for shot in shots if is_recording(shot.item)}
    read = _newest_facts(session, [shot.item.sha256 for shot in files.values()], upto)
    found = []
    for row in rows:
        file = files.pop(row.item_id, None) if row.item_id else None
        facts = read.get(file.item.sha256) if file else None
        found.append(
            Recorded(
                span=Span(
                    clocks.corrected(row.device_id, row.started_at_ms),
                    clocks.corrected(row.device_id, row.stopped_at_ms or row.started_at_ms),
                ),
                item_id=row.item_id,
                playing_ms=playing_ms(facts) if facts else None,
            )
        )
    for shot in files.values():
        facts = read.get(shot.item.sha256)
        span = facts and span_of(
            session,
            shot.item,
            facts,
            captured_at_ms=shot.at_ms,
            visit=visit or Span(shot.at_ms, shot.at_ms),
            before_position=upto.position if upto else None,
        )
        if span:
            found.append(Recorded(span=span, item_id=shot.item.id))
    return tuple(found)


def _newest_facts(
    session: Session, digests: Sequence[str], upto: Upto | None
) -> dict[str, MediaFacts]:
    """The newest reading of each file, as the ledger of ``upto`` knew it."""
    known: ColumnElement[bool] = true()
    if upto:
        known = (MediaFacts.generation < upto.generation) | (
            (MediaFacts.generation == upto.generation) & (MediaFacts.ledger_index < upto.size)
        )
    rows = session.scalars(
        select(MediaFacts)
        .where(MediaFacts.sha256.in_(digests), known)
        .order_by(MediaFacts.generation, MediaFacts.ledger_index)
    )
    return {row.sha256: row for row in rows}


def _explained(
    session: Session, inspection: Inspection, clocks: DeviceClocks, upto: Upto | None
) -> tuple[Explained, ...]:
    rows = session.scalars(
        select(ExplainedGap)
        .where(
            ExplainedGap.inspection_id == inspection.id,
            ExplainedGap.position < upto.position if upto else true(),
        )
        .order_by(ExplainedGap.position)
    )
    return tuple(
        Explained(
            span=Span(
                clocks.corrected(row.device_id, row.from_ms),
                clocks.corrected(row.device_id, row.to_ms),
            ),
            reason=row.reason,
        )
        for row in rows
    )
