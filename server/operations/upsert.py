"""Writing many rows that may be there already, in one statement on either database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from server.models.base import Base, table_of

#: SQLite takes 32,766 values in one statement; this many rows stay far below it.
_AT_ONCE = 500


def upsert(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> None:
    """Insert ``rows``, each named by column; one whose primary key is there replaces it.

    All rows name the same columns and no two have the same key.
    """
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    table = table_of(model)
    keys = [column.name for column in table.primary_key]
    for start in range(0, len(rows), _AT_ONCE):
        statement = insert(table).values(list(rows[start : start + _AT_ONCE]))
        values = {name: statement.excluded[name] for name in rows[start] if name not in keys}
        session.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
