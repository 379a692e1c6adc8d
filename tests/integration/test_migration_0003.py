"""The third schema carries over what the second one held."""

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import DBAPIError, IntegrityError

from server import migrations
from server.db import configure_sqlite, engine_options

_ORGANIZATION, _DEVICE, _UPLOAD, _PERSON = (f"{n:036d}" for n in range(4))
_ROWS = {
    "organization": {
        "id": _ORGANIZATION,
        "name": "示范区生态环境分局",
        "kind": "dispatched",
        "division_code": "000000",
    },
    "device": {
        "id": _DEVICE,
        "organization_id": _ORGANIZATION,
        "kind": "phone",
        "serial": "1",
        "name": "机",
        "enrolled_at_ms": 1,
    },
    "person": {"id": _PERSON, "name": "示例审核员甲"},
    "quarantine_decision": {
        "id": 1,
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
    "upload": {
        "id": _UPLOAD,
        "organization_id": _ORGANIZATION,
        "device_id": _DEVICE,
        "sha256": "a" * 64,
        "length": 20_000_000,
        "filename": "录像.mp4",
        "filetype": "video/mp4",
        "awaits_line": False,
        "status": "open",
        "byte_offset": 8_388_608,
        "parts": '[[1, 8388608, "etag", "b"]]',
        "tails": "[]",
        "next_part": 2,
        "multipart_id": "m",
        "hash_state": b"S256",
        "crc32": 7,
        "fence": 3,
        "release_wanted": False,
        "created_at_ms": 1,
        "expires_at_ms": 2,
    },
    "derivative": {
        "source_sha256": "a" * 64,
        "purpose": "thumbnail",
        "sha256": "c" * 64,
        "size": 10,
        "store_key": "derived/cc/c",
        "made_with": "Pillow",
    },
}


def _insert(connection, table, row):
    names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_uploads_under_way_and_decisions_are_carried_over(make_database, kind):
    url = make_database(kind, empty=True)
    engine = sa.create_engine(url, **engine_options(url))
    configure_sqlite(engine)
    with engine.begin() as connection:
        command.upgrade(migrations.configuration(connection), "0002")
        for table, row in _ROWS.items():
            _insert(connection, table, row)

    with engine.begin() as connection:
        migrations.upgrade(connection)

    with engine.connect() as connection:
        kept = connection.execute(sa.text("SELECT * FROM upload")).mappings().one()
        assert {name: kept[name] for name in _ROWS["upload"]} == _ROWS["upload"]
        assert (kept["concat"], kept["pieces"]) == ("", "[]")
        drawn = connection.execute(sa.text("SELECT media_type, recipe FROM derivative")).one()
        assert tuple(drawn) == ("image/jpeg", "")
        decided = connection.execute(sa.text("SELECT * FROM quarantine_decision")).mappings().one()
        assert dict(decided) == _ROWS["quarantine_decision"]
    with pytest.raises(DBAPIError), engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM quarantine_decision"))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(sa.text("UPDATE upload SET byte_offset = length + 1"))
    engine.dispose()


def _indexes(url, table):
    engine = sa.create_engine(url)
    found = {tuple(index["column_names"]) for index in sa.inspect(engine).get_indexes(table)}
    engine.dispose()
    return found


def test_what_every_upload_asks_has_an_index(database_url):
    assert ("organization_id", "sha256") in _indexes(database_url, "evidence_item")
    assert ("device_id", "status") in _indexes(database_url, "upload")


def test_stored_originals_can_not_be_truncated(make_database):
    url = make_database("postgresql")
    engine = sa.create_engine(url)

    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE media_object"))
    engine.dispose()
