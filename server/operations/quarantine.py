"""A reviewer's decision on what was quarantined (待核): released in spite of its reason, or kept.

A decision is a leaf of the ledger and a row that stays; a later one stands
beside it. What was released is shown with a mark. A released line cannot be taken back, since
others may rest on it; a released file can be kept back again.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound, NotIndependent
from server.models.devices import Device
from server.models.inspections import CaseSide, EvidenceItem, Inspection
from server.models.journal import (
    MAIN,
    JournalLine,
    JournalPart,
    LineOutcome,
    QuarantineDecision,
    QuarantinedLine,
)
from server.models.people import Officer
from server.models.uploads import QuarantinedMedia, UnsafeMedia
from server.operations import ledger
from server.operations.access import Actor, require
from server.operations.frames import film_of, is_frame, read_frame
from server.operations.outcomes import mark_changed
from server.operations.projection import Projector, is_uuid
from server.operations.projection.process import FRAME_UNCONFIRMED
from server.operations.review import REVIEW, stands_elsewhere
from server.operations.serving import RELEASED, UNSAFE, let_through, may_be_shown, newest_facts
from sync.evidence import acts, canonical
from sync.wire import Projection

LINE, BYTES, MEDIA = "line", "bytes", "media"
KINDS = (LINE, BYTES, MEDIA, UNSAFE)
KEPT = "kept"

#: Reasons in spite of which a line can be shown. For any other there is nothing to show it by.
RELEASABLE = frozenset(
    {
        "projection.forked",
        FRAME_UNCONFIRMED,
        "projection.no_officer_session",
        "projection.too_late",
        "projection.unknown_entity",
        "projection.unknown_task",
        "projection.unknown_template",
    }
)
#: Acts of a branch that would change what the main chain's own lines mean.
_OF_THE_CHAIN = frozenset(
    {
        acts.EPOCH_OPENED,
        acts.SESSION_OPENED,
        acts.SESSION_CLOSED,
        acts.INSPECTION_SEALED,
        acts.CLOCK_COMPARED,
        acts.RECORDER_COMPARED,
        acts.ANCHOR_SEEN,
        acts.PEER_HEAD,
        acts.DEVICE_WIPED,
    }
)
_MAX_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a reviewer says; ``seen`` is how many decisions the page showed."""

    decision: str
    reason: str
    seen: int


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What is decided on: how the ledger names it, and whose case it touches."""

    code: str
    organization_id: str
    device_id: str
    names: dict[str, object]
    inspections: tuple[str, ...]
    officers: frozenset[str] = frozenset()
    outcome: LineOutcome | None = None
    released: bool = False


def decide(
    session: Session, actor: Actor, kind: str, subject: str, word: Decision, *, now_ms: int
) -> bool:
    """Release or keep one thing; whether the worker has media to check now.

    Raises:
        Forbidden: if the actor is no reviewer.
        NotFound: if there is no such thing in the actor's organisation.
        Invalid: for an unknown decision or without a reason.
        NotIndependent: if the actor stands on another side of the case.
        Conflict: if it cannot be released, was released already, or somebody
            decided meanwhile.
    """
    require(actor, "reviewer")
    if word.decision not in (RELEASED, KEPT):
        raise Invalid("decision", "unknown")
    reason = word.reason.strip()
    if not 0 < len(reason) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    # Pushes and decisions queue here, so nothing below can change under us.
    head = ledger.lock_head(session)
    found = _find(session, kind, subject)
    if found.organization_id != actor.organization_id:
        raise NotFound("quarantined", subject)
    if not _independent(session, actor, found):
        raise NotIndependent
    if _count(session, kind, subject) != word.seen:
        raise Conflict("decided meanwhile")
    if found.released and (found.outcome is not None or word.decision == RELEASED):
        raise Conflict("released already")
    if word.decision == RELEASED and not is_releasable(session, kind, subject):
        raise Conflict(f"cannot be shown: {found.code}")
    index = ledger.append(
        session,
        "quarantine",
        actor=actor.for_ledger(),
        subject=found.names,
        snapshot={"act": word.decision, "code": found.code, "reason": reason},
        now_ms=now_ms,
        about=(
            f"device:{found.device_id}",
            f"person:{actor.person_id}",
            *(f"inspection:{name}" for name in found.inspections),
            *((f"item:{subject}",) if kind == UNSAFE else ()),
        ),
    )
    for inspection_id in found.inspections:
        if session.get(CaseSide, (inspection_id, actor.person_id)) is None:
            session.add(CaseSide(case_id=inspection_id, person_id=actor.person_id, side=REVIEW))
    session.add(
        QuarantineDecision(
            kind=kind,
            subject=subject,
            decision=word.decision,
            code=found.code,
            reason=reason,
            person_id=actor.person_id,
            decided_at_ms=now_ms,
            generation=head.generation,
            ledger_index=index,
        )
    )
    session.flush()
    if found.outcome is None:
        return False
    if word.decision == KEPT:
        mark_changed(session, found.outcome)
        return False
    return _release(session, found, now_ms=now_ms)


def is_releasable(session: Session, kind: str, subject: str) -> bool:
    """Whether there is a way to show it in spite of its reason."""
    if kind == UNSAFE:
        item = session.get(EvidenceItem, subject)
        facts = newest_facts(session, item.sha256) if item else None
        return facts is not None and may_be_shown(facts)
    if kind != LINE:
        return False
    line, outcome = _line(session, subject)
    if outcome.code not in RELEASABLE:
        return False
    body = session.get(JournalPart, (line.device_id, line.epoch, line.branch, line.seq, 0))
    if body is None:
        return False
    act = canonical.loads(body.body)
    if is_frame(act):
        organization_id = session.get_one(Device, line.device_id).organization_id
        if not read_frame(session, organization_id, subject, act).is_here:
            return False
    return line.branch == MAIN or act["type"] not in _OF_THE_CHAIN


def may_decide(session: Session, actor: Actor, kind: str, subject: str) -> bool:
    """Whether the actor stands on no other side of the case than the reviewers'."""
    return _independent(session, actor, _find(session, kind, subject))


