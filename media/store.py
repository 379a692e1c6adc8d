"""Bytes in an S3 store: every object is written once, and only tails are ever deleted.

Keys (docs/protocol.md §7):

- ``media/<aa>/<sha256>``: a file that came in one piece, under its own digest;
- ``media/long/<upload>``: a file put together from parts; SQL knows its digest;
- ``tail/<upload>/<offset>-<epoch>``: acknowledged bytes that do not fill a part yet;
- ``quarantine/<upload>``: bytes that were not what they were announced to be.

The boundary to botocore: its answers become values here and its exceptions our
own errors. Nothing outside this module sees either.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media.errors import MediaError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TAIL_PREFIX = "tail/"
MEDIA_PREFIX = "media/"
_COPY_STEP = 1 << 20

Content = bytes | BinaryIO


class StoreUnavailable(MediaError):
    """The object store did not answer, or answered that it cannot; asking later may help."""

    code = "media.store_unavailable"


class ObjectMissing(MediaError):
    """The store holds nothing under this key."""

    code = "media.object_missing"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class ObjectDiffers(MediaError):
    """A key that is written once already holds other bytes."""

    code = "media.object_differs"

    def __init__(self, key: str, *, expected: str, found: str) -> None:
        super().__init__(f"{key}: expected {expected}, found {found}")
        self.key = key
        self.expected = expected
        self.found = found


class MultipartGone(MediaError):
    """The store no longer knows this multipart upload: completed, aborted or lost."""

    code = "media.multipart_gone"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class DeletionRefused(MediaError):
    """Only tails may be deleted; evidence never is."""

    code = "media.deletion_refused"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class Part:
    """One stored part of a multipart upload; ``number`` rises with the offset, with gaps."""

    number: int
    size: int
    etag: str
    sha256: str


@dataclass(frozen=True)
class StoredObject:
    """What the store says of an object.

    Attributes:
        size: in bytes.
        checksum: base64 of its SHA-256; ``…-n`` for n parts, over the parts'
            digests; None where the store keeps none.
        modified_at_ms: by the store's clock.
    """

    key: str
    size: int
    checksum: str | None
    modified_at_ms: int


@dataclass(frozen=True)
class OpenMultipart:
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    multipart_id: str
    begun_at_ms: int


@dataclass(frozen=True)
class Written:
    """The bytes are in the store now."""


@dataclass(frozen=True)
class AlreadyThere:
    """The same bytes had been in the store before."""


PutOutcome = Written | AlreadyThere


def media_key(sha256: str) -> str:
    return f"{MEDIA_PREFIX}{sha256[:2]}/{sha256}"


def long_key(upload_id: str) -> str:
    return f"{MEDIA_PREFIX}long/{upload_id}"


def tail_key(upload_id: str, *, offset: int, epoch: int) -> str:
    return f"{TAIL_PREFIX}{upload_id}/{offset}-{epoch}"


def quarantine_key(upload_id: str) -> str:
    return f"quarantine/{upload_id}"


class Store(Protocol):
    """Where bytes are kept. Every method may raise :class:`StoreUnavailable`."""

    def put_once(self, key: str, content: Content, *, size: int, sha256: str) -> PutOutcome:
        """Write ``content`` unless the key is taken.

        Raises:
            ObjectDiffers: if the key holds other bytes.
        """

    def begin_multipart(self, key: str) -> str:
        """A new multipart upload; answers its id."""

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
        """Write one part, checked by the store against ``sha256``.

        Raises:
            MultipartGone: if the multipart upload is not open any more.
        """

    def complete(self, key: str, multipart_id: str, parts: Sequence[Part]) -> PutOutcome:
        """Make one object of ``parts``; parts that are not named are dropped. Repeatable.

        Raises:
            MultipartGone: if it is not open and no such object exists.
            ObjectDiffers: if the key holds other bytes.
        """

    def abort(self, key: str, multipart_id: str) -> None:
        """Drop an unfinished multipart upload; it is no error if it is gone."""

    def read(self, key: str, offset: int, size: int) -> bytes:
        """At most ``size`` bytes from ``offset``, fewer only at the end.

        Raises:
            ObjectMissing: if there is no such object.
        """

    def stream(self, key: str) -> Iterator[bytes]:
        """All bytes in pieces of at most 1 MiB.

        Raises:
            ObjectMissing: if there is no such object.
        """

    def head(self, key: str) -> StoredObject:
        """What is known of an object.

        Raises:
            ObjectMissing: if there is no such object.
        """

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects under ``prefix`` in key order, without their checksums."""

    def open_multiparts(self) -> Iterator[OpenMultipart]: ...

    def delete_tail(self, key: str) -> None:
        """Delete a tail with all its versions; it is no error if it is gone.

        Raises:
            DeletionRefused: for any other key.
        """


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


@dataclass(frozen=True)
class S3Source:
    """One stored object, read by ranges (for the metadata readers)."""

    store: Store
    key: str
    size: int

    def read(self, offset: int, n: int) -> bytes:
        """At most ``n`` bytes from ``offset``; nothing beyond the end."""
        return self.store.read(self.key, offset, min(n, self.size - offset))


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
