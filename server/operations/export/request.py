"""Asking for a package: the moment that it will show is fixed before its own ``export`` leaf."""

import uuid
from dataclasses import replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.failures import ErasureUnderWay, Invalid, NotFound, SeveralGenerations
from server.models.erasure import ErasureOrder
from server.models.inspections import EvidencePackage, Inspection
from server.models.journal import JournalLine, LineOutcome
from server.models.ledger import Checkpoint, Generation, LedgerEvent, LedgerSubject
from server.models.people import Person
from server.operations import ledger
from server.operations.export.asked import AS_USUAL, Asked, about_package
from server.operations.export.errors import PackageDefective
from server.operations.export.gate import find_defects
from server.operations.export.list_forms import routes
from server.operations.export.moment import Moment
from server.operations.export.proofs import same_leaf
from server.services import services

QUEUED, BUILDING, READY, FAILED = "queued", "building", "ready", "failed"

_MAX_REASON = 1000

#: Events about a case that change nothing of it.
_ABOUT_THE_PACKAGE = ("view", "export", "receipt", "alarm")


def request_package(
    session: Session,
    *,
    inspection_id: str,
    person_id: str,
    reason: str,
    now_ms: int,
    asked: Asked = AS_USUAL,
) -> str:
    """Queue a package of an inspection and return the package's id.

    A checkpoint is signed first: the package shows the case as the ledger stood
    then, whenever its bytes are put together. A case of a generation that has
    ended is shown as it stood at that one's end.

    Raises:
        NotFound: if there is no such inspection or person.
        Invalid: without a reason, or for an unknown route.
        PackageDefective: if the evidence has defects (gate.py) and ``asked.despite`` says
            not why it leaves all the same.
        SeveralGenerations: if the ledger was restored while the case went on.
        ErasureUnderWay: if an order to erase of it was approved and is not carried out.
    """
    inspection = session.get(Inspection, inspection_id)
    if inspection is None:
        raise NotFound("inspection", inspection_id)
    person = session.get(Person, person_id)
    if person is None:
        raise NotFound("person", person_id)
    reason = reason.strip()
    if not 0 < len(reason) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    if asked.route not in routes():
        raise Invalid("route", f"one of {', '.join(routes())}")
    approved = select(ErasureOrder.id).where(
        ErasureOrder.inspection_id == inspection.id, ErasureOrder.state == "approved"
    )
    if session.scalars(approved.limit(1)).first() is not None:
        raise ErasureUnderWay(inspection.id)
    generation = _generation_of(session, inspection.id)
    asked = _pass_gate(session, inspection.id, generation, asked, now_ms=now_ms)
    checkpoint = ledger.sign_checkpoint(session, services().ledger_signer, now_ms=now_ms)
    if generation not in (None, checkpoint.generation):
        checkpoint = session.scalars(
            select(Checkpoint)
            .where(Checkpoint.generation == generation)
            .order_by(Checkpoint.size.desc())
            .limit(1)
        ).one()
        if _last_index(session, inspection.id, checkpoint.generation) >= checkpoint.size:
            # Its last entries came too late for a signature under the old name.
            raise SeveralGenerations(inspection.id)
    package_id = str(uuid.uuid4())
    ledger.append(
        session,
        "export",
        actor={"person": person.id, "name": person.name},
        subject={"package": package_id, "inspection": inspection.id},
        snapshot={
            "act": "requested",
            "ledger_size": checkpoint.size,
            "reason": reason,
            **asked.to_snapshot(),
        },
        now_ms=now_ms,
        about=(
            f"inspection:{inspection.id}",
            f"person:{person.id}",
            about_package(package_id),
        ),
    )
    session.add(
        EvidencePackage(
            id=package_id,
            inspection_id=inspection.id,
            requested_by=person.id,
            requested_at_ms=now_ms,
            reason=reason,
            state=QUEUED,
            generation=checkpoint.generation,
            ledger_size=checkpoint.size,
        )
    )
    session.flush()
    return package_id


def _pass_gate(
    session: Session, inspection_id: str, generation: int | None, asked: Asked, *, now_ms: int
) -> Asked:
    """What was asked for with the defects that the package leaves in spite of.

    Before the ledger is held: a large case is read for seconds, and devices hand in meanwhile.
    """
    current = ledger.current_generation(session)
    size = ledger.size(session)
    if generation not in (None, current.number):
        current = session.get_one(Generation, generation)
        size = _last_index(session, inspection_id, current.number) + 1
    moment = Moment(
        origin=current.origin,
        generation=current.number,
        size=size,
        checkpoint="",
        exported_at_ms=now_ms,
    )
    defects = find_defects(session, inspection_id, moment)
    despite = asked.despite.strip()
    if len(despite) > _MAX_REASON:
        raise Invalid("despite", f"at most {_MAX_REASON} characters")
    if defects and not despite:
        raise PackageDefective(inspection_id, defects)
    return replace(asked, defects=defects, despite=despite)


def _last_index(session: Session, inspection_id: str, generation: int) -> int:
    """Where the last event about the case stands in ``generation``; -1 without any."""
    last = session.scalar(
        select(func.max(LedgerSubject.index)).where(
            LedgerSubject.about == f"inspection:{inspection_id}",
            LedgerSubject.generation == generation,
        )
    )
    return -1 if last is None else last


def _generation_of(session: Session, inspection_id: str) -> int | None:
    """The one generation of the ledger that holds the whole case; None if nothing of it is there.

    A journal counts from its first line, since a package carries it so. Who looked
    at a case or took it out does not belong to its state.

    Raises:
        SeveralGenerations: if there are two: one checkpoint cannot prove both.
    """
    reach = (
        select(
            LineOutcome.device_id,
            LineOutcome.epoch,
            LineOutcome.branch,
            func.max(LineOutcome.seq).label("last"),
        )
        .where(LineOutcome.inspection_id == inspection_id)
        .group_by(LineOutcome.device_id, LineOutcome.epoch, LineOutcome.branch)
        .subquery()
    )
    lines = select(JournalLine.generation).join(
        reach,
        (JournalLine.device_id == reach.c.device_id)
        & (JournalLine.epoch == reach.c.epoch)
        & (JournalLine.branch == reach.c.branch)
        & (JournalLine.seq <= reach.c.last),
    )
    events = (
        select(LedgerEvent.generation)
        .join(LedgerSubject, same_leaf())
        .where(
            LedgerSubject.about == f"inspection:{inspection_id}",
            LedgerEvent.kind.not_in(_ABOUT_THE_PACKAGE),
        )
    )
    found = {
        generation for query in (lines, events) for generation in session.scalars(query.distinct())
    }
    if len(found) > 1:
        raise SeveralGenerations(inspection_id)
    return found.pop() if found else None
