"""An original that the store lost or changed is asked for again, and its bytes are kept again."""

import base64
import hashlib
import os
from dataclasses import replace

import pytest
import sqlalchemy as sa

from media.store import long_key, media_key
from media.upload import PART_BYTES, SINGLE_LIMIT_BYTES
from server.db import transaction
from server.models.uploads import MediaObject, ObjectFixity, Upload
from server.operations.storekeeping import rehash
from server.services import services
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, upload_app
from tests.support.uploading import Killed, bury, died

LARGE = SINGLE_LIMIT_BYTES + PART_BYTES // 2
WAYS = [pytest.param(1000, id="photo"), pytest.param(LARGE, id="recording")]


@pytest.fixture
def bureau(tmp_path, database_url, store, clock):
    settings = Settings.from_env(environment(tmp_path, LIUHEN_DATABASE_URL=database_url))
    organization, device = lay_out(settings)
    app = upload_app(settings, store, now_ms=lambda: clock["ms"])
    return Bureau(app, organization, device)


@pytest.fixture
def read_again(bureau, clock):
    """Reads every original whole; answers the doubts, by kind."""

    def run():
        clock["ms"] += 1000
        with bureau.app.app_context():
            return [doubt.kind for report in rehash(services()) for doubt in report.doubts]

    return run


@pytest.fixture
def lose(bureau, store, read_again):
    """Stores bytes, harms them, and has them read again; answers the key they had."""

    def harm(data, outcome):
        bureau.announce(data)
        assert send(bureau, data).status_code == 204
        key = bureau.row(MediaObject, digest(data))["key"]
        if outcome == "missing":
            del store.objects[key]
        else:
            store.objects[key] = bytes(len(data))
        assert read_again() == [outcome]
        return key

    return harm


def digest(data):
    return hashlib.sha256(data).hexdigest()


def upload_id(path):
    return path.rpartition("/")[2]


def send(bureau, data):
    path = bureau.create(data)
    offset = bureau.offset(path)
    return bureau.patch(path, data[offset:], offset)


def lacking(bureau, data):
    answer = bureau.app.test_client().post(
        "/api/v1/media/lacking",
        json={"digests": [digest(data)]},
        headers={"Authorization": f"Bearer {bureau.token}"},
    )
    return answer.json["lacking"] == [digest(data)]


@pytest.mark.parametrize("size", WAYS)
@pytest.mark.parametrize("outcome", ["missing", "changed"])
def test_a_lost_original_is_lacking_until_its_bytes_come_again(
    bureau, store, lose, read_again, size, outcome
):
    data = os.urandom(size)
    before = lose(data, outcome)
    assert lacking(bureau, data)

    path = bureau.create(data)
    assert bureau.offset(path) == 0
    assert bureau.patch(path, data, 0).status_code == 204

    row = bureau.row(MediaObject, digest(data))
    kept = media_key(digest(data)) if (size, outcome) == (1000, "missing") else None
    assert row["key"] == (kept or long_key(upload_id(path)))
    assert store.objects[row["key"]] == data
    assert (before in store.objects) is (outcome == "changed" or before == row["key"])
    assert not lacking(bureau, data)
    assert bureau.offset(bureau.create(data)) == size
    assert bureau.row(ObjectFixity, digest(data))["outcome"] == "whole"
    assert read_again() == []


@pytest.mark.parametrize("outcome", ["missing", "changed"])
def test_of_a_lost_original_only_bytes_that_were_read_are_believed(
    bureau, store, lose, read_again, monkeypatch, outcome
):
    data = os.urandom(1000)
    key = lose(data, outcome)
    # Other bytes lie there, and the store goes on giving the digest that it was once told.
    store.objects[key] = bytes(1000)
    told = base64.b64encode(hashlib.sha256(data).digest()).decode()
    head, put_once = store.head, store.put_once
    monkeypatch.setattr(store, "head", lambda at: replace(head(at), checksum=told))
    monkeypatch.setattr(
        store,
        "put_once",
        lambda at, *rest, **named: None if at == key else put_once(at, *rest, **named),
    )

    path = bureau.create(data)
    assert bureau.patch(path, data, 0).status_code == 204

    row = bureau.row(MediaObject, digest(data))
    assert row["key"] == long_key(upload_id(path))
    assert store.objects[row["key"]] == data
    assert read_again() == []


