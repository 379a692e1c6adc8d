"""What the screens show: tasks, inspections, records and evidence items.

All of it is a projection of journal lines and of documents made here
(docs/protocol.md §1), except the findings and judgements, which only grow.
"""

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.models.base import Base, Big, Body, Digest, Millis, Name, Uuid

ITEM_STATES = (
    "captured",
    "stored",
    "checked",
    "accepted",
    "questioned",
    "rejected",
    "discarded",
)


def _ordered(length: int) -> String:
    """Text that every database sorts by code point, as a cursor of the feed needs it."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class RegulatedEntity(Base):
    """An inspected party (检查对象). Coordinates are WGS-84 in 1e-7 degrees."""

    __tablename__ = "regulated_entity"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    name: Mapped[Name]
    uscc: Mapped[str] = mapped_column(String(18))
    address: Mapped[Name]
    lat_e7: Mapped[int | None]
    lon_e7: Mapped[int | None]
    radius_cm: Mapped[int | None]
    #: JSON: names in other systems, such as ``pollution_source`` or ``permit``.
    external_ids: Mapped[Body] = mapped_column(default="{}")
    grid_cell_id: Mapped[Uuid | None] = mapped_column(ForeignKey("grid_cell.id"))
    #: JSON: what the dossier (一厂一档) holds beside the columns.
    dossier: Mapped[Body] = mapped_column(default="{}")


class GridCell(Base):
    """A cell of the grid management (网格); the boundary is JSON, WGS-84 in 1e-7 degrees."""

    __tablename__ = "grid_cell"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    code: Mapped[str] = mapped_column(String(32))
    name: Mapped[Name]
    boundary: Mapped[Body]


class TemplateVersion(Base):
    """A published version of a form; never changed, since records name it for good.

    ``in_force_from`` and ``in_force_to`` are dates, ``YYYY-MM-DD``, both inclusive.
    """

    __tablename__ = "template_version"

    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), primary_key=True)
    id: Mapped[str] = mapped_column("template_id", String(64), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    in_force_from: Mapped[str] = mapped_column(String(10))
    in_force_to: Mapped[str | None] = mapped_column(String(10))
    body: Mapped[Body]
    published_by: Mapped[Uuid | None] = mapped_column(ForeignKey("person.id"))
    published_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class Task(Base):
    """An approved piece of work for at least two officers."""

    __tablename__ = "task"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    title: Mapped[Name]
    source: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(32))
    launch_mode: Mapped[str] = mapped_column(String(32))
    entity_id: Mapped[Uuid | None] = mapped_column(ForeignKey("regulated_entity.id"))
    approved_by: Mapped[Uuid | None] = mapped_column(ForeignKey("person.id"))
    state: Mapped[str] = mapped_column(String(16))
    due_at_ms: Mapped[Millis | None]
    external_ids: Mapped[Body] = mapped_column(default="{}")


class TaskOfficer(Base):
    __tablename__ = "task_officer"

    task_id: Mapped[Uuid] = mapped_column(ForeignKey("task.id"), primary_key=True)
    officer_id: Mapped[Uuid] = mapped_column(ForeignKey("officer.id"), primary_key=True)


class Inspection(Base):
    """A site visit. ``opened_at_ms`` and ``sealed_at_ms`` are claims of the device's clock."""

    __tablename__ = "inspection"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    task_id: Mapped[Uuid | None] = mapped_column(ForeignKey("task.id"))
    entity_id: Mapped[Uuid | None] = mapped_column(ForeignKey("regulated_entity.id"))
    title: Mapped[Name]
    purpose: Mapped[Body]
    state: Mapped[str] = mapped_column(String(24))
    opened_at_ms: Mapped[Millis] = mapped_column(index=True)
    opened_line: Mapped[Digest]
    sealed_at_ms: Mapped[Millis | None]
    sealed_line: Mapped[Digest | None]
    external_ids: Mapped[Body] = mapped_column(default="{}")


class InspectionOfficer(Base):
    __tablename__ = "inspection_officer"

    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), primary_key=True)
    officer_id: Mapped[Uuid] = mapped_column(ForeignKey("officer.id"), primary_key=True)


class CaseSide(Base):
    """On which side of a case a person stands; one side for each (四个分离).

    Until a case is filed the inspection is the case.
    """

    __tablename__ = "case_side"
    __table_args__ = (
        UniqueConstraint("case_id", "person_id", "side"),
        CheckConstraint("side IN ('investigate', 'review', 'execute')", name="side_known"),
    )

    case_id: Mapped[Uuid] = mapped_column(primary_key=True)
    person_id: Mapped[Uuid] = mapped_column(ForeignKey("person.id"), primary_key=True)
    side: Mapped[str] = mapped_column(String(16))


