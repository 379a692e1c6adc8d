"""What somebody does who owns the database: past the program, past its triggers."""

from sqlalchemy import text

from server.db import db


def tamper(world, table, statement, **values):
    """Run ``statement`` with the guards of ``table`` taken away, and put back as they were."""
    with world.app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
            done = connection.execute(text(statement), values).rowcount
            connection.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER ALL"))
        else:
            guards = connection.execute(
                text(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"
                ),
                {"t": table},
            ).all()
            for name, _ in guards:
                connection.execute(text(f"DROP TRIGGER {name}"))
            done = connection.execute(text(statement), values).rowcount
            for _, sql in guards:
                connection.execute(text(sql))
    assert done, "nothing was changed"


def value(world, statement, **values):
    """The one value that ``statement`` selects."""
    with world.app.app_context(), db.engine.connect() as connection:
        return connection.execute(text(statement), values).scalar_one()
