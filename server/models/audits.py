"""What the audits of the ledger found (docs/evidence.md §5)."""

from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Millis


class LedgerAudit(Base):
    """One slice of a walk over the whole ledger, with every doubt in it, as JSON.

    The next slice begins where this one ended. Its leaf is None where the ledger took
    no entry, which is what an audit of a database that was put back finds.
    """

    __tablename__ = "ledger_audit"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    began_at_ms: Mapped[Millis]
    ended_at_ms: Mapped[Millis]
    report: Mapped[Body]
    generation: Mapped[int | None]
    ledger_index: Mapped[Big | None]
