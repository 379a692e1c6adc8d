"""Orders to erase: an administrator asks, a leader who is another person says yes or no."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound, OnHold, RetentionRuns, SamePerson
from server.models.erasure import ErasureOrder
from server.models.inspections import Inspection
from server.operations import ledger
from server.operations.access import Actor, require
from server.operations.erasure.holds import MAX_REASON, checked_text, held_inspections
from server.operations.erasure.listing import Unit, is_expired, list_unit
from server.operations.erasure.terms import Terms
from server.operations.inspection_view import owned_inspection

_MAX_LAW = 200
_UNDER_WAY = ("requested", "approved", "erasing")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What an administrator asks for; ``seen`` is how many items the page listed."""

    unit: Unit
    basis: str
    law: str
    seen: int


def request_erasure(
    session: Session,
    actor: Actor,
    inspection_id: str,
    wanted: Request,
    *,
    terms: Terms,
    now_ms: int,
) -> str:
    """Write an order down and return its id; nothing is erased before a leader approves.

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound: if the inspection is not the actor's organisation's.
        Invalid: without a basis in words and an article of law.
        RetentionRuns: if the term has not ended.
        OnHold: if a legal hold keeps the inspection.
        Conflict: if an order for it is under way, or more items belong to it than were shown.
    """
    require(actor, "administrator")
    basis = checked_text("basis", wanted.basis, MAX_REASON)
    law = checked_text("law", wanted.law, _MAX_LAW)
    ledger.lock_head(session)
    inspection = owned_inspection(session, actor, inspection_id)
    _need_expired(session, inspection, wanted.unit, terms, now_ms=now_ms)
    under_way = session.scalars(
        select(ErasureOrder.id).where(
            ErasureOrder.inspection_id == inspection.id, ErasureOrder.state.in_(_UNDER_WAY)
        )
    ).first()
    if under_way is not None:
        raise Conflict(f"order {under_way} is under way")
    listed = list_unit(session, inspection, wanted.unit, terms, now_ms=now_ms)
    if len(listed.items) != wanted.seen:
        raise Conflict("another number of items than the page showed")
    order = ErasureOrder(
        id=str(uuid.uuid4()),
        organization_id=inspection.organization_id,
        unit=wanted.unit,
        inspection_id=inspection.id,
        basis=basis,
        law=law,
        requested_by=actor.person_id,
        requested_at_ms=now_ms,
        listed=json.dumps(listed.to_json()),
        state="requested",
    )
    session.add(order)
    session.flush()
    note_order(
        session,
        order,
        "requested",
        actor=actor.for_ledger(),
        snapshot={
            "unit": order.unit,
            "basis": basis,
            "law": law,
            "items": len(listed.items),
            "lines": listed.lines,
            "bytes": listed.bytes,
        },
        now_ms=now_ms,
        about=(f"person:{actor.person_id}",),
    )
    return order.id


def decide(
    session: Session,
    actor: Actor,
    order_id: str,
    decision: str,
    *,
    word: str,
    terms: Terms,
    now_ms: int,
) -> None:
    """A leader who is not the one that asked approves an order, or refuses it with a reason.

    Raises:
        Forbidden: if the actor is no leader.
        NotFound: if the order is not the actor's organisation's.
        Invalid: for an unknown decision, or a refusal without a reason.
        Conflict: if it was decided already.
        SamePerson: if the leader asked for it.
        RetentionRuns, OnHold: if it may not be approved now.
    """
    require(actor, "leader")
    match decision:
        case "approved" | "refused" as act:
            pass
        case _:
            raise Invalid("decision", "unknown")
    ledger.lock_head(session)
    order = _requested(session, actor, order_id)
    if order.requested_by == actor.person_id:
        raise SamePerson(actor.name)
    if act == "approved":
        inspection = session.get_one(Inspection, order.inspection_id)
        _need_expired(session, inspection, unit_of(order), terms, now_ms=now_ms)
    else:
        order.word = checked_text("word", word, MAX_REASON)
    order.state, order.decided_by, order.decided_at_ms = act, actor.person_id, now_ms
    session.flush()
    note_order(
        session,
        order,
        act,
        actor=actor.for_ledger(),
        snapshot={"reason": order.word} if order.word else {},
        now_ms=now_ms,
        about=(f"person:{actor.person_id}",),
    )


def withdraw(session: Session, actor: Actor, order_id: str, *, word: str, now_ms: int) -> None:
    """Take back an order that nobody has decided on.

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound, Conflict, Invalid: as for :func:`decide`.
    """
    require(actor, "administrator")
    ledger.lock_head(session)
    order = _requested(session, actor, order_id)
    order.word = checked_text("word", word, MAX_REASON)
    order.state, order.decided_by, order.decided_at_ms = "withdrawn", actor.person_id, now_ms
    session.flush()
    note_order(
        session,
        order,
        "withdrawn",
        actor=actor.for_ledger(),
        snapshot={"reason": order.word},
        now_ms=now_ms,
        about=(f"person:{actor.person_id}",),
    )


def unit_of(order: ErasureOrder) -> Unit:
    """What kind of unit the order is about; the database allows no third."""
    return "inspection" if order.unit == "inspection" else "recordings"


def note_order(
    session: Session,
    order: ErasureOrder,
    act: Literal["requested", "approved", "refused", "withdrawn", "erased", "done"],
    *,
    actor: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    now_ms: int,
    about: tuple[str, ...] = (),
) -> int:
    """Append an ``erase`` event (docs/evidence.md §5) and return its index."""
    return ledger.append(
        session,
        "erase",
        actor=actor,
        subject={"order": order.id, "inspection": order.inspection_id},
        snapshot={"act": act, **snapshot},
        now_ms=now_ms,
        about=(f"inspection:{order.inspection_id}", *about),
    )


def _requested(session: Session, actor: Actor, order_id: str) -> ErasureOrder:
    order = session.get(ErasureOrder, order_id, populate_existing=True)
    if order is None or order.organization_id != actor.organization_id:
        raise NotFound("erasure", order_id)
    if order.state != "requested":
        raise Conflict(order.state)
    return order


def _need_expired(
    session: Session, inspection: Inspection, unit: Unit, terms: Terms, *, now_ms: int
) -> None:
    if not is_expired(session, inspection, unit, terms, now_ms=now_ms):
        raise RetentionRuns(inspection.id)
    if held_inspections(session, [inspection.id]):
        raise OnHold(inspection.id)
