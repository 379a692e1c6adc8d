"""The ledger as C2SP tiles and proofs, read by a reader that shares nothing with the program."""

import hashlib
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from server.cli.ledger import ledger as ledger_commands
from server.db import reading, transaction
from server.operations import ledger
from tests.support import tlog
from tests.support.bureau import environment
from tests.support.restoring import restart, restore, sign


def publish(world):
    """As LIUHEN_LEDGER_PUBLIC=1 and a start."""
    world.settings = replace(world.settings, ledger_public=True)
    restart(world)


@pytest.fixture
def log(world):
    """A public ledger of some 600 leaves, the last of which are not signed yet."""
    publish(world)
    for count in (3, 254, 340):
        grow(world, count)
        sign(world)
    grow(world, 5)
    return world


def grow(world, count):
    events = [
        ledger.Event(kind="policy", actor={"server": "t"}, subject={"n": n}) for n in range(count)
    ]
    with world.app.app_context(), transaction() as session:
        ledger.append_events(session, events, now_ms=world.now_ms)


def get(world, path, **headers):
    return world.client.get(f"/ledger/{path}", headers=headers)


def key_of(world):
    return world.services.ledger_signer.verifier_key


def read_log(world, prefix=""):
    """All entries under the signed checkpoint, each tile checked against them."""
    head = tlog.open_checkpoint(get(world, f"{prefix}checkpoint").text, key_of(world))
    entries = []
    for level, index, width in tlog.tiles_of(head.size):
        if level == 0:
            bundle = get(world, prefix + tlog.tile_path("entries", index, width))
            entries += tlog.unbundle(bundle.data)
    for level, index, width in tlog.tiles_of(head.size):
        data = get(world, prefix + tlog.tile_path(level, index, width)).data
        assert len(data) == 32 * width
        for i in range(width):
            span = 256**level
            start = (index * 256 + i) * span
            assert data[32 * i : 32 * i + 32] == tlog.tree_hash(entries[start : start + span])
    assert len(entries) == head.size
    assert tlog.tree_hash(entries) == head.root
    return head, entries


def test_whoever_reads_the_tiles_comes_to_the_root_that_was_signed(log):
    head, entries = read_log(log)

    assert head.size > 512
    with log.app.app_context(), reading() as session:
        assert ledger.size(session) == head.size + 5
        (event,) = ledger.events_at(session, 1, [1])
    assert entries[1] == hashlib.sha256(event.salt + event.event).digest()


def test_every_tree_that_was_signed_keeps_its_partial_tiles(log):
    with log.app.app_context(), reading() as session:
        sizes = [row.size for row in session.query(ledger.Checkpoint).all()]

    for size in sizes:
        for level, index, width in tlog.tiles_of(size):
            for kind in (level, "entries") if level == 0 else (level,):
                assert get(log, "1/" + tlog.tile_path(kind, index, width)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/900",
        "tile/0/002.p/200",
        "tile/0/002",
        "tile/1/000",
        "tile/2/000.p/1",
        "tile/entries/002",
        "tile/63/000.p/1",
        "tile/64/000",
        "tile/01/000",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000/000",
        "tile/data/000",
        "2/checkpoint",
        "2/tile/0/000",
    ],
)
def test_what_no_signed_tree_has_is_not_served(log, path):
    answer = get(log, path)

    assert (answer.status_code, answer.json["code"]) == (404, "server.not_found")


def test_leaves_that_are_not_signed_yet_are_not_served(log):
    size = tlog.open_checkpoint(get(log, "checkpoint").text, key_of(log)).size

    index, width = divmod(size, 256)

    assert get(log, tlog.tile_path("entries", index, width)).status_code == 200
    assert get(log, tlog.tile_path("entries", index, width + 1)).status_code == 404


def test_tiles_of_a_generation_may_be_kept_for_good_and_nothing_else(log):
    def lasting(path):
        answer = get(log, path)
        return answer.headers["Cache-Control"], answer.content_type

    for path in ("1/tile/0/000", "1/tile/entries/000", "1/tile/0/000.p/7"):
        assert lasting(path) == (
            "public, max-age=31536000, immutable",
            "application/octet-stream",
        )
    assert lasting("tile/0/000")[0] == "public, max-age=60"
    assert lasting("1/checkpoint") == ("public, max-age=2", "text/plain; charset=utf-8")
    assert lasting("checkpoint")[0] == "public, max-age=2"
    etag = get(log, "tile/0/000").headers["ETag"]
    assert get(log, "tile/0/000", **{"If-None-Match": etag}).status_code == 304


def test_each_generation_is_a_log_of_its_own(log):
    old, _ = read_log(log, "1/")
    restore(log)
    publish(log)

    new, _ = read_log(log, "2/")

    assert get(log, "checkpoint").text == get(log, "2/checkpoint").text
    assert get(log, "1/tile/0/000").data != get(log, "tile/0/000").data
    assert new.origin != old.origin


def test_a_bureau_that_does_not_publish_its_ledger_serves_it_to_its_devices_alone(world):
    device = world.enrol()

    for path in ("checkpoint", "1/checkpoint", "tile/0/000.p/1"):
        refused = get(world, path)
        assert (refused.status_code, refused.json["code"]) == (401, "token.invalid")
        answer = get(world, path, **device.headers)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"].startswith("private")
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_proof_of_one_leaf_is_a_file_that_anybody_checks(log):
    device = log.enrol()
    sign(log)
    _, entries = read_log(log)

    for index in (0, 1, 255, 256, 300, len(entries) - 1):
        answer = log.client.get(f"/api/v1/ledger/proof?index={index}", headers=device.headers)
        assert answer.content_type == "text/plain; charset=utf-8"
        assert tlog.check_proof(answer.text, entries[index], key_of(log)) == entries[index]
        other = entries[index - 1]
        with pytest.raises(AssertionError):
            tlog.check_proof(answer.text, other, key_of(log))
    beyond = log.client.get(f"/api/v1/ledger/proof?index={10**6}", headers=device.headers)
    assert (beyond.status_code, beyond.json["code"]) == (422, "server.invalid")
    assert log.client.get("/api/v1/ledger/proof?index=0").status_code == 401


def test_the_command_discloses_an_event_with_its_salt_only_when_asked(log):
    where = environment(log.settings.data_dir, LIUHEN_DATABASE_URL=log.settings.database_url)
    _, entries = read_log(log)

    plain = CliRunner().invoke(ledger_commands, ["proof", "2"], env=where)
    told = CliRunner().invoke(ledger_commands, ["proof", "2", "--event"], env=where)

    assert tlog.check_proof(plain.output, entries[2], key_of(log)) == entries[2]
    extra = tlog.check_proof(told.output, entries[2], key_of(log))
    assert hashlib.sha256(extra).digest() == entries[2]
    assert json.loads(extra[32:])["v"] == 1