def _release(session: Session, found: _Subject, *, now_ms: int) -> bool:
    outcome = found.outcome
    assert outcome is not None  # noqa: S101 - only lines are released
    outcome.released = True
    projector = Projector(session, found.organization_id, now_ms=now_ms)
    projector.release(outcome)
    if outcome.code == FRAME_UNCONFIRMED != found.code:
        # Let through in spite of its first reason; at its frame nobody has looked yet.
        outcome.released = False
    elif outcome.projection == Projection.QUARANTINED.value:
        # Nothing is shown that waits for something else, too; all of it is rolled back.
        raise Conflict(f"cannot be shown: {outcome.code}")
    mark_changed(session, outcome)
    return projector.wants_check


def _find(session: Session, kind: str, subject: str) -> _Subject:
    match kind:
        case "line":
            return _find_line(session, subject)
        case "bytes":
            return _find_bytes(session, subject)
        case "media":
            return _find_media(session, subject)
        case "unsafe":
            return _find_unsafe(session, subject)
        case _:
            raise NotFound("quarantined", subject)


def _find_line(session: Session, digest: str) -> _Subject:
    line, outcome = _line(session, digest)
    if outcome.projection != Projection.QUARANTINED.value and not outcome.released:
        raise NotFound("quarantined", digest)
    body = session.get(JournalPart, (line.device_id, line.epoch, line.branch, line.seq, 0))
    act = canonical.loads(body.body) if body else {}
    organization_id = session.get_one(Device, line.device_id).organization_id
    film = film_of(session, organization_id, act) if is_frame(act) else None
    case = session.get(Inspection, outcome.inspection_id) if outcome.inspection_id else None
    cases = {case.id if case else None, film.inspection_id if film else None} - {None}
    officers = {act.get("officer"), film.officer_id if film else None}
    return _Subject(
        code=outcome.code,
        organization_id=organization_id,
        device_id=line.device_id,
        names={
            "device": line.device_id,
            "epoch": line.epoch,
            "branch": line.branch,
            "seq": line.seq,
            "digest": digest,
        },
        inspections=tuple(sorted(str(one) for one in cases)),
        # A line may claim anybody; PostgreSQL would not even look for U+0000.
        officers=frozenset(str(one) for one in officers if is_uuid(one)),
        outcome=outcome,
        released=outcome.released,
    )


def _find_bytes(session: Session, subject: str) -> _Subject:
    number = int(subject) if subject.isascii() and subject.isdecimal() else 0
    row = session.get(QuarantinedLine, number) if number < 2**31 else None
    if row is None or str(row.id) != subject:
        raise NotFound("quarantined", subject)
    return _Subject(
        code=row.code,
        organization_id=session.get_one(Device, row.device_id).organization_id,
        device_id=row.device_id,
        names={"device": row.device_id, "epoch": row.epoch, "sha256": row.sha256},
        inspections=(),
    )


def _find_media(session: Session, subject: str) -> _Subject:
    row = session.get(QuarantinedMedia, subject)
    if row is None:
        raise NotFound("quarantined", subject)
    cases = session.scalars(
        select(EvidenceItem.inspection_id)
        .where(
            EvidenceItem.sha256 == row.announced_sha256,
            EvidenceItem.organization_id == row.organization_id,
            EvidenceItem.inspection_id.is_not(None),
        )
        .distinct()
        .order_by(EvidenceItem.inspection_id)
    )
    return _Subject(
        code="media.digest_mismatch",
        organization_id=row.organization_id,
        device_id=row.device_id,
        names={
            "upload": row.upload_id,
            "announced": row.announced_sha256,
            "sha256": row.found_sha256,
        },
        inspections=tuple(case for case in cases if case is not None),
    )


def _find_unsafe(session: Session, subject: str) -> _Subject:
    item = session.get(EvidenceItem, subject) if is_uuid(subject) else None
    if item is None or session.get(UnsafeMedia, item.sha256) is None:
        raise NotFound("quarantined", subject)
    return _Subject(
        code="media.unsafe",
        organization_id=item.organization_id,
        device_id=item.device_id,
        names={"item": item.id, "sha256": item.sha256},
        inspections=(item.inspection_id,) if item.inspection_id else (),
        officers=frozenset({item.officer_id} if item.officer_id else ()),
        released=bool(session.scalar(select(let_through(item.id)))),
    )


def _line(session: Session, digest: str) -> tuple[JournalLine, LineOutcome]:
    line = session.scalars(select(JournalLine).where(JournalLine.digest == digest)).first()
    if line is None:
        raise NotFound("quarantined", digest)
    place = (line.device_id, line.epoch, line.branch, line.seq)
    return line, session.get_one(LineOutcome, place, populate_existing=True)


def _independent(session: Session, actor: Actor, found: _Subject) -> bool:
    for officer_id in found.officers:
        officer = session.get(Officer, officer_id)
        if officer is not None and officer.person_id == actor.person_id:
            return False
    return not any(stands_elsewhere(session, actor, case) for case in found.inspections)


def _count(session: Session, kind: str, subject: str) -> int:
    return session.execute(
        select(func.count())
        .select_from(QuarantineDecision)
        .where(QuarantineDecision.kind == kind, QuarantineDecision.subject == subject)
    ).scalar_one()
