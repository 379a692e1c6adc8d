"""The third schema carries over what the second one held."""

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import IntegrityError

from server import migrations
from server.db import configure_sqlite, engine_options

_ORGANIZATION, _DEVICE, _UPLOAD = (f"{n:036d}" for n in range(3))
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
def test_an_upload_that_was_under_way_goes_on_after_the_upgrade(make_database, kind):
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
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(sa.text("UPDATE upload SET byte_offset = length + 1"))
    engine.dispose()
