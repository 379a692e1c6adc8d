"""An upload ends the same way in every store, also after a crash at its worst moment."""

import datetime
import hashlib
import os
import uuid

import pytest

from media.store import StoreUnavailable, long_key, media_key, quarantine_key
from media.upload import PART_BYTES, SINGLE_LIMIT_BYTES
from server import clock
from server.models.uploads import MediaObject, QuarantinedMedia
from server.operations import uploads
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, metadata, s3_store, upload_app

LARGE = SINGLE_LIMIT_BYTES + PART_BYTES // 2
DAY_MS = 86_400_000


@pytest.fixture
def store(any_s3):
    return s3_store(any_s3)


@pytest.fixture
def later():
    """By how many milliseconds the server's clock is ahead of the store's."""
    return {"ms": 0}


@pytest.fixture
def bureau(tmp_path, store, later):
    settings = Settings.from_env(environment(tmp_path))
    organization, device = lay_out(settings)
    app = upload_app(settings, store, now_ms=lambda: clock.now_ms() + later["ms"])
    return Bureau(app, organization, device)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def desk(bureau):
    return bureau.app.extensions["liuhen_uploads"]


def upload_id(path):
    return path.rpartition("/")[2]


def held(store, key):
    return b"".join(store.stream(key))


def under(store, prefix):
    return [found.key for found in store.list(prefix)]


def send_wholly(bureau, data):
    path = bureau.create(data)
    answer = bureau.patch(path, data, 0)
    assert answer.status_code == 204, answer.text
    return path


@pytest.mark.parametrize("size", [1000, LARGE])
def test_bytes_that_are_there_already_cost_nothing_and_stay_as_they_are(bureau, store, size):
    data = os.urandom(size)
    first = send_wholly(bureau, data)

    second = send_wholly(bureau, data)

    key = bureau.row(MediaObject, digest(data))["key"]
    assert key in (media_key(digest(data)), long_key(upload_id(first)))
    assert held(store, key) == data
    assert under(store, long_key(upload_id(second))) == []


@pytest.mark.parametrize("size", [1000, LARGE])
def test_bytes_other_than_announced_are_kept_apart(bureau, store, size):
    data, announced = os.urandom(size), str(uuid.uuid4()).encode()
    answer = bureau.request(
        "POST", "/api/v1/uploads", Upload_Length=size, Upload_Metadata=metadata(announced)
    )
    path = answer.headers["Location"].removeprefix("http://localhost")

    refused = bureau.patch(path, data, 0)

    assert (refused.status_code, refused.json["code"]) == (460, "media.digest_mismatch")
    row = bureau.row(QuarantinedMedia, upload_id(path))
    assert row["key"] in (quarantine_key(upload_id(path)), long_key(upload_id(path)))
    assert held(store, row["key"]) == data
    assert under(store, media_key(digest(data))) == []


def test_pieces_become_one_file_and_are_let_go(bureau, store):
    data = os.urandom(LARGE)
    pieces = []
    for start in range(0, LARGE, PART_BYTES):
        piece = data[start : start + PART_BYTES]
        answer = bureau.request(
            "POST", "/api/v1/uploads", Upload_Length=len(piece), Upload_Concat="partial"
        )
        pieces.append(answer.headers["Location"])
        bureau.patch(pieces[-1].removeprefix("http://localhost"), piece, 0)

    answer = bureau.request(
        "POST",
        "/api/v1/uploads",
        Upload_Concat=f"final;{' '.join(pieces)}",
        Upload_Metadata=metadata(data),
    )

    assert answer.status_code == 201, answer.text
    assert held(store, bureau.row(MediaObject, digest(data))["key"]) == data
    for piece in pieces:
        assert under(store, f"tail/{upload_id(piece)}/") == []


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_cut_short_at_the_store_is_finished_by_the_sweeper(
    bureau, store, monkeypatch, size, moment
):
    data = os.urandom(size)
    path = bureau.create(data)
    act = "complete" if size > SINGLE_LIMIT_BYTES else "put_once"
    write = getattr(store, act)

    def cut(*given, **named):
        if moment == "after":
            write(*given, **named)
        raise StoreUnavailable("the answer was lost")

    monkeypatch.setattr(store, act, cut)
    assert bureau.patch(path, data, 0).status_code == 503
    monkeypatch.setattr(store, act, write)

    with bureau.app.app_context():
        uploads.finish_interrupted_commits(desk(bureau))
    offset = bureau.offset(path)
    if offset < size:
        assert bureau.patch(path, data[offset:], offset).status_code == 204

    assert held(store, bureau.row(MediaObject, digest(data))["key"]) == data
    assert long_key(upload_id(path)) not in {found.key for found in store.open_multiparts()}


def lock(store, key):
    """Write an object that cannot be deleted for an hour, where the store knows such a thing."""
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    held = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
    store.client.put_object(
        Bucket=store.bucket,
        Key=key,
        Body=b"",
        ChecksumAlgorithm="SHA256",
        **(held if store.traits().keeps_versions else {}),
    )


def test_what_was_given_up_is_collected_and_what_is_open_is_not(bureau, store, later):
    abandoned, open_still = os.urandom(LARGE), os.urandom(LARGE)
    left = bureau.create(abandoned)
    bureau.patch(left, abandoned[: PART_BYTES + 10], 0)
    multiparts = {found.key for found in store.open_multiparts()}
    locked = f"tail/locked-{uuid.uuid4()}/0-1"
    lock(store, locked)
    later["ms"] = 8 * DAY_MS
    kept = bureau.create(open_still)
    bureau.patch(kept, open_still[: PART_BYTES + 10], 0)

    with bureau.app.app_context():
        expired = uploads.expire_uploads(desk(bureau))
        uploads.collect_leftovers(desk(bureau))

    assert (under(store, locked) == [locked]) is store.traits().keeps_versions
    assert long_key(upload_id(left)) in multiparts
    assert upload_id(left) in expired
    assert long_key(upload_id(left)) not in {found.key for found in store.open_multiparts()}
    assert under(store, f"tail/{upload_id(left)}/") == []
    assert bureau.patch(kept, open_still[PART_BYTES + 10 :], PART_BYTES + 10).status_code == 204
    assert held(store, long_key(upload_id(kept))) == open_still
