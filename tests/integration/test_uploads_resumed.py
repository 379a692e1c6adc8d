"""An upload goes on where its bytes are, whoever wrote it before and whatever was lost."""

import os
import threading
import time
import uuid
import zlib

import pytest

from media.store import media_key
from media.upload import PART_BYTES
from server.db import transaction
from server.models.uploads import MediaObject, Upload
from tests.support.keeping import LARGE, digest, id_of
from tests.support.uploading import (
    Killed,
    bury,
    desk,
    died,
    refused,
    send,
)


def test_a_dead_writer_is_taken_over_at_once(bureau, store, monkeypatch):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    bury(monkeypatch)
    seen = []

    def kill(act, key):
        seen.append(key)
        if len(seen) == 2:
            raise Killed

    store.after = kill
    with pytest.raises(Killed):
        bureau.patch(path, data, 0)
    store.after = lambda act, key: None
    died(bureau)
    began = time.monotonic()
    offset = bureau.offset(path)

    assert time.monotonic() - began < 0.5
    assert offset == PART_BYTES
    send(bureau, path, data, pieces=LARGE)
    assert list(store.objects.values()) == [data]


def test_a_writer_that_was_taken_over_cannot_move_the_upload(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    inside, go_on = threading.Event(), threading.Event()

    def slow(act, key):
        if act == "part" and not inside.is_set():
            inside.set()
            go_on.wait(20)

    store.after = slow
    answers = []
    zombie = threading.Thread(target=lambda: answers.append(bureau.patch(path, data, 0)))
    zombie.start()
    inside.wait(20)
    with bureau.app.app_context(), transaction() as session:
        # As if its heartbeat had stopped and another process had come.
        row = session.get(Upload, id_of(path))
        row.owner, row.fence = None, row.fence + 1
    assert bureau.offset(path) == 0
    send(bureau, path, data, pieces=PART_BYTES)
    go_on.set()
    zombie.join(20)

    assert refused(answers[0]) == (409, "media.upload_taken_over")
    assert list(store.objects.values()) == [data]


def test_tails_that_the_store_lost_are_asked_for_again(bureau, store):
    data = os.urandom(100_000)
    path = bureau.create(data)
    bureau.patch(path, data[:50_000], 0)
    store.objects.clear()

    answer = bureau.patch(path, data[50_000:], 50_000)

    assert refused(answer) == (409, "media.wrong_offset")
    assert bureau.offset(path) == 0
    send(bureau, path, data, pieces=len(data))
    assert store.objects == {media_key(digest(data)): data}


def test_tails_lost_together_with_the_hash_state_are_asked_for_again(bureau, store):
    data = os.urandom(100_000)
    path = bureau.create(data)
    bureau.patch(path, data[:50_000], 0)
    store.objects.clear()
    with bureau.app.app_context(), transaction() as session:
        session.get(Upload, id_of(path)).hash_state = b"of another machine"

    answer = bureau.patch(path, data[50_000:], 50_000)

    assert refused(answer) == (409, "media.wrong_offset")
    assert answer.headers["Upload-Offset"] == "0"
    send(bureau, path, data, pieces=len(data))
    assert store.objects == {media_key(digest(data)): data}


def test_parts_that_the_store_lost_are_asked_for_again(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)
    bureau.patch(path, data[:PART_BYTES], 0)
    store.parts.clear()

    answer = bureau.patch(path, data[PART_BYTES:], PART_BYTES)

    assert refused(answer) == (409, "media.wrong_offset")
    send(bureau, path, data, pieces=LARGE)
    assert list(store.objects.values()) == [data]


@pytest.mark.parametrize("size", [100_000, LARGE])
def test_without_a_saved_hash_state_the_stored_bytes_are_read_again(bureau, store, size):
    data = os.urandom(size)
    path = bureau.create(data)
    bureau.patch(path, data[: size - 10], 0)
    with bureau.app.app_context(), transaction() as session:
        session.get(Upload, id_of(path)).hash_state = b"of another machine"

    send(bureau, path, data, pieces=size)

    media = bureau.row(MediaObject, digest(data))
    assert (media["status"], media["crc32"]) == ("stored", zlib.crc32(data))
    assert list(store.objects.values()) == [data]


def test_a_resumed_upload_never_reads_again_what_is_in_its_parts(bureau, store, monkeypatch):
    data, read = os.urandom(LARGE), []
    path = bureau.create(data)
    bureau.patch(path, data[: PART_BYTES + 10], 0)
    monkeypatch.setattr(store, "stream", lambda key: read.append(("stream", key)))
    look = store.read

    def counted(key, offset, size):
        read.append((key.split("/")[0], size))
        return look(key, offset, size)

    monkeypatch.setattr(store, "read", counted)
    for start in range(PART_BYTES + 10, LARGE, 3 << 20):
        # Another process each time, which has nothing but the row.
        monkeypatch.setattr(desk(bureau).heart, "_identity", (os.getpid(), str(uuid.uuid4())))
        assert bureau.patch(path, data[start : start + (3 << 20)], start).status_code == 204

    assert bureau.row(MediaObject, digest(data))["status"] == "stored"
    assert {kind for kind, _ in read} == {"tail"}
    # Each byte of a tail is read once, when its part is full.
    assert sum(size for _, size in read) < LARGE - PART_BYTES
