"""Findings about the records of a visit: their times, who signed, and text copied from others."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from media.findings.model import WARN
from server.models.inspections import Inspection, InspectionOfficer, RecordRevision
from server.models.people import Officer
from server.operations.copied import Passages
from server.operations.coverage import Paper, Visit, read_papers
from server.operations.coverage.required import SITE_RECORD
from server.operations.doubts import Doubt
from server.operations.peers import Upto
from server.operations.process_doubts import whole_doubt
from sync.evidence import acts

INTERVIEW, SAMPLING = "interview_record", "sampling_record"

#: A record states times to the minute, and the first picture may be taken at the gate.
_MARGIN_MS = 10 * 60_000
#: How many of the organisation's newest interviews are compared.
_LAST = 200
#: Shorter equal passages are what everybody says.
_COPIED_CHARS = 60
_RECORD = "journal:" + acts.RECORD_SAVED


def paper_doubts(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    """What is doubtful about the records of a visit."""
    yield from _times(visit)
    yield from _signers(session, visit)
    own = [paper for paper in visit.papers if paper.template_id == INTERVIEW]
    if not own:
        return
    others = _other_interviews(session, visit.inspection, upto)
    titles = _titles(session, {paper.inspection_id for paper in others})
    for number, paper in enumerate(own):
        if len(paper.names) > 1:
            yield _doubt("INTERVIEWS_OVERLAP", "persons", paper, count=len(paper.names))
        # A pair within one visit is told once.
        against = [*own[number + 1 :], *others]
        yield from _overlaps(paper, against, titles)
        yield from _copies(paper, against, titles)


def _doubt(code: str, reason: str, paper: Paper, raw: str = "", **expected: Any) -> Doubt:
    return whole_doubt(code, WARN, reason, _RECORD, raw, record=paper.record_id[:8], **expected)


def _times(visit: Visit) -> Iterator[Doubt]:
    for paper in visit.papers:
        begun, ended = paper.at_ms("started_at"), paper.at_ms("ended_at")
        if begun is not None and ended is not None and ended < begun:
            yield _doubt("RECORD_TIMES", "backwards", paper, open_ms=begun, close_ms=ended)
        elif paper.template_id == SITE_RECORD and begun is not None and ended is not None:
            yield from _outside(visit, paper, begun, ended)


def _outside(visit: Visit, site: Paper, begun: int, ended: int) -> Iterator[Doubt]:
    first, last = begun - _MARGIN_MS, ended + _MARGIN_MS
    shots = [
        shot
        for shot in visit.shots
        if shot.item.capture_class in ("A", "B") and not first <= shot.at_ms <= last
    ]
    if shots:
        yield _doubt(
            "RECORD_TIMES",
            "photo",
            site,
            raw=shots[0].item.id,
            open_ms=begun,
            close_ms=ended,
            count=len(shots),
            name=shots[0].item.title or shots[0].item.name,
            at_ms=shots[0].at_ms,
        )
    for paper in visit.papers:
        sampled = paper.at_ms("sampled_at") if paper.template_id == SAMPLING else None
        if sampled is not None and not first <= sampled <= last:
            yield _doubt(
                "RECORD_TIMES", "sample", paper, open_ms=begun, close_ms=ended, at_ms=sampled
            )


def _signers(session: Session, visit: Visit) -> Iterator[Doubt]:
    """Names under the party's signature that differ, and officers who are not of the visit."""
    signed: dict[str, Paper] = {}
    for paper in visit.papers:
        signature = paper.values.get("party_signature")
        name = signature.get("name") if isinstance(signature, dict) else None
        if isinstance(name, str) and name.strip():
            signed.setdefault("".join(name.split()), paper)
    if len(signed) > 1:
        (first, _), (second, paper) = list(signed.items())[:2]
        yield _doubt("SIGNERS_DIFFER", "party", paper, raw=second, first=first, second=second)
    known = set(
        session.scalars(
            select(Officer.certificate_no)
            .join(InspectionOfficer, InspectionOfficer.officer_id == Officer.id)
            .where(InspectionOfficer.inspection_id == visit.inspection.id)
        )
    )
    for paper in visit.papers:
        for certificate in sorted(_certificates(paper) - known):
            yield _doubt("SIGNERS_DIFFER", "officer", paper, raw=certificate)


def _certificates(paper: Paper) -> set[str]:
    """Certificate numbers of the officers whom a record names."""
    people = [row.get("officer") for row in _rows(paper, "officers")]
    return {
        number.strip()
        for person in people
        if isinstance(person, dict) and isinstance(number := person.get("certificate_no"), str)
        if number.strip()
    }


def _rows(paper: Paper, group: str) -> list[dict[str, Any]]:
    """The rows of a group; none where a hand-made line gave something else."""
    value = paper.values.get(group)
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _overlaps(paper: Paper, others: list[Paper], titles: Mapping[str, str]) -> Iterator[Doubt]:
    """Interviews that one officer holds at the same time."""
    begun, ended = paper.at_ms("started_at"), paper.at_ms("ended_at")
    if begun is None or ended is None:
        return
    for other in others:
        since, until = other.at_ms("started_at"), other.at_ms("ended_at")
        both = sorted(_certificates(paper) & _certificates(other))
        if since is None or until is None or not both or since >= ended or until <= begun:
            continue
        yield _doubt(
            "INTERVIEWS_OVERLAP",
            "officer",
            paper,
            raw=other.record_id,
            officer=both[0],
            open_ms=begun,
            close_ms=ended,
            other=_name(other, titles),
            since_ms=since,
            until_ms=until,
        )


def _copies(paper: Paper, others: list[Paper], titles: Mapping[str, str]) -> Iterator[Doubt]:
    """Long passages that a person said here and another person elsewhere (雷同笔录)."""
    said = answers(paper)
    passages = Passages(said, _COPIED_CHARS)
    for other in others:
        if paper.names & other.names:
            continue
        passage = passages.longest_in(answers(other))
        if passage:
            yield _doubt(
                "RECORD_COPIED",
                "passage",
                paper,
                raw=passage,
                other=_name(other, titles),
                count=len(passage),
                percent=100 * len(passage) // max(len(said), 1),
            )


def answers(paper: Paper) -> str:
    """What the person said, without spaces; the questions are those of everybody."""
    spoken = (row.get("answer", "") for row in _rows(paper, "dialogue"))
    return "".join("".join(str(one).split()) for one in spoken)


def _name(paper: Paper, titles: Mapping[str, str]) -> str:
    title = titles.get(paper.inspection_id, "")
    return f"{title} {paper.record_id[:8]}".strip()


def _other_interviews(
    session: Session, inspection: Inspection, upto: Upto | None
) -> tuple[Paper, ...]:
    """The organisation's newest interviews of other visits."""
    newest = session.scalars(
        select(RecordRevision.record_id)
        .join(Inspection, Inspection.id == RecordRevision.inspection_id)
        .where(
            RecordRevision.template_id == INTERVIEW,
            RecordRevision.inspection_id != inspection.id,
            Inspection.organization_id == inspection.organization_id,
            RecordRevision.position < upto.position if upto else true(),
        )
        .order_by(RecordRevision.position.desc())
        .limit(_LAST)
    ).all()
    return read_papers(session, RecordRevision.record_id.in_(set(newest)), upto)


def _titles(session: Session, inspections: set[str]) -> dict[str, str]:
    rows = session.execute(
        select(Inspection.id, Inspection.title).where(Inspection.id.in_(inspections))
    )
    return {row.id: row.title for row in rows}
