"""Writing many new rows with as little around the database's own work as there can be."""

from collections.abc import Sequence
from typing import cast

import psycopg
from sqlalchemy.orm import Session

from server.models.base import Base, table_of


def insert_rows(
    session: Session,
    model: type[Base],
    columns: Sequence[str],
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Insert ``rows``, whose values stand in the order of ``columns``, all or none.

    Past SQLAlchemy's handling of parameters, which costs more than SQLite's own
    work: values must be what the driver takes, and no defaults are filled in.
    """
    if not rows:
        return
    table, names = table_of(model).name, ", ".join(columns)
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        cursor = cast("psycopg.Cursor", connection.connection.cursor())
        with cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    places = ", ".join("?" * len(columns))
    # Names of our own tables and columns; every value is bound.
    statement = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608
    connection.exec_driver_sql(statement, list(rows))
