"""Entering a bureau's own people, parties and tasks from one file, without the console."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.models.inspections import Document, RegulatedEntity, Task
from server.models.people import Officer, User

_ROOT = Path(__file__).resolve().parents[2]
_FILE = {
    "organization": {"name": "示范区生态环境分局", "division_code": "000000"},
    "people": [
        {
            "name": "示例甲",
            "certificate": {
                "certificate_no": "示例-1",
                "valid_from": "2024-01-01",
                "valid_to": "2030-12-31",
            },
        },
        {
            "name": "示例乙",
            "username": "example-b",
            "roles": ["officer"],
            "certificate": {
                "certificate_no": "示例-2",
                "valid_from": "2024-01-01",
                "valid_to": "2030-12-31",
            },
        },
        {"name": "示例丁", "username": "example-d", "roles": ["leader"]},
    ],
    "grid_cells": [
        {
            "code": "G-01",
            "name": "示例网格",
            "boundary": [["123", "29"], ["124", "29"], ["124", "30"]],
        }
    ],
    "entities": [
        {
            "name": "示例公司",
            "uscc": "91000000DEM0000007",
            "lat": "29.5",
            "lon": "123.5",
            "radius_m": 300,
            "grid_cell": "G-01",
            "external_ids": {"pollution_source": "示例源-1"},
            "dossier": {
                "permits": [{"number": "示例证-1", "kind": "排污许可", "valid_to": "2028-01-01"}],
                "sensitive_areas": ["示例小学"],
            },
        }
    ],
    "tasks": [
        {
            "title": "日常检查",
            "entity": "示例公司",
            "officers": ["示例-1", "示例-2"],
            "approved_by": "example-d",
            "external_ids": {"provincial_task": "省-2026-1"},
        }
    ],
}


@pytest.fixture
def enter(world, tmp_path):
    """Runs ``liuhen-admin directory`` on some data."""
    env = {
        **os.environ,
        "LIUHEN_DATA": str(world.settings.data_dir),
        "LIUHEN_DATABASE_URL": world.settings.database_url,
        "LIUHEN_SECRET_KEY": world.settings.secret_key,
        "LIUHEN_S3_ENDPOINT": world.settings.s3_endpoint,
        "LIUHEN_S3_ACCESS_KEY": "a",
        "LIUHEN_S3_SECRET_KEY": "b",
    }

    def run(data):
        file = tmp_path / "directory.json"
        file.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "server.cli", "directory", file],
            cwd=_ROOT,
            env=env,
            capture_output=True,
            text=True,
        )

    return run


def test_a_bureau_is_entered_and_its_devices_are_told(world, enter):
    done = enter(_FILE)

    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)["passwords"]) == ["example-b", "example-d"]
    assert "91000000DEM0000007" in done.stderr
    (entity,) = world.rows(RegulatedEntity, name="示例公司")
    assert (entity.lat_e7, entity.radius_cm) == (295_000_000, 30_000)
    (task,) = world.rows(Task, entity_id=entity.id)
    bodies = {row.id: json.loads(row.body) for row in world.rows(Document, op="put")}
    officers = {row.certificate_no: row.id for row in world.rows(Officer)}
    assert bodies[task.id]["officers"] == sorted(officers[no] for no in ("示例-1", "示例-2"))
    (dossier,) = (json.loads(row.body) for row in world.rows(Document, kind="dossier"))
    assert dossier["permits"] == [
        {"number": "示例证-1", "kind": "排污许可", "valid_to": "2028-01-01"}
    ]
    assert dossier["grid_cell"]["code"] == "G-01"
    assert bodies[task.id]["external_ids"] == {"provincial_task": "省-2026-1"}
    assert all(user.must_change_password for user in world.rows(User))


@pytest.mark.parametrize(
    "change",
    [
        {"tasks": [{"title": "x", "officers": ["示例-1", "none"], "approved_by": "example-d"}]},
        {"tasks": [{"title": "x", "officers": ["示例-1", "示例-2"], "approved_by": "example-b"}]},
        {"people": [{"name": ""}]},
        {"people": [{"name": "x", "username": "x!", "roles": ["god"]}]},
        {"entities": [{"name": "x", "lat": 91}]},
        {"entities": [{"name": "x", "grid_cell": "none"}]},
        {"entities": [{"name": "x", "external_ids": {"Bad Scheme": "1"}}]},
        {"unknown": 1},
    ],
)
def test_a_file_with_one_fault_enters_nothing_and_says_why(world, enter, change):
    before = len(world.rows(User)), len(world.rows(Officer))

    done = enter({**_FILE, **change})

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert (len(world.rows(User)), len(world.rows(Officer))) == before


def test_a_file_that_is_no_json_is_one_sentence(world, enter):
    done = enter("{")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
