"""The store behind an S3 address; the boundary to botocore.

Its answers become values here and its exceptions our own errors. Nothing outside
this module sees either.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.store import (
    MEDIA_PREFIX,
    TAIL_PREFIX,
    AlreadyThere,
    Content,
    DeletionRefused,
    MultipartGone,
    ObjectDiffers,
    ObjectMissing,
    OpenMultipart,
    Part,
    PutOutcome,
    StoredObject,
    StoreUnavailable,
    Written,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_COPY_STEP = 1 << 20


class S3Store:
    """The store behind an S3 address. One for a process: it is thread-safe, not fork-safe."""

    def __init__(
        self,
        *,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        region: str = "us-east-1",
    ) -> None:
        self.bucket = bucket
        self._versioned: bool | None = None
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(
                # We give the SHA-256 of every body ourselves and sign that header, so
                # that botocore need not hash the body once more for the signature.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path", "payload_signing_enabled": False},
                retries={"mode": "standard", "max_attempts": 4},
                connect_timeout=3,
                read_timeout=60,
                max_pool_connections=64,
            ),
        )

    def put_once(self, key: str, content: Content, *, size: int, sha256: str) -> PutOutcome:
        try:
            with _typed(key):
                self._client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=content,
                    ContentLength=size,
                    ContentType="application/octet-stream",
                    ChecksumSHA256=_base64(sha256),
                    IfNoneMatch="*",
                )
        except _Taken:
            # Also the answer to our own repetition of a write whose reply was lost.
            try:
                self._expect(key, size=size, checksum=_base64(sha256))
            except ObjectMissing as error:
                # Another writer of the key was under way and has not arrived.
                raise StoreUnavailable(f"{key}: conflicting write") from error
            return AlreadyThere()
        return Written()

    def begin_multipart(self, key: str) -> str:
        with _typed(key):
            answer = self._client.create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ChecksumAlgorithm="SHA256",
                ContentType="application/octet-stream",
            )
        return answer["UploadId"]

    def put_part(
        self,
        key: str,
        multipart_id: str,
        content: Content,
        *,
        number: int,
        size: int,
        sha256: str,
    ) -> Part:
        with _typed(key):
            answer = self._client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=multipart_id,
                PartNumber=number,
                Body=content,
                ContentLength=size,
                ChecksumSHA256=_base64(sha256),
            )
        return Part(number=number, size=size, etag=answer["ETag"], sha256=sha256)

    def complete(self, key: str, multipart_id: str, parts: Sequence[Part]) -> PutOutcome:
        try:
            with _typed(key):
                self._client.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=multipart_id,
                    MultipartUpload={
                        "Parts": [
                            {
                                "PartNumber": part.number,
                                "ETag": part.etag,
                                "ChecksumSHA256": _base64(part.sha256),
                            }
                            for part in parts
                        ]
                    },
                    IfNoneMatch="*",
                )
        except (_Taken, MultipartGone) as error:
            try:
                self._expect(key, size=sum(p.size for p in parts), checksum=_composite(parts))
            except ObjectMissing:
                raise MultipartGone(key) from error
            return AlreadyThere()
        return Written()

    def abort(self, key: str, multipart_id: str) -> None:
        try:
            with _typed(key):
                self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=multipart_id
                )
        except MultipartGone:
            return

    def read(self, key: str, offset: int, size: int) -> bytes:
        if size <= 0:
            return b""
        try:
            with _typed(key):
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={offset}-{offset + size - 1}"
                )
                return answer["Body"].read()
        except _BeyondEnd:
            return b""

    def stream(self, key: str) -> Iterator[bytes]:
        with _typed(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
            yield from answer["Body"].iter_chunks(_COPY_STEP)

    def head(self, key: str) -> StoredObject:
        with _typed(key):
            answer = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        return StoredObject(
            key=key,
            size=answer["ContentLength"],
            checksum=answer.get("ChecksumSHA256"),
            modified_at_ms=int(answer["LastModified"].timestamp() * 1000),
        )

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with _typed(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for item in page.get("Contents", []):
                    yield StoredObject(
                        key=item["Key"],
                        size=item["Size"],
                        checksum=None,
                        modified_at_ms=int(item["LastModified"].timestamp() * 1000),
                    )

    def open_multiparts(self) -> Iterator[OpenMultipart]:
        with _typed(MEDIA_PREFIX):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket
            ):
                for item in page.get("Uploads", []):
                    yield OpenMultipart(
                        key=item["Key"],
                        multipart_id=item["UploadId"],
                        begun_at_ms=int(item["Initiated"].timestamp() * 1000),
                    )

    def delete_tail(self, key: str) -> None:
        if not key.startswith(TAIL_PREFIX):
            raise DeletionRefused(key)
        with _typed(key):
            if not self._keeps_versions():
                self._client.delete_object(Bucket=self.bucket, Key=key)
                return
            # A bucket with Object Lock keeps versions: a plain delete would only
            # hide the tail and its bytes would stay for ever.
            answer = self._client.list_object_versions(Bucket=self.bucket, Prefix=key)
            for item in [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]:
                if item["Key"] == key:
                    self._client.delete_object(
                        Bucket=self.bucket, Key=key, VersionId=item["VersionId"]
                    )

    def _keeps_versions(self) -> bool:
        if self._versioned is None:
            answer = self._client.get_bucket_versioning(Bucket=self.bucket)
            self._versioned = "Status" in answer
        return self._versioned

    def _expect(self, key: str, *, size: int, checksum: str) -> None:
        """Check that ``key`` holds what was to be written there."""
        found = self.head(key)
        if found.size != size or found.checksum not in (None, checksum):
            raise ObjectDiffers(
                key, expected=f"{size} {checksum}", found=f"{found.size} {found.checksum}"
            )


class _Taken(Exception):
    """If-None-Match refused the write."""


class _BeyondEnd(Exception):
    """The range begins at or after the end."""


@contextmanager
def _typed(key: str) -> Iterator[None]:
    """Turn what botocore raises into our own errors."""
    try:
        yield
    except ClientError as error:
        raise _error_of(error, key) from error
    except (BotoCoreError, OSError) as error:
        raise StoreUnavailable(f"{key}: {error}") from error


def _error_of(error: ClientError, key: str) -> Exception:
    # The stubs promise a complete answer; stores of other makers leave fields out.
    answer: Any = error.response
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in ("PreconditionFailed", "ConditionalRequestConflict"):
        return _Taken()
    if code == "NoSuchUpload":
        return MultipartGone(key)
    if code == "InvalidRange" or status == 416:
        return _BeyondEnd()
    if code in ("NoSuchKey", "404"):
        return ObjectMissing(key)
    return StoreUnavailable(f"{key}: {code} {status}")


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode("ascii")


def _composite(parts: Sequence[Part]) -> str:
    """The checksum S3 keeps of an object in parts: SHA-256 over the parts' digests."""
    digests = b"".join(bytes.fromhex(part.sha256) for part in parts)
    return f"{_base64(hashlib.sha256(digests).hexdigest())}-{len(parts)}"
