"""What a resumable upload may do next: decisions after tus 1.0, without I/O.

Implements docs/protocol.md §7; the forms of headers are those of ``media.upload_headers``.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from media.errors import MediaError
from media.store import Part

PART_BYTES = 8 << 20
#: Files up to this size become one object under their own digest; larger ones go in parts.
SINGLE_LIMIT_BYTES = 16 << 20
#: So many tails are merged into one, so that 64 KiB pieces do not pile up in the row.
MAX_TAILS = 128

DEAD_AFTER_MS = 2_000
RELEASE_WAIT_MS = 3_000

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