class OfficerSession(Base):
    """An officer at a device: who unlocked it, how, and over which lines."""

    __tablename__ = "officer_session"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    epoch: Mapped[str] = mapped_column(String(32))
    officer_id: Mapped[Uuid]
    method: Mapped[str] = mapped_column(String(32))
    opened_seq: Mapped[Big]
    closed_seq: Mapped[Big | None]

    __table_args__ = (Index("ix_officer_session_place", "device_id", "epoch", "officer_id"),)


class RecordRevision(Base):
    """One saved revision of a record: the changed fields, and the revisions its author saw."""

    __tablename__ = "record_revision"
    __table_args__ = (
        Index("ix_record_revision_place", "device_id", "epoch", "outside_seal"),
        Index("ix_record_revision_feed", "inspection_id", "position"),
        Index("ix_record_revision_position", "position"),
    )

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"))
    record_id: Mapped[Uuid] = mapped_column(index=True)
    template_id: Mapped[str] = mapped_column(String(64))
    template_version: Mapped[int]
    fields: Mapped[Body]
    base: Mapped[Body]
    officer_id: Mapped[Uuid]
    device_id: Mapped[Uuid]
    epoch: Mapped[str] = mapped_column(String(32))
    seq: Mapped[Big]
    #: Where the line stands in the ledger (docs/protocol.md §4.4).
    position: Mapped[Big]
    saved_at_ms: Mapped[Millis]
    outside_seal: Mapped[bool]


class Addendum(Base):
    """A later word on an inspection (补充说明); it settles a conflict where it names one.

    ``chosen`` is the line digest of the revision whose value of ``field`` stands,
    ``base`` what its author saw.
    """

    __tablename__ = "addendum"

    line_digest: Mapped[Digest] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    record_id: Mapped[Uuid | None] = mapped_column(index=True)
    field: Mapped[str | None] = mapped_column(String(64))
    chosen: Mapped[Digest | None]
    base: Mapped[Body]
    text: Mapped[Body]
    officer_id: Mapped[Uuid]
    device_id: Mapped[Uuid]
    epoch: Mapped[str] = mapped_column(String(32))
    seq: Mapped[Big]
    position: Mapped[Big]
    saved_at_ms: Mapped[Millis]


class EvidenceItem(Base):
    """A photo, recording or other file that a journal line announced."""

    __tablename__ = "evidence_item"
    __table_args__ = (
        CheckConstraint(f"state IN {ITEM_STATES}", name="state_known"),
        Index("ix_evidence_item_line", "device_id", "epoch", "branch", "seq"),
        Index("ix_evidence_item_recorder", "organization_id", "recorder"),
        Index("ix_evidence_item_named", "organization_id", "sha256"),
    )

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    organization_id: Mapped[Uuid] = mapped_column(ForeignKey("organization.id"), index=True)
    inspection_id: Mapped[Uuid | None] = mapped_column(ForeignKey("inspection.id"), index=True)
    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"))
    epoch: Mapped[str] = mapped_column(String(32))
    branch: Mapped[str] = mapped_column(String(64))
    seq: Mapped[Big]
    line_digest: Mapped[Digest]
    officer_id: Mapped[Uuid]
    capture_class: Mapped[str] = mapped_column(String(1))
    sha256: Mapped[Digest] = mapped_column(index=True)
    size: Mapped[Big]
    media_type: Mapped[str] = mapped_column(String(100))
    name: Mapped[Name]
    title: Mapped[Name]
    fact_to_prove: Mapped[Body]
    method: Mapped[Body]
    captured_at_ms: Mapped[Millis]
    tz_min: Mapped[int]
    lat_e7: Mapped[int | None]
    lon_e7: Mapped[int | None]
    accuracy_cm: Mapped[int | None]
    fix_at_ms: Mapped[Millis | None]
    #: Serial of the recorder whose card it came from, if its import named one.
    recorder: Mapped[str] = mapped_column(String(64), default="")
    state: Mapped[str] = mapped_column(String(16))
    #: Set whenever something arrives that the rules compare; the worker clears it.
    check_wanted: Mapped[bool] = mapped_column(index=True, default=False)
    discard_reason: Mapped[Body]
    outside_seal: Mapped[bool]


