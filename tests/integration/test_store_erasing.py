"""What a lawful order erases is gone from the store under every version, or said not to be."""

import hashlib
import os
import uuid

import pytest

from media.s3 import S3Store
from media.s3_address import Retention
from media.store import (
    DeletionRefused,
    ObjectLocked,
    ObjectMissing,
    long_key,
    media_key,
    tail_key,
)


def _put(store, way):
    data = os.urandom(200)
    sha256 = hashlib.sha256(data).hexdigest()
    if way == "in one piece":
        key = media_key(sha256)
        store.put_once(key, data, size=len(data), sha256=sha256)
        return key
    key = long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    part = store.put_part(key, multipart, data, number=1, size=len(data), sha256=sha256)
    store.complete(key, multipart, [part])
    return key


@pytest.mark.parametrize("way", ["in one piece", "in parts"])
def test_an_erased_object_is_gone_under_every_version_and_may_be_erased_again(any_s3, way):
    store = S3Store(any_s3.address())
    key, other = _put(store, way), _put(store, way)

    store.erase(key)
    store.erase(key)

    with pytest.raises(ObjectMissing):
        store.head(key)
    if store.traits().keeps_versions:
        left = store.client.list_object_versions(Bucket=store.bucket, Prefix=key)
        assert "Versions" not in left
        assert "DeleteMarkers" not in left
    assert store.head(other).size == 200


@pytest.mark.parametrize("kind", ["seaweedfs", "moto"])
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_locked_object_is_refused_and_stays(request, kind, mode):
    where = request.getfixturevalue(kind)
    store = S3Store(where.address(retention=Retention(mode, 200)))
    key = _put(store, "in one piece")

    with pytest.raises(ObjectLocked):
        store.erase(key)

    assert store.head(key).size == 200


def test_only_what_is_kept_can_be_erased_by_an_order(s3):
    store = S3Store(s3.address())

    for key in (tail_key(str(uuid.uuid4()), offset=0, epoch=1), "foreign/a/b.zip", "ledger/1"):
        with pytest.raises(DeletionRefused):
            store.erase(key)
