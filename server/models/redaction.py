"""Redacted copies of pictures: regions covered for good, so that others may see the rest."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Name, Uuid


class Redaction(Base):
    """One redacted copy (脱敏副本) of an item; of several the newest goes out."""

    __tablename__ = "redaction"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    item_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_item.id"), index=True)
    source_sha256: Mapped[Digest]
    sha256: Mapped[Digest]
    size: Mapped[Big]
    key: Mapped[str] = mapped_column("store_key", String(200))
    #: JSON: rectangles in 1/10,000 of the upright picture, each with how it was covered.
    regions: Mapped[Body]
    reason: Mapped[Body]
    made_by: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    made_with: Mapped[Name]
    recipe: Mapped[Body]
    made_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]