class MediaFacts(Base):
    """What one reader version read from one file; kept for ever beside newer readings."""

    __tablename__ = "media_facts"

    sha256: Mapped[Digest] = mapped_column(primary_key=True)
    reader_version: Mapped[str] = mapped_column(String(32), primary_key=True)
    facts: Mapped[Body]
    second: Mapped[Body]
    #: JSON: what decoding its pixels or streams gave, such as size, duration and similarity.
    pixels: Mapped[Body] = mapped_column(default="")
    read_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class Finding(Base):
    """A doubt or confirmation about one item (核查提示); never replaced, only added to."""

    __tablename__ = "finding"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    check_id: Mapped[int] = mapped_column(ForeignKey("item_check.id"), index=True)
    item_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_item.id"), index=True)
    code: Mapped[str] = mapped_column(String(40))
    severity: Mapped[str] = mapped_column(String(16))
    rule_version: Mapped[str] = mapped_column(String(16))
    evidence: Mapped[Body]
    found_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class ItemCheck(Base):
    """One run of the rules over an item; the newest is shown, the older ones are kept."""

    __tablename__ = "item_check"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    item_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_item.id"), index=True)
    rule_version: Mapped[str] = mapped_column(String(16))
    verdict: Mapped[str] = mapped_column(String(16))
    claims: Mapped[Body]
    #: JSON: what the claims were compared with, so that the run can be repeated for ever.
    context: Mapped[Body] = mapped_column(default="")
    checked_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class Derivative(Base):
    """A picture or playback copy made from an original, with how it was made."""

    __tablename__ = "derivative"

    source_sha256: Mapped[Digest] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16), primary_key=True)
    sha256: Mapped[Digest]
    size: Mapped[Big]
    key: Mapped[str] = mapped_column("store_key", String(200))
    media_type: Mapped[str] = mapped_column(String(100), default="image/jpeg")
    made_with: Mapped[Name]
    #: How it was made: the command or parameters, for who wants to repeat it.
    recipe: Mapped[Body] = mapped_column(default="")


class Judgement(Base):
    """A reviewer's word on an item; a later one stands beside it, none is overwritten.

    The foreign key makes the database refuse a reviewer who stands on another
    side of the same case.
    """

    __tablename__ = "judgement"
    __table_args__ = (
        ForeignKeyConstraint(
            ["case_id", "person_id", "side"],
            ["case_side.case_id", "case_side.person_id", "case_side.side"],
        ),
        CheckConstraint("side = 'review'", name="side_is_review"),
        CheckConstraint("verdict IN ('accepted', 'questioned', 'rejected')", name="verdict_known"),
    )

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    item_id: Mapped[Uuid] = mapped_column(ForeignKey("evidence_item.id"), index=True)
    case_id: Mapped[Uuid]
    person_id: Mapped[Uuid]
    side: Mapped[str] = mapped_column(String(16))
    verdict: Mapped[str] = mapped_column(String(16))
    reason: Mapped[Body]
    judged_at_ms: Mapped[Millis]
    generation: Mapped[int]
    ledger_index: Mapped[Big]


class Document(Base):
    """The newest version of a document that flows down to devices (docs/protocol.md §4.4).

    A tombstone keeps its place until every cursor must have passed it. ``digest``
    is what two sides compare to find silent divergence.
    """

    __tablename__ = "document"
    __table_args__ = (
        Index("ix_document_feed", "scope", "position", "kind", "id"),
        Index("ix_document_id", "id"),
        # PostgreSQL finds the few newest by these, where a device holds many scopes.
        Index("ix_document_position", "position"),
        CheckConstraint("op IN ('put', 'tombstone')", name="op_known"),
    )

    scope: Mapped[str] = mapped_column(String(80), primary_key=True)
    kind: Mapped[str] = mapped_column(_ordered(32), primary_key=True)
    id: Mapped[str] = mapped_column(_ordered(80), primary_key=True)
    op: Mapped[str] = mapped_column(String(9), default="put")
    body: Mapped[Body]
    digest: Mapped[str] = mapped_column(String(16))
    position: Mapped[Big]
    changed_at_ms: Mapped[Millis]


class ScopeGrant(Base):
    """Since when a device is sent a scope, and until when, as places in the ledger."""

    __tablename__ = "scope_grant"
    __table_args__ = (Index("ix_scope_grant_scope", "scope"),)

    device_id: Mapped[Uuid] = mapped_column(ForeignKey("device.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(80), primary_key=True)
    granted: Mapped[Big]
    lost: Mapped[Big | None]
    lost_at_ms: Mapped[Millis | None]


class FeedFloor(Base):
    """One row: a cursor before ``position`` may have missed a tombstone and begins again."""

    __tablename__ = "feed_floor"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[Big]


class EvidencePackage(Base):
    """One export of an inspection (证据包) and where its bytes are."""

    __tablename__ = "evidence_package"

    id: Mapped[Uuid] = mapped_column(primary_key=True)
    inspection_id: Mapped[Uuid] = mapped_column(ForeignKey("inspection.id"), index=True)
    requested_by: Mapped[Uuid] = mapped_column(ForeignKey("person.id"))
    requested_at_ms: Mapped[Millis]
    reason: Mapped[Body]
    state: Mapped[str] = mapped_column(String(16))
    generation: Mapped[int]
    ledger_size: Mapped[Big]
    sha256: Mapped[Digest | None]
    size: Mapped[Big | None]
    key: Mapped[str | None] = mapped_column("store_key", String(200))
    verdict: Mapped[str | None] = mapped_column(String(16))
    failure: Mapped[str | None] = mapped_column(String(500))
    #: While it is built: how many bytes of the ZIP are written, and of how many.
    written: Mapped[Big | None]
    of_bytes: Mapped[Big | None]
