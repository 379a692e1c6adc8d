"""Signed sheets: what devices printed for the party to sign, and the scans that came back."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Uuid


class PrintedSheet(Base):
    """A record as it was printed: up to which line of which journal, and what it names.

    ``seq`` and ``head`` are of the line that the paper shows. ``items`` is JSON, a list of
    item id and SHA-256; ``revisions`` a list of line digests.
    """

    __tablename__ = "printed_sheet"

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    epoch: Mapped[str] = mapped_column(String(32))
    seq: Mapped[Big]
    head: Mapped[Digest]
    #: Of the page that was printed.
    sha256: Mapped[Digest]
    items: Mapped[Body]
    revisions: Mapped[Body]
    officer_id: Mapped[Uuid]
    printed_at_ms: Mapped[Millis]
    position: Mapped[Big]


class SheetScan(Base):
    """An item that shows a signed sheet; ``said`` is the head that stands on the paper."""

    __tablename__ = "sheet_scan"

    item_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_item.id"), primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    said: Mapped[str] = mapped_column(String(200))
    position: Mapped[Big]
