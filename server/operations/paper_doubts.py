"""Findings about the records of a visit: their times, who signed, and text copied from others."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from media.findings.model import INFO, WARN
from server.models.inspections import (
    Inspection,
    InspectionOfficer,
    RecordRevision,
    TemplateVersion,
)
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
#: How many of the organisation's newest interviews, and of its site records, are compared.
_LAST = 200
#: Shorter equal passages are what everybody says.
_COPIED_CHARS = 60
#: What officers find is told in standing phrases, which are longer.
_COPIED_FINDINGS_CHARS = 120
#: Texts of a form that long are printed on the record and not written by anybody.
_PRINTED_CHARS = 12
#: What stands in the place of a name in a signature that is free text.
_NO_NAME = re.compile(
    r"拒签|拒绝|未签|不签|没签|无法|不在|缺席|见附|见纸|纸质|已签|本人|手写|签名|签字|签章|盖章"
    r"|^(?:无|有|是|否|[-—]+)$"
)
_AFTER_NAME = re.compile(r"[（(\[【].*$|[,，;；、/\d].*$|(?:签名|签字|签章|盖章|手印|捺印).*$")
_RECORD = "journal:" + acts.RECORD_SAVED


def paper_doubts(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    """What is doubtful about the records of a visit."""
    yield from _times(visit)
    yield from _signers(session, visit)
    yield from _page_signers(visit)
    yield from _interviews(session, visit, upto)
    yield from _copied_findings(session, visit, upto)


def _interviews(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    own = [paper for paper in visit.papers if paper.template_id == INTERVIEW]
    if not own:
        return
    others = _newest_others(session, visit.inspection, INTERVIEW, upto)
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
        name = _signer(paper.values.get("party_signature"))
        if name:
            signed.setdefault(name, paper)
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


def _page_signers(visit: Visit) -> Iterator[Doubt]:
    """Interviews of which a page is signed by another name than the person's, or by several."""
    for paper in visit.papers:
        if paper.template_id != INTERVIEW:
            continue
        names = dict.fromkeys(
            name for row in paper.rows("pages") if (name := _signer(row.get("signature")))
        )
        known = ["".join(name.split()) for name in sorted(paper.names)]
        others = [name for name in names if name not in known]
        if known and others:
            first, second = known[0], others[0]
        elif len(others) > 1:
            first, second = others[:2]
        else:
            continue
        yield _doubt("SIGNERS_DIFFER", "page", paper, raw=second, first=first, second=second)


def _signer(signature: object) -> str:
    """The name that a signature states, without spaces; empty where it states none.

    The first form of the site record holds free text, also such as 当事人拒绝签名.
    """
    if isinstance(signature, dict):
        name = signature.get("name")
        return "".join(name.split()) if isinstance(name, str) else ""
    if not isinstance(signature, str):
        return ""
    said = re.split("[:：]", "".join(signature.split()))[-1]
    name = _AFTER_NAME.sub("", said)
    return "" if _NO_NAME.search(name) else name


def _certificates(paper: Paper) -> set[str]:
    """Certificate numbers of the officers whom a record names."""
    people = [row.get("officer") for row in paper.rows("officers")]
    return {
        number.strip()
        for person in people
        if isinstance(person, dict) and isinstance(number := person.get("certificate_no"), str)
        if number.strip()
    }


def _overlaps(paper: Paper, others: Sequence[Paper], titles: Mapping[str, str]) -> Iterator[Doubt]:
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


def _copies(paper: Paper, others: Sequence[Paper], titles: Mapping[str, str]) -> Iterator[Doubt]:
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
    spoken = (row.get("answer", "") for row in paper.rows("dialogue"))
    return "".join("".join(str(one).split()) for one in spoken)


def _copied_findings(session: Session, visit: Visit, upto: Upto | None) -> Iterator[Doubt]:
    """Long passages that a site record shares with one about another party."""
    own = [paper for paper in visit.papers if paper.template_id == SITE_RECORD]
    if not any(len(paper.text("findings")) >= _COPIED_FINDINGS_CHARS for paper in own):
        return
    others = _newest_others(session, visit.inspection, SITE_RECORD, upto, other_party=True)
    if not others:
        return
    titles = _titles(session, {paper.inspection_id for paper in others})
    printed = _printed(session, visit.inspection)
    for paper in own:
        written = _written(paper, printed)
        passages = Passages(written, _COPIED_FINDINGS_CHARS)
        for other in others:
            passage = passages.longest_in(_written(other, printed))
            if passage:
                yield whole_doubt(
                    "RECORD_COPIED",
                    INFO,
                    "findings",
                    _RECORD,
                    passage,
                    record=paper.record_id[:8],
                    other=_name(other, titles),
                    count=len(passage),
                    percent=100 * len(passage) // max(len(written), 1),
                )


def _written(paper: Paper, printed: Sequence[str]) -> str:
    """What the officers found, without spaces and without what their form says itself."""
    text = "".join(paper.text("findings").split())
    for phrase in printed:
        # A mark in its place, so that what stood before and behind does not grow together.
        text = text.replace(phrase, "\n")
    return text


def _printed(session: Session, inspection: Inspection) -> tuple[str, ...]:
    """The longer texts of the site record's forms, which every record may repeat."""
    bodies = session.scalars(
        select(TemplateVersion.body).where(
            TemplateVersion.organization_id == inspection.organization_id,
            TemplateVersion.id == SITE_RECORD,
        )
    )
    found = {"".join(text.split()) for body in bodies for text in _texts(json.loads(body)) if text}
    return tuple(sorted((t for t in found if len(t) >= _PRINTED_CHARS), key=len, reverse=True))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)


def _name(paper: Paper, titles: Mapping[str, str]) -> str:
    title = titles.get(paper.inspection_id, "")
    return f"{title} {paper.record_id[:8]}".strip()


def _newest_others(
    session: Session,
    inspection: Inspection,
    template_id: str,
    upto: Upto | None,
    *,
    other_party: bool = False,
) -> tuple[Paper, ...]:
    """The organisation's newest records of a kind from other visits, or of other parties only."""
    # Where a visit names no party nobody can say that it is another one's.
    if other_party and inspection.entity_id is None:
        return ()
    apart = Inspection.entity_id != inspection.entity_id if other_party else true()
    newest = session.scalars(
        select(RecordRevision.record_id)
        .join(Inspection, Inspection.id == RecordRevision.inspection_id)
        .where(
            RecordRevision.template_id == template_id,
            RecordRevision.inspection_id != inspection.id,
            Inspection.organization_id == inspection.organization_id,
            RecordRevision.position < upto.position if upto else true(),
            apart,
        )
        .group_by(RecordRevision.record_id)
        .order_by(func.max(RecordRevision.position).desc(), RecordRevision.record_id)
        .limit(_LAST)
    ).all()
    return read_papers(session, RecordRevision.record_id.in_(newest), upto)


def _titles(session: Session, inspections: set[str]) -> dict[str, str]:
    rows = session.execute(
        select(Inspection.id, Inspection.title).where(Inspection.id.in_(inspections))
    )
    return {row.id: row.title for row in rows}
