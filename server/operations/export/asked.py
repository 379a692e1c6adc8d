"""What was asked for with a package, as the ledger's ``export`` event says it."""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.ledger import LedgerEvent, LedgerSubject
from server.operations.export.gate import Defect, defect_of
from server.operations.export.list_forms import DEFAULT_ROUTE
from server.operations.export.proofs import same_leaf
from sync.evidence import canonical


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The route (移送去向) that the package goes, and how it is made.

    ``redacted``: pictures are replaced by their redacted copies, and the fields that a form
    calls sensitive are withheld. ``sm3``: the payload is listed by its SM3 digests too.
    ``despite`` is why the package leaves in spite of its ``defects`` (gate.py).
    """

    route: str = DEFAULT_ROUTE
    redacted: bool = False
    sm3: bool = False
    despite: str = ""
    defects: tuple[Defect, ...] = ()

    def to_snapshot(self) -> dict[str, Any]:
        """What the ``export`` event says of it."""
        flags = {"redacted": self.redacted, "sm3": self.sm3}
        said: dict[str, Any] = {name: True for name, on in flags.items() if on}
        if self.defects:
            said["defects"] = [defect.to_snapshot() for defect in self.defects]
            said["despite"] = self.despite
        return {"route": self.route, **said}


AS_USUAL: Final = Asked()


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
    return Asked(
        route=snapshot.get("route", DEFAULT_ROUTE),
        redacted=snapshot.get("redacted", False),
        sm3=snapshot.get("sm3", False),
        despite=snapshot.get("despite", ""),
        defects=tuple(map(defect_of, snapshot.get("defects", ()))),
    )
