"""What stands outside the ledger and bears it out: witnesses, time stamps, hand-overs."""

import sqlalchemy as sa
from alembic import op

from server.migrations.guards import FOURTH, append_only, erasable_since_fourth

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _redactions()
    for name in ("written", "of_bytes"):
        op.add_column("evidence_package", sa.Column(name, sa.BigInteger(), nullable=True))
    _erasure()
    _hand_over()
    _create_audits()
    _create_stamps()
    _witnesses()
    _sheets()
    for statement in append_only(op.get_bind().dialect.name, FOURTH):
        op.execute(statement)
    for statement in erasable_since_fourth(op.get_bind().dialect.name):
        op.execute(statement)


def _create_stamps() -> None:
    subject = "(covers_size IS NULL) <> (package_id IS NULL)"
    op.create_table(
        "time_stamp",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("authority", sa.String(length=32), nullable=False),
        sa.Column("covers_generation", sa.Integer(), nullable=True),
        sa.Column("covers_size", sa.BigInteger(), nullable=True),
        sa.Column("package_id", sa.String(length=36), nullable=True),
        sa.Column("renews", sa.String(length=64), nullable=False),
        sa.Column("imprint", sa.String(length=64), nullable=False),
        sa.Column("gen_time_ms", sa.BigInteger(), nullable=False),
        sa.Column("margin_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("serial", sa.String(length=130), nullable=False),
        sa.Column("checked_by", sa.String(length=64), nullable=False),
        sa.Column("roots", sa.Text(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(subject, name=op.f("ck_time_stamp_one_subject")),
        sa.ForeignKeyConstraint(
            ["package_id"], ["evidence_package.id"], name=op.f("fk_time_stamp_package_id")
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_time_stamp")),
    )
    op.create_index(op.f("ix_time_stamp_package_id"), "time_stamp", ["package_id"], unique=False)
    op.create_index("ix_time_stamp_leaf", "time_stamp", ["generation", "ledger_index"], unique=True)
    op.create_index(
        "ix_time_stamp_covers",
        "time_stamp",
        ["authority", "covers_generation", "covers_size"],
        unique=False,
    )
    op.create_index(
        "ix_time_stamp_bounds",
        "time_stamp",
        [
            "generation",
            "covers_generation",
            "renews",
            "ledger_index",
            "covers_size",
            "gen_time_ms",
            "margin_ms",
        ],
        unique=False,
    )
    op.create_table(
        "stamp_request",
        sa.Column("nonce", sa.String(length=16), nullable=False),
        sa.Column("authority", sa.String(length=32), nullable=False),
        sa.Column("covers_generation", sa.Integer(), nullable=True),
        sa.Column("covers_size", sa.BigInteger(), nullable=True),
        sa.Column("package_id", sa.String(length=36), nullable=True),
        sa.Column("renews", sa.String(length=64), nullable=False),
        sa.Column("imprint", sa.String(length=64), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(subject, name=op.f("ck_stamp_request_one_subject")),
        sa.ForeignKeyConstraint(
            ["package_id"], ["evidence_package.id"], name=op.f("fk_stamp_request_package_id")
        ),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_stamp_request")),
    )
    op.create_table(
        "stamp_authority",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("tried_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_stamp_authority")),
    )


def _create_audits() -> None:
    op.create_table(
        "ledger_audit",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("began_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("ledger_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_audit")),
    )


def _erasure() -> None:
    """Orders, holds, and what went (docs/evidence.md §5)."""
    op.create_table(
        "legal_hold",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("set_by", sa.String(length=36), nullable=False),
        sa.Column("set_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("lift_reason", sa.Text(), nullable=False),
        sa.Column("lift_asked_by", sa.String(length=36), nullable=True),
        sa.Column("lift_asked_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(length=36), nullable=True),
        sa.Column("lifted_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "lifted_by IS NULL OR (lift_asked_by IS NOT NULL AND lifted_by <> lift_asked_by)",
            name=op.f("ck_legal_hold_lifted_by_two"),
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_legal_hold_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["lift_asked_by"], ["person.id"], name=op.f("fk_legal_hold_lift_asked_by")
        ),
        sa.ForeignKeyConstraint(["lifted_by"], ["person.id"], name=op.f("fk_legal_hold_lifted_by")),
        sa.ForeignKeyConstraint(["set_by"], ["person.id"], name=op.f("fk_legal_hold_set_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legal_hold")),
    )
    op.create_index(
        op.f("ix_legal_hold_inspection_id"), "legal_hold", ["inspection_id"], unique=False
    )
    op.create_table(
        "erasure_order",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("law", sa.String(length=200), nullable=False),
        sa.Column("requested_by", sa.String(length=36), nullable=False),
        sa.Column("requested_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("listed", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_by", sa.String(length=36), nullable=True),
        sa.Column("decided_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("waits", sa.String(length=64), nullable=False),
        sa.Column("erased_at_ms", sa.BigInteger(), nullable=True),
        sa.Column("done_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('requested', 'withdrawn', 'refused', 'approved', 'erasing', 'done')",
            name=op.f("ck_erasure_order_state_known"),
        ),
        sa.CheckConstraint(
            "state NOT IN ('approved', 'erasing', 'done') OR (decided_by IS NOT NULL AND decided_by <> requested_by)",
            name=op.f("ck_erasure_order_two_persons"),
        ),
        sa.CheckConstraint(
            "unit IN ('inspection', 'recordings')", name=op.f("ck_erasure_order_unit_known")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_erasure_order_decided_by")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_erasure_order_inspection_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_erasure_order_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["person.id"], name=op.f("fk_erasure_order_requested_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_order")),
    )
    op.create_index(
        op.f("ix_erasure_order_inspection_id"), "erasure_order", ["inspection_id"], unique=False
    )
    op.create_index("ix_erasure_order_state", "erasure_order", ["state"], unique=False)
    op.create_table(
        "erased_item",
        sa.Column("item_id", sa.String(length=36), nullable=False),
        sa.Column("order_id", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("erased_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["evidence_item.id"], name=op.f("fk_erased_item_item_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["erasure_order.id"], name=op.f("fk_erased_item_order_id")
        ),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_erased_item")),
    )
    op.create_index(op.f("ix_erased_item_order_id"), "erased_item", ["order_id"], unique=False)
    op.create_index(op.f("ix_erased_item_sha256"), "erased_item", ["sha256"], unique=False)
    op.create_table(
        "erasure_object",
        sa.Column("order_id", sa.String(length=36), nullable=False),
        sa.Column("store_key", sa.String(length=200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("tried_at_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'gone')", name=op.f("ck_erasure_object_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["order_id"], ["erasure_order.id"], name=op.f("fk_erasure_object_order_id")
        ),
        sa.PrimaryKeyConstraint("order_id", "store_key", name=op.f("pk_erasure_object")),
    )
    op.create_index(op.f("ix_erasure_object_state"), "erasure_object", ["state"], unique=False)


def _hand_over() -> None:
    """Receipts for our packages, and packages that others made."""
    op.create_table(
        "package_receipt",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("package_id", sa.String(length=36), nullable=False),
        sa.Column("package_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("store_key", sa.String(length=200), nullable=False),
        sa.Column("recipient", sa.String(length=200), nullable=False),
        sa.Column("received_by", sa.String(length=200), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("entered_by", sa.String(length=36), nullable=False),
        sa.Column("entered_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entered_by"], ["person.id"], name=op.f("fk_package_receipt_entered_by")
        ),
        sa.ForeignKeyConstraint(
            ["package_id"], ["evidence_package.id"], name=op.f("fk_package_receipt_package_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_package_receipt")),
        sa.UniqueConstraint(
            "package_id", "sha256", name=op.f("uq_package_receipt_package_id_sha256")
        ),
    )
    op.create_table(
        "foreign_package",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("store_key", sa.String(length=200), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("outside_keys", sa.Text(), nullable=False),
        sa.Column("kept_because", sa.Text(), nullable=False),
        sa.Column("case_index", sa.Text(), nullable=False),
        sa.Column("imported_by", sa.String(length=36), nullable=False),
        sa.Column("imported_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["imported_by"], ["person.id"], name=op.f("fk_foreign_package_imported_by")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_foreign_package_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_foreign_package")),
        sa.UniqueConstraint(
            "organization_id", "sha256", name=op.f("uq_foreign_package_organization_id_sha256")
        ),
    )


def _redactions() -> None:
    op.create_table(
        "redaction",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("item_id", sa.String(length=36), nullable=False),
        sa.Column("source_sha256", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("store_key", sa.String(length=200), nullable=False),
        sa.Column("regions", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.String(length=36), nullable=False),
        sa.Column("made_with", sa.String(length=200), nullable=False),
        sa.Column("recipe", sa.Text(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["evidence_item.id"], name=op.f("fk_redaction_item_id_evidence_item")
        ),
        sa.ForeignKeyConstraint(
            ["made_by"], ["person.id"], name=op.f("fk_redaction_made_by_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redaction")),
    )
    op.create_index(op.f("ix_redaction_item_id"), "redaction", ["item_id"], unique=False)


def _sheets() -> None:
    op.create_table(
        "printed_sheet",
        sa.Column("line_digest", sa.String(length=64), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("revisions", sa.Text(), nullable=False),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.Column("printed_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_printed_sheet_device_id_device")
        ),
        sa.ForeignKeyConstraint(
            ["inspection_id"],
            ["inspection.id"],
            name=op.f("fk_printed_sheet_inspection_id_inspection"),
        ),
        sa.PrimaryKeyConstraint("line_digest", name=op.f("pk_printed_sheet")),
    )
    op.create_index(
        op.f("ix_printed_sheet_inspection_id"), "printed_sheet", ["inspection_id"], unique=False
    )
    op.create_table(
        "sheet_scan",
        sa.Column("item_id", sa.String(length=36), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("said", sa.String(length=200), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"],
            ["inspection.id"],
            name=op.f("fk_sheet_scan_inspection_id_inspection"),
        ),
        sa.ForeignKeyConstraint(
            ["item_id"], ["evidence_item.id"], name=op.f("fk_sheet_scan_item_id_evidence_item")
        ),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_sheet_scan")),
    )
    op.create_index(
        op.f("ix_sheet_scan_inspection_id"), "sheet_scan", ["inspection_id"], unique=False
    )


def _witnesses() -> None:
    op.create_table(
        "witness_cosignature",
        sa.Column("covers_generation", sa.Integer(), nullable=False),
        sa.Column("covers_size", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key_hash", sa.String(length=8), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("came_by", sa.String(length=8), nullable=False),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "covers_generation",
            "covers_size",
            "name",
            "key_hash",
            name=op.f("pk_witness_cosignature"),
        ),
    )
    op.create_index(
        "ix_witness_cosignature_witness",
        "witness_cosignature",
        ["covers_generation", "name", "key_hash", "covers_size"],
        unique=False,
    )
    op.create_table(
        "witness_state",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key_hash", sa.String(length=8), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("tried_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "key_hash", name=op.f("pk_witness_state")),
    )
