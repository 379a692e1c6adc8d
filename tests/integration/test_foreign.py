"""Other bureaus' packages: verified, kept apart, and never part of our own journal."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.db import db, reading
from server.failures import ForeignRejected
from server.models import Base
from server.models.handover import ForeignPackage
from server.models.ledger import LedgerEvent
from server.operations import foreign
from server.operations.storekeeping import sweep
from server.operations.uploads import open_desk
from sync.evidence import canonical
from sync.evidence.note import parse_verifier_key
from sync.evidence.verifier_source import PackageUnusable
from tests.support.bureau import environment
from tests.support.console import console_world, visitor
from tests.support.failpoints import AFTER_COMMIT, BEFORE_COMMIT, dies
from tests.support.small_package import NoteKey, build_small_package

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture
def package(small, tmp_path):
    path = tmp_path / "theirs.zip"
    path.write_bytes(small.pack_signed())
    return path


@pytest.fixture
def key(small):
    return parse_verifier_key(small.ledger.key.verifier_key)


def _take(world, path, **more):
    options = {
        "organization_id": world.organization,
        "person_id": world.users["administrator"],
        "keys": (),
        **more,
    }
    with world.app.app_context():
        return foreign.take_in(world.services, path, **options)


def _counts(world):
    with world.app.app_context(), reading() as session:
        return {
            table.name: session.scalar(sa.select(sa.func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        }


def _events(world):
    rows = world.rows(LedgerEvent, kind="media")
    return [canonical.loads(row.event) for row in rows]


def test_a_package_that_verifies_is_kept_apart_and_named_once_on_the_ledger(world, package, key):
    before = _counts(world)

    taken = _take(world, package, keys=(key,))

    after = _counts(world)
    changed = {name for name in after if after[name] != before[name]}
    assert taken.verdict == "PASS"
    assert changed - {"ledger_node"} == {
        "foreign_package",
        "ledger_event",
        "ledger_leaf",
        "ledger_subject",
    }
    (event,) = _events(world)
    assert event["subject"]["sha256"] == taken.sha256
    assert event["snapshot"]["keys"] == [str(key)]
    assert list(world.store.objects) == [f"foreign/{world.organization}/{taken.sha256}.zip"]


def test_the_same_package_twice_is_one(world, package, key):
    first = _take(world, package, keys=(key,))

    again = _take(world, package)

    assert (again.id, again.already) == (first.id, True)
    assert len(_events(world)) == 1
    assert len(world.rows(ForeignPackage)) == 1


def test_what_fails_is_refused_and_leaves_nothing(world, package, small):
    altered = bytearray(package.read_bytes())
    altered[len(altered) // 2] ^= 1
    package.write_bytes(bytes(altered))
    stranger = parse_verifier_key(NoteKey("stranger").verifier_key)

    with pytest.raises(ForeignRejected) as refused:
        _take(world, package)
    package.write_bytes(small.pack_signed())
    with pytest.raises(ForeignRejected) as unknown:
        _take(world, package, keys=(stranger,))

    assert refused.value.failed
    assert "trust.key_unknown" in {code for code, _, _ in unknown.value.failed}
    assert world.rows(ForeignPackage) == []
    assert world.store.objects == {}
    assert _events(world) == []


def test_what_fails_is_kept_and_marked_where_somebody_says_why(world, package):
    package.write_bytes(package.read_bytes() + b"x")

    taken = _take(world, package, keep_anyway="对方已确认光盘损坏，另行补送")

    (row,) = world.rows(ForeignPackage)
    (event,) = _events(world)
    assert taken.verdict == row.verdict == "FAIL"
    assert row.kept_because == event["snapshot"]["kept_because"] != ""
    assert event["snapshot"]["failed"]
    page = visitor(world, "reviewer").get(f"/foreign/{row.id}")
    assert "FAIL" in page.text
    assert row.kept_because in page.text


def test_a_file_that_is_no_package_is_never_kept(world, tmp_path):
    path = tmp_path / "holiday.zip"
    path.write_bytes(b"no zip at all")

    with pytest.raises(PackageUnusable):
        _take(world, path, keep_anyway="whatever")

    assert world.store.objects == {}


@pytest.mark.parametrize("moment", [BEFORE_COMMIT, AFTER_COMMIT])
def test_an_import_that_is_killed_leaves_nothing_half_and_can_be_repeated(world, package, moment):
    with dies(world.app, moment) as came:
        _take(world, package)

    taken = _take(world, package)

    assert came
    assert taken.already == (moment == AFTER_COMMIT)
    assert len(world.rows(ForeignPackage)) == len(_events(world)) == 1
    assert len(world.store.objects) == 1


def test_the_pages_show_it_read_only_and_each_look_leaves_a_leaf(world, package, key):
    taken = _take(world, package, keys=(key,))
    reviewer = visitor(world, "reviewer")
    before = len(world.rows(LedgerEvent, kind="view"))

    for lang in ("zh", "en"):
        listed = reviewer.get(f"/foreign?lang={lang}")
        shown = reviewer.get(f"/foreign/{taken.id}?lang={lang}")
        assert (listed.status_code, shown.status_code) == (200, 200)
        assert "theirs.zip" in listed.text
        assert "recording" in shown.text
    saved = reviewer.get(f"/foreign/{taken.id}/package")

    assert saved.data == package.read_bytes()
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert len(world.rows(LedgerEvent, kind="view")) == before + 5
    assert visitor(world, "officer").get(f"/foreign/{taken.id}/package").status_code == 403


def test_words_of_theirs_cannot_become_markup(world, small, tmp_path):
    files = dict(small.files)
    index = json.loads(files["data/case-index.json"])
    index["inspection"]["title"] = "<script>alert(1)</script>"
    index["inspection"]["organization"] = {"name": "<b>them</b>"}
    index["items"][0]["about"] = {"title": "<img src=x>"}
    files["data/case-index.json"] = canonical.dumps(index)
    path = tmp_path / "<i>name.zip"
    path.write_bytes(small.pack_signed(files))
    taken = _take(world, path, keep_anyway="test")

    shown = visitor(world, "reviewer").get(f"/foreign/{taken.id}").text

    for markup in ("<script>alert", "<b>them", "<img src=x", "<i>name"):
        assert markup not in shown


def test_a_sweep_knows_it_and_misses_it_when_it_is_gone(world, package):
    taken = _take(world, package)
    with world.app.app_context():
        desk = open_desk(world.app)
        assert sweep(desk, repair=True).doubts == ()
        world.store.objects.clear()

        (doubt,) = sweep(desk, repair=True).doubts

    assert (doubt.kind, doubt.sha256) == ("missing", taken.sha256)


def test_the_database_keeps_the_row_as_it_is(world, package):
    _take(world, package)

    for statement in ("UPDATE foreign_package SET verdict = 'PASS'", "DELETE FROM foreign_package"):
        with (
            world.app.app_context(),
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            db.engine.begin() as connection,
        ):
            connection.execute(sa.text(statement))


class _Command:
    """``liuhen-admin import-package`` as the administrator of the machine would run it."""

    def __init__(self, world, env):
        self.world, self.env = world, env

    def begin(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "server.cli", "import-package", *arguments],
            cwd=_ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments):
        process = self.begin(*arguments)
        out, error = process.communicate(timeout=120)
        return process.returncode, out, error


@pytest.fixture
def command(make_database, tmp_path, s3):
    url = make_database("sqlite")
    world = console_world(url, tmp_path / "var")
    return _Command(world, environment(tmp_path / "var", s3, LIUHEN_DATABASE_URL=url))


def test_the_command_takes_in_refuses_and_says_which_by_its_exit_status(
    command, package, key, tmp_path
):
    damaged, text = tmp_path / "damaged.zip", tmp_path / "text.zip"
    altered = bytearray(package.read_bytes())
    altered[len(altered) // 2] ^= 1
    damaged.write_bytes(bytes(altered))
    text.write_bytes(b"not a package")

    taken = command.run(str(package), "--key", str(key))
    again = command.run(str(package), "--json")
    refused = command.run(str(damaged), "--json")
    kept = command.run(str(damaged), "--keep-anyway", "光盘损坏")
    unusable = command.run(str(text))
    wrong_key = command.run(str(package), "--key", "nothing")

    assert taken[0] == 0, taken
    assert "verified and taken in" in taken[1]
    assert "--key" not in taken[1]
    assert (again[0], json.loads(again[1])["state"]) == (0, "already")
    assert (refused[0], json.loads(refused[1])["state"]) == (1, "refused")
    assert kept[0] == 0
    assert "kept for the reason given" in kept[1]
    assert unusable[0] == 2
    assert wrong_key[0] == 2


def test_a_command_that_is_killed_leaves_nothing_half(command, package):
    for delay in (0.6, 1.2, 1.8):
        process = command.begin(str(package))
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        rows, events = command.world.rows(ForeignPackage), _events(command.world)
        assert len(rows) == len(events) <= 1

    status, out, _ = command.run(str(package), "--json")

    assert status == 0
    assert json.loads(out)["verdict"] == "PASS"
    assert len(command.world.rows(ForeignPackage)) == len(_events(command.world)) == 1
