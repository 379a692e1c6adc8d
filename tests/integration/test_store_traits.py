"""What a store can do is tried out, and what it lacks is made up for."""

import hashlib
import io
import os
import shutil
import threading
import uuid
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from media import s3 as s3_module
from media.s3 import S3Store
from media.s3_address import Retention, S3Address
from media.s3_objects import S3Objects
from media.store import (
    AlreadyThere,
    DeletionRefused,
    MultipartGone,
    ObjectDiffers,
    StoreUnavailable,
    Traits,
    Written,
    long_key,
    media_key,
    quarantine_key,
)
from server.cli.store import store as store_commands
from server.settings import Settings
from sync import catalogue
from tests.support.bureau import environment
from tests.support.console import console_world, visitor
from tests.support.guardian import free_port
from tests.support.otherstores import run_rclone
from tests.support.world import World

PART = 8 << 20
SOUND = Traits(keeps_versions=True, locks=True)
CAN_DO = {
    "seaweedfs": SOUND,
    "rclone": Traits(refuses_overwriting=False, refuses_damage=False, keeps_parts=False),
    "moto": Traits(refuses_damage=False, keeps_parts=False, keeps_versions=True, locks=True),
}


def digest(data):
    return hashlib.sha256(data).hexdigest()


def put(store, key, data):
    return store.put_once(key, data, size=len(data), sha256=digest(data))


def part(store, key, multipart_id, number, data):
    return store.put_part(
        key, multipart_id, io.BytesIO(data), number=number, size=len(data), sha256=digest(data)
    )


@pytest.fixture
def own_rclone(tmp_path):
    """Starts a store of one's own, again and again on the same folder and port."""
    port = free_port()

    def run(*options):
        return run_rclone(tmp_path, port, *options)

    return run


@pytest.mark.parametrize("kind", CAN_DO)
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_what_a_store_can_do_is_found_out_by_trying(request, kind, mode):
    address = request.getfixturevalue(kind).address(retention=Retention(mode, 1))

    assert S3Store(address).traits() == CAN_DO[kind]


