"""Uploads arrive whole, once, and say the truth about how far they are."""

import hashlib
import os
import zlib

import pytest

from media.store import media_key
from media.upload import PART_BYTES, SINGLE_LIMIT_BYTES
from server.models.uploads import MediaObject, QuarantinedMedia, Upload
from server.operations import uploads
from tests.support.bureau import metadata
from tests.support.keeping import LARGE, digest, id_of
from tests.support.stores import MemoryStore
from tests.support.uploading import (
    open_bureau,
    send,
)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def clock():
    return {"ms": 1_800_000_000_000}


@pytest.fixture
def bureau(tmp_path, database_url, store, clock):
    return open_bureau(tmp_path, database_url, store, clock)


def test_a_photo_arrives_and_is_stored_under_its_digest(bureau, store):
    photo = os.urandom(300_000)
    bureau.announce(photo)
    path = bureau.create(photo)

    answer = bureau.patch(path, photo, 0)

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, "300000")
    assert store.objects == {media_key(digest(photo)): photo}
    media = bureau.row(MediaObject, digest(photo))
    assert (media["status"], media["size"], media["crc32"]) == (
        "stored",
        300_000,
        zlib.crc32(photo),
    )


def test_what_is_stored_stands_in_the_ledger(bureau):
    photo = b"photo"
    path = bureau.create(photo)

    bureau.patch(path, photo, 0)

    (event,) = bureau.events("verify")
    assert event["subject"] == {"sha256": digest(photo), "size": 5}
    assert event["snapshot"] == {"upload": id_of(path), "device": bureau.device}


def test_those_who_wait_for_a_file_are_told_in_the_same_transaction(bureau, monkeypatch):
    told = []
    monkeypatch.setattr(uploads.settling, "after_stored", [lambda _s, sha, *_: told.append(sha)])

    send(bureau, bureau.create(b"photo"), b"photo", pieces=5)
    send(bureau, bureau.create(b"photo"), b"photo", pieces=5)

    assert told == [digest(b"photo")]


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        pytest.param(0, 1, id="empty"),
        pytest.param(1, 1, id="one byte"),
        pytest.param(900_000, 64 << 10, id="photo in small pieces"),
        pytest.param(SINGLE_LIMIT_BYTES, 5 << 20, id="largest in one piece"),
        pytest.param(SINGLE_LIMIT_BYTES + 1, 5 << 20, id="smallest in parts"),
        pytest.param(3 * PART_BYTES, PART_BYTES, id="whole parts"),
        pytest.param(3 * PART_BYTES + 5, 7_000_001, id="parts and crooked pieces"),
        pytest.param(LARGE, LARGE, id="parts in one request"),
    ],
)
def test_any_size_in_any_pieces_gives_the_same_bytes(bureau, store, size, pieces):
    data = os.urandom(size)
    path = bureau.create(data)

    send(bureau, path, data, pieces=pieces)

    media = bureau.row(MediaObject, digest(data))
    assert store.objects == {media["key"]: data}
    assert media["crc32"] == zlib.crc32(data)
    assert bureau.offset(path) == size


def test_very_many_small_pieces_do_not_pile_up(bureau, store, monkeypatch):
    monkeypatch.setattr("server.operations.uploads.writing.MAX_TAILS", 8)
    data = os.urandom(30)
    path = bureau.create(data + b"end")

    send(bureau, path, data, pieces=1)

    assert len(store.objects) <= 8 + 1
    bureau.patch(path, b"end", len(data))
    assert store.objects == {media_key(digest(data + b"end")): data + b"end"}


def test_the_beginning_may_come_with_the_creation(bureau):
    answer = bureau.request(
        "POST",
        "/api/v1/uploads",
        b"beg",
        Upload_Length=9,
        Upload_Metadata=metadata(b"beginning", filename="照片.jpg".encode()),
        Content_Type="application/offset+octet-stream",
    )

    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "3")
    assert answer.headers["Location"].startswith("http://localhost/api/v1/uploads/")
    row = bureau.row(Upload, id_of(answer.headers["Location"]))
    assert (row["filename"], row["status"]) == ("照片.jpg", "open")


def test_the_same_recording_from_two_devices_is_kept_once(bureau, store):
    recording = os.urandom(LARGE)
    first, second = bureau.create(recording), bureau.create(recording)
    send(bureau, first, recording[:-1], pieces=LARGE)
    send(bureau, second, recording[:-1], pieces=LARGE)

    for path in (first, second):
        assert bureau.patch(path, recording[-1:], LARGE - 1).status_code == 204

    assert list(store.objects.values()) == [recording]
    assert store.parts == {}


def test_a_file_that_is_not_what_was_announced_is_set_aside_not_dropped(bureau, store):
    path = bureau.create(b"as announced")

    answer = bureau.patch(path, b"as delivered"[:12], 0)

    assert (answer.status_code, answer.json["code"]) == (460, "media.digest_mismatch")
    assert store.objects == {f"quarantine/{id_of(path)}": b"as delivered"}
    aside = bureau.row(QuarantinedMedia, id_of(path))
    assert (aside["announced_sha256"], aside["found_sha256"]) == (
        digest(b"as announced"),
        digest(b"as delivered"),
    )
    (event,) = bureau.events("quarantine")
    assert event["subject"]["sha256"] == digest(b"as delivered")
    assert bureau.request("HEAD", path).status_code == 410
    assert bureau.row(MediaObject, digest(b"as announced")) is None


def test_a_large_file_that_is_not_what_was_announced_is_set_aside(bureau, store):
    data = os.urandom(LARGE)
    path = bureau.create(data)

    answer = bureau.patch(path, data[:-1] + bytes([data[-1] ^ 1]), 0)

    assert answer.status_code == 460
    aside = bureau.row(QuarantinedMedia, id_of(path))
    assert hashlib.sha256(store.objects[aside["key"]]).hexdigest() == aside["found_sha256"]


def test_a_file_set_aside_can_be_sent_again_rightly(bureau):
    bureau.patch(bureau.create(b"right"), b"wrong", 0)

    send(bureau, bureau.create(b"right"), b"right", pieces=5)

    assert bureau.row(MediaObject, digest(b"right"))["status"] == "stored"
