"""The typed errors of the media side, each with a permanent code."""

from enum import StrEnum


class MediaError(Exception):
    """Base of every error of ``media``; ``code`` is part of the API and never reused."""

    code = "media.error"


class Truncated(MediaError):
    """A file ends before the bytes that its own structure promises."""

    code = "media.truncated"

    def __init__(self, *, offset: int, wanted: int, got: int) -> None:
        super().__init__(f"at byte {offset} wanted {wanted}, the file holds {got}")
        self.offset = offset
        self.wanted = wanted
        self.got = got


class Malformed(MediaError):
    """A structure inside a file contradicts its own format."""

    code = "media.malformed"

    def __init__(self, what: str, *, offset: int) -> None:
        super().__init__(f"{what} at byte {offset}")
        self.what = what
        self.offset = offset


class UnknownType(MediaError):
    """The first bytes of a file are those of no media type that we read."""

    code = "media.unknown_type"

    def __init__(self, *, head: bytes) -> None:
        super().__init__(f"file starts with {head[:8].hex() or 'nothing'}")
        self.head = head


class Limit(StrEnum):
    """A bound of the metadata reader that a file ran into (docs/evidence.md §7)."""

    BUDGET = "budget"
    READS = "reads"
    SEGMENTS = "segments"
    BOXES = "boxes"
    DEPTH = "depth"
    BLOCK_SIZE = "block_size"
    ENTRIES = "entries"
    IFD_REPEATED = "ifd_repeated"
    SUB_IFDS = "sub_ifds"
    VALUE_SIZE = "value_size"
    UNPACKED_SIZE = "unpacked_size"
    WORK = "work"
    FAULTS = "faults"


class LimitReached(MediaError):
    """Reading stopped at a bound, so that no file can cost more than a known amount."""

    code = "media.limit_reached"

    def __init__(self, limit: Limit, *, offset: int) -> None:
        super().__init__(f"{limit} at byte {offset}")
        self.limit = limit
        self.offset = offset


class Unreadable(MediaError):
    """A path cannot be opened as a file: absent, forbidden, or not a regular file."""

    code = "media.unreadable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