@pytest.mark.parametrize("status", [500, 501, 403])
def test_a_store_that_fails_at_a_trial_has_not_passed_it(seaweedfs, monkeypatch, status):
    store = S3Store(seaweedfs.address())
    send = store.client.put_object

    def fail_at_damage(**asked):
        if asked["Key"].endswith("/damaged"):
            raise ClientError(
                {"Error": {"Code": "Any"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Put"
            )
        return send(**asked)

    monkeypatch.setattr(store.client, "put_object", fail_at_damage)

    assert not store.traits().refuses_damage


def test_trying_leaves_nothing_behind_where_nothing_is_locked(any_s3, monkeypatch):
    store, trial = S3Store(any_s3.address()), uuid.uuid4()
    monkeypatch.setattr("media.s3_survey.uuid.uuid4", lambda: trial)

    store.traits()

    assert list(store.list(f"tail/survey-{trial}")) == []
    assert not [found for found in store.open_multiparts() if str(trial) in found.key]


def test_what_a_store_lacks_is_logged_once(rclone, caplog):
    store = S3Store(rclone.address(retention=Retention("GOVERNANCE", 1)))

    store.traits()
    store.traits()

    assert [record.getMessage() for record in caplog.records] == [
        "store_lacks trait=refuses_overwriting",
        "store_lacks trait=refuses_damage",
        "store_lacks trait=keeps_parts",
        "store_lacks trait=locks",
    ]


def test_many_threads_try_a_store_out_once(seaweedfs, monkeypatch):
    tried = []
    monkeypatch.setattr(s3_module, "survey", lambda _: tried.append(1) or SOUND)
    store = S3Store(seaweedfs.address())
    threads = [threading.Thread(target=store.traits) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tried == [1]


def test_a_store_that_was_away_is_tried_again(own_rclone):
    with own_rclone() as where:
        pass
    store = S3Store(S3Address(**where))
    with pytest.raises(StoreUnavailable):
        put(store, quarantine_key("a"), b"bytes")

    with own_rclone():
        outcome = put(store, quarantine_key("a"), b"bytes")

    assert outcome == Written()


def test_a_checksum_that_a_store_only_repeats_is_not_believed(rclone, seaweedfs):
    key = quarantine_key(str(uuid.uuid4()))
    for kept in (rclone, seaweedfs):
        put(S3Store(kept.address()), key, b"bytes")

    assert S3Store(rclone.address()).head(key).checksum is None
    assert S3Store(seaweedfs.address()).head(key).checksum is not None


def damaging(store, monkeypatch, *, unseen):
    """Lets one byte be changed behind our back; ``unseen`` takes the digest away, too."""
    send = store.client.put_object

    def damage(**asked):
        asked["Body"] = b"X" + asked["Body"][1:]
        if unseen:
            del asked["ContentMD5"]
        return send(**asked)

    monkeypatch.setattr(store.client, "put_object", damage)


def test_what_lies_under_a_taken_key_is_read_where_the_store_names_no_checksum(
    seaweedfs, monkeypatch
):
    store = S3Store(seaweedfs.address())
    key, long = quarantine_key(str(uuid.uuid4())), long_key(str(uuid.uuid4()))
    put(store, key, b"bytes")
    multipart = store.begin_multipart(long)
    parts = [part(store, long, multipart, 1, b"part")]
    store.complete(long, multipart, parts)
    head = S3Objects.head
    monkeypatch.setattr(
        S3Objects, "head", lambda self, key: replace(head(self, key), checksum=None)
    )

    assert put(store, key, b"bytes") == AlreadyThere()
    assert store.complete(long, multipart, parts) == AlreadyThere()
    with pytest.raises(ObjectDiffers):
        put(store, key, b"other")
    with pytest.raises(ObjectDiffers):
        store.complete(long, multipart, [replace(parts[0], sha256=digest(b"trap"))])


def test_the_same_bytes_put_there_in_another_way_are_the_same_bytes(seaweedfs):
    store, key = S3Store(seaweedfs.address()), quarantine_key(str(uuid.uuid4()))
    place = {"Bucket": store.bucket, "Key": key}
    begun = store.client.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")
    place["UploadId"] = begun["UploadId"]
    sent = store.client.upload_part(
        **place, PartNumber=1, Body=b"bytes", ChecksumAlgorithm="SHA256"
    )
    made = {"PartNumber": 1, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]}
    store.client.complete_multipart_upload(**place, MultipartUpload={"Parts": [made]})
    assert store.head(key).checksum.endswith("-1")

    assert put(store, key, b"bytes") == AlreadyThere()
    with pytest.raises(ObjectDiffers):
        put(store, key, b"other")


@pytest.mark.parametrize("kind", ["rclone", "moto"])
def test_bytes_that_a_store_keeps_otherwise_than_it_was_told_are_noticed(
    request, kind, monkeypatch
):
    store = S3Store(request.getfixturevalue(kind).address())
    store.traits()
    damaging(store, monkeypatch, unseen=True)

    with pytest.raises(ObjectDiffers):
        put(store, quarantine_key(str(uuid.uuid4())), b"bytes")


def test_bytes_damaged_on_the_way_are_refused_by_a_store_that_knows_no_sha256(rclone, monkeypatch):
    store = S3Store(rclone.address())
    store.traits()
    damaging(store, monkeypatch, unseen=False)
    key = quarantine_key(str(uuid.uuid4()))

    with pytest.raises(StoreUnavailable):
        put(store, key, b"bytes")

    assert list(store.list(key)) == []


def test_acknowledged_parts_survive_a_store_that_is_killed_and_forgets_them(own_rclone):
    key, body = long_key(str(uuid.uuid4())), os.urandom(2 * PART) + b"end"
    with own_rclone() as where:
        store = S3Store(S3Address(**where))
        multipart = store.begin_multipart(key)
        first = part(store, key, multipart, 1, body[:PART])
    with own_rclone():
        # With a gap, as after a writer that was fenced off.
        second = part(store, key, multipart, 3, body[PART : 2 * PART])
        last = part(store, key, multipart, 4, b"end")

        store.complete(key, multipart, [first, second, last])

        assert b"".join(store.stream(key)) == body
        assert list(store.list("parts/")) == []


def test_a_part_that_the_store_has_lost_ends_the_multipart_upload(rclone):
    store, key = S3Store(rclone.address()), long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    kept = part(store, key, multipart, 1, b"part")
    store.client.delete_object(Bucket=store.bucket, Key=f"parts/{multipart}/1/{key}")

    with pytest.raises(MultipartGone):
        store.complete(key, multipart, [kept])

    assert list(store.list(key)) == []


def test_a_store_that_is_careful_lists_and_drops_what_was_given_up(rclone):
    store = S3Store(rclone.address())
    key = long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    part(store, key, multipart, 1, b"part")

    (found,) = [f for f in store.open_multiparts() if f.multipart_id == multipart]
    store.abort(found.key, found.multipart_id)

    assert found.key == key
    assert list(store.list(f"parts/{multipart}/")) == []


def test_what_others_keep_under_our_prefixes_is_none_of_ours(rclone):
    store = S3Store(rclone.address())
    for key in ("parts/list.txt", "parts/kept-x/1/media/long/y"):
        store.client.put_object(Bucket=store.bucket, Key=key, Body=b"theirs")

    with pytest.raises(DeletionRefused):
        store._careful.abort(long_key("y"), "kept-x")

    assert "kept-x" not in {found.multipart_id for found in store.open_multiparts()}
    assert len(list(store.list("parts/list.txt"))) == 1


def test_what_was_begun_in_the_stores_own_way_is_finished_so(seaweedfs, monkeypatch):
    store = S3Store(seaweedfs.address())
    key = long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    monkeypatch.setattr(store, "_traits", CAN_DO["rclone"])

    kept = part(store, key, multipart, 2, b"part")
    outcome = store.complete(key, multipart, [kept])

    assert outcome == Written()
    assert b"".join(store.stream(key)) == b"part"


def test_one_object_holds_for_all_who_sent_the_same_bytes(any_s3):
    store, data = S3Store(any_s3.address()), os.urandom(64)
    threads = [
        threading.Thread(target=put, args=(store, media_key(digest(data)), data)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert b"".join(store.stream(media_key(digest(data)))) == data


@pytest.mark.parametrize("kind", CAN_DO)
def test_a_check_of_the_store_says_what_it_lacks_and_what_is_done_for_it(
    request, tmp_path, sqlite_template, kind
):
    made = environment(tmp_path, request.getfixturevalue(kind))
    shutil.copyfile(sqlite_template, tmp_path / "liuhen.sqlite")
    World(Settings.from_env(made))

    told = CliRunner(env=made).invoke(store_commands, ["check"])

    for name in ("refuses_overwriting", "refuses_damage", "keeps_parts", "locks"):
        for lang in catalogue.LANGUAGES:
            sentence = catalogue.text(f"store.lacks.{name}", lang)
            assert (sentence in told.output) is not getattr(CAN_DO[kind], name), told.output


@pytest.mark.parametrize("kind", CAN_DO)
def test_the_page_of_the_store_says_what_it_lacks(request, tmp_path, sqlite_template, kind):
    shutil.copyfile(sqlite_template, tmp_path / "console.sqlite")
    url = f"sqlite:///{tmp_path / 'console.sqlite'}"
    world = console_world(url, tmp_path / "var")
    store = S3Store(
        request.getfixturevalue(kind).address(
            retention=world.services.settings.s3_address.retention
        )
    )
    world.app.extensions["liuhen"] = replace(world.services, store=store)

    page = visitor(world, "administrator").get("/store").text

    for name in ("refuses_overwriting", "keeps_parts", "locks"):
        there = getattr(CAN_DO[kind], name)
        assert (catalogue.text(f"store.lacks.{name}", "zh") in page) is not there
