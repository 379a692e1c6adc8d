"""Housekeeping of the store, the process of an inspection, and what checks compared."""

import sqlalchemy as sa
from alembic import op

from server.migrations.guards import THIRD, append_only, replaceable_when_lost

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_DECIDED = "kind IN ('line', 'bytes', 'media', 'unsafe')"


def upgrade() -> None:
    connection = op.get_bind()
    dialect = connection.dialect.name

    op.create_table(
        "adopted_object",
        sa.Column("store_key", sa.String(length=200), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("adopted_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("store_key", name=op.f("pk_adopted_object")),
    )
    op.create_index("ix_media_object_stored", "media_object", ["stored_at_ms"], unique=False)
    op.create_index(op.f("ix_adopted_object_sha256"), "adopted_object", ["sha256"], unique=False)
    op.create_table(
        "media_trait",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("make", sa.String(length=100), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("serial", sa.String(length=100), nullable=False),
        sa.Column("quant_tables", sa.String(length=64), nullable=False),
        sa.Column("likeness", sa.BigInteger(), nullable=True),
        sa.Column("quarter0", sa.Integer(), nullable=True),
        sa.Column("quarter1", sa.Integer(), nullable=True),
        sa.Column("quarter2", sa.Integer(), nullable=True),
        sa.Column("quarter3", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_media_trait")),
    )
    op.create_index("ix_media_trait_quarter0", "media_trait", ["quarter0"], unique=False)
    op.create_index("ix_media_trait_quarter1", "media_trait", ["quarter1"], unique=False)
    op.create_index("ix_media_trait_quarter2", "media_trait", ["quarter2"], unique=False)
    op.create_index("ix_media_trait_quarter3", "media_trait", ["quarter3"], unique=False)
    op.create_table(
        "object_fixity",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("found_sha256", sa.String(length=64), nullable=True),
        sa.Column("checked_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('whole', 'changed', 'missing')",
            name=op.f("ck_object_fixity_outcome_known"),
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_object_fixity")),
    )
    op.create_index("ix_object_fixity_due", "object_fixity", ["checked_at_ms"], unique=False)
    op.create_table(
        "unreadable_object",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("tried_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_unreadable_object")),
    )
    op.create_table(
        "store_check",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("began_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('sweep', 'rehash')", name=op.f("ck_store_check_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_check")),
    )
    op.create_table(
        "unsafe_media",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("found_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_unsafe_media")),
    )
    op.create_table(
        "recorder_clock",
        sa.Column("line_digest", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("recorder", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("offset_ms", sa.BigInteger(), nullable=False),
        sa.Column("error_ms", sa.BigInteger(), nullable=False),
        sa.Column("recorder_ms", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.String(length=36), nullable=True),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "method IN ('docking', 'frame')", name=op.f("ck_recorder_clock_method_known")
        ),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_recorder_clock_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_recorder_clock_organization_id")
        ),
        sa.PrimaryKeyConstraint("line_digest", name=op.f("pk_recorder_clock")),
    )
    op.create_index(
        "ix_recorder_clock_recorder",
        "recorder_clock",
        ["organization_id", "recorder", "position"],
        unique=False,
    )
    op.create_table(
        "explained_gap",
        sa.Column("line_digest", sa.String(length=64), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("to_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_explained_gap_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_explained_gap_inspection_id")
        ),
        sa.PrimaryKeyConstraint("line_digest", name=op.f("pk_explained_gap")),
    )
    op.create_index(
        op.f("ix_explained_gap_inspection_id"), "explained_gap", ["inspection_id"], unique=False
    )
    op.create_table(
        "process_step",
        sa.Column("line_digest", sa.String(length=64), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("step", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=36), nullable=True),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_process_step_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_process_step_inspection_id")
        ),
        sa.PrimaryKeyConstraint("line_digest", name=op.f("pk_process_step")),
    )
    op.create_index(
        op.f("ix_process_step_inspection_id"), "process_step", ["inspection_id"], unique=False
    )
    op.create_table(
        "recording",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.Column("started_line", sa.String(length=64), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("stopped_line", sa.String(length=64), nullable=True),
        sa.Column("stopped_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("item_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_recording_device_id")),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_recording_inspection_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recording")),
    )
    op.create_index(
        op.f("ix_recording_inspection_id"), "recording", ["inspection_id"], unique=False
    )
    op.add_column(
        "derivative",
        sa.Column("media_type", sa.String(length=100), nullable=False, server_default="image/jpeg"),
    )
    op.add_column("derivative", sa.Column("recipe", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "evidence_item",
        sa.Column("recorder", sa.String(length=64), nullable=False, server_default=""),
    )
    op.create_index(
        "ix_evidence_item_recorder", "evidence_item", ["organization_id", "recorder"], unique=False
    )
    op.create_index(
        "ix_evidence_item_named", "evidence_item", ["organization_id", "sha256"], unique=False
    )
    op.add_column("item_check", sa.Column("context", sa.Text(), nullable=False, server_default=""))
    op.add_column("media_facts", sa.Column("pixels", sa.Text(), nullable=False, server_default=""))
    if dialect == "sqlite":
        _make_upload_anew()
        _make_decisions_anew()
    else:
        op.drop_constraint(op.f("ck_quarantine_decision_kind_known"), "quarantine_decision")
        op.create_check_constraint(
            op.f("ck_quarantine_decision_kind_known"), "quarantine_decision", _DECIDED
        )
        op.alter_column("upload", "sha256", existing_type=sa.String(length=64), nullable=True)
        op.alter_column("upload", "length", existing_type=sa.BigInteger(), nullable=True)
        op.add_column(
            "upload", sa.Column("concat", sa.String(length=8), nullable=False, server_default="")
        )
        op.add_column("upload", sa.Column("pieces", sa.Text(), nullable=False, server_default="[]"))
        for header in ("metadata_header", "concat_header"):
            op.add_column("upload", sa.Column(header, sa.Text(), nullable=False, server_default=""))
        op.create_check_constraint(
            op.f("ck_upload_concat_known"), "upload", "concat IN ('', 'partial', 'final')"
        )
    op.create_index("ix_upload_device", "upload", ["device_id", "status"], unique=False)
    for statement in (*append_only(dialect, THIRD), *replaceable_when_lost(dialect)):
        op.execute(statement)


def _make_upload_anew() -> None:
    """SQLite cannot make a column nullable in place; no other table refers to this one."""
    for index in ("ix_upload_owner", "ix_upload_sha256", "ix_upload_status"):
        op.drop_index(index, "upload")
    op.rename_table("upload", "upload_before")
    op.create_table(
        "upload",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("concat", sa.String(length=8), nullable=False, server_default=""),
        sa.Column("pieces", sa.Text(), nullable=False, server_default="[]"),
        sa.Column("metadata_header", sa.Text(), nullable=False, server_default=""),
        sa.Column("concat_header", sa.Text(), nullable=False, server_default=""),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("filetype", sa.String(length=100), nullable=False),
        sa.Column("awaits_line", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("byte_offset", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.Column("tails", sa.Text(), nullable=False),
        sa.Column("next_part", sa.Integer(), nullable=False),
        sa.Column("multipart_id", sa.String(length=1024), nullable=True),
        sa.Column("hash_state", sa.LargeBinary(), nullable=True),
        sa.Column("crc32", sa.BigInteger(), nullable=False),
        sa.Column("found_sha256", sa.String(length=64), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=36), nullable=True),
        sa.Column("release_wanted", sa.Boolean(), nullable=False),
        sa.Column("created_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'committing', 'stored', 'quarantined', 'terminated', 'expired')",
            name=op.f("ck_upload_status_known"),
        ),
        sa.CheckConstraint(
            "byte_offset BETWEEN 0 AND length", name=op.f("ck_upload_within_length")
        ),
        sa.CheckConstraint(
            "concat IN ('', 'partial', 'final')", name=op.f("ck_upload_concat_known")
        ),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_upload_device_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_upload_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    kept = (
        "id, organization_id, device_id, sha256, length, filename, filetype, awaits_line, status,"
        " byte_offset, parts, tails, next_part, multipart_id, hash_state, crc32, found_sha256,"
        " fence, owner, release_wanted, created_at_ms, expires_at_ms, ended_at_ms"
    )
    op.execute(f"INSERT INTO upload ({kept}) SELECT {kept} FROM upload_before")
    op.drop_table("upload_before")
    op.create_index("ix_upload_owner", "upload", ["owner"], unique=False)
    op.create_index(op.f("ix_upload_sha256"), "upload", ["sha256"], unique=False)
    op.create_index("ix_upload_status", "upload", ["status", "expires_at_ms"], unique=False)


def _make_decisions_anew() -> None:
    """SQLite cannot change a check in place; the guards go with the old table and come again."""
    op.drop_index("ix_quarantine_decision_subject", "quarantine_decision")
    op.rename_table("quarantine_decision", "quarantine_decision_before")
    op.create_table(
        "quarantine_decision",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.String(length=36), nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "decision IN ('released', 'kept')", name=op.f("ck_quarantine_decision_decision_known")
        ),
        sa.CheckConstraint(_DECIDED, name=op.f("ck_quarantine_decision_kind_known")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_quarantine_decision_person_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_decision")),
    )
    op.execute("INSERT INTO quarantine_decision SELECT * FROM quarantine_decision_before")
    op.drop_table("quarantine_decision_before")
    op.create_index(
        "ix_quarantine_decision_subject", "quarantine_decision", ["kind", "subject"], unique=False
    )
    for statement in append_only("sqlite", {"quarantine_decision": ("id",)}):
        op.execute(statement)
