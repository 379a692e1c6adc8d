"""A reviewer's word on an item of evidence, and who may not give it (四个分离)."""

import uuid
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound, NotIndependent
from server.models.base import position_of
from server.models.inspections import CaseSide, EvidenceItem, Inspection, Judgement
from server.models.people import Officer
from server.operations import ledger
from server.operations.access import Actor, require
from server.operations.visit_documents import items_changed

VERDICTS = ("accepted", "questioned", "rejected")
REVIEW = "review"

_JUDGEABLE = frozenset({"stored", "checked", *VERDICTS})
_MAX_REASON = 4000


@dataclass(frozen=True, kw_only=True)
class Word:
    """What a reviewer says; ``seen`` is how many judgements the page showed."""

    verdict: str
    reason: str
    seen: int


def judge(session: Session, actor: Actor, item_id: str, word: Word, *, now_ms: int) -> None:
    """Add a judgement and give the item its state; earlier judgements stay.

    Raises:
        Forbidden: if the actor is no reviewer.
        NotFound: if there is no such item in the actor's organisation.
        Invalid: for an unknown verdict, or doubt without a reason.
        NotIndependent: if the actor stands on another side of the case.
        Conflict: if the bytes have not arrived, the item was discarded or
            belongs to no inspection, or somebody judged it meanwhile.
    """
    require(actor, "reviewer")
    if word.verdict not in VERDICTS:
        raise Invalid("verdict", "unknown")
    reason = word.reason.strip()
    if word.verdict != "accepted" and not reason:
        raise Invalid("reason", "needed")
    if len(reason) > _MAX_REASON:
        raise Invalid("reason", "too long")
    # Pushes and judgements queue at the ledger's head, so nothing below can change under us.
    head = ledger.lock_head(session)
    item = session.get(EvidenceItem, item_id, populate_existing=True)
    if item is None or item.organization_id != actor.organization_id:
        raise NotFound("item", item_id)
    case_id = _case_of(session, item)
    _need_independence(session, actor, item, case_id)
    if judgement_count(session, item_id) != word.seen:
        raise Conflict("judged meanwhile")
    index = ledger.append(
        session,
        "review",
        actor=actor.for_ledger(),
        subject={"item": item.id, "inspection": case_id, "sha256": item.sha256},
        snapshot={"verdict": word.verdict, "reason": reason},
        now_ms=now_ms,
        about=(f"item:{item.id}", f"inspection:{case_id}", f"person:{actor.person_id}"),
    )
    if session.get(CaseSide, (case_id, actor.person_id)) is None:
        session.add(CaseSide(case_id=case_id, person_id=actor.person_id, side=REVIEW))
        session.flush()
    session.add(
        Judgement(
            id=str(uuid.uuid4()),
            item_id=item.id,
            case_id=case_id,
            person_id=actor.person_id,
            side=REVIEW,
            verdict=word.verdict,
            reason=reason,
            judged_at_ms=now_ms,
            generation=head.generation,
            ledger_index=index,
        )
    )
    item.state = word.verdict
    items_changed(session, [item], position=position_of(head.generation, index), now_ms=now_ms)


def judgement_count(session: Session, item_id: str) -> int:
    """How many judgements an item has; a form carries it so that none is overlooked."""
    return session.execute(
        select(func.count()).select_from(Judgement).where(Judgement.item_id == item_id)
    ).scalar_one()


def stands_elsewhere(session: Session, actor: Actor, case_id: str) -> bool:
    """Whether the actor is on another side of the case than the reviewers'."""
    side = session.get(CaseSide, (case_id, actor.person_id))
    return side is not None and side.side != REVIEW


def _case_of(session: Session, item: EvidenceItem) -> str:
    if item.state not in _JUDGEABLE:
        raise Conflict("not stored" if item.state == "captured" else item.state)
    if item.inspection_id is None or session.get(Inspection, item.inspection_id) is None:
        raise Conflict("belongs to no inspection")
    return item.inspection_id


def _need_independence(session: Session, actor: Actor, item: EvidenceItem, case_id: str) -> None:
    taker = session.get(Officer, item.officer_id)
    if taker is not None and taker.person_id == actor.person_id:
        raise NotIndependent
    if stands_elsewhere(session, actor, case_id):
        raise NotIndependent
