"""Enrolled devices, their keys, and the short-lived secrets by which they are let in."""

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Digest, Millis, Name, Uuid


class EnrolmentCode(Base):
    """A one-time code that lets one device in; only its SHA-256 is kept."""

    __tablename__ = "enrolment_code"

    code_hash: Mapped[Digest] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    issued_by: Mapped[Name]
    issued_at_ms: Mapped[Millis]
    expires_at_ms: Mapped[Millis]
    used_at_ms: Mapped[Millis | None]


class Device(Base):
    """A phone, docking station or recorder that may write journals."""

    __tablename__ = "device"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    serial: Mapped[Name]
    name: Mapped[Name]
    enrolled_at_ms: Mapped[Millis]


class DeviceKey(Base):
    """A public key of a device; a revoked one still proves what it signed before."""

    __tablename__ = "device_key"

    key_id: Mapped[Digest] = mapped_column(primary_key=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), index=True)
    spki: Mapped[bytes] = mapped_column(LargeBinary)
    enrolled_at_ms: Mapped[Millis]
    enrolled_index: Mapped[Big]
    revoked_at_ms: Mapped[Millis | None]


class TokenNonce(Base):
    """A nonce that a device signs once to get a token."""

    __tablename__ = "token_nonce"

    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[Digest]
    expires_at_ms: Mapped[Millis] = mapped_column(index=True)
    used_at_ms: Mapped[Millis | None]


class DeviceToken(Base):
    """A bearer token of a device; only its SHA-256 is kept."""

    __tablename__ = "device_token"

    token_hash: Mapped[Digest] = mapped_column(primary_key=True)
    key_id: Mapped[Digest] = mapped_column(ForeignKey("device_key.key_id"))
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    expires_at_ms: Mapped[Millis] = mapped_column(index=True)


class ClockOffset(Base):
    """One comparison of a device's clock with the server's: ``offset_ms`` ± ``error_ms``.

    The offset is what must be added to the device's clock to get the server's.
    """

    __tablename__ = "clock_offset"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), index=True)
    server_ms: Mapped[Millis]
    offset_ms: Mapped[Big]
    error_ms: Mapped[Big]
