"""Objects behind an S3 address, read and looked at; the boundary to botocore.

Its answers become values here and its exceptions our own errors. Nothing outside the
modules named s3 sees either.
"""

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.s3_address import S3Address
from media.s3_wire import Refused, Wire
from media.store import (
    MultipartGone,
    ObjectMissing,
    StoredObject,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_COPY_STEP = 1 << 20
#: So many deletions S3 takes in one request.
_TOGETHER = 1000
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
        self.wire = Wire(address)
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
                return self.wire.get(key, headers={"range": f"bytes={offset}-{offset + size - 1}"})
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

    def delete(self, keys: Sequence[str], *, versions: bool, together: bool) -> None:
        """Delete objects; of a bucket that keeps ``versions``, all of them.

        There a plain delete would only hide an object and its bytes would stay for ever.
        ``together`` is for stores that take an object which is gone for deleted.
        """
        gone: Sequence[ObjectIdentifierTypeDef] = [{"Key": key} for key in keys]
        if versions:
            gone = self._versions(keys)
        if not together or len(gone) == 1:
            for one in gone:
                # boto3 types a mapping of only some arguments as if it held any of them.
                named: Any = one
                with typed(one["Key"]):
                    self.client.delete_object(Bucket=self.bucket, **named)
            return
        for start in range(0, len(gone), _TOGETHER):
            with typed(keys[0]):
                answer = self.client.delete_objects(
                    Bucket=self.bucket,
                    Delete={"Objects": gone[start : start + _TOGETHER], "Quiet": True},
                )
            status = answer["ResponseMetadata"]["HTTPStatusCode"]
            for failed in answer.get("Errors", []):
                raise StoreUnavailable(f"{failed.get('Key')}: {failed.get('Code')}", status=status)

    def _versions(self, keys: Sequence[str]) -> "Sequence[ObjectIdentifierTypeDef]":
        wanted = set(keys)
        with typed(keys[0]):
            return [
                {"Key": item["Key"], "VersionId": item["VersionId"]}
                for page in self.client.get_paginator("list_object_versions").paginate(
                    Bucket=self.bucket,
                    Prefix=os.path.commonprefix(keys),  # noqa: RUF071 - strings is what keys are
                )
                for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                if item["Key"] in wanted
            ]


class Taken(Exception):
    """If-None-Match refused the write."""


class BeyondEnd(Exception):
    """The range begins at or after the end."""


@contextmanager
def typed(key: str) -> Iterator[None]:
    """Turn what botocore and the wire raise into our own errors."""
    try:
        yield
    except ClientError as error:
        # The stubs promise a complete answer; stores of other makers leave fields out.
        answer: Any = error.response
        code = str(answer.get("Error", {}).get("Code", ""))
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise _named(code, status, key) from error
    except Refused as error:
        raise _named(error.code, error.status, key) from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"{key}: {error}") from error


def base64_digest(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")


def _named(code: str, status: int, key: str) -> Exception:
    if code in ("PreconditionFailed", "ConditionalRequestConflict"):
        return Taken()
    if code == "NoSuchUpload":
        return MultipartGone(key)
    if code == "InvalidRange" or status == 416:
        return BeyondEnd()
    if code in ("NoSuchKey", "404"):
        return ObjectMissing(key)
    return StoreUnavailable(f"{key}: {code} {status}", status=status)
