"""Gathering what is on record of one visit, by the bureau's clock as far as it is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem, Inspection, RecordRevision
from server.models.journal import JournalLine
from server.models.process import ExplainedGap, ProcessStep
from server.operations.coverage.bounds import Odd, bound
from server.operations.coverage.clocks import DeviceClocks
from server.operations.coverage.core import (
    Coverage,
    Explained,
    Marked,
    Recorded,
    Span,
    cover,
)
from server.operations.coverage.filmed import ROW_LIMIT, Shot, read_recordings
from server.operations.coverage.ledger_at import discarded_later, had_event
from server.operations.coverage.papers import Paper, read_papers
from server.operations.coverage.required import SITE_RECORD, required_on, stated
from server.operations.media_hints import SITE_ZONE_MIN
from server.operations.peers import Upto, before


@dataclass(frozen=True, kw_only=True)
class Visit:
    """All that is on record of one inspection, as far as the rules about the whole look at it."""

    inspection: Inspection
    opened_ms: int
    papers: tuple[Paper, ...]
    #: Every item but the discarded ones.
    shots: tuple[Shot, ...]
    marks: tuple[Marked, ...]
    recordings: tuple[Recorded, ...]
    #: Recordings that are here and cannot be placed in time.
    undated: tuple[Shot, ...]
    #: Of what there is more than was looked at: ``items``, ``recordings``, ``steps``, ``reasons``.
    cut: tuple[str, ...]
    #: Times of arriving and leaving that cannot be.
    odd: tuple[Odd, ...]
    #: Its ``visit`` is None while the visit goes on.
    coverage: Coverage


def read_visit(session: Session, inspection: Inspection, upto: Upto | None = None) -> Visit:
    """Gather one visit, as of now or of an earlier size of the ledger."""
    clocks = DeviceClocks(session, inspection.opened_at_ms)
    papers = read_papers(session, RecordRevision.inspection_id == inspection.id, upto)
    site = next((one for one in papers if one.template_id == SITE_RECORD), None)
    shots, discarded = _shots(session, inspection, clocks, upto)
    photos = {
        shot.item.id
        for shot in shots
        if shot.received and shot.item.media_type.lower().startswith("image/")
    }
    marked = _marks(session, inspection, clocks, photos, upto)
    marks = (*marked, *_stated_times(site))
    opened_ms = clocks.corrected(
        _device_of(session, inspection.opened_line), inspection.opened_at_ms
    )
    bounds = bound(
        marks,
        opened_ms=opened_ms,
        sealed_ms=_sealed(session, inspection, clocks, upto),
        acts=[shot.at_ms for shot in shots if shot.item.capture_class in ("A", "B")],
    )
    filmed = read_recordings(
        session, inspection, clocks, shots, discarded=discarded, visit=bounds.span, upto=upto
    )
    explained = _explained(session, inspection, clocks, upto)
    looked_at = {
        "items": len(shots) + len(discarded) == ROW_LIMIT,
        "recordings": filmed.cut,
        "steps": len(marked) == ROW_LIMIT,
        "reasons": len(explained) == ROW_LIMIT,
    }
    required = required_on(_day_at_site(opened_ms))
    return Visit(
        inspection=inspection,
        opened_ms=opened_ms,
        papers=papers,
        shots=shots,
        marks=marks,
        recordings=filmed.recorded,
        undated=filmed.undated,
        cut=tuple(what for what, cut in looked_at.items() if cut),
        odd=bounds.odd,
        coverage=cover(
            required=[one.step for one in required],
            stated=[one.step for one in required if site and stated(one, site.values)],
            marks=marks,
            recordings=filmed.recorded,
            announced=filmed.announced,
            explained=explained,
            visit=bounds.span,
        ),
    )


def _day_at_site(at_ms: int) -> str:
    """The ISO day; a moment beyond the calendar (only a false clock names one) counts as latest."""
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(minutes=SITE_ZONE_MIN)
    except (ValueError, OverflowError, OSError):
        return date.max.isoformat()
    return moment.date().isoformat()


def _shots(
    session: Session, inspection: Inspection, clocks: DeviceClocks, upto: Upto | None
) -> tuple[tuple[Shot, ...], frozenset[str]]:
    """The visit's items, and the ids of those that were discarded."""
    items = session.scalars(
        select(EvidenceItem)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .where(EvidenceItem.inspection_id == inspection.id, before(upto))
        .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
        .limit(ROW_LIMIT)
    ).all()
    gone = [item.id for item in items if item.state == "discarded"]
    discarded = frozenset(gone) - discarded_later(session, inspection, gone, upto)
    kept = [item for item in items if item.id not in discarded]
    here = had_event(
        session, "verify", [item.sha256 for item in kept if item.state != "captured"], upto
    )
    shots = tuple(
        Shot(
            item=item,
            at_ms=clocks.corrected(item.device_id, item.captured_at_ms),
            received=item.sha256 in here,
        )
        for item in kept
    )
    return shots, discarded


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
        .limit(ROW_LIMIT)
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
    return tuple(
        Marked(step=step, at_ms=at, record_id=site.record_id)
        for step, at in times
        if at is not None
    )


def _sealed(
    session: Session, inspection: Inspection, clocks: DeviceClocks, upto: Upto | None
) -> int | None:
    line = session.scalars(
        select(JournalLine).where(JournalLine.digest == inspection.sealed_line, before(upto))
    ).first()
    if line is None or inspection.sealed_at_ms is None:
        return None
    return clocks.corrected(line.device_id, inspection.sealed_at_ms)


def _device_of(session: Session, line_digest: str) -> str | None:
    return session.scalar(select(JournalLine.device_id).where(JournalLine.digest == line_digest))


def _explained(
    session: Session, inspection: Inspection, clocks: DeviceClocks, upto: Upto | None
) -> Sequence[Explained]:
    rows = session.scalars(
        select(ExplainedGap)
        .where(
            ExplainedGap.inspection_id == inspection.id,
            ExplainedGap.position < upto.position if upto else true(),
        )
        .order_by(ExplainedGap.position)
        .limit(ROW_LIMIT)
    )
    return [
        Explained(
            span=Span(
                clocks.corrected(row.device_id, row.from_ms),
                clocks.corrected(row.device_id, row.to_ms),
            ),
            reason=row.reason,
        )
        for row in rows
    ]
