"""A database that went back takes no more entries; a restore begins a generation that is proved."""

import json
import shutil

import pytest

from server.db import db, reading, transaction
from server.failures import GenerationEnded, Invalid, LedgerBehind
from server.models.journal import JournalLine
from server.models.ledger import KnownCheckpoint, LedgerEvent
from server.operations import checkpoint_folder, generations, ledger
from server.signing import load_signer, make_key
from sync.evidence import canonical, merkle, note
from sync.evidence.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from sync.evidence.encoding import sha256_hex
from tests.support.restoring import copy_database, restart, restore, sign
from tests.support.simdevice import SimDevice
from tests.support.world import make_world


def grow(world, number=1):
    with world.app.app_context(), transaction() as session:
        for n in range(number):
            ledger.append(
                session, "policy", actor={"server": "t"}, subject={"n": n}, now_ms=world.now_ms
            )


@pytest.fixture
def lite(make_database, tmp_path):
    """A world on SQLite with ``keep()`` and ``put_back()`` of its database."""
    world = make_world(make_database("sqlite"), tmp_path / "var")
    live, saved = world.settings.database_url.removeprefix("sqlite:///"), tmp_path / "saved"

    def put_back():
        with world.app.app_context():
            db.engine.dispose()
        copy_database(saved, live)
        restart(world)

    world.keep = lambda: copy_database(live, saved)
    world.put_back = put_back
    return world


def test_a_database_that_was_put_back_is_noticed_at_the_next_start(lite):
    lite.keep()
    grow(lite)
    sign(lite)

    lite.put_back()

    with lite.app.app_context():
        with pytest.raises(LedgerBehind), transaction() as session:
            ledger.lock_head(session)
        with reading() as session:
            assert generations.standing(session).behind


def test_a_database_that_is_behind_can_be_read_and_refuses_lines_with_a_plain_problem(lite):
    device = lite.on_patrol()
    lite.push(device)
    lite.keep()
    grow(lite)
    sign(lite)
    lite.put_back()
    device.write("future.act", a=1)

    refused = lite.push(device, device.body(4))

    assert (refused.status_code, refused.json["code"]) == (503, "ledger.behind")
    assert "liuhen-admin ledger status" in refused.json["title"]
    for path in ("hello", f"journal/{device.id}/{device.epoch}", "feed", "outcomes"):
        answer = lite.client.get(f"/api/v1/{path}", headers=device.headers)
        assert answer.status_code == 200, answer.text


def test_without_the_folder_a_device_shows_that_the_database_went_back(lite):
    device = lite.enrol()
    lite.keep()
    grow(lite)
    seen = sign(lite)
    shutil.rmtree(lite.settings.checkpoint_dir)
    lite.put_back()
    before = lite.push(device, device.open_epoch().to_bytes() + b"\n")

    answer = lite.client.post(
        "/api/v1/ledger/seen", json={"checkpoint": seen}, headers=device.headers
    )

    assert before.status_code == 200
    assert answer.json == {"behind": True}
    assert lite.push(device).status_code == 503
    (row,) = lite.rows(KnownCheckpoint)
    assert (row.note, row.shown_by) == (seen, f"device:{device.id}")


def test_a_checkpoint_that_the_ledger_contains_is_no_sign_of_anything(world):
    device = world.enrol()
    seen = sign(world)
    grow(world)

    answer = world.client.post(
        "/api/v1/ledger/seen", json={"checkpoint": seen}, headers=device.headers
    )

    assert answer.json == {"behind": False}
    assert world.rows(KnownCheckpoint) == []


def test_nobody_stops_the_ledger_with_a_checkpoint_of_their_own(world, tmp_path):
    device = world.enrol()
    make_key(tmp_path / "k.pem")
    origin = world.services.ledger_signer.name
    forged = load_signer(tmp_path / "k.pem", origin).sign(
        format_checkpoint(Checkpoint(origin, 999, bytes(32)))
    )

    for text in (forged, "x", "", "a\n1\nAA==\n\n— a b\n"):
        answer = world.client.post(
            "/api/v1/ledger/seen", json={"checkpoint": text}, headers=device.headers
        )
        assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")
    assert world.rows(KnownCheckpoint) == []


def test_another_history_of_the_same_length_is_a_rollback_too(lite):
    """The old copy went on for a while before anybody showed what it lacks."""
    device = lite.enrol()
    lite.keep()
    grow(lite)
    seen = sign(lite)
    shutil.rmtree(lite.settings.checkpoint_dir)
    lite.put_back()
    grow(lite, 5)

    answer = lite.client.post(
        "/api/v1/ledger/seen", json={"checkpoint": seen}, headers=device.headers
    )

    assert answer.json == {"behind": True}


