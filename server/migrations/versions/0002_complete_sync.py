"""Scopes of the feed, versions of forms, quarantine decisions, peers' heads, clocks, restores."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

from server.migrations.guards import SECOND, append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: Positions as of this migration (``server.models.base.position_of``).
_SPAN = 2**40


def upgrade() -> None:
    connection = op.get_bind()

    op.create_table(
        "backup",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("made_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backup")),
    )
    op.create_table(
        "feed_floor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_floor")),
    )
    op.create_table(
        "known_checkpoint",
        sa.Column("origin", sa.String(length=255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("shown_by", sa.String(length=80), nullable=False),
        sa.Column("shown_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin", "size", "root", name=op.f("pk_known_checkpoint")),
    )
    op.create_table(
        "grid_cell",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("boundary", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_grid_cell_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_cell")),
    )
    op.create_index(
        op.f("ix_grid_cell_organization_id"), "grid_cell", ["organization_id"], unique=False
    )
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
        sa.CheckConstraint(
            "kind IN ('line', 'bytes', 'media')", name=op.f("ck_quarantine_decision_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_quarantine_decision_person_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine_decision")),
    )
    op.create_index(
        "ix_quarantine_decision_subject", "quarantine_decision", ["kind", "subject"], unique=False
    )
    op.create_table(
        "template_version",
        sa.Column("organization_id", sa.String(length=36), nullable=False),
        sa.Column("template_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("in_force_from", sa.String(length=10), nullable=False),
        sa.Column("in_force_to", sa.String(length=10), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("published_by", sa.String(length=36), nullable=True),
        sa.Column("published_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("ledger_index", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_template_version_organization_id"),
        ),
        sa.ForeignKeyConstraint(
            ["published_by"], ["person.id"], name=op.f("fk_template_version_published_by")
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "template_id", "version", name=op.f("pk_template_version")
        ),
    )
    op.create_table(
        "device_holder",
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_device_holder_device_id")
        ),
        sa.ForeignKeyConstraint(
            ["officer_id"], ["officer.id"], name=op.f("fk_device_holder_officer_id")
        ),
        sa.PrimaryKeyConstraint("device_id", "officer_id", name=op.f("pk_device_holder")),
    )
    op.create_index(
        op.f("ix_device_holder_officer_id"), "device_holder", ["officer_id"], unique=False
    )
    op.create_table(
        "peer_head",
        sa.Column("line_digest", sa.String(length=64), nullable=False),
        sa.Column("observer_id", sa.String(length=36), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=True),
        sa.Column("device_id", sa.String(length=36), nullable=True),
        sa.Column("epoch", sa.String(length=32), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=20), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("noted_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["observer_id"], ["device.id"], name=op.f("fk_peer_head_observer_id")
        ),
        sa.PrimaryKeyConstraint("line_digest", name=op.f("pk_peer_head")),
    )
    op.create_index(
        op.f("ix_peer_head_inspection_id"), "peer_head", ["inspection_id"], unique=False
    )
    op.create_index(op.f("ix_peer_head_observer_id"), "peer_head", ["observer_id"], unique=False)
    op.create_index("ix_peer_head_seen", "peer_head", ["device_id", "epoch", "seq"], unique=False)
    op.create_table(
        "scope_grant",
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("lost", sa.BigInteger(), nullable=True),
        sa.Column("lost_at_ms", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["device_id"], ["device.id"], name=op.f("fk_scope_grant_device_id")
        ),
        sa.PrimaryKeyConstraint("device_id", "scope", name=op.f("pk_scope_grant")),
    )
    op.create_index("ix_scope_grant_scope", "scope_grant", ["scope"], unique=False)
    op.create_table(
        "addendum",
        sa.Column("line_digest", sa.String(length=64), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=True),
        sa.Column("field", sa.String(length=64), nullable=True),
        sa.Column("chosen", sa.String(length=64), nullable=True),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("officer_id", sa.String(length=36), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("saved_at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inspection_id"], ["inspection.id"], name=op.f("fk_addendum_inspection_id")
        ),
        sa.PrimaryKeyConstraint("line_digest", name=op.f("pk_addendum")),
    )
    op.create_index(op.f("ix_addendum_inspection_id"), "addendum", ["inspection_id"], unique=False)
    op.create_index(op.f("ix_addendum_record_id"), "addendum", ["record_id"], unique=False)
    op.add_column("clock_offset", sa.Column("epoch", sa.String(length=32), nullable=True))
    op.add_column("clock_offset", sa.Column("seq", sa.BigInteger(), nullable=True))
    op.add_column("clock_offset", sa.Column("wall_ms", sa.BigInteger(), nullable=True))
    op.add_column("clock_offset", sa.Column("mono_ms", sa.BigInteger(), nullable=True))
    op.add_column("clock_offset", sa.Column("boot", sa.String(length=64), nullable=True))
    op.add_column(
        "device", sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column("device", sa.Column("wipe_wanted_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("device", sa.Column("wiped_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("device_key", sa.Column("revoked_from_ms", sa.BigInteger(), nullable=True))
    op.add_column("enrolment_code", sa.Column("holders", sa.Text(), nullable=True))
    op.add_column(
        "inspection", sa.Column("external_ids", sa.Text(), nullable=False, server_default="{}")
    )
    op.add_column("line_outcome", sa.Column("changed", sa.BigInteger(), nullable=True))
    op.add_column(
        "line_outcome",
        sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index(
        "ix_line_outcome_changed",
        "line_outcome",
        ["device_id", "changed"],
        unique=False,
        sqlite_where=sa.text("changed IS NOT NULL"),
        postgresql_where=sa.text("changed IS NOT NULL"),
    )
    # A push asks for the few lines of an epoch or inspection that are not plainly applied.
    op.drop_index("ix_line_outcome_projection", "line_outcome")
    op.create_index(
        "ix_line_outcome_projection",
        "line_outcome",
        ["projection", "device_id", "epoch"],
        unique=False,
    )
    op.drop_index("ix_line_outcome_inspection_id", "line_outcome")
    op.create_index(
        "ix_line_outcome_inspection",
        "line_outcome",
        ["inspection_id", "projection"],
        unique=False,
    )
    op.add_column(
        "record_revision",
        sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.create_index(
        "ix_record_revision_feed", "record_revision", ["inspection_id", "position"], unique=False
    )
    op.create_index("ix_record_revision_position", "record_revision", ["position"], unique=False)
    op.drop_index("ix_record_revision_inspection_id", "record_revision")
    op.drop_index("ix_record_revision_place", "record_revision")
    op.create_index(
        "ix_record_revision_place",
        "record_revision",
        ["device_id", "epoch", "outside_seal"],
        unique=False,
    )
    op.add_column(
        "regulated_entity",
        sa.Column("external_ids", sa.Text(), nullable=False, server_default="{}"),
    )
    op.add_column(
        "regulated_entity", sa.Column("dossier", sa.Text(), nullable=False, server_default="{}")
    )
    op.add_column("officer", sa.Column("withdrawn_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("task", sa.Column("external_ids", sa.Text(), nullable=False, server_default="{}"))
    # Before this there was one generation of the ledger.
    for table in ("media_facts", "finding", "item_check", "judgement", "evidence_package"):
        op.add_column(
            table, sa.Column("generation", sa.Integer(), nullable=False, server_default="1")
        )

    # In one statement that both databases know: SQLite would make the whole table anew,
    # and cannot drop the old one while tasks and inspections refer to it.
    op.execute(
        "ALTER TABLE regulated_entity ADD COLUMN grid_cell_id VARCHAR(36)"
        " CONSTRAINT fk_regulated_entity_grid_cell_id REFERENCES grid_cell (id)"
    )
    # Before this there was one generation, whose positions begin at its number.
    op.execute(f"UPDATE record_revision SET position = {_SPAN} + ledger_index")
    op.drop_column("record_revision", "ledger_index")
    op.drop_column("journal_head", "anchor_size")
    op.execute("UPDATE device_key SET revoked_from_ms = revoked_at_ms")
    _move_documents(connection)
    _grant_scopes(connection)
    _keep_forms(connection)
    for statement in append_only(connection.dialect.name, SECOND):
        op.execute(statement)


def _by_code_point(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _move_documents(connection: sa.Connection) -> None:
    """Documents get their position and digest; a task moves into its own scope."""
    rows = connection.execute(
        sa.text("SELECT scope, kind, id, body, generation, ledger_index FROM document")
    ).all()
    op.drop_table("document")
    document = op.create_table(
        "document",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("kind", _by_code_point(32), nullable=False),
        sa.Column("id", _by_code_point(80), nullable=False),
        sa.Column("op", sa.String(length=9), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("op IN ('put', 'tombstone')", name=op.f("ck_document_op_known")),
        sa.PrimaryKeyConstraint("scope", "kind", "id", name=op.f("pk_document")),
    )
    op.create_index(
        "ix_document_feed", "document", ["scope", "position", "kind", "id"], unique=False
    )
    op.create_index("ix_document_id", "document", ["id"], unique=False)
    op.create_index("ix_document_position", "document", ["position"], unique=False)
    moved = [
        {
            "scope": f"task:{row.id}" if row.kind == "task" else row.scope,
            "kind": row.kind,
            "id": row.id,
            "op": "put",
            "body": row.body,
            "digest": hashlib.sha256(row.body.encode()).hexdigest()[:16],
            "position": row.generation * _SPAN + row.ledger_index,
            "changed_at_ms": 0,
        }
        for row in rows
    ]
    if moved:
        op.bulk_insert(document, moved)


def _grant_scopes(connection: sa.Connection) -> None:
    """Every device was sent everything of its organisation: it stays so until somebody narrows it.

    The grants stand at the ledger's last event, so that each device is sent all of it once.
    """
    end = connection.scalar(
        sa.text(
            f"SELECT generation * {_SPAN} + size - 1 FROM ledger_head"
            " ORDER BY generation DESC LIMIT 1"
        )
    )
    insert = "INSERT INTO scope_grant (device_id, scope, granted) "
    active = (
        " FROM device d{join} WHERE EXISTS (SELECT 1 FROM device_key k"
        " WHERE k.device_id = d.id AND k.revoked_at_ms IS NULL)"
    )
    for kind in ("organization", "officer", "task", "inspection"):
        join = (
            ""
            if kind == "organization"
            else f" JOIN {kind} t ON t.organization_id = d.organization_id"
        )
        name = "d.organization_id" if kind == "organization" else "t.id"
        op.execute(
            sa.text(
                f"{insert} SELECT d.id, '{kind}:' || {name}, :end" + active.format(join=join)
            ).bindparams(end=end or 0)
        )


def _keep_forms(connection: sa.Connection) -> None:
    """The form that was sent so far is the first version that records may name."""
    rows = connection.execute(
        sa.text("SELECT scope, body, position FROM document WHERE kind = 'template'")
    ).all()
    for row in rows:
        form = json.loads(row.body)
        connection.execute(
            sa.text(
                "INSERT INTO template_version (organization_id, template_id, version,"
                " in_force_from, body, published_at_ms, generation, ledger_index)"
                " VALUES (:organization, :id, :version, '1970-01-01', :body, 0, :generation, :index)"
            ),
            {
                "organization": row.scope.partition(":")[2],
                "id": form["id"],
                "version": form["version"],
                "body": row.body,
                "generation": row.position // _SPAN,
                "index": row.position % _SPAN,
            },
        )
