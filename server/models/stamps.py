"""Time stamps by outside authorities (RFC 3161), as they were received (docs/evidence.md §5.1)."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis

_SUBJECT = "(covers_size IS NULL) <> (package_id IS NULL)"


class TimeStamp(Base):
    """An answer that was believed, byte for byte; the ``stamp`` leaf names it by digest.

    It stands for a checkpoint (``covers_…``) or for a package's ZIP, and may renew an
    older one. ``roots`` are the certificates, as PEM, by which it was believed.
    """

    __tablename__ = "time_stamp"
    __table_args__ = (
        CheckConstraint(_SUBJECT, name="one_subject"),
        Index("ix_time_stamp_covers", "authority", "covers_generation", "covers_size"),
        Index("ix_time_stamp_leaf", "generation", "ledger_index", unique=True),
        # All that an interval asks for, so that no answer's bytes are read past.
        Index(
            "ix_time_stamp_bounds",
            "generation",
            "covers_generation",
            "renews",
            "ledger_index",
            "covers_size",
            "gen_time_ms",
            "margin_ms",
        ),
    )

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    authority: Mapped[str] = mapped_column(String(32))
    covers_generation: Mapped[int | None]
    covers_size: Mapped[Big | None]
    package_id: Mapped[str | None] = mapped_column(
        String(36), ForeignKey("evidence_package.id"), index=True
    )
    #: Digest of the older answer that this one stands for; empty if it is the first.
    renews: Mapped[str] = mapped_column(String(64))
    imprint: Mapped[Digest]
    gen_time_ms: Mapped[Millis]
    margin_ms: Mapped[Millis]
    #: When the certificate of its signer ends.
    expires_at_ms: Mapped[Millis]
    serial: Mapped[str] = mapped_column(String(130))
    #: The tools that verified it, with commas.
    checked_by: Mapped[str] = mapped_column(String(64))
    roots: Mapped[Body]
    answer: Mapped[bytes] = mapped_column(LargeBinary)
    received_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class StampRequest(Base):
    """A request that travels as a file, by its nonce; it goes when its answer has come."""

    __tablename__ = "stamp_request"
    __table_args__ = (CheckConstraint(_SUBJECT, name="one_subject"),)

    nonce: Mapped[str] = mapped_column(String(16), primary_key=True)
    authority: Mapped[str] = mapped_column(String(32))
    covers_generation: Mapped[int | None]
    covers_size: Mapped[Big | None]
    package_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("evidence_package.id"))
    renews: Mapped[str] = mapped_column(String(64))
    imprint: Mapped[Digest]
    made_at_ms: Mapped[Millis]


class StampAuthority(Base):
    """How an authority has answered lately; ``code`` is empty while it answers well."""

    __tablename__ = "stamp_authority"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    failures: Mapped[int]
    code: Mapped[str] = mapped_column(String(64))
    detail: Mapped[Body]
    tried_at_ms: Mapped[Millis]
    next_at_ms: Mapped[Millis]
