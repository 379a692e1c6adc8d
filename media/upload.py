"""What a resumable upload may do next: decisions and header forms of tus 1.0, without I/O.

Implements docs/protocol.md §7 after tus 1.0 and those of its extensions named below.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from media.errors import MediaError
from media.store import Part

TUS_VERSION = "1.0.0"
TUS_EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "checksum",
    "concatenation",
    "expiration",
    "termination",
)
CHECKSUM_ALGORITHMS = ("sha256", "sha1")
BODY_TYPE = "application/offset+octet-stream"

PART_BYTES = 8 << 20
#: Files up to this size become one object under their own digest; larger ones go in parts.
SINGLE_LIMIT_BYTES = 16 << 20
#: So many tails are merged into one, so that 64 KiB pieces do not pile up in the row.
MAX_TAILS = 128
#: Of one file; the addresses of more would not fit into a header of 8 KiB.
MAX_PIECES = 64

DEAD_AFTER_MS = 2_000
RELEASE_WAIT_MS = 3_000

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_METADATA_KEY = re.compile(r"[!-+\--~]+\Z")  # printable ASCII but space and comma

Status = Literal["open", "committing", "stored", "quarantined", "terminated", "expired"]


class HeaderInvalid(MediaError):
    """A header of an upload request is missing or not of its form."""

    code = "media.upload_header"

    def __init__(self, header: str, reason: str) -> None:
        super().__init__(f"{header}: {reason}")
        self.header = header
        self.reason = reason


class VersionUnsupported(MediaError):
    """The client speaks no version of tus that we do."""

    code = "media.tus_version"


class BodyTypeWrong(MediaError):
    """The bytes of an upload come as ``application/offset+octet-stream``."""

    code = "media.body_type"


class TooLarge(MediaError):
    """A file is over the limit, or more bytes came than were announced."""

    code = "media.too_large"

    def __init__(self, *, limit: int, got: int) -> None:
        super().__init__(f"{got} bytes, at most {limit}")
        self.limit = limit
        self.got = got


class UnannouncedQuota(TooLarge):
    """The device has sent as much as it may before journal lines name it."""

    code = "media.unannounced_quota"


class TooManyUploads(MediaError):
    """The device has as many unfinished uploads as it may have."""

    code = "media.too_many_uploads"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"at most {limit}")
        self.limit = limit


class UploadGone(MediaError):
    """The upload was ended: expired, given up by the device, or set aside."""

    code = "media.upload_gone"

    def __init__(self, status: Status) -> None:
        super().__init__(status)
        self.status = status


class StoreLow(MediaError):
    """The store runs low, and recordings wait first; photos and records are still taken."""

    code = "media.store_low"


class UploadIsFinal(MediaError):
    """A file that is put together from pieces takes no bytes of its own."""

    code = "media.upload_final"


class PiecesUnfinished(MediaError):
    """A file can be put together only from whole pieces of the same organisation."""

    code = "media.pieces_unfinished"

    def __init__(self, upload_id: str) -> None:
        super().__init__(upload_id)
        self.upload_id = upload_id


class PieceLost(MediaError):
    """The bytes of a piece are gone: neither it nor a file of it can be finished any more."""

    code = "media.piece_lost"

    def __init__(self, upload_id: str) -> None:
        super().__init__(upload_id)
        self.upload_id = upload_id


class UploadBusy(MediaError):
    """Another request is just finishing this upload; ask again in a second."""

    code = "media.upload_busy"


class PatchEnded(MediaError):
    """A PATCH ended before its body did; ``offset`` bytes of the upload are safe."""

    code = "media.patch_ended"

    def __init__(self, offset: int, reason: str = "") -> None:
        super().__init__(f"at {offset} {reason}".rstrip())
        self.offset = offset


class WrongOffset(PatchEnded):
    """A PATCH must begin where the upload stands."""

    code = "media.wrong_offset"


class BodyCut(PatchEnded):
    """Fewer bytes arrived than Content-Length said; those that arrived are kept."""

    code = "media.body_cut"


class BodyStalled(PatchEnded):
    """No byte came for so long that the request was ended; what arrived is kept."""

    code = "media.body_stalled"


class TakenOver(PatchEnded):
    """Another request took this upload over; what arrived before is kept."""

    code = "media.upload_taken_over"


class ChunkDamaged(PatchEnded):
    """The bytes of a PATCH do not have its Upload-Checksum; none of them is kept."""

    code = "media.chunk_damaged"


class DigestMismatch(MediaError):
    """The whole file has another SHA-256 than announced; it is kept in quarantine."""

    code = "media.digest_mismatch"

    def __init__(self, *, expected: str, found: str) -> None:
        super().__init__(f"announced {expected[:12]}, received {found[:12]}")
        self.expected = expected
        self.found = found


@dataclass(frozen=True)
class Tail:
    """Acknowledged bytes from ``offset`` on that wait to become part of a part."""

    key: str
    offset: int
    size: int


@dataclass(frozen=True)
class Checksum:
    """What a PATCH says its body hashes to."""

    algorithm: str
    digest: bytes

    def agrees_with(self, found: bytes) -> bool:
        return self.digest == found


@dataclass(frozen=True)
class Metadata:
    """The Upload-Metadata that mean something here; unknown keys are let pass.

    ``sha256`` is None where the client leaves it to us to find out; ``said`` is the
    header as it came.
    """

    sha256: str | None
    filename: str
    filetype: str
    said: str = ""


@dataclass(frozen=True)
class Whole:
    """An upload of a whole file."""

    kind: ClassVar = ""
    pieces: tuple[str, ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Partial:
    """An upload of a piece; others of the same file may run beside it."""

    kind: ClassVar = "partial"
    pieces: tuple[str, ...] = ()
    said: str = "partial"


@dataclass(frozen=True)
class Final:
    """A file to be put together from the uploads of these ids, in this order.

    ``said`` is the header as it came.
    """

    kind: ClassVar = "final"
    pieces: tuple[str, ...]
    said: str


Concat = Whole | Partial | Final
WHOLE = Whole()


@dataclass(frozen=True)
class Free:
    """Nobody writes."""


@dataclass(frozen=True)
class AskAndWait:
    """The writer is alive: ask it to flush what it has and look again."""


@dataclass(frozen=True)
class TakeOver:
    """The writer is dead or does not let go: fence it off."""


Tenure = Free | AskAndWait | TakeOver


def decide_tenure(*, owned: bool, beat_age_ms: int | None, waited_ms: int) -> Tenure:
    """How to come to write an upload.

    Args:
        owned: a process is named as its writer.
        beat_age_ms: since that process last showed a sign of life, None if it never did.
        waited_ms: since it was asked to let go.
    """
    if not owned:
        return Free()
    if beat_age_ms is None or beat_age_ms > DEAD_AFTER_MS or waited_ms >= RELEASE_WAIT_MS:
        return TakeOver()
    return AskAndWait()


def check_open(status: Status) -> None:
    """Refuse what has ended.

    Raises:
        UploadGone: terminated, expired or quarantined.
    """
    if status in ("terminated", "expired", "quarantined"):
        raise UploadGone(status)


def check_patch(*, stands_at: int, given: int, length: int, body: int | None) -> None:
    """Check a PATCH at ``given`` with ``body`` bytes (None if it does not say).

    Raises:
        WrongOffset: it begins elsewhere.
        TooLarge: it would go beyond ``length``.
    """
    if given != stands_at:
        raise WrongOffset(stands_at)
    if body is not None and given + body > length:
        raise TooLarge(limit=length - given, got=body)


def check_length(known: int | None, *, said: int | None, offset: int, limit: int) -> int | None:
    """The length of the file after a request ``said`` one; None if it is still not known.

    Raises:
        HeaderInvalid: it differs from the one given before, or is less than what has arrived.
        TooLarge: it is over ``limit``.
    """
    if said is None or said == known:
        return known
    if known is not None or said < offset:
        raise HeaderInvalid("Upload-Length", "contradicts what is known")
    if said > limit:
        raise TooLarge(limit=limit, got=said)
    return said


def in_one_piece(length: int) -> bool:
    """Whether a file of that size becomes one object under its own digest."""
    return length <= SINGLE_LIMIT_BYTES


def room_in_buffer(*, offset: int, parts: Sequence[Part], length: int | None) -> int:
    """Bytes that may be gathered after ``offset`` before something must be written.

    ``length`` is None while nobody has said how long the file is.
    """
    part_end = parts_end(parts) + PART_BYTES
    if length is None:
        return part_end - offset
    return (length if in_one_piece(length) and not parts else min(part_end, length)) - offset


def parts_end(parts: Sequence[Part]) -> int:
    """Where the bytes in parts end and those in tails begin."""
    return sum(part.size for part in parts)


def dump_parts(parts: Sequence[Part]) -> str:
    return json.dumps([[p.number, p.size, p.etag, p.sha256] for p in parts])


def load_parts(text: str) -> tuple[Part, ...]:
    return tuple(Part(*row) for row in json.loads(text))


def dump_tails(tails: Sequence[Tail]) -> str:
    return json.dumps([[t.key, t.offset, t.size] for t in tails])


def load_tails(text: str) -> tuple[Tail, ...]:
    return tuple(Tail(*row) for row in json.loads(text))


def read_number(header: str, value: str | None) -> int:
    """A byte count of a header.

    Raises:
        HeaderInvalid: absent, negative or not a number.
    """
    if value is None:
        raise HeaderInvalid(header, "missing")
    if not _NUMBER.match(value):
        raise HeaderInvalid(header, "not a number of bytes")
    return int(value)


def read_length(value: str | None, deferred: str | None) -> int | None:
    """``Upload-Length``, or None where ``Upload-Defer-Length`` says that it comes later.

    Raises:
        HeaderInvalid: neither or both are given, or one is not of its form.
    """
    if deferred is None:
        return read_number("Upload-Length", value)
    if deferred.strip() != "1":
        raise HeaderInvalid("Upload-Defer-Length", "must be 1")
    if value is not None:
        raise HeaderInvalid("Upload-Defer-Length", "Upload-Length is given too")
    return None


def read_concat(value: str | None) -> Concat:
    """``Upload-Concat``: ``partial``, or ``final;`` and the addresses of the pieces.

    Raises:
        HeaderInvalid: neither of both, no piece, one twice, or more than ``MAX_PIECES``.
    """
    if value is None:
        return WHOLE
    kind, _, addresses = value.strip().partition(";")
    if kind == "partial" and not addresses:
        return Partial()
    pieces = tuple(address.rstrip("/").rpartition("/")[2] for address in addresses.split())
    if kind != "final" or not 1 <= len(pieces) <= MAX_PIECES or len(set(pieces)) < len(pieces):
        raise HeaderInvalid("Upload-Concat", "neither partial nor a list of pieces")
    return Final(pieces, value.strip())


def read_metadata(value: str | None) -> Metadata:
    """``Upload-Metadata``: ``sha256`` (base64 of the lowercase hex) and names, where given.

    Raises:
        HeaderInvalid: not of the form of tus, or with an unusable ``sha256``.
    """
    pairs: dict[str, bytes] = {}
    for item in filter(None, (part.strip() for part in (value or "").split(","))):
        key, _, encoded = item.partition(" ")
        if not _METADATA_KEY.match(key) or key in pairs:
            raise HeaderInvalid("Upload-Metadata", "bad or repeated key")
        pairs[key] = _base64("Upload-Metadata", encoded.strip())
    sha256 = pairs["sha256"].decode("ascii", "replace") if "sha256" in pairs else None
    if sha256 is not None and not _DIGEST.match(sha256):
        raise HeaderInvalid("Upload-Metadata", "sha256 must be 64 lowercase hex digits")
    return Metadata(
        sha256=sha256,
        filename=_text(pairs.get("filename", b""), 200),
        filetype=_text(pairs.get("filetype", b""), 100),
        said=(value or "").strip(),
    )


def read_checksum(value: str | None) -> Checksum | None:
    """``Upload-Checksum``, if the PATCH has one.

    Raises:
        HeaderInvalid: an algorithm that is not offered, or a digest of another length.
    """
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in CHECKSUM_ALGORITHMS:
        raise HeaderInvalid("Upload-Checksum", "algorithm not offered")
    digest = _base64("Upload-Checksum", encoded.strip())
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise HeaderInvalid("Upload-Checksum", "not a digest of this algorithm")
    return Checksum(algorithm, digest)


def _text(raw: bytes, limit: int) -> str:
    # PostgreSQL takes no NUL, and no other control character belongs in a name.
    return "".join(c for c in raw.decode("utf-8", "replace") if c.isprintable())[:limit]


def _base64(header: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HeaderInvalid(header, "not base64") from error
