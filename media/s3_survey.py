"""What a store can do, found out by trying it with a few small objects.

What a store says of itself is not enough: some take an ``If-None-Match`` or a checksum,
do nothing with it and answer 200 (docs/decisions/0017-stores-differ.md). What a crash leaves
of this lies under ``tail/``, where housekeeping takes it away.
"""

import datetime
import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from media.s3_address import Retention
from media.s3_objects import S3Objects, Taken, base64_digest, typed
from media.store import TAIL_PREFIX, MultipartGone, StoreUnavailable, Traits

#: More than our clock and the store's may differ before it stops letting us in.
_TRIAL_LOCK = datetime.timedelta(minutes=20)
#: Answers that say nothing about what a store can do: come back later.
_LATER = frozenset({0, 429, 502, 503, 504})
_BAD_REQUEST = 400


def survey(objects: S3Objects) -> Traits:
    """Try the store out, in about twenty requests.

    Raises:
        StoreUnavailable: it does not answer, or does not even take an object.
    """
    return _Survey(objects).traits()


class _Survey:
    def __init__(self, objects: S3Objects) -> None:
        self._client = objects.client
        self._objects = objects
        self._folder = f"{TAIL_PREFIX}survey-{uuid.uuid4()}"
        self._written: set[str] = set()

    def traits(self) -> Traits:
        with typed(self._folder):
            self._put("first", b"first")
        damage = _works(self._refuses_damage)
        overwriting = _works(self._refuses_overwriting)
        # Parts are of use only where the store compares them with their digests.
        parts = damage and overwriting and _works(self._keeps_parts)
        listed = _works(self._lists_multiparts)
        versions = _works(self._keeps_versions)
        retention = self._objects.address.retention
        locks = retention is not None and _works(lambda: self._locks(retention, parts=parts))
        made = [f"{self._folder}/{name}" for name in self._written]
        self._objects.delete(made, versions=versions, together=False)
        return Traits(
            refuses_overwriting=overwriting,
            refuses_damage=damage,
            keeps_parts=parts,
            lists_multiparts=listed,
            keeps_versions=versions,
            locks=locks,
        )

    def _refuses_damage(self) -> bool:
        self._put("whole", b"whole", **_digest(b"whole"))
        return _is_refused(lambda: self._put("damaged", b"damaged", **_digest(b"as sent")))

    def _refuses_overwriting(self) -> bool:
        self._put("once", b"once", IfNoneMatch="*")
        try:
            with typed(self._folder):
                self._put("once", b"other", IfNoneMatch="*")
        except Taken:
            return True
        return False

    def _keeps_parts(self) -> bool:
        """Parts may be left out, a taken key is refused, and what is gone is called so."""
        multipart = self._begin("parts")
        self._part("parts", multipart, 1, b"never named", **_digest(b"never named"))
        named = self._part("parts", multipart, 2, b"named", **_digest(b"named"))
        if not _is_refused(
            lambda: self._part("parts", multipart, 3, b"damaged", **_digest(b"as sent"))
        ):
            return False
        self._complete("parts", multipart, named)
        if self._head("parts")["ContentLength"] != len(b"named"):
            return False
        late = self._begin("parts")
        named = self._part("parts", late, 2, b"named", **_digest(b"named"))
        try:
            with typed(self._folder):
                self._complete("parts", late, named)
        except Taken:
            self._abort("parts", late)
        else:
            return False
        try:
            with typed(self._folder):
                self._part("parts", late, 3, b"late", **_digest(b"late"))
        except MultipartGone:
            return True
        return False

    def _lists_multiparts(self) -> bool:
        multipart = self._begin("listed")
        answer = self._client.list_multipart_uploads(
            Bucket=self._objects.bucket, Prefix=self._folder
        )
        self._abort("listed", multipart)
        return multipart in {found["UploadId"] for found in answer.get("Uploads", [])}

    def _keeps_versions(self) -> bool:
        answer = self._client.get_bucket_versioning(Bucket=self._objects.bucket)
        return "Status" in answer

    def _locks(self, retention: Retention, *, parts: bool) -> bool:
        """Locked objects stay for a few minutes, then housekeeping takes them away."""
        bucket = self._objects.bucket
        answer: Any = self._client.get_object_lock_configuration(Bucket=bucket)
        if answer["ObjectLockConfiguration"].get("ObjectLockEnabled") != "Enabled":
            return False
        until = datetime.datetime.now(datetime.UTC) + _TRIAL_LOCK
        lock = {"ObjectLockMode": retention.mode, "ObjectLockRetainUntilDate": until}
        # With the name of its digest, without which S3 locks nothing.
        self._put("locked", b"locked", ChecksumAlgorithm="SHA256", **_digest(b"locked"), **lock)
        self._written.discard("locked")
        if self._head("locked").get("ObjectLockMode") != retention.mode:
            return False
        if not parts:
            # Where parts are not relied upon, each whole object is locked by its own call.
            return True
        multipart = self._begin("locked-parts", **lock)
        part = self._part("locked-parts", multipart, 1, b"locked", **_digest(b"locked"))
        self._complete("locked-parts", multipart, part)
        self._written.discard("locked-parts")
        return bool(self._head("locked-parts").get("ObjectLockMode") == retention.mode)

    def _put(self, name: str, data: bytes, **more: Any) -> None:
        self._written.add(name)
        self._client.put_object(**self._place(name), Body=data, **self._objects.manner, **more)

    def _head(self, name: str) -> dict[str, Any]:
        return dict(self._client.head_object(**self._place(name)))

    def _begin(self, name: str, **more: Any) -> str:
        answer = self._client.create_multipart_upload(
            **self._place(name), ChecksumAlgorithm="SHA256", **self._objects.manner, **more
        )
        return answer["UploadId"]

    def _part(self, name: str, multipart: str, number: int, data: bytes, **more: Any) -> Any:
        answer = self._client.upload_part(
            **self._place(name), UploadId=multipart, PartNumber=number, Body=data, **more
        )
        return {"PartNumber": number, "ETag": answer["ETag"], **more}

    def _complete(self, name: str, multipart: str, part: Any) -> None:
        self._written.add(name)
        self._client.complete_multipart_upload(
            **self._place(name),
            UploadId=multipart,
            IfNoneMatch="*",
            MultipartUpload={"Parts": [part]},
        )

    def _abort(self, name: str, multipart: str) -> None:
        self._client.abort_multipart_upload(**self._place(name), UploadId=multipart)

    def _place(self, name: str) -> dict[str, Any]:
        return {"Bucket": self._objects.bucket, "Key": f"{self._folder}/{name}"}


def _works(trial: Callable[[], bool]) -> bool:
    """The outcome of a trial; a request that the store does not understand is a no."""
    try:
        with typed("survey"):
            return trial()
    except (Taken, MultipartGone):
        return False
    except StoreUnavailable as error:
        if error.status in _LATER:
            raise
        return False


def _is_refused(write: Callable[[], object]) -> bool:
    """Whether the store names the request wrong; that it failed at it proves nothing."""
    try:
        with typed("survey"):
            write()
    except StoreUnavailable as error:
        if error.status in _LATER:
            raise
        return error.status == _BAD_REQUEST
    return False


def _digest(data: bytes) -> dict[str, str]:
    return {"ChecksumSHA256": base64_digest(hashlib.sha256(data).hexdigest())}
