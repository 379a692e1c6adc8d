"""The second schema carries over what the first one held."""

import json

import pytest
import sqlalchemy as sa
from alembic import command

from server import migrations
from server.db import configure_sqlite, engine_options

_ORGANIZATION, _DEVICE, _LOST, _TASK, _OFFICER, _VISIT, _ENTITY = (f"{n:036d}" for n in range(7))
_FIRST = 2**40

_ROWS = {
    "organization": {
        "id": _ORGANIZATION,
        "name": "示范区生态环境分局",
        "kind": "dispatched",
        "division_code": "000000",
    },
    "person": {"id": _OFFICER, "name": "示例检查员"},
    "officer": {
        "id": _OFFICER,
        "person_id": _OFFICER,
        "organization_id": _ORGANIZATION,
        "certificate_no": "示例001",
        "issuer": "示范",
        "valid_from": "2024-01-01",
        "valid_to": "2030-12-31",
    },
    "generation": {"number": 1, "origin": "example.invalid/liuhen", "opened_at_ms": 1},
    "ledger_head": {"generation": 1, "size": 9, "last_at_ms": 1, "edge": ""},
    "regulated_entity": {
        "id": _ENTITY,
        "organization_id": _ORGANIZATION,
        "name": "示例化工有限公司",
        "uscc": "",
        "address": "示范路1号",
    },
    "task": {
        "id": _TASK,
        "organization_id": _ORGANIZATION,
        "entity_id": _ENTITY,
        "title": "日常检查",
        "source": "plan",
        "kind": "daily",
        "launch_mode": "routine",
        "state": "assigned",
    },
    "inspection": {
        "id": _VISIT,
        "organization_id": _ORGANIZATION,
        "title": "日常检查",
        "purpose": "",
        "entity_id": _ENTITY,
        "state": "open",
        "opened_at_ms": 1,
        "opened_line": "0" * 64,
    },
    "record_revision": {
        "line_digest": "1" * 64,
        "inspection_id": _VISIT,
        "record_id": _VISIT,
        "template_id": "site_inspection_record",
        "template_version": 1,
        "fields": "{}",
        "base": "[]",
        "officer_id": _OFFICER,
        "device_id": _DEVICE,
        "epoch": "0" * 32,
        "seq": 1,
        "saved_at_ms": 1,
        "outside_seal": False,
        "ledger_index": 7,
    },
}
_FORM = {"id": "site_inspection_record", "version": 1, "fields": []}


def _insert(connection, table, row):
    names = ", ".join(row)
    values = ", ".join(f":{name}" for name in row)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def _fill(connection):
    for table, row in _ROWS.items():
        _insert(connection, table, row)
    for device, revoked in ((_DEVICE, None), (_LOST, 5)):
        row = {"id": device, "organization_id": _ORGANIZATION, "kind": "phone", "serial": "1"}
        _insert(connection, "device", {**row, "name": "机", "enrolled_at_ms": 1})
        key = {"key_id": device, "device_id": device, "spki": b"", "enrolled_at_ms": 1}
        _insert(connection, "device_key", {**key, "enrolled_index": 0, "revoked_at_ms": revoked})
    for index, (kind, identifier, body) in enumerate(
        (("task", _TASK, {"id": _TASK}), ("template", _FORM["id"], _FORM))
    ):
        row = {"scope": f"organization:{_ORGANIZATION}", "kind": kind, "id": identifier}
        body = json.dumps(body, sort_keys=True, separators=(",", ":"))
        _insert(
            connection, "document", {**row, "body": body, "generation": 1, "ledger_index": index}
        )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_installation_of_the_first_schema_goes_on_with_all_it_held(make_database, kind):
    url = make_database(kind, empty=True)
    engine = sa.create_engine(url, **engine_options(url))
    configure_sqlite(engine)
    with engine.begin() as connection:
        command.upgrade(migrations.configuration(connection), "0001")
        _fill(connection)

    with engine.begin() as connection:
        migrations.upgrade(connection)

    with engine.connect() as connection:

        def read(query):
            return [tuple(row) for row in connection.execute(sa.text(query))]

        assert sorted(read("SELECT scope, kind, position FROM document")) == [
            (f"organization:{_ORGANIZATION}", "template", _FIRST + 1),
            (f"task:{_TASK}", "task", _FIRST),
        ]
        assert sorted(read("SELECT device_id, scope, granted FROM scope_grant")) == [
            (_DEVICE, scope, _FIRST + 8)
            for scope in (
                f"inspection:{_VISIT}",
                f"officer:{_OFFICER}",
                f"organization:{_ORGANIZATION}",
                f"task:{_TASK}",
            )
        ]
        assert read("SELECT entity_id, external_ids FROM task") == [(_ENTITY, "{}")]
        assert read("SELECT id, grid_cell_id FROM regulated_entity") == [(_ENTITY, None)]
        assert read("SELECT position FROM record_revision") == [(_FIRST + 7,)]
        assert read("SELECT template_id, version FROM template_version") == [
            ("site_inspection_record", 1)
        ]
        assert read("SELECT revoked_from_ms FROM device_key WHERE revoked_at_ms = 5") == [(5,)]
        assert read("SELECT DISTINCT shared FROM device") in ([(1,)], [(True,)])
    engine.dispose()
