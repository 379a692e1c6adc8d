"""Enrolled devices, their keys, and the short-lived secrets by which they are let in."""

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Name, Uuid


class EnrolmentCode(Base):
    """A one-time code that lets one device in; only its SHA-256 is kept."""

    __tablename__ = "enrolment_code"

    code_hash: Mapped[Digest] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    issued_by: Mapped[Name]
    issued_at_ms: Mapped[Millis]
    expires_at_ms: Mapped[Millis]
    used_at_ms: Mapped[Millis | None]
    #: The officers that the device will serve, as a JSON list; None for the whole bureau.
    holders: Mapped[Body | None]


class Device(Base):
    """A phone, docking station or recorder that may write journals.

    A ``shared`` one serves every officer of its organisation, another one only
    its holders. Once a wipe is wanted it is told so at its next contact.
    """

    __tablename__ = "device"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    serial: Mapped[Name]
    name: Mapped[Name]
    enrolled_at_ms: Mapped[Millis]
    shared: Mapped[bool] = mapped_column(default=True)
    wipe_wanted_at_ms: Mapped[Millis | None]
    wiped_at_ms: Mapped[Millis | None]


class DeviceHolder(Base):
    """An officer whom a device serves: it is sent what that officer may see."""

    __tablename__ = "device_holder"

    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), primary_key=True)
    officer_id: Mapped[Uuid] = mapped_column(ForeignKey("officer.id"), primary_key=True, index=True)


class DeviceKey(Base):
    """A public key of a device; a revoked one still proves what it signed before.

    ``revoked_at_ms`` is when the revocation was entered here, ``revoked_from_ms``
    the moment from which it counts, as the administrator stated it.
    """

    __tablename__ = "device_key"

    key_id: Mapped[Digest] = mapped_column(primary_key=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), index=True)
    spki: Mapped[bytes] = mapped_column(LargeBinary)
    enrolled_at_ms: Mapped[Millis]
    enrolled_index: Mapped[Big]
    revoked_at_ms: Mapped[Millis | None]
    revoked_from_ms: Mapped[Millis | None]


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
    ``wall_ms``, ``mono_ms`` and ``boot`` are what the device's clocks said in the
    line that carries the comparison.
    """

    __tablename__ = "clock_offset"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), index=True)
    server_ms: Mapped[Millis]
    offset_ms: Mapped[Big]
    error_ms: Mapped[Big]
    epoch: Mapped[str | None] = mapped_column(String(32))
    seq: Mapped[Big | None]
    wall_ms: Mapped[Millis | None]
    mono_ms: Mapped[Millis | None]
    boot: Mapped[str | None] = mapped_column(String(64))
