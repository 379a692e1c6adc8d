"""A backup is one consistent copy with its originals, and devices learn how far it goes."""

import hashlib
import sqlite3

import pytest

from media.store import ObjectDiffers
from server.db import transaction
from server.failures import Invalid
from server.models.ledger import Backup
from server.operations import backups, ledger
from tests.support.console import store
from tests.support.stores import MemoryStore
from tests.support.world import make_world


@pytest.fixture
def world(make_database, tmp_path):
    return make_world(make_database("sqlite"), tmp_path / "var", store=MemoryStore())


def _copy(world, folder):
    return backups.copy_database(world.settings.database_url, folder, now_ms=world.now_ms)


def _mark(world, size, generation=1):
    with world.app.app_context(), transaction() as session:
        backups.mark(session, generation=generation, size=size, now_ms=world.now_ms)


def test_the_copy_holds_what_was_committed_and_is_one_file(world, tmp_path):
    device = world.on_patrol()
    world.push(device)

    with world.app.app_context(), transaction() as session:
        # A writer at work neither waits for the copy nor gets into it.
        ledger.append(session, "policy", actor={"server": "t"}, subject={}, now_ms=1)
        copy = _copy(world, tmp_path / "backup")

    with sqlite3.connect(copy.path) as database:
        lines = database.execute("SELECT COUNT(*) FROM journal_line").fetchone()[0]
        leaves = database.execute("SELECT COUNT(*) FROM ledger_leaf").fetchone()[0]
    assert (lines, leaves) == (4, copy.size)
    assert [path.name for path in (tmp_path / "backup").iterdir()] == [copy.path.name]
    assert copy.path.stat().st_mode & 0o777 == 0o600


def test_hello_tells_the_newest_mark_and_none_of_an_ended_generation(world):
    assert world.client.get("/api/v1/hello").json["backed_up_size"] == 0

    _mark(world, 2)
    _mark(world, 3)

    assert world.client.get("/api/v1/hello").json["backed_up_size"] == 3
    for size, generation in ((0, 1), (10_000, 1), (1, 2)):
        with pytest.raises(Invalid):
            _mark(world, size, generation)
    assert len(world.rows(Backup)) == 2


def test_originals_are_copied_once_and_checked(world, tmp_path):
    first, second = b"first" * 100, b"second" * 100
    store(world, first)
    folder = tmp_path / "backup" / "objects"

    once = backups.copy_objects(world.services.store, _copy(world, tmp_path).path, folder)
    store(world, second)
    world.now_ms += 60_000
    again = backups.copy_objects(world.services.store, _copy(world, tmp_path).path, folder)

    assert (once, again) == (1, 1)
    digest = hashlib.sha256(second).hexdigest()
    assert (folder / f"media/{digest[:2]}/{digest}").read_bytes() == second


def test_an_original_that_the_store_has_changed_stops_the_backup(world, tmp_path):
    store(world, b"original")
    (key,) = world.services.store.objects
    world.services.store.objects[key] = b"tampered"

    with pytest.raises(ObjectDiffers):
        backups.copy_objects(
            world.services.store, _copy(world, tmp_path).path, tmp_path / "objects"
        )
    assert not (tmp_path / "objects" / key).exists()


def test_keys_are_copied_only_for_their_owner_to_read(world, tmp_path):
    backups.copy_keys(world.settings.secrets_dir, tmp_path / "secrets")

    copied = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert {"ledger.pem", "receipt.pem"} <= set(copied)
    assert {path.stat().st_mode & 0o777 for path in copied.values()} == {0o600}


def test_another_database_has_backups_of_its_own(tmp_path):
    with pytest.raises(Invalid):
        backups.copy_database("postgresql+psycopg://localhost/x", tmp_path, now_ms=0)
