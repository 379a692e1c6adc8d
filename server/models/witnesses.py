"""What witnesses of the ledger said, and how each has answered lately (docs/evidence.md §5)."""

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Millis


class WitnessCosignature(Base):
    """A witness's signature line under a checkpoint; the ``stamp`` leaf at its place repeats it."""

    __tablename__ = "witness_cosignature"
    __table_args__ = (
        Index(
            "ix_witness_cosignature_witness",
            "covers_generation",
            "name",
            "key_hash",
            "covers_size",
        ),
    )

    covers_generation: Mapped[int] = mapped_column(primary_key=True)
    covers_size: Mapped[Big] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: The 4 bytes in hex by which the line says whose it is.
    key_hash: Mapped[str] = mapped_column(String(8), primary_key=True)
    #: What the witness's own clock said, in seconds.
    time_s: Mapped[Big]
    line: Mapped[Body]
    #: ``network`` or ``file``.
    came_by: Mapped[str] = mapped_column(String(8))
    received_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class WitnessState(Base):
    """How a witness has answered lately; ``code`` is empty while it answers well."""

    __tablename__ = "witness_state"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(8), primary_key=True)
    failures: Mapped[int]
    code: Mapped[str] = mapped_column(String(64))
    detail: Mapped[Body]
    tried_at_ms: Mapped[Millis]
    next_at_ms: Mapped[Millis]
