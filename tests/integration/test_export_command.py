"""``liuhen-admin export-package`` on an installation with a real store."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from server.cli.export_run import run_in
from server.db import transaction
from server.models.inspections import EvidencePackage, Inspection
from server.operations import people
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.bureau import environment
from tests.support.simdevice import new_id
from tests.support.tsa import Authority
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

    def run(*arguments, command="export-package", **more):
        return subprocess.run(
            [sys.executable, "-m", "server.cli", command, *arguments],
            cwd=_ROOT,
            env={**env, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def begin(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "server.cli", "export-package", *arguments],
            cwd=_ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    run.begin = begin
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
    assert names == [".ndjson", ".sig", ".sig", ".zip", ".zip"], "nothing half-written is left"


def test_an_authority_that_answers_stamps_the_package_at_once(world, command, tmp_path):
    _administrator(world, "neiqin")
    _inspect(world)
    authority = Authority(tmp_path / "tsa")
    listed = tmp_path / "tsa.ini"
    with authority.serving() as url:
        listed.write_text(f"[national]\nurl = {url}\nca = {authority.root}\n")
        done = command(
            "--all", "--out", str(tmp_path / "out"), "--json", *_DESPITE, LIUHEN_TSA=str(listed)
        )

    assert done.returncode == 0, done.stderr
    path = json.loads(done.stdout.splitlines()[0])["path"]
    assert Path(f"{path}.tsr").is_file()
    result = verify_package(path, Options(tsa_roots=(authority.root.read_text(),)))
    assert "stamps.zip" in {c.code for c in result.claims if c.verdict is Verdict.PASS}


def test_a_killed_run_goes_on_and_makes_nothing_twice(world, command, tmp_path):
    _administrator(world, "neiqin")
    for _ in range(3):
        _inspect(world)
    out, options = tmp_path / "out", ("--all", "--json", *_DESPITE)
    running = command.begin(*options, "--out", str(out))
    first = json.loads(running.stdout.readline())
    running.kill()
    running.wait(30)

    done = command(*options, "--out", str(out))
    again = command(*options, "--out", str(out))

    rows = {row["inspection"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr
    assert rows[first["inspection"]] == {**first, "state": "kept"}
    assert len(rows) == 3
    assert {json.loads(line)["state"] for line in again.stdout.splitlines()} == {"kept"}
    packages = [row.id for row in world.rows(EvidencePackage)]
    # Of what was just being asked for when it was killed, at most one is asked for again.
    assert 3 <= len(packages) <= 4
    for row in rows.values():
        assert verify_package(row["path"]).verdict is Verdict.PASS


def test_what_was_damaged_or_taken_away_since_is_written_again(world, command, tmp_path):
    _administrator(world, "neiqin")
    _inspect(world)
    out = tmp_path / "out"
    (row,) = map(
        json.loads,
        command("--all", "--out", str(out), "--json", *_DESPITE).stdout.splitlines(),
    )
    whole = Path(row["path"]).read_bytes()
    Path(row["path"]).write_bytes(whole[:-1])

    done = command("--all", "--out", str(out), "--json", *_DESPITE)

    assert json.loads(done.stdout) == row
    assert Path(row["path"]).read_bytes() == whole
    assert len(world.rows(EvidencePackage)) == 1


def test_a_bureau_and_a_period_are_chosen(world, command, tmp_path):
    _administrator(world, "neiqin")
    _inspect(world)
    (day,) = {
        datetime.fromtimestamp(row.opened_at_ms / 1000, ZoneInfo("Asia/Shanghai")).date()
        for row in world.rows(Inspection)
    }
    before, after = (str(day + timedelta(days=n)) for n in (-1, 1))
    chosen = ("--bureau", "示范区生态环境分局", "--from", str(day), "--to", str(day))

    done = command(*chosen, "--out", str(tmp_path / "out"), *_DESPITE)

    assert done.returncode == 0, done.stderr
    assert "已导出" in done.stdout
    assert "1 inspections: 1 packages are there" in done.stdout
    for outside in (("--to", before), ("--from", after)):
        nothing = command(*outside, "--out", str(tmp_path / "none"))
        assert nothing.returncode == 3
        assert "No inspection matches" in nothing.stderr
    elsewhere = command("--bureau", "no such bureau", "--out", str(tmp_path / "none"))
    assert elsewhere.stderr.startswith("server.not_found: organization")
    assert command("--all", new_id(), "--out", str(tmp_path / "none")).returncode == 2


def test_two_runs_do_not_write_into_one_folder(world, command, tmp_path):
    _administrator(world, "neiqin")
    _inspect(world)
    out = tmp_path / "out"
    out.mkdir()

    with run_in(out):
        done = command("--all", "--out", str(out), *_DESPITE)

    assert done.returncode == 4
    assert list(out.iterdir()) == []


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
