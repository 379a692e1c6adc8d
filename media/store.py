"""Bytes in a store: every object is written once; tails alone are deleted without an order.

Keys (docs/protocol.md §7):

- ``media/<aa>/<sha256>``: a file that came in one piece, under its own digest;
- ``media/long/<upload>``: a file put together from parts; SQL knows its digest;
- ``tail/<upload>/<offset>-<epoch>``: acknowledged bytes that do not fill a part yet;
- ``tail/<upload>/piece``: a piece that waits for the others of its file;
- ``quarantine/<upload>``: bytes that were not what they were announced to be;
- ``parts/<multipart>/<number>/<key>``: parts, where the store's own cannot be relied on;
- ``derived/<aa>/<sha256>``: pictures and copies made from originals;
- ``package/<package>/<sha256>.zip``, with ``.sig``: finished packages;
- ``receipt/<aa>/<sha256>``: recipients' signed receipts for packages;
- ``foreign/<organization>/<sha256>.zip``: packages of other bureaus;
- ``checkpoint/day/<ledger>/<date>``: the first signed checkpoint of a day, kept for good;
- ``checkpoint/newest/<ledger>/<size>``: the newest few.

What a store promises stands here; ``media.s3`` keeps these promises with an S3 address.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from media.errors import MediaError

TAIL_PREFIX = "tail/"
MEDIA_PREFIX = "media/"
QUARANTINE_PREFIX = "quarantine/"
DERIVED_PREFIX = "derived/"
PACKAGE_PREFIX = "package/"
CHECKPOINT_PREFIX = "checkpoint/"
DAY_PREFIX = "checkpoint/day/"
NEWEST_PREFIX = "checkpoint/newest/"
#: What may be deleted: what uploads leave over, and a checkpoint that newer ones prove.
_PASSING = (TAIL_PREFIX, NEWEST_PREFIX)
RECEIPT_PREFIX = "receipt/"
FOREIGN_PREFIX = "foreign/"
_ERASABLE = (
    MEDIA_PREFIX,
    QUARANTINE_PREFIX,
    DERIVED_PREFIX,
    PACKAGE_PREFIX,
    RECEIPT_PREFIX,
)

_GATHERED = re.compile(r"(?:media/long/(?P<file>[^/]+)|tail/(?P<tail>[^/]+)/[^/]+)\Z")

Content = bytes | memoryview | BinaryIO


class StoreUnavailable(MediaError):
    """The object store did not answer, or answered that it cannot; asking later may help."""

    code = "media.store_unavailable"

    def __init__(self, reason: str = "", *, status: int = 0) -> None:
        """``status`` is that of the store's answer over HTTP, 0 where there was none."""
        super().__init__(reason)
        self.status = status


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
    """Only what passes may be deleted: tails, unfinished objects; evidence never is."""

    code = "media.deletion_refused"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class ObjectLocked(MediaError):
    """Object Lock keeps the bytes until its date has come; asking again then may help."""

    code = "media.object_locked"

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

_WANTED = ("refuses_overwriting", "refuses_damage", "keeps_parts", "lists_multiparts")


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What a store does of what it is asked for, found out by trying (docs/operations.md).

    Attributes:
        refuses_overwriting: ``If-None-Match: *`` holds for objects in one piece and in parts.
        refuses_damage: bytes that do not have their SHA-256 are not stored.
        keeps_parts: of a multipart upload any parts may be left out, and one that is gone is
            named so.
        lists_multiparts: unfinished multipart uploads can be found again.
        keeps_versions: a deleted object is only hidden.
        locks: Object Lock keeps an original for the time that is set.
    """

    refuses_overwriting: bool = True
    refuses_damage: bool = True
    keeps_parts: bool = True
    lists_multiparts: bool = True
    keeps_versions: bool = False
    locks: bool = False

    @property
    def sound(self) -> bool:
        """Whether one write is enough, with no look before it and no reading back after it."""
        return self.refuses_overwriting and self.refuses_damage and self.keeps_parts

    def lacks(self, *, locking: bool) -> tuple[str, ...]:
        """The names of what it cannot do; that it does not lock counts if ``locking`` is asked."""
        wanted = {name: getattr(self, name) for name in _WANTED} | {
            "locks": self.locks or not locking
        }
        return tuple(name for name, there in wanted.items() if not there)


def media_key(sha256: str) -> str:
    return f"{MEDIA_PREFIX}{sha256[:2]}/{sha256}"


def long_key(upload_id: str) -> str:
    return f"{MEDIA_PREFIX}long/{upload_id}"


def tail_key(upload_id: str, *, offset: int, epoch: int) -> str:
    return f"{TAIL_PREFIX}{upload_id}/{offset}-{epoch}"


def piece_key(upload_id: str) -> str:
    """A finished piece of a file that will be put together; a tail too, since it is not kept."""
    return f"{TAIL_PREFIX}{upload_id}/piece"


def quarantine_key(upload_id: str) -> str:
    return f"{QUARANTINE_PREFIX}{upload_id}"


def upload_of(key: str) -> str | None:
    """Whose bytes are gathered under that key: an upload's id; None for any other key."""
    found = _GATHERED.match(key)
    return found and (found["file"] or found["tail"])


