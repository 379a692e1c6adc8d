"""Journal lines as they were signed, their places, receipts and outcomes (docs/protocol.md §4).

``journal_line`` and ``ingest_receipt`` take no UPDATE or DELETE. The parts of a
line stand apart, because they alone may be lawfully erased.
"""

from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Uuid

#: The branch of a chain that never forked.
MAIN = ""


def same_line(first: Any, second: Any) -> ColumnElement[bool]:
    """Whether rows of two tables (of parts, outcomes, items …) belong to one line."""
    same: ColumnElement[bool] = (
        (first.device_id == second.device_id)
        & (first.epoch == second.epoch)
        & (first.branch == second.branch)
        & (first.seq == second.seq)
    )
    return same


class JournalHead(Base):
    """Where one chain stands; the only mutable row of a journal."""

    __tablename__ = "journal_head"

    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    branch: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[Digest]
    next_seq: Mapped[Big]
    digest: Mapped[Digest]


class JournalLine(Base):
    """One accepted line: header bytes and signature exactly as received."""

    __tablename__ = "journal_line"
    __table_args__ = (Index("ix_journal_line_digest", "digest"),)

    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    branch: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[Big] = mapped_column(primary_key=True)
    digest: Mapped[Digest]
    key_id: Mapped[Digest]
    header: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    received_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]
    after_revocation: Mapped[bool]


class JournalPart(Base):
    """The canonical bytes of one part of a line; erasable with a row in ``erasure``."""

    __tablename__ = "journal_part"

    device_id: Mapped[Uuid] = mapped_column(primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    branch: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[Big] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class LineOutcome(Base):
    """What became of a line on the screens: the projection's side of a push's answer."""

    __tablename__ = "line_outcome"
    __table_args__ = (
        Index("ix_line_outcome_projection", "projection", "device_id", "epoch"),
        Index("ix_line_outcome_inspection", "inspection_id", "projection"),
        Index(
            "ix_line_outcome_changed",
            *("device_id", "changed"),
            sqlite_where=text("changed IS NOT NULL"),
            postgresql_where=text("changed IS NOT NULL"),
        ),
    )

    device_id: Mapped[Uuid] = mapped_column(primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    branch: Mapped[str] = mapped_column(String(64), primary_key=True)
    seq: Mapped[Big] = mapped_column(primary_key=True)
    projection: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(64))
    inspection_id: Mapped[Uuid | None]
    #: The place in the ledger since when this differs from what the push answered.
    changed: Mapped[Big | None]
    #: Whether a reviewer has let the line through in spite of its reason.
    released: Mapped[bool] = mapped_column(default=False)


class QuarantineDecision(Base):
    """A reviewer's word on something in quarantine (待核); a later one stands beside it."""

    __tablename__ = "quarantine_decision"
    __table_args__ = (
        Index("ix_quarantine_decision_subject", "kind", "subject"),
        CheckConstraint("kind IN ('line', 'bytes', 'media', 'unsafe')", name="kind_known"),
        CheckConstraint("decision IN ('released', 'kept')", name="decision_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(8))
    #: The line's digest, the number of the refused bytes, the upload's id, or the item's.
    subject: Mapped[str] = mapped_column(String(64))
    decision: Mapped[str] = mapped_column(String(8))
    #: The reason it was quarantined for when it was decided.
    code: Mapped[str] = mapped_column(String(64))
    reason: Mapped[Body]
    person_id: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    decided_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class PeerHead(Base):
    """What one device noted of another's journal (docs/protocol.md §4.1, ``peer.head``).

    Where a short code was typed, ``code`` holds it and what it does not say is absent.
    """

    __tablename__ = "peer_head"
    __table_args__ = (Index("ix_peer_head_seen", "device_id", "epoch", "seq"),)

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    observer_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), index=True)
    inspection_id: Mapped[Uuid | None] = mapped_column(index=True)
    device_id: Mapped[Uuid | None]
    epoch: Mapped[str | None] = mapped_column(String(32))
    seq: Mapped[Big]
    head: Mapped[Digest | None]
    code: Mapped[str | None] = mapped_column(String(20))
    position: Mapped[Big]
    noted_at_ms: Mapped[Millis]


class QuarantinedLine(Base):
    """Bytes that a device pushed and the journal could not take; nothing is thrown away."""

    __tablename__ = "quarantined_line"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), index=True)
    epoch: Mapped[str] = mapped_column(String(32))
    sha256: Mapped[Digest] = mapped_column(index=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    code: Mapped[str] = mapped_column(String(64))
    received_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class IngestReceipt(Base):
    """A signed receipt (入库凭证), stored so that it is replayed to the byte."""

    __tablename__ = "ingest_receipt"

    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), primary_key=True)
    epoch: Mapped[str] = mapped_column(String(32), primary_key=True)
    branch: Mapped[str] = mapped_column(String(64), primary_key=True)
    first_seq: Mapped[Big] = mapped_column(primary_key=True)
    last_seq: Mapped[Big]
    note: Mapped[Body]
