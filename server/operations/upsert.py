"""Writing many rows that may be there already, on either database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from server.models.base import Base, table_of


def upsert(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert ``rows``, each named by column; one whose primary key is there replaces it.

    All rows name the same columns.
    """
    if not rows:
        return
    table = table_of(model)
    postgres = session.get_bind().dialect.name == "postgresql"
    statement = postgresql.insert(table) if postgres else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    values = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    # The parameters are given beside the statement, so that it is compiled once for all.
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), list(rows))
