"""Lawful erasure: what is to be erased on whose word, what was, and what a hold keeps.

The rows in ``erasure`` (``server.models.ledger``) say so for each single body.
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Name, Uuid

ORDER_UNITS = ("inspection", "recordings")
ORDER_STATES = ("requested", "withdrawn", "refused", "approved", "erasing", "done")
OBJECT_STATES = ("pending", "gone")


class LegalHold(Base):
    """Why an inspection must be kept beyond its term; two people together lift it again."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        CheckConstraint(
            "lifted_by IS NULL OR (lift_asked_by IS NOT NULL AND lifted_by <> lift_asked_by)",
            name="lifted_by_two",
        ),
    )

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    reason: Mapped[Body]
    set_by: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    set_at_ms: Mapped[Millis]
    lift_reason: Mapped[Body] = mapped_column(default="")
    lift_asked_by: Mapped[Uuid | None] = mapped_column(ForeignKey("person.id"))
    lift_asked_at_ms: Mapped[Millis | None]
    lifted_by: Mapped[Uuid | None] = mapped_column(ForeignKey("person.id"))
    lifted_at_ms: Mapped[Millis | None]


class ErasureOrder(Base):
    """What an administrator asks to erase, and the word of a leader who is another person."""

    __tablename__ = "erasure_order"
    __table_args__ = (
        CheckConstraint(f"unit IN {ORDER_UNITS}", name="unit_known"),
        CheckConstraint(f"state IN {ORDER_STATES}", name="state_known"),
        CheckConstraint(
            "state NOT IN ('approved', 'erasing', 'done')"
            " OR (decided_by IS NOT NULL AND decided_by <> requested_by)",
            name="two_persons",
        ),
        Index("ix_erasure_order_state", "state"),
    )

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    unit: Mapped[str] = mapped_column(String(16))
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    #: Why, in words, and the article of law.
    basis: Mapped[Body]
    law: Mapped[Name]
    requested_by: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    requested_at_ms: Mapped[Millis]
    #: JSON: the items by id, digest and size, and how much else there is.
    listed: Mapped[Body]
    state: Mapped[str] = mapped_column(String(16))
    decided_by: Mapped[Uuid | None] = mapped_column(ForeignKey("person.id"))
    decided_at_ms: Mapped[Millis | None]
    #: Why it was refused or withdrawn.
    word: Mapped[Body] = mapped_column(default="")
    #: The code of what it waits for; empty while nothing stands in its way.
    waits: Mapped[str] = mapped_column(String(64), default="")
    #: When texts and rows went, and when the last object did.
    erased_at_ms: Mapped[Millis | None]
    done_at_ms: Mapped[Millis | None]


class ErasedItem(Base):
    """An item whose bytes were lawfully erased: its digest stays, and nobody is asked for it."""

    __tablename__ = "erased_item"

    item_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_item.id"), primary_key=True)
    order_id: Mapped[Uuid] = mapped_column(ForeignKey("erasure_order.id"), index=True)
    sha256: Mapped[Digest] = mapped_column(index=True)
    erased_at_ms: Mapped[Millis]


class ErasureObject(Base):
    """An object of the store that an order erases; ``gone`` once the store has it no more."""

    __tablename__ = "erasure_object"
    __table_args__ = (CheckConstraint(f"state IN {OBJECT_STATES}", name="state_known"),)

    order_id: Mapped[Uuid] = mapped_column(ForeignKey("erasure_order.id"), primary_key=True)
    key: Mapped[str] = mapped_column("store_key", String(200), primary_key=True)
    size: Mapped[Big]
    state: Mapped[str] = mapped_column(String(8), default="pending", index=True)
    #: Why the store did not give it up when it was last asked.
    code: Mapped[str] = mapped_column(String(64), default="")
    tried_at_ms: Mapped[Millis | None]
