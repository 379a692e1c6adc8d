"""Who may ask for an evidence package (证据包) and who may take one away."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from server.failures import NotFound, PackageNotReady
from server.models.inspections import EvidencePackage, Inspection
from server.operations.access import Actor, require
from server.operations.export.asked import AS_USUAL, Asked
from server.operations.export.build import package_name
from server.operations.export.request import READY, request_package
from server.operations.inspection_view import owned_inspection


@dataclass(frozen=True, kw_only=True)
class ReadyPackage:
    """A finished package: where its bytes are and under which name they leave."""

    id: str
    inspection_id: str
    inspection_title: str
    key: str
    size: int
    sha256: str
    name: str


def ask_for_package(
    session: Session,
    actor: Actor,
    inspection_id: str,
    *,
    reason: str,
    now_ms: int,
    asked: Asked = AS_USUAL,
) -> str:
    """Queue a package and return its id.

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound: if the inspection is not the actor's organisation's.
        Invalid: without a reason, or for an unknown route.
    """
    require(actor, "administrator")
    owned = owned_inspection(session, actor, inspection_id)
    return request_package(
        session,
        inspection_id=owned.id,
        person_id=actor.person_id,
        reason=reason,
        asked=asked,
        now_ms=now_ms,
    )


def ready_package(session: Session, actor: Actor, package_id: str) -> ReadyPackage:
    """The finished package of that id.

    Raises:
        Forbidden: if the actor is neither administrator nor leader.
        NotFound: if it is not the actor's organisation's.
        PackageNotReady: if it is still being built, or its building failed.
    """
    require(actor, "administrator", "leader")
    row = session.get(EvidencePackage, package_id)
    inspection = session.get(Inspection, row.inspection_id) if row else None
    if row is None or inspection is None or inspection.organization_id != actor.organization_id:
        raise NotFound("package", package_id)
    if row.state != READY or row.key is None or row.size is None or row.sha256 is None:
        raise PackageNotReady(row.state)
    return ReadyPackage(
        id=row.id,
        inspection_id=row.inspection_id,
        inspection_title=inspection.title,
        key=row.key,
        size=row.size,
        sha256=row.sha256,
        name=package_name(row),
    )
