"""What stands outside the ledger and bears it out: witnesses, time stamps, hand-overs."""

from alembic import op

from server.migrations.guards import FOURTH, append_only

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in append_only(op.get_bind().dialect.name, FOURTH):
        op.execute(statement)