def test_an_older_checkpoint_never_replaces_a_newer_one_in_the_folder(world):
    old = sign(world)
    grow(world)
    new = sign(world)

    checkpoint_folder.keep_newest(world.settings.checkpoint_dir, old)

    assert checkpoint_folder.kept_notes(world.settings.checkpoint_dir) == [new]


def test_a_restore_names_the_old_head_and_the_highest_known_checkpoint(lite):
    lite.keep()
    with lite.app.app_context(), reading() as session:
        origin, size = lite.services.ledger_signer.name, ledger.size(session)
        root = ledger.tree_root(session, 1, size).hex()
    grow(lite)
    lost = parse_checkpoint(note.parse_note(sign(lite)).text)
    lite.put_back()

    restore(lite)

    first = min(lite.rows(LedgerEvent, generation=2), key=lambda row: row.index)
    event = json.loads(first.event)
    assert first.kind == "restore"
    assert event["subject"] == {"generation": 1, "origin": origin, "size": size, "root": root}
    assert event["snapshot"] == {
        "reason": "磁盘损坏，换用备份",
        "known": [{"origin": origin, "size": lost.size, "root": lost.root.hex()}],
    }


def test_after_a_restore_lines_are_taken_again_under_the_new_name(lite):
    device = lite.on_patrol()
    lite.push(device)
    lite.keep()
    device.write("future.act", a=1)
    lite.push(device, device.body(4))
    sign(lite)
    lite.put_back()
    restore(lite)
    device.headers = {"Authorization": f"Bearer {lite.token(device)}"}

    answer = lite.push(device)

    assert [r["journal"] for r in answer.json["results"]] == ["already"] * 4 + ["accepted"]
    assert {row.generation for row in lite.rows(JournalLine)} == {1, 2}
    assert "generation 2\n" in answer.json["receipts"][-1]
    with lite.app.app_context(), reading() as session:
        assert not generations.standing(session).behind


def test_the_lineage_proves_each_generation_to_whoever_knew_the_first(world):
    pinned = note.parse_verifier_key(world.services.ledger_signer.verifier_key)
    first = world.services.ledger_signer.name
    restore(world)
    restore(world, "再次恢复")

    lives = world.client.get("/api/v1/ledger/generations").json["generations"]

    assert [life["generation"] for life in lives] == [1, 2, 3]
    assert lives[0]["restore"] is None
    before = first
    for life in lives[1:]:
        key = note.parse_verifier_key(life["ledger_key"])
        assert (key.name, key.public_key) == (life["origin"], pinned.public_key)
        head = parse_checkpoint(note.open_note(life["checkpoint"], [key])[0])
        event = life["restore"]["event"].encode()
        entry = bytes.fromhex(sha256_hex(bytes.fromhex(life["restore"]["salt"]) + event))
        merkle.verify_inclusion(
            merkle.leaf_hash(entry),
            index=0,
            size=head.size,
            path=[bytes.fromhex(node) for node in life["restore"]["path"]],
            root=head.root,
        )
        assert canonical.loads(event)["subject"]["origin"] == before
        before = head.origin
    assert before == world.client.get("/api/v1/hello").json["origin"]


def test_a_process_of_the_old_generation_signs_nothing_any_more(world):
    device = world.enrol()
    with world.app.app_context(), transaction() as session:
        generations.restore(session, world.settings, reason="换用备份", now_ms=world.now_ms)
    device.open_epoch()

    refused = world.push(device)

    assert (refused.status_code, refused.json["code"]) == (503, "ledger.generation_ended")
    with world.app.app_context(), pytest.raises(GenerationEnded), transaction() as session:
        ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=world.now_ms)


def test_a_generation_that_was_lost_with_its_database_is_settled_by_the_next(lite):
    """Restored twice from one copy: what the first restore had begun is known only outside."""
    lite.keep()
    restore(lite)
    lost = sign(lite)
    lite.put_back()

    with lite.app.app_context(), reading() as session:
        assert generations.standing(session).behind
    restore(lite)
    device = lite.enrol(SimDevice())
    shown = lite.client.post(
        "/api/v1/ledger/seen", json={"checkpoint": lost}, headers=device.headers
    )

    assert shown.json == {"behind": False}
    lives = lite.client.get("/api/v1/ledger/generations").json["generations"]
    assert [life["generation"] for life in lives] == [1, 3]
    known = json.loads(lives[-1]["restore"]["event"])["snapshot"]["known"]
    assert known[0]["origin"] == parse_checkpoint(note.parse_note(lost).text).origin


def test_a_restore_says_why(world):
    with world.app.app_context(), pytest.raises(Invalid), transaction() as session:
        generations.restore(session, world.settings, reason="  ", now_ms=1)
