"""The append-only Merkle ledger (存证总账) on SQL (docs/evidence.md §5).

Leaves, nodes and checkpoints take no UPDATE or DELETE. The event bodies stand
apart, because they alone may be lawfully erased.
"""

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis


class Generation(Base):
    """One life of the ledger; a restored backup begins the next, with a new origin."""

    __tablename__ = "generation"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[str] = mapped_column(String(255), unique=True)
    opened_at_ms: Mapped[Millis]


class LedgerHead(Base):
    """The locked counter row: whoever holds it appends; its order is commit order.

    ``edge`` holds the hashes of the complete subtrees at the right edge, largest
    first, as hex joined by commas: all that an append needs to know.
    """

    __tablename__ = "ledger_head"

    generation: Mapped[int] = mapped_column(ForeignKey("generation.number"), primary_key=True)
    size: Mapped[Big]
    last_at_ms: Mapped[Millis]
    edge: Mapped[Body]


class LedgerLeaf(Base):
    """The salted commitment of one event."""

    __tablename__ = "ledger_leaf"

    generation: Mapped[int] = mapped_column(primary_key=True)
    index: Mapped[Big] = mapped_column("leaf_index", primary_key=True)
    entry: Mapped[bytes] = mapped_column(LargeBinary)


class LedgerEvent(Base):
    """The event behind a leaf and its salt; erasable with a row in ``erasure``."""

    __tablename__ = "ledger_event"
    __table_args__ = (Index("ix_ledger_event_kind", "generation", "kind", "leaf_index"),)

    generation: Mapped[int] = mapped_column(primary_key=True)
    index: Mapped[Big] = mapped_column("leaf_index", primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    at_ms: Mapped[Millis]
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    event: Mapped[bytes] = mapped_column(LargeBinary)


class LedgerSubject(Base):
    """Which events concern an inspection, item, device or person, as ``kind:id``.

    That of a journal line is named by the line's own row; here it stands for items alone.
    """

    __tablename__ = "ledger_subject"

    about: Mapped[str] = mapped_column(String(80), primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    index: Mapped[Big] = mapped_column("leaf_index", primary_key=True)


class LedgerNode(Base):
    """The hash of one complete subtree of 2^``level`` leaves, ``level`` ≥ 1.

    A leaf's own hash follows from its entry; earlier versions kept it here too.
    """

    __tablename__ = "ledger_node"

    generation: Mapped[int] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[Big] = mapped_column(primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class Checkpoint(Base):
    """A signed tree head: the text of a C2SP ``tlog-checkpoint`` note."""

    __tablename__ = "checkpoint"

    generation: Mapped[int] = mapped_column(primary_key=True)
    size: Mapped[Big] = mapped_column(primary_key=True)
    root: Mapped[Digest]
    signed_at_ms: Mapped[Millis]
    note: Mapped[Body]


class KnownCheckpoint(Base):
    """A checkpoint of ours that is known outside and that our ledger does not contain: a rollback.

    ``generation`` was the present one when it was shown; the next one settles it.
    """

    __tablename__ = "known_checkpoint"

    origin: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[Big] = mapped_column(primary_key=True)
    root: Mapped[Digest] = mapped_column(primary_key=True)
    note: Mapped[Body]
    generation: Mapped[int]
    #: Who showed it: ``device:…`` or ``file``.
    shown_by: Mapped[str] = mapped_column(String(80))
    shown_at_ms: Mapped[Millis]


class Backup(Base):
    """A backup that was made or reported: it holds the ledger up to ``size``."""

    __tablename__ = "backup"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    generation: Mapped[int]
    size: Mapped[Big]
    made_at_ms: Mapped[Millis]


class Erasure(Base):
    """The lawful basis on which one erasable body may be deleted."""

    __tablename__ = "erasure"

    target: Mapped[str] = mapped_column(String(160), primary_key=True)
    basis: Mapped[Body]
    approved_by: Mapped[Body]
    erased_at_ms: Mapped[Millis]
