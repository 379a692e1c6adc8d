"""Uploads under way, the objects they became, and what was set aside (docs/protocol.md §7)."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Name, Uuid

UPLOAD_STATES = ("open", "committing", "stored", "quarantined", "terminated", "expired")
#: Of an upload that may still write, or say what its object is.
UNDER_WAY = ("open", "committing")
OBJECT_STATES = ("committing", "stored")
FIXITY_OUTCOMES = ("whole", "changed", "missing")


class Upload(Base):
    """One tus upload. Every change names the ``fence`` it saw: a stale writer changes nothing.

    ``offset`` bytes are acknowledged: the ``parts`` of a multipart upload hold the
    first of them, the ``tails`` the rest, both as JSON. ``hash_state`` and
    ``crc32`` belong to these bytes. While a process writes, ``owner`` names it.
    """

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint(f"status IN {UPLOAD_STATES}", name="status_known"),
        CheckConstraint("byte_offset BETWEEN 0 AND length", name="within_length"),
        CheckConstraint("concat IN ('', 'partial', 'final')", name="concat_known"),
        Index("ix_upload_owner", "owner"),
        Index("ix_upload_status", "status", "expires_at_ms"),
        Index("ix_upload_device", "device_id", "status"),
    )

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    #: As announced; None where the client did not say, until the bytes are all here.
    sha256: Mapped[Digest | None] = mapped_column(index=True)
    #: None until a client that deferred it says how long the file is.
    length: Mapped[Big | None]
    #: ``partial`` for a piece of a later one, ``final`` for one made of the uploads ``pieces``.
    concat: Mapped[str] = mapped_column(String(8), default="")
    pieces: Mapped[Body] = mapped_column(default="[]")
    #: ``Upload-Metadata`` and ``Upload-Concat`` as the client wrote them, to be given back.
    metadata_header: Mapped[Body] = mapped_column(default="")
    concat_header: Mapped[Body] = mapped_column(default="")
    filename: Mapped[Name]
    filetype: Mapped[str] = mapped_column(String(100))
    awaits_line: Mapped[bool]
    status: Mapped[str] = mapped_column(String(16))
    offset: Mapped[Big] = mapped_column("byte_offset")
    parts: Mapped[Body]
    tails: Mapped[Body]
    next_part: Mapped[int]
    multipart_id: Mapped[str | None] = mapped_column(String(1024))
    hash_state: Mapped[bytes | None] = mapped_column(LargeBinary)
    crc32: Mapped[Big]
    found_sha256: Mapped[Digest | None]
    fence: Mapped[int]
    owner: Mapped[Uuid | None]
    release_wanted: Mapped[bool]
    created_at_ms: Mapped[Millis]
    expires_at_ms: Mapped[Millis]
    ended_at_ms: Mapped[Millis | None]


class ProcessHeartbeat(Base):
    """A process that writes uploads was alive at ``beaten_at_ms`` by the database's clock."""

    __tablename__ = "process_heartbeat"

    process_id: Mapped[Uuid] = mapped_column(primary_key=True)
    beaten_at_ms: Mapped[Millis]


class MediaObject(Base):
    """An object whose bytes have the digest ``sha256``; once ``stored`` it never changes.

    Only if a reading found it lost, and its bytes came again, may ``key`` become another.
    """

    __tablename__ = "media_object"
    __table_args__ = (
        CheckConstraint(f"status IN {OBJECT_STATES}", name="status_known"),
        Index("ix_media_object_stored", "stored_at_ms"),
    )

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    size: Mapped[Big]
    crc32: Mapped[Big]
    key: Mapped[str] = mapped_column("store_key", String(200))
    status: Mapped[str] = mapped_column(String(16))
    stored_at_ms: Mapped[Millis | None]


class ObjectFixity(Base):
    """When a stored object was last read whole, and whether it was still what it had been.

    Bytes that came again after a loss count as ``whole`` from then on.
    """

    __tablename__ = "object_fixity"
    __table_args__ = (
        CheckConstraint(f"outcome IN {FIXITY_OUTCOMES}", name="outcome_known"),
        Index("ix_object_fixity_due", "checked_at_ms"),
    )

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(String(8))
    found_sha256: Mapped[Digest | None]
    checked_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class UnreadableObject(Base):
    """An original that the store did not give when it was last asked; gone when it does again."""

    __tablename__ = "unreadable_object"

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    #: Our code of what the store answered.
    code: Mapped[str] = mapped_column(String(64))
    since_ms: Mapped[Millis]
    tried_at_ms: Mapped[Millis]


class StoreCheck(Base):
    """One run over the store: what was looked at, and every doubt in it, as JSON."""

    __tablename__ = "store_check"
    __table_args__ = (CheckConstraint("kind IN ('sweep', 'rehash')", name="kind_known"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(8))
    began_at_ms: Mapped[Millis]
    ended_at_ms: Mapped[Millis]
    objects: Mapped[Big]
    bytes: Mapped[Big]
    report: Mapped[Body]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class AdoptedObject(Base):
    """A whole object that no row named, such as after a restore: taken in, never deleted."""

    __tablename__ = "adopted_object"

    key: Mapped[str] = mapped_column("store_key", String(200), primary_key=True)
    sha256: Mapped[Digest] = mapped_column(index=True)
    size: Mapped[Big]
    adopted_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class UnsafeMedia(Base):
    """Bytes that are as announced but not what their name says they are: never shown inline.

    ``code`` is what was recognised (docs/findings.md, TYPE_MISMATCH and POLYGLOT).
    """

    __tablename__ = "unsafe_media"

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32))
    found_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class QuarantinedMedia(Base):
    """Received bytes that are not what they were announced to be (待核); kept, never served."""

    __tablename__ = "quarantined_media"

    upload_id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"))
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    announced_sha256: Mapped[Digest] = mapped_column(index=True)
    found_sha256: Mapped[Digest]
    size: Mapped[Big]
    key: Mapped[str] = mapped_column("store_key", String(200))
    received_at_ms: Mapped[Millis]
