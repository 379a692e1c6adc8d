"""What the settings of a store ask for is what the store is told."""

import datetime
import hashlib
import os
import socket
import urllib.request
import uuid
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from media.s3 import S3Store
from media.s3_address import Encryption, S3Address
from media.store import StoreUnavailable, long_key, quarantine_key
from server.launch.certificates import issue, key_pem, new_authority
from tests.support.guardian import free_port
from tests.support.otherstores import run_rclone


def put(store, data=b"bytes"):
    key = quarantine_key(str(uuid.uuid4()))
    store.put_once(key, data, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    return key


def put_in_parts(store, data=b"bytes"):
    key, sha256 = long_key(str(uuid.uuid4())), hashlib.sha256(data).hexdigest()
    multipart = store.begin_multipart(key)
    part = store.put_part(key, multipart, data, number=1, size=len(data), sha256=sha256)
    store.complete(key, multipart, [part])
    return key


@pytest.fixture
def tls(tmp_path):
    """A store over HTTPS under an authority of its own; answers its address and the root."""
    now = datetime.datetime.now(datetime.UTC)
    authority = new_authority("localhost", now=now)
    leaf = issue(authority, "localhost", now=now, days=1)
    root, chain, key = (tmp_path / name for name in ("root.pem", "chain.pem", "key.pem"))
    root.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    chain.write_bytes(leaf.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(key_pem(leaf.key))
    port = free_port()
    with run_rclone(tmp_path, port, "--cert", str(chain), "--key", str(key)) as where:
        yield {**where, "endpoint": f"https://localhost:{port}"}, root


def test_a_store_under_an_authority_of_the_bureau_is_trusted_by_its_root(tls):
    where, root = tls
    store = S3Store(S3Address(**where, ca_bundle=root))

    assert store.read(put(store), 0, 10) == b"bytes"


def test_a_store_under_an_unknown_authority_is_not_spoken_to(tls):
    where, _ = tls

    with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        put(S3Store(S3Address(**where)))


def test_a_bucket_can_stand_in_front_of_the_hosts_name(tmp_path, monkeypatch):
    resolve = socket.getaddrinfo

    def here(host, *more, **named):
        return resolve("127.0.0.1" if host.endswith("store.test") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    port = free_port()
    with run_rclone(tmp_path, port, "--force-path-style=false") as where:
        where["endpoint"] = f"http://store.test:{port}"
        store = S3Store(S3Address(**where, addressing="virtual"))

        key = put_in_parts(store)

        assert (tmp_path / "objects" / "liuhen" / key).read_bytes() == b"bytes"


@pytest.mark.parametrize("write", [put, put_in_parts])
@pytest.mark.parametrize(
    "encryption", [Encryption("AES256"), Encryption("aws:kms", "alias/liuhen"), None]
)
def test_each_object_is_encrypted_as_was_asked(moto, write, encryption):
    store = S3Store(moto.address(encryption=encryption))

    key = write(store)

    said = store.client.head_object(Bucket=store.bucket, Key=key)
    assert said.get("ServerSideEncryption") == (encryption and encryption.algorithm)
    assert said.get("SSEKMSKeyId") == (encryption and encryption.key_id)


def test_a_presigned_address_gives_one_object_as_a_file_to_save(any_s3):
    store, data = S3Store(any_s3.address()), os.urandom(100)
    key = put(store, data)

    address = store.presigned(key, seconds=60, disposition='attachment; filename="a.bin"')

    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.read() == data
    assert parse_qs(urlsplit(address).query)["X-Amz-Expires"] == ["60"]


def test_a_presigned_address_is_good_for_its_object_alone_and_always_saves_it(seaweedfs):
    store = S3Store(seaweedfs.address())
    key, other = put(store, b"asked for"), put(store, b"another")

    address = store.presigned(key, seconds=60, disposition='attachment; filename="a.bin"')

    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a.bin"'
    for forged in (address.replace(key, other), address.replace("attachment", "inline")):
        with pytest.raises(HTTPError, match="403"):
            urllib.request.urlopen(forged, timeout=10)
