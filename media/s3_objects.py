"""Objects behind an S3 address, read and looked at; the boundary to botocore.

Its answers become values here and its exceptions our own errors. Nothing outside the
modules named s3 sees either.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.s3_address import S3Address
from media.store import (
    MultipartGone,
    ObjectMissing,
    StoredObject,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_COPY_STEP = 1 << 20
#: Objects are bytes to the store; what they are is found out here (docs/evidence.md §7).
_OCTETS = "application/octet-stream"


def open_client(address: S3Address) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=address.endpoint,
        aws_access_key_id=address.access_key,
        aws_secret_access_key=address.secret_key,
        region_name=address.region,
        verify=str(address.ca_bundle) if address.ca_bundle else None,
        config=Config(
            signature_version="s3v4",
            # We give the SHA-256 of every body ourselves and sign that header, so
            # that botocore need not hash the body once more for the signature.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": address.addressing, "payload_signing_enabled": False},
            retries={"mode": "standard", "max_attempts": 4},
            connect_timeout=3,
            read_timeout=60,
            max_pool_connections=64,
        ),
    )


class S3Objects:
    """The objects of one bucket. One for a process: it is thread-safe, not fork-safe."""

    def __init__(self, address: S3Address) -> None:
        self.address = address
        self.bucket = address.bucket
        self.client = open_client(address)
        #: Said with every object that is written.
        self.manner: dict[str, Any] = {"ContentType": _OCTETS}
        if address.encryption is not None:
            self.manner["ServerSideEncryption"] = address.encryption.algorithm
            if address.encryption.key_id is not None:
                self.manner["SSEKMSKeyId"] = address.encryption.key_id

    def read(self, key: str, offset: int, size: int) -> bytes:
        if size <= 0:
            return b""
        try:
            with typed(key):
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={offset}-{offset + size - 1}"
                )
                return answer["Body"].read()
        except BeyondEnd:
            return b""

    def stream(self, key: str) -> Iterator[bytes]:
        with typed(key):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            yield from answer["Body"].iter_chunks(_COPY_STEP)

    def head(self, key: str) -> StoredObject:
        with typed(key):
            answer = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        return StoredObject(
            key=key,
            size=answer["ContentLength"],
            checksum=answer.get("ChecksumSHA256"),
            modified_at_ms=int(answer["LastModified"].timestamp() * 1000),
        )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with typed(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for item in page.get("Contents", []):
                    yield StoredObject(
                        key=item["Key"],
                        size=item["Size"],
                        checksum=None,
                        modified_at_ms=int(item["LastModified"].timestamp() * 1000),
                    )

    def presigned(self, key: str, *, seconds: int, disposition: str) -> str:
        return self.client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "ResponseContentType": _OCTETS,
                "ResponseContentDisposition": disposition,
            },
            ExpiresIn=seconds,
        )

    def delete(self, key: str, *, versions: bool) -> None:
        """Delete an object; of a bucket that keeps ``versions``, all of them.

        There a plain delete would only hide the object and its bytes would stay for ever.
        """
        with typed(key):
            if not versions:
                self.client.delete_object(Bucket=self.bucket, Key=key)
                return
            answer = self.client.list_object_versions(Bucket=self.bucket, Prefix=key)
            for item in [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]:
                if item["Key"] == key:
                    self.client.delete_object(
                        Bucket=self.bucket, Key=key, VersionId=item["VersionId"]
                    )


class Taken(Exception):
    """If-None-Match refused the write."""


class BeyondEnd(Exception):
    """The range begins at or after the end."""


@contextmanager
def typed(key: str) -> Iterator[None]:
    """Turn what botocore raises into our own errors."""
    try:
        yield
    except ClientError as error:
        raise _error_of(error, key) from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"{key}: {error}") from error


def base64_digest(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")


def _error_of(error: ClientError, key: str) -> Exception:
    # The stubs promise a complete answer; stores of other makers leave fields out.
    answer: Any = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in ("PreconditionFailed", "ConditionalRequestConflict"):
        return Taken()
    if code == "NoSuchUpload":
        return MultipartGone(key)
    if code == "InvalidRange" or status == 416:
        return BeyondEnd()
    if code in ("NoSuchKey", "404"):
        return ObjectMissing(key)
    return StoreUnavailable(f"{key}: {code} {status}", status=status)
