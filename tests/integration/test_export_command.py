"""``liuhen-admin export-package`` on an installation with a real store."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from server.db import transaction
from server.operations import people
from sync.evidence.verifier import verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.bureau import environment
from tests.support.simdevice import new_id
from tests.support.world import make_world

_ROOT = Path(__file__).resolve().parents[2]
_BY = {"server": "test"}
_DESPITE = ("--despite", "测试")


@pytest.fixture
def world(make_database, tmp_path, s3):
    return make_world(make_database("sqlite"), tmp_path / "var", s3)


@pytest.fixture
def command(world, s3, tmp_path):
    """Runs the command as the administrator of the machine would."""
    env = environment(world.settings.data_dir, s3, LIUHEN_DATABASE_URL=world.settings.database_url)

    def run(*arguments, command="export-package"):
        return subprocess.run(
            [sys.executable, "-m", "server.cli", command, *arguments],
            cwd=_ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


def _administrator(world, username):
    with world.app.app_context(), transaction() as session:
        people.create_user(
            session,
            organization_id=world.organization,
            person_id=people.create_person(session, username),
            username=username,
            roles=("administrator",),
            by=_BY,
            now_ms=world.now_ms,
        )


def _inspect(world):
    device = world.on_patrol()
    assert world.push(device).status_code == 200
    return device.inspection


def test_every_inspection_is_exported_with_its_sidecar(world, command, tmp_path):
    _administrator(world, "neiqin")
    inspections = {_inspect(world), _inspect(world)}

    done = command("--all", "--out", str(tmp_path / "out"), "--json", *_DESPITE)

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert {row["inspection"] for row in rows} == inspections
    for row in rows:
        result = verify_package(row["path"])
        assert row["verdict"] == "PASS"
        assert "outside.sidecar" in {c.code for c in result.claims if c.verdict is Verdict.PASS}
    names = sorted(path.suffix for path in (tmp_path / "out").iterdir())
    assert names == [".sig", ".sig", ".zip", ".zip"], "nothing half-written is left"


def test_the_key_to_publish_is_printed(world, command):
    assert command(command="ledger-key").stdout.strip() == (
        world.services.ledger_signer.verifier_key
    )


def test_an_unknown_inspection_is_told_in_one_sentence(world, command, tmp_path):
    _administrator(world, "neiqin")

    done = command(new_id(), "--out", str(tmp_path / "out"))

    assert done.returncode == 1
    assert done.stderr.startswith("server.not_found: inspection")
    assert len(done.stderr.splitlines()) == 1


def test_of_several_administrators_one_must_be_named(world, command, tmp_path):
    _administrator(world, "neiqin")
    _administrator(world, "neiqin2")
    inspection = _inspect(world)

    unnamed = command(inspection, "--out", str(tmp_path))
    named = command(inspection, "--out", str(tmp_path), "--user", "neiqin", *_DESPITE)

    assert (unnamed.returncode, named.returncode) == (1, 0)
    assert "--user" in unnamed.stderr
    assert "PASS" in named.stdout


def test_defective_evidence_is_exported_only_with_a_reason_to_go_on(world, command, tmp_path):
    _administrator(world, "neiqin")
    inspection = _inspect(world)

    refused = command(inspection, "--out", str(tmp_path / "out"))

    assert refused.returncode == 1
    assert "检查尚未定稿锁定" in refused.stdout
    assert "--despite" in refused.stdout
    assert list((tmp_path / "out").iterdir()) == []


def test_without_an_inspection_there_is_nothing_to_export(command):
    assert command().returncode == 2
