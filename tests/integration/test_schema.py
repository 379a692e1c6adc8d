"""The migrated schema is the one that the models describe, on both databases."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from server import migrations
from server.migrations.guards import ERASABLE, EVIDENCE
from server.models import Base


def test_the_migrations_lead_to_what_the_models_describe(database_url):
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrating_again_changes_nothing(database_url):
    engine = create_engine(database_url)

    with engine.begin() as connection:
        migrations.upgrade(connection)

    with engine.connect() as connection:
        assert "journal_line" in inspect(connection).get_table_names()
    engine.dispose()


def test_every_guarded_table_is_guarded_by_its_primary_key():
    for table, key in {**EVIDENCE, **ERASABLE}.items():
        columns = [column.name for column in Base.metadata.tables[table].primary_key]
        assert columns == list(key), table
