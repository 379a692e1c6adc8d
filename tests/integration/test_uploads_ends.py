"""How uploads end without being stored, and what they leave over."""

import os
import threading
from dataclasses import replace

import pytest

from media.store import StoreUnavailable, media_key
from media.upload import PART_BYTES, PatchEnded
from server.models.uploads import MediaObject, Upload
from server.operations import uploads
from server.settings import Settings
from tests.support.bureau import environment
from tests.support.keeping import LARGE, digest, id_of
from tests.support.stores import MemoryStore
from tests.support.uploading import (
    Silent,
    desk,
    refused,
    send,
    wait_until,
)


def test_an_upload_given_up_leaves_nothing_behind(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    bureau.patch(path, data[: PART_BYTES + 10], 0)

    assert bureau.request("DELETE", path).status_code == 204

    assert (store.objects, store.parts) == ({}, {})
    assert refused(bureau.patch(path, b"x", PART_BYTES + 10)) == (410, "media.upload_gone")


def test_giving_up_a_finished_upload_keeps_the_evidence(bureau, store):
    path = bureau.create(b"photo")
    bureau.patch(path, b"photo", 0)

    assert bureau.request("DELETE", path).status_code == 204

    assert store.objects == {media_key(digest(b"photo")): b"photo"}
    assert bureau.row(MediaObject, digest(b"photo"))["status"] == "stored"


def test_an_upload_that_stands_still_expires_and_moving_ones_live_on(bureau, store, clock):
    still, moving = bureau.create(b"0123456789"), bureau.create(b"0123456789")
    bureau.patch(still, b"0", 0)
    half = Settings.from_env(environment("x")).upload_ttl_s * 600
    clock["ms"] += half
    bureau.patch(moving, b"0", 0)
    clock["ms"] += half

    assert bureau.request("HEAD", still).status_code == 410
    with bureau.app.app_context():
        assert uploads.expire_uploads(desk(bureau)) == [id_of(still)]

    assert bureau.offset(moving) == 1
    assert len(store.objects) == 1
    assert refused(bureau.patch(still, b"1", 1)) == (410, "media.upload_gone")


def test_an_upload_does_not_expire_while_it_is_being_sent(bureau, store, clock):
    there = replace(desk(bureau), ttl_ms=3_600_000)
    data = os.urandom(LARGE)
    path, body, ended = bureau.create(data), Silent(data[: PART_BYTES + 5], LARGE), []

    def write():
        with bureau.app.app_context():
            try:
                uploads.receive(there, id_of(path), body, given=0, checksum=None)
            except PatchEnded as error:
                ended.append(error.offset)

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: body.first == b"" and bureau.row(Upload, id_of(path))["offset"])
    clock["ms"] += 3_600_001

    with bureau.app.app_context():
        assert uploads.expire_uploads(there) == []
    writer.join(20)

    assert ended == [PART_BYTES + 5]
    send(bureau, path, data, pieces=LARGE)
    assert list(store.objects.values()) == [data]


class Slow:
    """A body of which a byte comes every ten minutes."""

    cut = False

    def __init__(self, data, clock):
        self.left, self.expected, self.clock = data, len(data), clock

    def ready(self, _wait_s):
        return True

    def read_into(self, view):
        self.clock["ms"] += 600_000
        view[:1], self.left = self.left[:1], self.left[1:]
        return 1

    def interrupt(self):
        raise AssertionError("nobody else wants it")

    def finish(self):
        return


