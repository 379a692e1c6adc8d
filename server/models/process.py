"""The process of an inspection (全过程记录): its steps, its gaps, and the clocks of recorders."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Uuid


class ProcessStep(Base):
    """An officer's word that a step of the inspection was taken, at ``at_ms`` of the device."""

    __tablename__ = "process_step"

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    step: Mapped[str] = mapped_column(String(32))
    #: The photo or recording that shows it, where one is named.
    item_id: Mapped[Uuid | None]
    officer_id: Mapped[Uuid]
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    at_ms: Mapped[Millis]
    text: Mapped[Body]
    position: Mapped[Big]


class ExplainedGap(Base):
    """Why nothing was recorded from one moment to another, as an officer stated it."""

    __tablename__ = "explained_gap"

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    from_ms: Mapped[Millis]
    to_ms: Mapped[Millis]
    reason: Mapped[str] = mapped_column(String(32))
    text: Mapped[Body]
    officer_id: Mapped[Uuid]
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    position: Mapped[Big]


class Recording(Base):
    """A recording that an app began and, perhaps, ended; both by the device's clock."""

    __tablename__ = "recording"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    officer_id: Mapped[Uuid]
    started_line: Mapped[Digest]
    started_at_ms: Mapped[Millis]
    stopped_line: Mapped[Digest | None]
    stopped_at_ms: Mapped[Millis | None]
    #: Why it was stopped, if the officer said.
    reason: Mapped[str] = mapped_column(String(32))
    item_id: Mapped[Uuid | None]


class RecorderClock(Base):
    """A recorder's clock beside the bureau's: at docking, or from a frame that films the screen.

    ``offset_ms`` is what must be added to the recorder's clock, give or take ``error_ms``.
    """

    __tablename__ = "recorder_clock"
    __table_args__ = (
        CheckConstraint("method IN ('docking', 'frame')", name="method_known"),
        Index("ix_recorder_clock_recorder", "organization_id", "recorder", "position"),
    )

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    recorder: Mapped[str] = mapped_column(String(64))
    method: Mapped[str] = mapped_column(String(8))
    offset_ms: Mapped[Big]
    error_ms: Mapped[Big]
    #: The recorder's own time at the comparison.
    recorder_ms: Mapped[Millis]
    item_id: Mapped[Uuid | None]
    officer_id: Mapped[Uuid]
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    position: Mapped[Big]
