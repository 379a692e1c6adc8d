"""Writing to a store that would overwrite, or takes damaged bytes, or forgets parts.

Before a write we look whether the key is taken, after it we read everything back and hash
it, and parts are objects of their own until the file is whole. It keeps every promise of
``media.store`` but one: two writers of one key at the same moment both write. That is
harmless, since a key belongs to its content or to one writer (docs/decisions/0017).
"""

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from media.s3_objects import S3Objects, typed
from media.store import (
    AlreadyThere,
    DeletionRefused,
    MultipartGone,
    ObjectDiffers,
    ObjectMissing,
    OpenMultipart,
    Part,
    PutOutcome,
    StoreUnavailable,
    Written,
    check_droppable,
)

#: What both boto3 and a hash take.
PlainContent = bytes | BinaryIO

_PREFIX = "parts/"
_OURS = "kept-"
_ID = re.compile(_OURS + r"[0-9a-f]{32}\Z")
_PART_KEY = re.compile(r"parts/(?P<multipart>[^/]+)/[0-9]+/(?P<key>.+)\Z")


def keeps(multipart_id: str) -> bool:
    """Whether the parts of this multipart upload are objects of their own."""
    return _ID.match(multipart_id) is not None


class CarefulWrites:
    """Writes one bucket.

    Args:
        lock: what is said to lock an object of that key; empty where it is not locked.
        delete: takes an object away with all its versions.
    """

    def __init__(
        self,
        objects: S3Objects,
        *,
        lock: Callable[[str], dict[str, Any]],
        delete: Callable[[str], None],
    ) -> None:
        self._objects = objects
        self._lock = lock
        self._delete = delete

    def put_once(self, key: str, content: PlainContent, *, size: int, sha256: str) -> PutOutcome:
        whole, md5 = _digests(content)
        if whole != sha256:
            raise StoreUnavailable(f"{key}: damaged before it was sent")
        pieces = [(size, sha256)]
        if self._holds(key, pieces):
            return AlreadyThere()
        with typed(key):
            self._objects.client.put_object(
                Bucket=self._objects.bucket,
                Key=key,
                Body=content,
                ContentLength=size,
                ContentMD5=md5,
                **self._objects.manner,
                **self._lock(key),
            )
        self.compare(key, pieces)
        return Written()

    def begin_multipart(self, key: str) -> str:
        multipart_id = f"{_OURS}{uuid.uuid4().hex}"
        self._put_small(_mark(key, multipart_id))
        return multipart_id

    def put_part(
        self,
        key: str,
        multipart_id: str,
        content: PlainContent,
        *,
        number: int,
        size: int,
        sha256: str,
    ) -> Part:
        self._expect_open(key, multipart_id)
        self.put_once(_part_key(key, multipart_id, number), content, size=size, sha256=sha256)
        return Part(number=number, size=size, etag="", sha256=sha256)

    def complete(self, key: str, multipart_id: str, parts: Sequence[Part]) -> PutOutcome:
        pieces = [(part.size, part.sha256) for part in parts]
        outcome: PutOutcome = AlreadyThere()
        if not self._holds(key, pieces):
            self._expect_open(key, multipart_id)
            try:
                self._put_together(key, [_part_key(key, multipart_id, p.number) for p in parts])
            except ObjectMissing as error:
                raise MultipartGone(key) from error
            self.compare(key, pieces)
            outcome = Written()
        self._lock_whole(key)
        self._drop(key, multipart_id)
        return outcome

    def abort(self, key: str, multipart_id: str) -> None:
        # Nothing but parts of ours is deleted here, whatever the rows say.
        check_droppable(key)
        if not keeps(multipart_id):
            raise DeletionRefused(multipart_id)
        self._drop(key, multipart_id)

    def _drop(self, key: str, multipart_id: str) -> None:
        # The mark goes first: from then on no part is taken.
        self._delete(_mark(key, multipart_id))
        for part in self._objects.list(f"{_PREFIX}{multipart_id}/"):
            self._delete(part.key)

    def open_multiparts(self) -> Iterator[OpenMultipart]:
        seen = set()
        for found in self._objects.list(_PREFIX):
            named = _PART_KEY.match(found.key)
            if named and keeps(named["multipart"]) and named["multipart"] not in seen:
                seen.add(named["multipart"])
                yield OpenMultipart(named["key"], named["multipart"], found.modified_at_ms)

    def compare(self, key: str, pieces: Sequence[tuple[int, str]]) -> None:
        """Read the object and compare each piece, given by size and SHA-256.

        Raises:
            ObjectMissing: there is none.
            ObjectDiffers: a piece is another one, or the object ends elsewhere.
        """
        stream = self._objects.stream(key)
        waiting = memoryview(b"")
        for size, sha256 in pieces:
            hashed, left = hashlib.sha256(), size
            while left:
                if not waiting:
                    chunk = next(stream, b"")
                    if not chunk:
                        break
                    waiting = memoryview(chunk)
                hashed.update(waiting[:left])
                waiting, left = waiting[left:], left - min(left, len(waiting))
            if left or hashed.hexdigest() != sha256:
                raise ObjectDiffers(key, expected=sha256, found=hashed.hexdigest())
        if waiting or any(stream):
            raise ObjectDiffers(key, expected="its end", found="more bytes")

    def _put_small(self, key: str) -> None:
        self.put_once(key, b"", size=0, sha256=hashlib.sha256().hexdigest())

    def _expect_open(self, key: str, multipart_id: str) -> None:
        try:
            self._objects.head(_mark(key, multipart_id))
        except ObjectMissing as error:
            raise MultipartGone(key) from error

    def _put_together(self, key: str, part_keys: Sequence[str]) -> None:
        """One object of the parts: any store takes parts in order and without gaps."""
        client = self._objects.client
        place: dict[str, Any] = {"Bucket": self._objects.bucket, "Key": key}
        with typed(key):
            begun = client.create_multipart_upload(**place, **self._objects.manner)
            place["UploadId"] = begun["UploadId"]
        try:
            etags: list[Any] = []
            for number, part_key in enumerate(part_keys, 1):
                data = b"".join(self._objects.stream(part_key))
                with typed(key):
                    answer = client.upload_part(
                        **place, PartNumber=number, Body=data, ContentMD5=_digests(data)[1]
                    )
                etags.append({"PartNumber": number, "ETag": answer["ETag"]})
            with typed(key):
                client.complete_multipart_upload(**place, MultipartUpload={"Parts": etags})
        except (ObjectMissing, StoreUnavailable):
            with typed(key):
                client.abort_multipart_upload(**place)
            raise

    def _lock_whole(self, key: str) -> None:
        """Not every such store takes the retention with the beginning of a multipart upload."""
        lock = self._lock(key)
        if lock:
            until = lock["ObjectLockRetainUntilDate"]
            with typed(key):
                self._objects.client.put_object_retention(
                    Bucket=self._objects.bucket,
                    Key=key,
                    Retention={"Mode": lock["ObjectLockMode"], "RetainUntilDate": until},
                )

    def _holds(self, key: str, pieces: Sequence[tuple[int, str]]) -> bool:
        try:
            self.compare(key, pieces)
        except ObjectMissing:
            return False
        return True


def _part_key(key: str, multipart_id: str, number: int) -> str:
    return f"{_PREFIX}{multipart_id}/{number}/{key}"


def _mark(key: str, multipart_id: str) -> str:
    """Stands for as long as the multipart upload is open."""
    return _part_key(key, multipart_id, 0)


def _digests(content: PlainContent) -> tuple[str, str]:
    """SHA-256 in hex and MD5 in base64, the one digest that any store compares."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    if isinstance(content, bytes):
        sha256.update(content)
        md5.update(content)
    else:
        start = content.tell()
        while piece := content.read(1 << 20):
            sha256.update(piece)
            md5.update(piece)
        content.seek(start)
    return sha256.hexdigest(), base64.b64encode(md5.digest()).decode("ascii")