def test_bytes_that_trickle_in_keep_an_upload_alive_at_few_writes(bureau, clock, monkeypatch):
    there = replace(desk(bureau), ttl_ms=36_000_000)
    data, lives, written = os.urandom(200), [], []
    path = bureau.create(data)
    change = uploads.writing.change

    def counted(session, state, **values):
        written.append(values)
        return change(session, state, **values)

    monkeypatch.setattr(uploads.writing, "change", counted)
    body = Slow(data, clock)
    monkeypatch.setattr(
        body, "finish", lambda: lives.append(bureau.row(Upload, id_of(path))["expires_at_ms"])
    )
    with bureau.app.app_context():
        uploads.receive(there, id_of(path), body, given=0, checksum=None)

    assert lives[0] > clock["ms"]
    assert bureau.offset(path) == 200
    # Thirty-three hours at a life of ten: one write in an hour at most.
    assert 10 < len(written) <= 34


def test_leftovers_of_the_store_are_collected_and_evidence_never_is(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    bureau.patch(path, data[: PART_BYTES + 10], 0)
    needed = dict(store.objects)
    store.objects |= {"tail/gone/0-1": b"x", "media/aa/orphan": b"y", "quarantine/q": b"z"}
    store.begin_multipart("media/long/gone")

    with bureau.app.app_context():
        collected = uploads.collect_leftovers(desk(bureau))

    assert sorted(left.key for left in collected) == ["media/long/gone", "tail/gone/0-1"]
    assert store.objects == {**needed, "media/aa/orphan": b"y", "quarantine/q": b"z"}
    send(bureau, path, data, pieces=LARGE)


def test_parts_are_collected_by_whose_they_are_not_by_the_end_of_their_keys(bureau, store):
    ended = bureau.create(b"ended")
    bureau.patch(ended, b"ended", 0)
    for key in (
        f"package/{id_of(ended)}/{digest(b'zip')}.zip",
        f"package/new/{id_of(ended)}",
        f"elsewhere/{id_of(ended)}",
        f"media/long/folder/{id_of(ended)}",
        "tail/survey-1/parts",
    ):
        store.begin_multipart(key)
    store.objects |= {"tail/stray": b"x", "tail/a/b/c": b"x"}

    with bureau.app.app_context():
        collected = uploads.collect_leftovers(desk(bureau))

    assert sorted(left.key for left in collected) == [
        f"package/{id_of(ended)}/{digest(b'zip')}.zip",
        f"package/new/{id_of(ended)}",
        "tail/survey-1/parts",
    ]
    assert {"tail/stray", "tail/a/b/c"} <= store.objects.keys()


def test_what_the_store_does_not_let_go_of_holds_up_nothing_else(bureau, store, clock, monkeypatch):
    store.objects |= {f"tail/{name}/0-1": b"x" for name in ("a", "locked", "z")}
    asked = []

    def delete(keys):
        asked.extend(keys)
        if keys == ["tail/locked/0-1"]:
            raise StoreUnavailable("AccessDenied", status=403)
        MemoryStore.delete_tails(store, keys)

    monkeypatch.setattr(store, "delete_tails", delete)
    with bureau.app.app_context():
        collected = uploads.collect_leftovers(desk(bureau))
        at_once = uploads.collect_leftovers(desk(bureau))
        clock["ms"] += 3_600_000
        uploads.collect_leftovers(desk(bureau))

    assert [left.key for left in collected] == ["tail/a/0-1", "tail/z/0-1"]
    assert at_once == []
    assert [left.key for left in desk(bureau).undeletable] == ["tail/locked/0-1"]
    assert asked.count("tail/locked/0-1") == 2

    monkeypatch.undo()
    clock["ms"] += 3_600_000
    with bureau.app.app_context():
        uploads.collect_leftovers(desk(bureau))
    assert (store.objects, desk(bureau).undeletable) == ({}, {})


def test_a_store_that_is_away_ends_the_collecting(bureau, store, monkeypatch):
    store.objects |= {"tail/a/0-1": b"x", "tail/b/0-1": b"x"}
    asked = []

    def delete(keys):
        asked.extend(keys)
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(store, "delete_tails", delete)
    with bureau.app.app_context(), pytest.raises(StoreUnavailable):
        uploads.collect_leftovers(desk(bureau))

    assert asked == ["tail/a/0-1"]