def check_droppable(key: str) -> None:
    """Let a multipart upload be dropped only of what we gather in parts.

    Raises:
        DeletionRefused: it is of another key.
    """
    if upload_of(key) is None and not key.startswith((PACKAGE_PREFIX, FOREIGN_PREFIX)):
        raise DeletionRefused(key)


def check_erasable(key: str) -> None:
    """Let only what is kept as evidence, or was made of it, be erased by an order.

    Raises:
        DeletionRefused: it is another key.
    """
    if not key.startswith(_ERASABLE):
        raise DeletionRefused(key)


def check_passing(keys: Sequence[str]) -> None:
    """Let only tails and the newest checkpoints but one be deleted.

    Raises:
        DeletionRefused: one of ``keys`` is another.
    """
    for key in keys:
        if not key.startswith(_PASSING):
            raise DeletionRefused(key)


def derived_key(sha256: str) -> str:
    return f"{DERIVED_PREFIX}{sha256[:2]}/{sha256}"


def receipt_key(sha256: str) -> str:
    return f"{RECEIPT_PREFIX}{sha256[:2]}/{sha256}"


def foreign_key(organization_id: str, sha256: str) -> str:
    return f"{FOREIGN_PREFIX}{organization_id}/{sha256}.zip"


def package_key(package_id: str, sha256: str) -> str:
    return f"{PACKAGE_PREFIX}{package_id}/{sha256}.zip"


class Store(Protocol):
    """Where bytes are kept. Every method may raise :class:`StoreUnavailable`."""

    def traits(self) -> Traits:
        """What the store can do; tried once, at the first question."""

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
        """Drop an unfinished multipart upload; it is no error if it is gone.

        Raises:
            DeletionRefused: if it is of a key under which we gather no parts.
        """

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

    def presigned(self, key: str, *, seconds: int, disposition: str) -> str:
        """An address under which whoever has it gets the object for so long, to be saved.

        ``disposition`` is the Content-Disposition that the store then answers with.
        """

    def head(self, key: str) -> StoredObject:
        """What is known of an object.

        Raises:
            ObjectMissing: if there is no such object.
        """

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """The objects under ``prefix`` in key order, without their checksums."""

    def open_multiparts(self) -> Iterator[OpenMultipart]: ...

    def delete_tails(self, keys: Sequence[str]) -> None:
        """Delete tails or passing checkpoints with all their versions; one may be gone already.

        Raises:
            DeletionRefused: if one is another key; then nothing is deleted.
        """

    def erase(self, key: str) -> None:
        """Erase what was kept for ever, with all its versions; it is no error if it is gone.

        Only for a key that a lawful order names (docs/operations.md, Erasing by law): when
        this returns, the store gives its bytes under no version any more.

        Raises:
            DeletionRefused: if nothing that is kept lies under such a key.
            ObjectLocked: if the store refuses for now.
        """


@dataclass(frozen=True)
class S3Source:
    """One stored object, read by ranges (for the metadata readers)."""

    store: Store
    key: str
    size: int

    def read(self, offset: int, n: int) -> bytes:
        """At most ``n`` bytes from ``offset``; nothing beyond the end."""
        return self.store.read(self.key, offset, min(n, self.size - offset))
