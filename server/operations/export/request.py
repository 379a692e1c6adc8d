"""Asking for a package: the moment that it will show is fixed before its own ``export`` leaf."""

import uuid

from sqlalchemy.orm import Session

from server.failures import Invalid, NotFound
from server.models.inspections import EvidencePackage, Inspection
from server.models.people import Person
from server.operations import ledger
from server.services import services

QUEUED, BUILDING, READY, FAILED = "queued", "building", "ready", "failed"

_MAX_REASON = 1000


def request_package(
    session: Session, *, inspection_id: str, person_id: str, reason: str, now_ms: int
) -> str:
    """Queue a package of an inspection and return the package's id.

    A checkpoint is signed first: the package shows the case as the ledger stood
    then, whenever its bytes are put together.

    Raises:
        NotFound: if there is no such inspection or person.
        Invalid: without a reason.
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
    checkpoint = ledger.sign_checkpoint(session, services().ledger_signer, now_ms=now_ms)
    package_id = str(uuid.uuid4())
    ledger.append(
        session,
        "export",
        actor={"person": person.id, "name": person.name},
        subject={"package": package_id, "inspection": inspection.id},
        snapshot={"act": "requested", "ledger_size": checkpoint.size, "reason": reason},
        now_ms=now_ms,
        about=(f"inspection:{inspection.id}", f"person:{person.id}"),
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
