"""The store behind an S3 address: the short way for stores that keep their word.

Whether one does is tried out once (``media.s3_survey``); one that does not is written with
more care (``media.s3_careful``).
"""

import datetime
import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from media.s3_address import S3Address
from media.s3_careful import CarefulWrites, PlainContent, keeps
from media.s3_objects import S3Objects, Taken, base64_digest, typed
from media.s3_survey import survey
from media.s3_wire import headers_of
from media.store import (
    DAY_PREFIX,
    MEDIA_PREFIX,
    QUARANTINE_PREFIX,
    AlreadyThere,
    Content,
    MultipartGone,
    ObjectDiffers,
    ObjectLocked,
    ObjectMissing,
    OpenMultipart,
    Part,
    PutOutcome,
    StoredObject,
    StoreUnavailable,
    Traits,
    Written,
    check_droppable,
    check_erasable,
    check_passing,
)

#: What is locked where the bucket has Object Lock.
_ORIGINALS = (MEDIA_PREFIX, QUARANTINE_PREFIX, DAY_PREFIX)

_log = logging.getLogger(__name__)


class S3Store(S3Objects):
    """The store behind an S3 address. One for a process: it is thread-safe, not fork-safe."""

    def __init__(self, address: S3Address) -> None:
        super().__init__(address)
        self._traits: Traits | None = None
        self._surveying = threading.Lock()
        self._careful = CarefulWrites(self, lock=self._lock, delete=self._delete)

    def traits(self) -> Traits:
        if self._traits is None:
            with self._surveying:
                if self._traits is None:
                    self._traits = survey(self)
                    for name in self._traits.lacks(locking=self.address.retention is not None):
                        _log.warning("store_lacks trait=%s", name)
        return self._traits

    def put_once(self, key: str, content: Content, *, size: int, sha256: str) -> PutOutcome:
        if not self.traits().sound:
            return self._careful.put_once(key, _plain(content), size=size, sha256=sha256)
        headers = {
            **headers_of(self.manner | self._lock(key)),
            **_checked(sha256),
            "if-none-match": "*",
            # Named too: S3 locks nothing of which it is not told a digest's kind.
            "x-amz-sdk-checksum-algorithm": "SHA256",
        }
        try:
            with typed(key):
                self.wire.put(key, content, headers=headers)
        except (Taken, StoreUnavailable) as refusal:
            # Also the answer to our own repetition of a write whose reply was lost; and a
            # store that hangs up while we still send may have answered so unheard.
            try:
                self._expect(key, [(size, sha256)], checksum=base64_digest(sha256))
            except ObjectMissing as error:
                if isinstance(refusal, StoreUnavailable):
                    raise refusal from error
                # Another writer of the key was under way and has not arrived.
                raise StoreUnavailable(f"{key}: conflicting write") from error
            return AlreadyThere()
        return Written()

    def begin_multipart(self, key: str) -> str:
        if not self.traits().sound:
            return self._careful.begin_multipart(key)
        with typed(key):
            answer = self.client.create_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                ChecksumAlgorithm="SHA256",
                **self.manner,
                **self._lock(key),
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
        if keeps(multipart_id):
            return self._careful.put_part(
                key, multipart_id, _plain(content), number=number, size=size, sha256=sha256
            )
        with typed(key):
            answer = self.wire.put(
                key,
                content,
                headers=_checked(sha256),
                query=urlencode({"partNumber": number, "uploadId": multipart_id}),
            )
        return Part(number=number, size=size, etag=answer["ETag"], sha256=sha256)

    def complete(self, key: str, multipart_id: str, parts: Sequence[Part]) -> PutOutcome:
        if keeps(multipart_id):
            return self._careful.complete(key, multipart_id, parts)
        try:
            with typed(key):
                self.client.complete_multipart_upload(
                    Bucket=self.bucket,
                    Key=key,
                    UploadId=multipart_id,
                    MultipartUpload={
                        "Parts": [
                            {
                                "PartNumber": part.number,
                                "ETag": part.etag,
                                "ChecksumSHA256": base64_digest(part.sha256),
                            }
                            for part in parts
                        ]
                    },
                    IfNoneMatch="*",
                )
        except (Taken, MultipartGone) as error:
            try:
                pieces = [(part.size, part.sha256) for part in parts]
                self._expect(key, pieces, checksum=_composite(parts))
            except ObjectMissing:
                raise MultipartGone(key) from error
            return AlreadyThere()
        return Written()

    def abort(self, key: str, multipart_id: str) -> None:
        check_droppable(key)
        if keeps(multipart_id):
            self._careful.abort(key, multipart_id)
            return
        try:
            with typed(key):
                self.client.abort_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=multipart_id
                )
        except MultipartGone:
            return

    def head(self, key: str) -> StoredObject:
        found = super().head(key)
        # A store that compares nothing may still hand back the checksum it was told.
        return found if self.traits().refuses_damage else replace(found, checksum=None)

    def open_multiparts(self) -> Iterator[OpenMultipart]:
        yield from self._careful.open_multiparts()
        if not self.traits().lists_multiparts:
            return
        with typed(MEDIA_PREFIX):
            for page in self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket
            ):
                for item in page.get("Uploads", []):
                    yield OpenMultipart(
                        key=item["Key"],
                        multipart_id=item["UploadId"],
                        begun_at_ms=int(item["Initiated"].timestamp() * 1000),
                    )

    def delete_tails(self, keys: Sequence[str]) -> None:
        check_passing(keys)
        self._delete(*keys)

    def erase(self, key: str) -> None:
        check_erasable(key)
        versions = self.traits().keeps_versions
        try:
            self.delete([key], versions=versions, together=False)
        except StoreUnavailable as error:
            if error.status == HTTPStatus.FORBIDDEN:
                raise ObjectLocked(key) from error
            raise
        # What a store says it has deleted it may still give: only looking tells.
        try:
            self.head(key)
        except ObjectMissing:
            left = bool(self._versions([key])) if versions else False
        else:
            left = True
        if left:
            raise ObjectLocked(key)

    def _delete(self, *keys: str) -> None:
        if keys:
            traits = self.traits()
            self.delete(keys, versions=traits.keeps_versions, together=traits.sound)

    def _lock(self, key: str) -> dict[str, Any]:
        """What is said with an original so that Object Lock keeps it."""
        retention = self.address.retention
        if retention is None or not key.startswith(_ORIGINALS) or not self.traits().locks:
            return {}
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=retention.days)
        return {"ObjectLockMode": retention.mode, "ObjectLockRetainUntilDate": until}

    def _expect(self, key: str, pieces: Sequence[tuple[int, str]], *, checksum: str) -> None:
        """Check that ``key`` holds what was to be written there, of pieces by size and SHA-256."""
        found, size = self.head(key), sum(size for size, _ in pieces)
        if found.size != size:
            raise ObjectDiffers(key, expected=f"{size} bytes", found=f"{found.size} bytes")
        if found.checksum != checksum:
            # Bytes that were put there in another way have a checksum of another kind.
            self._careful.compare(key, pieces)


def _plain(content: Content) -> PlainContent:
    return bytes(content) if isinstance(content, memoryview) else content


def _checked(sha256: str) -> dict[str, str]:
    return {"x-amz-checksum-sha256": base64_digest(sha256)}


def _composite(parts: Sequence[Part]) -> str:
    """The checksum S3 keeps of an object in parts: SHA-256 over the parts' digests."""
    digests = b"".join(bytes.fromhex(part.sha256) for part in parts)
    return f"{base64_digest(hashlib.sha256(digests).hexdigest())}-{len(parts)}"
