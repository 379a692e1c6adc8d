"""What was asked for with a package, as the ledger's ``export`` event says it."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.ledger import LedgerEvent, LedgerSubject
from server.operations.export.list_forms import DEFAULT_ROUTE
from server.operations.export.proofs import same_leaf
from sync.evidence import canonical


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The route (移送去向) that the package goes."""

    route: str = DEFAULT_ROUTE


def about_package(package_id: str) -> str:
    """The name under which the ledger finds the events about a package."""
    return f"package:{package_id}"


def read_asked(session: Session, package_id: str) -> Asked:
    """What the request of a package said; requests of older versions said nothing."""
    event = session.scalars(
        select(LedgerEvent.event)
        .join(LedgerSubject, same_leaf())
        .where(LedgerSubject.about == about_package(package_id), LedgerEvent.kind == "export")
        .order_by(LedgerEvent.generation, LedgerEvent.index)
        .limit(1)
    ).first()
    snapshot = canonical.loads(event)["snapshot"] if event is not None else {}
    return Asked(route=snapshot.get("route", DEFAULT_ROUTE))
