"""The fourth schema carries over what the third one held, and lets go of it only by law."""

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import DBAPIError

from server import migrations
from server.db import configure_sqlite, engine_options

_PERSON = f"{7:036d}"
_ROWS = {
    "person": {"id": _PERSON, "name": "示例审核员甲"},
    "quarantine_decision": {
        "id": 4,
        "kind": "line",
        "subject": "d" * 64,
        "decision": "kept",
        "code": "projection.task_closed",
        "reason": "任务已结束",
        "person_id": _PERSON,
        "decided_at_ms": 1,
        "generation": 1,
        "ledger_index": 5,
    },
    "media_object": {
        "sha256": "a" * 64,
        "size": 3,
        "crc32": 7,
        "store_key": "media/aa/a",
        "status": "stored",
        "stored_at_ms": 1,
    },
    "media_facts": {
        "sha256": "a" * 64,
        "reader_version": "liuhen-1",
        "facts": "{}",
        "second": "",
        "pixels": "",
        "read_at_ms": 1,
        "generation": 1,
        "ledger_index": 6,
    },
}
#: Table and key of each row that an order may erase.
_TARGETS = {
    "quarantine_decision": "4",
    "media_object": "a" * 64,
    "media_facts": f"{'a' * 64}:liuhen-1",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(make_database, request):
    url = make_database(request.param, empty=True)
    engine = sa.create_engine(url, **engine_options(url))
    configure_sqlite(engine)
    with engine.begin() as connection:
        command.upgrade(migrations.configuration(connection), "0003")
        for table, row in _ROWS.items():
            names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    with engine.begin() as connection:
        migrations.upgrade(connection)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("table", _TARGETS)
def test_what_was_there_is_carried_over_and_goes_only_with_its_lawful_basis(engine, table):
    with engine.connect() as connection:
        kept = connection.execute(sa.text(f"SELECT * FROM {table}")).mappings().one()
        assert dict(kept) == _ROWS[table]
    column = list(_ROWS[table])[-1]
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = 9"):
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text(statement))

    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO erasure VALUES (:target, 'law: basis', 'a,b', 1)"),
            {"target": f"{table}:{_TARGETS[table]}"},
        )
        gone = connection.execute(sa.text(f"DELETE FROM {table}"))

    assert gone.rowcount == 1


def test_what_is_only_being_committed_may_go_as_before(engine):
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO media_object VALUES (:digest, 1, 1, 'media/bb/b', 'committing', NULL)"
            ),
            {"digest": "b" * 64},
        )
        gone = connection.execute(sa.text("DELETE FROM media_object WHERE status = 'committing'"))

    assert gone.rowcount == 1
