"""The local copy keeps step with the server's, is repaired, and gives room back only when safe."""

import json
import os

import pytest

from server.models.ledger import LedgerHead
from server.models.uploads import MediaObject
from server.operations.storekeeping import rehash
from tests.support.fieldkit import write


def back_up(world, network):
    """From now on the server tells of a backup that holds the ledger as it stands."""
    size = world.rows(LedgerHead)[0].size
    network.forge_json("/hello", lambda hello: {**hello, "backed_up_size": size})


def held(device):
    return {(kind, name): json.loads(body) for kind, name, body in device.documents.held()}


def requests(network, path):
    return [got for _, got, _ in network.seen if path in got]


@pytest.fixture
def photo(device, world, tmp_path):
    """A photo on the device, announced in an inspection."""
    inspection = device.open_inspection(world.officers).inspection
    return device.capture(write(tmp_path / "a.jpg", b"\xff\xd8\xff" + os.urandom(2000)), inspection)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE document SET body = '{\"id\":\"x\"}' WHERE kind = 'entity'",
        "DELETE FROM document WHERE kind = 'task'",
        "INSERT INTO document (kind, id, body) VALUES ('task', 'ghost', '{\"id\":\"ghost\"}')",
        "UPDATE document SET state = 'leaving' WHERE kind = 'officer'",
        "DELETE FROM document",
    ],
    ids=["changed", "lost", "invented", "taken for evicted", "all lost"],
)
def test_a_copy_that_silently_came_to_differ_is_found_and_repaired(device, network, damage):
    device.sync(check=True)
    before = held(device)
    with device._outbox.transaction() as db:
        db.execute(damage)

    report = device.sync(check=True)

    assert report.complete, report.problems
    assert held(device) == before


def test_a_sound_copy_is_compared_once_a_day_and_in_one_request(device, network):
    device.sync(check=True)
    network.seen.clear()

    device.sync()
    device._clock.wall_ms += 25 * 3600 * 1000
    device.sync()
    device.sync()

    assert len(requests(network, "/digest")) == 1
    assert not requests(network, "/digest/documents")


def test_no_copy_is_freed_before_a_backup_holds_what_it_proves(world, device, network, photo):
    path = next((device._folder.media).iterdir())
    device.sync()
    device.sync()

    early = device.free(really=True)
    back_up(world, network)
    shown = device.free()

    assert early.sha256 == ()
    assert shown.sha256 == (photo.sha256,)
    assert path.exists()


def test_a_copy_stored_after_the_backup_is_not_freed(world, device, network, photo):
    back_up(world, network)
    device.sync()
    device.sync()

    assert device.free(really=True).sha256 == ()


def test_a_freed_copy_goes_and_its_line_and_receipt_stay(world, device, network, photo):
    device.sync()
    device.sync()
    back_up(world, network)
    receipts = device._outbox.count("SELECT COUNT(*) FROM receipt")

    freed = device.free(really=True)

    assert freed.sha256 == (photo.sha256,)
    assert freed.bytes == photo.size
    assert list(device._folder.media.iterdir()) == []
    assert device._outbox.count("SELECT COUNT(*) FROM receipt") == receipts
    assert device.sync().complete
    assert device.free(really=True).sha256 == ()


@pytest.mark.parametrize(
    "doubt",
    [
        "UPDATE receipt SET note = replace(note, 'clock', 'clocks')",
        "DELETE FROM receipt",
        "UPDATE line SET state = 'kept' WHERE kind = 'media.captured'",
    ],
)
def test_a_copy_whose_receipt_does_not_verify_stays(world, device, network, photo, doubt):
    device.sync()
    device.sync()
    back_up(world, network)
    with device._outbox.transaction() as db:
        db.execute(doubt)

    assert device.free(really=True).sha256 == ()


def test_a_copy_that_the_server_lacks_again_stays(world, device, network, photo):
    device.sync()
    device.sync()
    back_up(world, network)
    told = network.forge

    def forge(path, status, headers, body):
        if "/lacking" in path:
            body = json.dumps({"lacking": [photo.sha256], "unannounced": []}).encode()
        return told(path, status, headers, body)

    network.forge = forge

    assert device.free(really=True).sha256 == ()
    assert list(device._folder.media.iterdir())


def test_what_the_server_has_lost_is_sent_again_before_it_may_go(world, device, network, photo):
    device.sync()
    device.sync()
    back_up(world, network)
    store = world.services.store
    key = world.rows(MediaObject, sha256=photo.sha256)[0].key
    store.client.put_object(Bucket=store.bucket, Key=key, Body=b"other bytes")
    with world.app.app_context():
        assert [doubt.kind for report in rehash(world.services) for doubt in report.doubts] == [
            "changed"
        ]

    assert device.free(really=True).sha256 == ()
    assert device.sync().complete

    moved = world.rows(MediaObject, sha256=photo.sha256)[0].key
    assert moved != key
    assert store.read(moved, 0, photo.size) == next(device._folder.media.iterdir()).read_bytes()
    # The backup was made before the bytes came again.
    assert device.free(really=True).sha256 == ()
    device.sync()
    back_up(world, network)
    assert device.free(really=True).sha256 == (photo.sha256,)
