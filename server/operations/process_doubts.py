"""Findings about the course of a visit: steps, gaps in recording, files that never came."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from media.findings.distance import metres_between
from media.findings.model import INFO, RULE_VERSION, WARN
from server.models.inspections import (
    EvidenceItem,
    Inspection,
    InspectionOfficer,
    RegulatedEntity,
)
from server.models.journal import JournalLine
from server.operations.cards import officer_cards
from server.operations.coverage import DeviceClocks, Gap, Shot, Visit
from server.operations.coverage.core import TOLERANCE_MS
from server.operations.coverage.required import SITE_RECORD
from server.operations.doubts import Doubt
from server.operations.peers import Upto, before

#: What a visit is about comes after the certificates; other steps may come at any time.
_AFTER_CERTIFICATES = ("inspected", "stop_order", "sampled", "interviewed")
#: Words of a measure that must be recorded without interruption, unless denied (未予查封).
_SEIZURE = re.compile(r"查封|扣押")
_DENIED = re.compile(r"(?:[未不无没]|解除)[^，。；、\n]{0,4}(?:查封|扣押)(?:[、或和及]?扣押)?")
#: Two acts of one officer this near to each other cannot be at two distant places.
_AT_ONCE_MS = 60_000
#: Devices' clocks may be wrong by this much before they are corrected.
_CLOCK_MS = 12 * 3_600_000
#: How far apart two parties are that nobody works at within a minute.
_APART_M = 2_000
#: How many acts of one officer in other visits are compared.
_ACTS_LIMIT = 2000
#: Only visits opened this near to each other are looked at: the opening has an index.
_NEAR_MS = 2 * 86_400_000


def course_doubts(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    """What is doubtful about the course of a visit; what is missing counts once it has ended."""
    yield from _certificates(visit)
    yield from _two_places(session, visit, upto)
    if visit.coverage.visit is None:
        return
    yield from _missing(visit)
    yield from _gaps(visit)
    yield from _shorter(visit)
    yield from _uninterrupted(visit)
    yield from _expected(visit)


def whole_doubt(
    code: str, severity: str, reason: str, tag: str, raw: str = "", **expected: Any
) -> Doubt:
    """A finding about a visit as a whole, computed when it is shown."""
    return Doubt(
        code=code,
        severity=severity,
        rule_version=RULE_VERSION,
        evidence={
            "tag": tag,
            "raw": raw,
            "offset": -1,
            "expected": {"reason": reason, **expected},
        },
        found_at_ms=0,
        ledger_index=0,
    )


def _missing(visit: Visit) -> Iterator[Doubt]:
    for step in visit.coverage.steps:
        if step.missing:
            yield whole_doubt("COVERAGE_MISSING", WARN, step.step, "journal:step.marked")


def _gaps(visit: Visit) -> Iterator[Doubt]:
    span = visit.coverage.visit
    if span is None:
        return
    if not visit.recordings:
        if not any(gap.explained for gap in visit.coverage.gaps):
            yield whole_doubt(
                "RECORDING_GAP", INFO, "none", _RECORDING, open_ms=span.from_ms, close_ms=span.to_ms
            )
        return
    for gap in visit.coverage.gaps:
        if not gap.explained:
            yield _gap_doubt("RECORDING_GAP", "unexplained", gap)


def _shorter(visit: Visit) -> Iterator[Doubt]:
    """Recordings that the device says ran longer than their file plays."""
    for one in visit.recordings:
        if one.playing_ms is None or one.span.length_ms - one.playing_ms < TOLERANCE_MS:
            continue
        yield whole_doubt(
            "RECORDING_GAP",
            WARN,
            "shorter",
            _RECORDING,
            raw=one.item_id or "",
            open_ms=one.span.from_ms,
            close_ms=one.span.to_ms,
            minutes=one.playing_ms // 60_000,
        )


_RECORDING = "journal:recording.started"


def _gap_doubt(code: str, reason: str, gap: Gap) -> Doubt:
    return whole_doubt(
        code,
        WARN,
        reason,
        _RECORDING,
        open_ms=gap.span.from_ms,
        close_ms=gap.span.to_ms,
        minutes=gap.span.length_ms // 60_000,
    )


def _certificates(visit: Visit) -> Iterator[Doubt]:
    shown = [mark.at_ms for mark in visit.marks if mark.step == "certificates_shown"]
    later = [mark for mark in visit.marks if mark.step in _AFTER_CERTIFICATES]
    first = min(later, key=lambda mark: mark.at_ms, default=None)
    if shown and first is not None and first.at_ms < min(shown):
        yield whole_doubt(
            "CERTIFICATES_NOT_FIRST",
            WARN,
            first.step,
            "journal:step.marked",
            first_ms=first.at_ms,
            shown_ms=min(shown),
        )


def _uninterrupted(visit: Visit) -> Iterator[Doubt]:
    """A seizure is to be recorded from beginning to end, whatever the reason of a gap."""
    if not _seizes(visit):
        return
    if not visit.recordings:
        yield whole_doubt("COVERAGE_INTERRUPTED", WARN, "none", _RECORDING)
    for gap in visit.coverage.gaps if visit.recordings else ():
        yield _gap_doubt("COVERAGE_INTERRUPTED", "gap", gap)


def _seizes(visit: Visit) -> bool:
    return any(
        "seizure" in paper.template_id
        or bool(
            paper.template_id == SITE_RECORD
            and _SEIZURE.search(_DENIED.sub("", str(paper.values.get("measures", ""))))
        )
        for paper in visit.papers
    )


def _expected(visit: Visit) -> Iterator[Doubt]:
    waiting = [shot for shot in visit.shots if shot.item.state == "captured"]
    if waiting:
        oldest = min(waiting, key=lambda shot: shot.at_ms)
        yield whole_doubt(
            "MEDIA_EXPECTED",
            WARN,
            "waiting",
            "journal:media.captured",
            raw=oldest.item.sha256,
            count=len(waiting),
            name=oldest.item.title or oldest.item.name or oldest.item.id,
            oldest_ms=oldest.at_ms,
        )


def _two_places(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    """Officers who took pictures here and, within a minute, in a visit of a distant party."""
    here = visit.inspection
    place = _place(session, here.entity_id)
    own = [shot for shot in visit.shots if shot.item.capture_class in ("A", "B")]
    if place is None or not own:
        return
    officers = session.scalars(
        select(InspectionOfficer.officer_id)
        .where(InspectionOfficer.inspection_id == here.id)
        .order_by(InspectionOfficer.officer_id)
    ).all()
    cards = officer_cards(session, officers)
    for officer in officers:
        mine = [shot for shot in own if shot.item.officer_id == officer]
        found = _elsewhere(session, here, mine, place, before(upto)) if mine else None
        if found is not None and officer in cards:
            here_ms, there_ms, other, title = found
            yield whole_doubt(
                "OFFICER_TWO_PLACES",
                WARN,
                "items",
                "journal:media.captured",
                raw=other.id,
                officer=cards[officer].name,
                other=title or other.inspection_id or "",
                here_ms=here_ms,
                there_ms=there_ms,
            )


def _elsewhere(
    session: Session,
    here: Inspection,
    mine: Sequence[Shot],
    place: tuple[int, int],
    limit: ColumnElement[bool],
) -> tuple[int, int, EvidenceItem, str] | None:
    """The first item that the same officer took at the same time for a distant party.

    Returns when the officer was here and there by the bureau's clock, the item and the
    title of its visit.
    """
    clocks = DeviceClocks(session, here.opened_at_ms)
    rows = session.execute(
        select(EvidenceItem, Inspection.title, RegulatedEntity.lat_e7, RegulatedEntity.lon_e7)
        .join(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .join(RegulatedEntity, RegulatedEntity.id == Inspection.entity_id)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .where(
            Inspection.organization_id == here.organization_id,
            Inspection.opened_at_ms.between(
                here.opened_at_ms - _NEAR_MS, here.opened_at_ms + _NEAR_MS
            ),
            Inspection.id != here.id,
            EvidenceItem.officer_id == mine[0].item.officer_id,
            EvidenceItem.capture_class.in_(("A", "B")),
            EvidenceItem.state != "discarded",
            EvidenceItem.captured_at_ms.between(
                min(shot.at_ms for shot in mine) - _CLOCK_MS,
                max(shot.at_ms for shot in mine) + _CLOCK_MS,
            ),
            limit,
        )
        .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
        .limit(_ACTS_LIMIT)
    )
    for other, title, lat, lon in rows:
        if lat is None or lon is None or metres_between(*place, lat, lon) < _APART_M:
            continue
        there_ms = clocks.corrected(other.device_id, other.captured_at_ms)
        for shot in mine:
            if abs(shot.at_ms - there_ms) <= _AT_ONCE_MS:
                return shot.at_ms, there_ms, other, title
    return None


def _place(session: Session, entity_id: str | None) -> tuple[int, int] | None:
    entity = session.get(RegulatedEntity, entity_id) if entity_id else None
    if entity is None or entity.lat_e7 is None or entity.lon_e7 is None:
        return None
    return entity.lat_e7, entity.lon_e7
