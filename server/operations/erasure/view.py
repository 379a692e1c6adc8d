"""What the pages of lawful erasure show (docs/console.md)."""

import json
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.erasure import ErasureObject, ErasureOrder, LegalHold
from server.models.inspections import Inspection
from server.operations.access import Actor, require
from server.operations.cards import person_names
from server.operations.erasure.holds import held_inspections
from server.operations.erasure.listing import (
    INSPECTION,
    RECORDINGS,
    Expired,
    Listed,
    case_began_ms,
    expired_units,
    is_expired,
    list_unit,
)
from server.operations.erasure.terms import Terms
from server.operations.inspection_view import owned_inspection

_OVERSEERS = ("administrator", "leader", "supervisor")
_SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class OrderRow:
    """An order and how far it has come; ``left`` are the objects that the store still has."""

    id: str
    unit: str
    inspection_id: str
    title: str
    basis: str
    law: str
    requested_by: str
    requested_at_ms: int
    items: int
    lines: int
    bytes: int
    state: str
    decided_by: str
    decided_at_ms: int | None
    word: str
    waits: str
    left: int
    erased_at_ms: int | None
    done_at_ms: int | None
    #: Whether the reader is who asked for it, and so may not approve it.
    own: bool


@dataclass(frozen=True, kw_only=True)
class HoldRow:
    id: str
    inspection_id: str
    title: str
    reason: str
    set_by: str
    set_at_ms: int
    lift_reason: str
    lift_asked_by: str
    lift_asked_at_ms: int | None
    #: Whether the reader is who asked for it to be lifted.
    own: bool


@dataclass(frozen=True, kw_only=True)
class ErasurePage:
    """All that waits, for the administrator, the leader, and whoever oversees them."""

    expired: tuple[Expired, ...]
    expired_count: int
    orders: tuple[OrderRow, ...]
    holds: tuple[HoldRow, ...]
    terms: Terms

    @property
    def inspections(self) -> set[str]:
        """All inspections that the page names."""
        return {
            *(row.inspection_id for row in self.expired),
            *(row.inspection_id for row in self.orders),
            *(row.inspection_id for row in self.holds),
        }


@dataclass(frozen=True, kw_only=True)
class UnitPage:
    """One inspection: when its term ends, what an order would erase, who keeps it."""

    inspection_id: str
    title: str
    state: str
    since_ms: int
    ends_ms: int
    expired: bool
    #: The list of each unit that may be asked for now.
    lists: tuple[Listed, ...]
    orders: tuple[OrderRow, ...]
    holds: tuple[HoldRow, ...]


def read_erasure(session: Session, actor: Actor, terms: Terms, *, now_ms: int) -> ErasurePage:
    """The page of all units, orders and holds of the actor's organisation.

    Raises:
        Forbidden: if the actor is no administrator, leader or supervisor.
    """
    require(actor, *_OVERSEERS)
    expired = expired_units(session, actor.organization_id, terms, now_ms=now_ms)
    return ErasurePage(
        expired=tuple(expired[:_SHOWN]),
        expired_count=len(expired),
        orders=_orders(session, actor),
        holds=_holds(session, actor),
        terms=terms,
    )


def read_unit(
    session: Session, actor: Actor, inspection_id: str, terms: Terms, *, now_ms: int
) -> UnitPage:
    """What may be erased of one inspection, and what stands in the way.

    Raises:
        Forbidden: as for :func:`read_erasure`.
        NotFound: if it is not the actor's organisation's.
    """
    require(actor, *_OVERSEERS)
    inspection = owned_inspection(session, actor, inspection_id)
    since_ms = case_began_ms(session, inspection)
    whole = is_expired(session, inspection, INSPECTION, terms, now_ms=now_ms)
    units = (INSPECTION,) if whole else (RECORDINGS,)
    lists = [list_unit(session, inspection, unit, terms, now_ms=now_ms) for unit in units]
    held = bool(held_inspections(session, [inspection.id]))
    return UnitPage(
        inspection_id=inspection.id,
        title=inspection.title,
        state=inspection.state,
        since_ms=since_ms,
        ends_ms=terms.case_ends_ms(since_ms),
        expired=whole,
        lists=tuple(one for one in lists if not held and (one.items or (whole and one.lines))),
        orders=_orders(session, actor, inspection.id),
        holds=_holds(session, actor, inspection.id),
    )


def _orders(
    session: Session, actor: Actor, inspection_id: str | None = None
) -> tuple[OrderRow, ...]:
    query = (
        select(ErasureOrder, Inspection.title)
        .join(Inspection, Inspection.id == ErasureOrder.inspection_id)
        .where(ErasureOrder.organization_id == actor.organization_id)
        .order_by(ErasureOrder.requested_at_ms.desc(), ErasureOrder.id)
        .limit(_SHOWN)
    )
    if inspection_id is not None:
        query = query.where(ErasureOrder.inspection_id == inspection_id)
    rows = session.execute(query).all()
    people = [who for row, _ in rows for who in (row.requested_by, row.decided_by) if who]
    names = person_names(session, people)
    left = {
        row.order_id: row.left
        for row in session.execute(
            select(ErasureObject.order_id, func.count().label("left"))
            .where(
                ErasureObject.order_id.in_([row.id for row, _ in rows]),
                ErasureObject.state == "pending",
            )
            .group_by(ErasureObject.order_id)
        )
    }
    shown = []
    for row, title in rows:
        listed = json.loads(row.listed)
        shown.append(
            OrderRow(
                id=row.id,
                unit=row.unit,
                inspection_id=row.inspection_id,
                title=title,
                basis=row.basis,
                law=row.law,
                requested_by=names.get(row.requested_by, ""),
                requested_at_ms=row.requested_at_ms,
                items=len(listed["items"]),
                lines=listed["lines"],
                bytes=listed["bytes"],
                state=row.state,
                decided_by=names.get(row.decided_by or "", ""),
                decided_at_ms=row.decided_at_ms,
                word=row.word,
                waits=row.waits,
                left=left.get(row.id, 0),
                erased_at_ms=row.erased_at_ms,
                done_at_ms=row.done_at_ms,
                own=row.requested_by == actor.person_id,
            )
        )
    return tuple(shown)


def _holds(session: Session, actor: Actor, inspection_id: str | None = None) -> tuple[HoldRow, ...]:
    query = (
        select(LegalHold, Inspection.title)
        .join(Inspection, Inspection.id == LegalHold.inspection_id)
        .where(Inspection.organization_id == actor.organization_id, LegalHold.lifted_by.is_(None))
        .order_by(LegalHold.set_at_ms.desc(), LegalHold.id)
        .limit(_SHOWN)
    )
    if inspection_id is not None:
        query = query.where(LegalHold.inspection_id == inspection_id)
    rows = session.execute(query).all()
    people = [who for row, _ in rows for who in (row.set_by, row.lift_asked_by) if who]
    names = person_names(session, people)
    return tuple(
        HoldRow(
            id=row.id,
            inspection_id=row.inspection_id,
            title=title,
            reason=row.reason,
            set_by=names.get(row.set_by, ""),
            set_at_ms=row.set_at_ms,
            lift_reason=row.lift_reason,
            lift_asked_by=names.get(row.lift_asked_by or "", ""),
            lift_asked_at_ms=row.lift_asked_at_ms,
            own=row.lift_asked_by == actor.person_id,
        )
        for row, title in rows
    )
