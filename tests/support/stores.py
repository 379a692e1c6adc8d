"""A store in memory that keeps the contract of the real one, and fails where a test wants it to."""

import hashlib
import itertools
from collections.abc import Callable
from urllib.parse import urlencode

from media.store import (
    AlreadyThere,
    MultipartGone,
    ObjectDiffers,
    ObjectLocked,
    ObjectMissing,
    OpenMultipart,
    Part,
    StoredObject,
    StoreUnavailable,
    Traits,
    Written,
    check_droppable,
    check_erasable,
    check_passing,
)


class MemoryStore:
    """Stands in for S3.

    ``before`` and ``after`` run around every write with its name and key. Raising
    from ``after`` plays the nastiest failure there is: the write happened, the
    caller was told it did not.
    """

    def __init__(self):
        self.objects: dict[str, bytes] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.keys: dict[str, str] = {}
        self.locked: set[str] = set()
        self.before: Callable[[str, str], None] = lambda act, key: None
        self.after: Callable[[str, str], None] = lambda act, key: None
        self._ids = itertools.count(1)

    def traits(self):
        return Traits()

    def put_once(self, key, content, *, size, sha256):
        self.before("put", key)
        data = self._checked(content, size, sha256)
        if key in self.objects:
            if self.objects[key] != data:
                raise ObjectDiffers(key, expected=sha256, found="other")
            return AlreadyThere()
        self.objects[key] = data
        self.after("put", key)
        return Written()

    def begin_multipart(self, key):
        self.before("begin", key)
        multipart_id = f"multipart-{next(self._ids)}"
        self.parts[multipart_id], self.keys[multipart_id] = {}, key
        return multipart_id

    def put_part(self, key, multipart_id, content, *, number, size, sha256):
        self.before("part", key)
        data = self._checked(content, size, sha256)
        if multipart_id not in self.parts:
            raise MultipartGone(key)
        assert number not in self.parts[multipart_id], "a part number was used twice"
        self.parts[multipart_id][number] = data
        self.after("part", key)
        return Part(number=number, size=size, etag=sha256[:8], sha256=sha256)

    def complete(self, key, multipart_id, parts):
        self.before("complete", key)
        if multipart_id not in self.parts:
            if len(self.objects.get(key, b"")) == sum(p.size for p in parts) and parts:
                return AlreadyThere()
            raise MultipartGone(key)
        whole = b"".join(self.parts[multipart_id][part.number] for part in parts)
        if self.objects.get(key, whole) != whole:
            raise ObjectDiffers(key, expected="the parts", found="other")
        del self.parts[multipart_id]
        self.objects[key] = whole
        self.after("complete", key)
        return Written()

    def abort(self, key, multipart_id):
        check_droppable(key)
        self.parts.pop(multipart_id, None)

    def read(self, key, offset, size):
        return self._get(key)[offset : offset + max(size, 0)]

    def stream(self, key):
        yield self._get(key)

    def presigned(self, key, *, seconds, disposition):
        return f"https://store.invalid/{key}?{urlencode({'for': seconds, 'as': disposition})}"

    def head(self, key):
        return StoredObject(key=key, size=len(self._get(key)), checksum=None, modified_at_ms=0)

    def list(self, prefix):
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield self.head(key)

    def open_multiparts(self):
        for multipart_id in tuple(self.parts):
            yield OpenMultipart(self.keys[multipart_id], multipart_id, begun_at_ms=0)

    def delete_tails(self, keys):
        check_passing(keys)
        for key in keys:
            self.objects.pop(key, None)

    def erase(self, key):
        check_erasable(key)
        self.before("erase", key)
        if key in self.locked:
            raise ObjectLocked(key)
        self.objects.pop(key, None)
        self.after("erase", key)

    def _get(self, key):
        if key not in self.objects:
            raise ObjectMissing(key)
        return self.objects[key]

    @staticmethod
    def _checked(content, size, sha256):
        data = content.read() if hasattr(content, "read") else bytes(content)
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            raise StoreUnavailable("BadDigest")
        return data
