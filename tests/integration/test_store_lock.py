"""Object Lock keeps originals, however they came, and nothing else."""

import datetime
import hashlib
import os
import uuid
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from media.s3 import S3Store
from media.s3_address import Retention
from media.s3_objects import open_client
from media.store import long_key, media_key, quarantine_key, tail_key
from server.settings import Settings
from tests.support.bureau import Bureau, environment, lay_out, upload_app

DAY = datetime.timedelta(days=1)


@pytest.fixture(params=["seaweedfs", "moto"])
def locking(request):
    """Each store that knows Object Lock."""
    return request.getfixturevalue(request.param)


def put(store, key, data):
    store.put_once(key, data, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return key


def put_original(store, way):
    """Write some bytes in one of the ways in which originals come; answers their key."""
    data = os.urandom(100)
    sha256 = hashlib.sha256(data).hexdigest()
    if way == "in one piece":
        return put(store, media_key(sha256), data)
    if way == "in quarantine":
        return put(store, quarantine_key(str(uuid.uuid4())), data)
    key = long_key(str(uuid.uuid4()))
    multipart = store.begin_multipart(key)
    part = store.put_part(key, multipart, data, number=1, size=100, sha256=sha256)
    store.complete(key, multipart, [part])
    return key


def delete(client, key, **more):
    """The code with which the store refuses to delete the bytes of an object, if it does."""
    answer = client.list_object_versions(Bucket="liuhen", Prefix=key)
    (version,) = (item["VersionId"] for item in answer["Versions"])
    try:
        client.delete_object(Bucket="liuhen", Key=key, VersionId=version, **more)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


@pytest.mark.parametrize("way", ["in one piece", "in parts", "in quarantine"])
@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_no_original_can_be_deleted_before_its_time(locking, mode, way):
    store = S3Store(locking.address(retention=Retention(mode, 200)))

    key = put_original(store, way)

    held = store.client.head_object(Bucket=store.bucket, Key=key)
    left = held["ObjectLockRetainUntilDate"] - datetime.datetime.now(datetime.UTC)
    assert held["ObjectLockMode"] == mode
    assert 199 * DAY < left <= 200 * DAY
    assert delete(store.client, key) == "AccessDenied"
    assert store.head(key).size == 100


def test_an_administrator_lifts_a_governance_lock_but_no_compliance_lock(seaweedfs):
    governed = S3Store(seaweedfs.address(retention=Retention("GOVERNANCE", 2)))
    complied = S3Store(seaweedfs.address(retention=Retention("COMPLIANCE", 2)))
    administrator = open_client(seaweedfs.as_administrator())

    lifted, kept = put_original(governed, "in parts"), put_original(complied, "in parts")

    assert delete(administrator, lifted, BypassGovernanceRetention=True) is None
    assert delete(administrator, kept, BypassGovernanceRetention=True) == "AccessDenied"


def test_the_credentials_of_the_server_lift_no_lock_and_change_no_bucket(seaweedfs):
    store = S3Store(seaweedfs.address(retention=Retention("GOVERNANCE", 2)))
    key, bucket = put_original(store, "in one piece"), {"Bucket": store.bucket}
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)

    assert delete(store.client, key, BypassGovernanceRetention=True) == "AccessDenied"
    for act, asked in (
        (
            store.client.put_object_retention,
            {
                "Key": key,
                "Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": soon},
                "BypassGovernanceRetention": True,
            },
        ),
        (store.client.delete_bucket, {}),
        (store.client.put_bucket_policy, {"Policy": "{}"}),
        (
            store.client.put_bucket_versioning,
            {"VersioningConfiguration": {"Status": "Suspended"}},
        ),
    ):
        with pytest.raises(ClientError, match=r"AccessDenied|InvalidBucketState"):
            act(**bucket, **asked)
    assert store.head(key).size == 100


def test_what_is_no_original_is_never_locked(locking):
    store = S3Store(locking.address(retention=Retention("COMPLIANCE", 2)))
    tail = put(store, tail_key(str(uuid.uuid4()), offset=0, epoch=1), b"tail")
    thumbnail = put(store, f"derived/{uuid.uuid4()}", b"thumbnail")

    assert delete(store.client, tail) is None
    assert delete(store.client, thumbnail) is None


@pytest.mark.parametrize("way", ["in one piece", "in parts"])
def test_a_bucket_without_object_lock_takes_originals_and_says_so(locking, caplog, way):
    plain = f"plain-{uuid.uuid4()}"
    address = locking.as_administrator(retention=Retention("GOVERNANCE", 2))
    open_client(address).create_bucket(Bucket=plain)
    store = S3Store(replace(address, bucket=plain))

    key = put_original(store, way)

    assert store.head(key).size == 100
    assert not store.traits().locks
    assert "store_lacks trait=locks" in [record.getMessage() for record in caplog.records]


def test_a_photo_that_arrives_is_locked_for_half_a_year_unless_told_otherwise(tmp_path, seaweedfs):
    settings = Settings.from_env(environment(tmp_path, seaweedfs))
    parties = lay_out(settings)
    bureau = Bureau(upload_app(settings), *parties)
    photo = os.urandom(1000)

    bureau.patch(bureau.create(photo), photo, 0)

    store = S3Store(settings.s3_address)
    key = media_key(hashlib.sha256(photo).hexdigest())
    held = store.client.head_object(Bucket=store.bucket, Key=key)
    left = held["ObjectLockRetainUntilDate"] - datetime.datetime.now(datetime.UTC)
    assert (held["ObjectLockMode"], left.days) == ("GOVERNANCE", 179)
