"""What is known of each stored file for comparison with others: its camera and its likeness."""

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Digest


class MediaTrait(Base):
    """One file's camera and perceptual hash, derived from its facts; made again when they are.

    ``likeness`` is a 64-bit perceptual hash as a signed number; its four quarters
    are indexed, so that every picture within few bits is found without reading all.
    """

    __tablename__ = "media_trait"
    __table_args__ = tuple(Index(f"ix_media_trait_quarter{n}", f"quarter{n}") for n in range(4))

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    make: Mapped[str] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(100))
    serial: Mapped[str] = mapped_column(String(100))
    quant_tables: Mapped[str] = mapped_column(String(64))
    likeness: Mapped[Big | None]
    quarter0: Mapped[int | None]
    quarter1: Mapped[int | None]
    quarter2: Mapped[int | None]
    quarter3: Mapped[int | None]
