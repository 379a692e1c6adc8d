"""Findings about the course of a visit: steps, gaps in recording, files that never came."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from media.findings.distance import metres_between
from media.findings.model import INFO, WARN
from server.models.inspections import (
    EvidenceItem,
    Inspection,
    InspectionOfficer,
    RegulatedEntity,
)
from server.models.journal import JournalLine
from server.operations.cards import officer_cards
from server.operations.coverage import Announced, DeviceClocks, Gap, Odd, Shot, Visit
from server.operations.coverage.filmed import ROW_LIMIT
from server.operations.coverage.required import SITE_RECORD
from server.operations.doubts import VISIT_RULES_VERSION, Doubt
from server.operations.peers import Upto, before
from server.operations.seizures import tells_of_seizure
from sync.evidence import acts

#: What a visit is about comes after the certificates; other steps may come at any time.
_AFTER_CERTIFICATES = ("inspected", "stop_order", "sampled", "interviewed")
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

#: Gaps of a visit that are told one by one; what is more is told as a sum.
_GAPS_LIMIT = 50

_MARK = "journal:" + acts.STEP_MARKED
_RECORDING = "journal:" + acts.RECORDING_STARTED
_REASON = "journal:" + acts.GAP_EXPLAINED


def course_doubts(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    """What is doubtful about the course of a visit; what is missing counts once it has ended."""
    yield from _certificates(visit)
    yield from _two_places(session, visit, upto)
    yield from (_odd(visit, one) for one in visit.odd)
    for what in visit.cut:
        yield whole_doubt("VISIT_TOO_LARGE", WARN, what, _MARK, count=ROW_LIMIT)
    if visit.coverage.visit is None:
        return
    yield from _steps(visit)
    yield from _gaps(visit)
    yield from _reasons(visit)
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
        rule_version=VISIT_RULES_VERSION,
        evidence={
            "tag": tag,
            "raw": raw,
            "offset": -1,
            "expected": {"reason": reason, **expected},
        },
        found_at_ms=0,
        ledger_index=0,
    )


def _odd(visit: Visit, odd: Odd) -> Doubt:
    """A time of arriving or leaving that cannot be."""
    mark = odd.mark
    return whole_doubt(
        "RECORD_TIMES",
        WARN,
        odd.why,
        "journal:" + acts.RECORD_SAVED if mark.record_id else _MARK,
        raw=mark.record_id,
        at_ms=mark.at_ms,
        open_ms=odd.at_ms,
    )


def _steps(visit: Visit) -> Iterator[Doubt]:
    for step in visit.coverage.steps:
        if step.missing:
            yield whole_doubt("COVERAGE_MISSING", WARN, step.step, _MARK)
        elif step.only_marked:
            yield whole_doubt("COVERAGE_MARKED", INFO, step.step, _MARK, at_ms=step.at_ms)


def _gaps(visit: Visit) -> Iterator[Doubt]:
    coverage = visit.coverage
    for one in coverage.announced:
        yield _announced_doubt(one)
    if coverage.visit is None:
        return
    unexplained = [gap for gap in coverage.gaps if not gap.explained]
    if visit.recordings or coverage.announced:
        yield from _gap_doubts("RECORDING_GAP", "unexplained", unexplained)
        if visit.recordings and coverage.broken_up:
            yield whole_doubt(
                "RECORDING_GAP", WARN, "pieces", _RECORDING, seconds=coverage.short_ms // 1000
            )
    elif len(unexplained) == len(coverage.gaps) and not visit.undated:
        yield whole_doubt(
            "RECORDING_GAP",
            INFO,
            "none",
            _RECORDING,
            open_ms=coverage.visit.from_ms,
            close_ms=coverage.visit.to_ms,
        )
    if visit.undated and unexplained:
        yield _undated("RECORDING_GAP", INFO, visit)


def _undated(code: str, severity: str, visit: Visit) -> Doubt:
    """Recordings that are here and may, for all we know, fill what seems not to be recorded."""
    first = visit.undated[0].item
    return whole_doubt(
        code,
        severity,
        "undated",
        _RECORDING,
        raw=first.sha256,
        count=len(visit.undated),
        name=first.title or first.name or first.id,
    )


def _announced_doubt(one: Announced) -> Doubt:
    """A recording of which only the journal tells; files that are to come are told apart too."""
    return whole_doubt(
        "RECORDING_GAP",
        INFO if one.why == "expected" else WARN,
        one.why,
        _RECORDING,
        raw=one.item_id,
        open_ms=one.span.from_ms,
        close_ms=one.span.to_ms,
    )


def _reasons(visit: Visit) -> Iterator[Doubt]:
    """Reasons for gaps that are stated for the whole visit, or for longer than a day."""
    coverage = visit.coverage
    for one in coverage.overlong:
        yield whole_doubt(
            "RECORDING_GAP",
            WARN,
            "overlong",
            _REASON,
            raw=one.reason,
            open_ms=one.span.from_ms,
            close_ms=one.span.to_ms,
        )
    if coverage.explained_whole and coverage.visit is not None:
        yield whole_doubt(
            "RECORDING_GAP",
            INFO,
            "whole",
            _REASON,
            open_ms=coverage.visit.from_ms,
            close_ms=coverage.visit.to_ms,
        )


def _shorter(visit: Visit) -> Iterator[Doubt]:
    """Recordings that the device says ran longer than their file plays."""
    for one in visit.recordings:
        if one.said is not None:
            yield whole_doubt(
                "RECORDING_GAP",
                WARN,
                "shorter",
                _RECORDING,
                raw=one.item_id,
                open_ms=one.said.from_ms,
                close_ms=one.said.to_ms,
                minutes=one.span.length_ms // 60_000,
                seconds=one.span.length_ms // 1000 % 60,
            )


def _gap_doubts(code: str, reason: str, gaps: Sequence[Gap]) -> Iterator[Doubt]:
    yield from (_gap_doubt(code, reason, gap) for gap in gaps[:_GAPS_LIMIT])
    rest = gaps[_GAPS_LIMIT:]
    if rest:
        yield whole_doubt(
            code,
            WARN,
            "more",
            _RECORDING,
            count=len(rest),
            minutes=sum(gap.span.length_ms for gap in rest) // 60_000,
        )


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
            _MARK,
            first_ms=first.at_ms,
            shown_ms=min(shown),
        )


def _uninterrupted(visit: Visit) -> Iterator[Doubt]:
    """A seizure is to be recorded from beginning to end, whatever the reason of a gap."""
    if not _seizes(visit):
        return
    coverage = visit.coverage
    if visit.undated and (coverage.gaps or coverage.interrupted):
        yield _undated("COVERAGE_INTERRUPTED", WARN, visit)
    if not visit.recordings:
        if not visit.undated:
            yield whole_doubt("COVERAGE_INTERRUPTED", WARN, "none", _RECORDING)
        return
    yield from _gap_doubts("COVERAGE_INTERRUPTED", "gap", coverage.gaps)
    if coverage.interrupted:
        yield whole_doubt(
            "COVERAGE_INTERRUPTED",
            WARN,
            "pieces",
            _RECORDING,
            count=len(coverage.breaks),
            seconds=sum(span.length_ms for span in coverage.breaks) // 1000,
            longest_ms=max(span.length_ms for span in coverage.breaks),
        )


def _seizes(visit: Visit) -> bool:
    return any(
        "seizure" in paper.template_id
        or (paper.template_id == SITE_RECORD and tells_of_seizure(paper.text("measures")))
        for paper in visit.papers
    )


def _expected(visit: Visit) -> Iterator[Doubt]:
    waiting = [shot for shot in visit.shots if not shot.received]
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
