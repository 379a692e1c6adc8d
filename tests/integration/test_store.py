"""The store keeps what it was given, once, and gives it back."""

import hashlib
import io
import uuid

import pytest

from media.s3 import S3Store
from media.s3_address import S3Address
from media.store import (
    AlreadyThere,
    DeletionRefused,
    MultipartGone,
    ObjectDiffers,
    ObjectMissing,
    S3Source,
    StoreUnavailable,
    Written,
    long_key,
    media_key,
    tail_key,
)
from tests.support.bureau import s3_store
from tests.support.stores import MemoryStore

PART = 5 << 20


@pytest.fixture(params=["s3", "rclone", "moto", "memory"])
def store(request):
    """Every store keeps the same contract, the one for tests included."""
    if request.param == "memory":
        return MemoryStore()
    return s3_store(request.getfixturevalue(request.param))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def put(store, key, data):
    return store.put_once(key, data, size=len(data), sha256=digest(data))


def part(store, key, multipart_id, number, data):
    return store.put_part(
        key, multipart_id, io.BytesIO(data), number=number, size=len(data), sha256=digest(data)
    )


def test_an_object_is_written_once_and_the_same_bytes_again_change_nothing(store):
    data = uuid.uuid4().bytes
    key = media_key(digest(data))

    first, second = put(store, key, data), put(store, key, data)

    assert (first, second) == (Written(), AlreadyThere())
    assert store.read(key, 0, 100) == data


def test_a_taken_key_never_takes_other_bytes(store):
    key = f"quarantine/{uuid.uuid4()}"
    put(store, key, b"first")

    with pytest.raises(ObjectDiffers):
        put(store, key, b"other")

    assert store.read(key, 0, 100) == b"first"


def test_bytes_that_were_damaged_on_the_way_are_not_stored(store):
    key = f"quarantine/{uuid.uuid4()}"

    with pytest.raises(StoreUnavailable):
        store.put_once(key, b"damaged", size=7, sha256=digest(b"as sent"))

    with pytest.raises(ObjectMissing):
        store.head(key)


def test_an_empty_file_is_a_file(store):
    key = f"quarantine/{uuid.uuid4()}"

    put(store, key, b"")

    assert store.head(key).size == 0
    assert store.read(key, 0, 10) == b""


def test_ranges_end_where_the_object_ends(store):
    key = f"quarantine/{uuid.uuid4()}"
    put(store, key, b"0123456789")
    source = S3Source(store, key, 10)

    assert source.read(8, 5) == b"89"
    assert source.read(10, 5) == b""
    assert store.read(key, 12, 5) == b""
    assert b"".join(store.stream(key)) == b"0123456789"


def test_parts_become_one_object_and_completing_again_changes_nothing(store):
    key = long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    body = b"a" * PART + b"end"
    part(store, key, multipart, 2, b"never listed" * (1 << 19))
    parts = [part(store, key, multipart, 1, body[:PART]), part(store, key, multipart, 4, b"end")]

    first = store.complete(key, multipart, parts)
    second = store.complete(key, multipart, parts)

    assert (first, second) == (Written(), AlreadyThere())
    assert b"".join(store.stream(key)) == body


def test_an_aborted_upload_is_gone(store):
    key = long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    only = part(store, key, multipart, 1, b"x")
    assert multipart in {found.multipart_id for found in store.open_multiparts()}

    store.abort(key, multipart)
    store.abort(key, multipart)

    with pytest.raises(MultipartGone):
        part(store, key, multipart, 2, b"y")
    with pytest.raises(MultipartGone):
        store.complete(key, multipart, [only])
    assert multipart not in {found.multipart_id for found in store.open_multiparts()}


def test_only_tails_can_be_deleted(store):
    upload = str(uuid.uuid4())
    tail = tail_key(upload, offset=0, epoch=1)
    data = uuid.uuid4().bytes
    evidence = media_key(digest(data))
    put(store, tail, b"tail")
    put(store, evidence, data)
    assert [found.key for found in store.list(f"tail/{upload}/")] == [tail]

    store.delete_tails([tail])
    store.delete_tails([tail])
    with pytest.raises(DeletionRefused):
        store.delete_tails([evidence])

    assert list(store.list(f"tail/{upload}/")) == []
    assert store.head(evidence).size == len(data)


def test_of_an_unfinished_object_nothing_is_dropped_but_what_we_gather(store):
    key = f"derived/{uuid.uuid4()}"
    multipart = store.begin_multipart(key)
    only = part(store, key, multipart, 1, b"x")

    with pytest.raises(DeletionRefused):
        store.abort(key, multipart)

    assert store.complete(key, multipart, [only]) == Written()
    assert store.read(key, 0, 10) == b"x"


def test_a_deleted_tail_leaves_no_version_behind(s3):
    store = s3_store(s3)
    tail = tail_key(str(uuid.uuid4()), offset=0, epoch=1)
    put(store, tail, b"tail")

    store.delete_tails([tail])

    answer = store.client.list_object_versions(Bucket=store.bucket, Prefix=tail)
    assert not answer.get("Versions")
    assert not answer.get("DeleteMarkers")


def test_a_store_that_is_away_is_a_typed_error():
    address = S3Address(
        endpoint="http://127.0.0.1:9", access_key="a", secret_key="b", bucket="nowhere"
    )
    away = S3Store(address)

    with pytest.raises(StoreUnavailable):
        away.head("media/x")
