"""The forms of the headers of resumable uploads (tus 1.0), read into values.

Implements docs/protocol.md §7 with those extensions of tus that are named below.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar

from media.upload import HeaderInvalid

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
#: Of one file; the addresses of more would not fit into a header of 8 KiB.
MAX_PIECES = 64

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_METADATA_KEY = re.compile(r"[!-+\--~]+\Z")  # printable ASCII but space and comma


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