def test_that_a_lost_original_came_again_stands_in_the_ledger(bureau, lose):
    data = os.urandom(1000)
    lose(data, "changed")

    path = bureau.create(data)
    bureau.patch(path, data, 0)

    key = long_key(upload_id(path))
    event = bureau.events("verify")[-1]
    assert event["snapshot"] == {
        "act": "brought_back",
        "was": "changed",
        "key": key,
        "upload": upload_id(path),
        "device": bureau.device,
    }
    alarm = bureau.events("alarm")[-1]
    assert (alarm["subject"], alarm["snapshot"]["kept"]) == (
        {"object": media_key(digest(data))},
        key,
    )
    fixity = bureau.row(ObjectFixity, digest(data))
    assert fixity["found_sha256"] == digest(data)


@pytest.mark.parametrize("size", WAYS)
def test_a_device_of_another_organisation_brings_it_back_for_all(bureau, store, lose, size):
    data = os.urandom(size)
    lose(data, "missing")

    assert send(bureau.colleague(), data).status_code == 204

    assert store.objects[bureau.row(MediaObject, digest(data))["key"]] == data
    assert not lacking(bureau, data)


@pytest.mark.parametrize("size", WAYS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_while_it_comes_again_loses_neither_row_nor_bytes(
    bureau, store, lose, monkeypatch, size, moment
):
    data = os.urandom(size)
    lose(data, "missing")
    bury(monkeypatch)

    def kill(act, key):
        if act in ("put", "complete") and key.startswith("media/"):
            raise Killed

    setattr(store, moment, kill)
    with pytest.raises(Killed):
        send(bureau, data)
    setattr(store, moment, lambda act, key: None)
    died(bureau)
    assert bureau.row(MediaObject, digest(data))["status"] == "stored"
    assert lacking(bureau, data)

    assert send(bureau, data).status_code == 204

    assert store.objects[bureau.row(MediaObject, digest(data))["key"]] == data
    assert bureau.row(ObjectFixity, digest(data))["outcome"] == "whole"
    assert not lacking(bureau, data)


def test_it_comes_again_also_through_an_upload_whose_hash_could_not_be_carried(bureau, store, lose):
    data = os.urandom(LARGE)
    lose(data, "missing")
    path = bureau.create(data)
    bureau.patch(path, data[:PART_BYTES], 0)
    with bureau.app.app_context(), transaction() as session:
        session.get(Upload, upload_id(path)).hash_state = b"of another machine"

    assert bureau.patch(path, data[PART_BYTES:], PART_BYTES).status_code == 204

    assert bureau.row(MediaObject, digest(data))["key"] == long_key(upload_id(path))
    assert store.objects == {long_key(upload_id(path)): data}
    assert not lacking(bureau, data)


def test_the_database_lets_nothing_but_a_lost_original_be_moved(bureau, lose):
    whole, lost = os.urandom(10), os.urandom(1000)
    send(bureau, whole)
    lose(lost, "missing")

    def change(data, what):
        with bureau.app.app_context(), transaction() as session:
            session.execute(
                sa.text(f"UPDATE media_object SET {what} WHERE sha256 = :digest"),
                {"digest": digest(data)},
            )

    for data, what in (
        (whole, "store_key = 'media/long/x'"),
        (lost, "size = 1"),
        (lost, "crc32 = 1"),
        (lost, "status = 'committing'"),
        (lost, "stored_at_ms = 1"),
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            change(data, what)
    change(lost, "store_key = 'media/long/x'")
    assert bureau.row(MediaObject, digest(lost))["key"] == "media/long/x"
