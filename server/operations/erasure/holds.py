"""Legal holds (暂停销毁): one person's reason keeps a case; two persons let it go again."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound, SamePerson
from server.models.erasure import LegalHold
from server.models.inspections import Inspection
from server.operations import ledger
from server.operations.access import Actor, require
from server.operations.inspection_view import owned_inspection

MAX_REASON = 1000


def held_inspections(session: Session, inspections: list[str] | None = None) -> set[str]:
    """Those inspections (None: of all) that a hold keeps."""
    query = select(LegalHold.inspection_id).where(LegalHold.lifted_by.is_(None))
    if inspections is not None:
        query = query.where(LegalHold.inspection_id.in_(inspections))
    return set(session.scalars(query))


def set_hold(
    session: Session, actor: Actor, inspection_id: str, *, reason: str, now_ms: int
) -> str:
    """Keep an inspection, whatever its term, until the hold is lifted; returns the hold's id.

    Raises:
        Forbidden: if the actor is neither administrator nor leader.
        NotFound: if the inspection is not the actor's organisation's.
        Invalid: without a reason.
    """
    require(actor, "administrator", "leader")
    ledger.lock_head(session)
    inspection = owned_inspection(session, actor, inspection_id)
    row = LegalHold(
        id=str(uuid.uuid4()),
        inspection_id=inspection.id,
        reason=checked_text("reason", reason, MAX_REASON),
        set_by=actor.person_id,
        set_at_ms=now_ms,
    )
    session.add(row)
    session.flush()
    _note(session, actor, row, "hold_set", row.reason, now_ms=now_ms)
    return row.id


def ask_to_lift(session: Session, actor: Actor, hold_id: str, *, reason: str, now_ms: int) -> None:
    """An administrator asks for a hold to be lifted; nothing changes before a leader agrees.

    Raises:
        Forbidden, NotFound, Invalid: as for :func:`set_hold`.
        Conflict: if it is lifted already.
    """
    require(actor, "administrator")
    ledger.lock_head(session)
    row = _open(session, actor, hold_id)
    row.lift_asked_by, row.lift_asked_at_ms = actor.person_id, now_ms
    row.lift_reason = checked_text("reason", reason, MAX_REASON)
    _note(session, actor, row, "hold_lift_asked", row.lift_reason, now_ms=now_ms)


def lift_hold(session: Session, actor: Actor, hold_id: str, *, now_ms: int) -> None:
    """A leader lifts a hold that an administrator, another person, asked to lift.

    Raises:
        Forbidden, NotFound: as for :func:`set_hold`.
        Conflict: if nobody has asked for it, or it is lifted already.
        SamePerson: if the leader is who asked.
    """
    require(actor, "leader")
    ledger.lock_head(session)
    row = _open(session, actor, hold_id)
    if row.lift_asked_by is None:
        raise Conflict("nobody asked to lift it")
    if row.lift_asked_by == actor.person_id:
        raise SamePerson(actor.name)
    row.lifted_by, row.lifted_at_ms = actor.person_id, now_ms
    session.flush()
    _note(session, actor, row, "hold_lifted", row.lift_reason, now_ms=now_ms)


def checked_text(field: str, value: str, most: int) -> str:
    """``value`` without blanks around it.

    Raises:
        Invalid: if nothing is left, or it is longer than ``most``.
    """
    text = value.strip()
    if not 0 < len(text) <= most:
        raise Invalid(field, f"between 1 and {most} characters")
    return text


def _open(session: Session, actor: Actor, hold_id: str) -> LegalHold:
    row = session.get(LegalHold, hold_id, populate_existing=True)
    inspection = session.get(Inspection, row.inspection_id) if row else None
    if row is None or inspection is None or inspection.organization_id != actor.organization_id:
        raise NotFound("hold", hold_id)
    if row.lifted_by is not None:
        raise Conflict("lifted already")
    return row


def _note(
    session: Session, actor: Actor, row: LegalHold, act: str, reason: str, *, now_ms: int
) -> None:
    ledger.append(
        session,
        "policy",
        actor=actor.for_ledger(),
        subject={"hold": row.id, "inspection": row.inspection_id},
        snapshot={"act": act, "reason": reason},
        now_ms=now_ms,
        about=(f"inspection:{row.inspection_id}", f"person:{actor.person_id}"),
    )
