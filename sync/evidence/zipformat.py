"""The one ZIP that a package can be: stored, sorted, fixed times, nothing between the entries.

Because everything but the entries' names, sizes, CRCs and bytes follows from
this module, a verifier can write every header again and compare: a changed byte
that other tools would pass over is found (docs/evidence.md §8).
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import Dict, Iterable, Iterator, List, Sequence, Tuple

from .errors import SyncError

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR = struct.Struct("<4sIQI")

LOCAL_SIGNATURE, CENTRAL_SIGNATURE, END_SIGNATURE = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_ZIP64_EXTRA = 0x0001
_VERSION, _VERSION_64 = 20, 45
_MADE_ON_UNIX = 3 << 8
_MODE = 0o100644 << 16
# 1980-01-01 00:00, the first moment that the format can say.
_DATE, _TIME = 0x0021, 0x0000

_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")
# What Windows would open as a device, or unpack under another name.
_UNSAFE = re.compile(
    r"(?:\A|/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:[./]|\Z)|\.(?:/|\Z)", re.IGNORECASE
)
MAX_NAME_BYTES = 200


class ZipContentMismatch(SyncError):
    """The bytes given for an entry are not those whose size and CRC were announced."""

    code = "package.content_mismatch"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class ZipNameInvalid(SyncError):
    """A name that a package cannot hold, or that is not in order."""

    code = "package.name_invalid"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True)
class Member:
    """One entry: its ASCII name, its size in bytes, and the CRC-32 of its bytes."""

    name: str
    size: int
    crc32: int


def is_name(name: str) -> bool:
    """Whether a package may hold ``name``: ASCII, relative, no dots that climb or hide.

    So it unpacks under this very name on Windows, macOS and Linux.
    """
    return len(name) <= MAX_NAME_BYTES and bool(_NAME.match(name)) and not _UNSAFE.search(name)


def check_names(names: Sequence[str]) -> None:
    """Insist on names that are allowed, sorted, and unique whatever their letters' case.

    Raises:
        ZipNameInvalid.
    """
    before = ""
    for name in names:
        if not is_name(name) or name <= before:
            raise ZipNameInvalid(name)
        before = name
    twin = next(twins(names), None)
    if twin is not None:
        raise ZipNameInvalid(twin)


def twins(names: Iterable[str]) -> Iterator[str]:
    """Names that another one before them would overwrite where case does not count."""
    seen: Dict[str, str] = {}
    for name in names:
        if seen.setdefault(name.lower(), name) != name:
            yield name


def offsets(members: Sequence[Member]) -> List[int]:
    """Where each entry's local header stands; last, where the central directory does."""
    places = [0]
    for member in members:
        places.append(places[-1] + local_length(member) + member.size)
    return places


def total_size(members: Sequence[Member]) -> int:
    """The length of the whole ZIP in bytes, known before any byte is written."""
    return offsets(members)[-1] + sum(len(chunk) for chunk in directory(members))


def write_zip(entries: Iterable[Tuple[Member, Iterable[bytes]]]) -> Iterator[bytes]:
    """Write the ZIP piece by piece, in constant memory; entries must come sorted by name.

    Raises:
        ZipNameInvalid: before the entry is begun.
        ZipContentMismatch: when an entry's bytes end with another size or CRC;
            what was written so far must be thrown away.
    """
    members = []  # type: List[Member]
    for member, chunks in entries:
        check_names([members[-1].name, member.name] if members else [member.name])
        members.append(member)
        yield local_header(member)
        size, crc = 0, 0
        for chunk in chunks:
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
            yield chunk
        if (size, crc) != (member.size, member.crc32):
            raise ZipContentMismatch(member.name)
    yield from directory(members)


def local_length(member: Member) -> int:
    """How long the entry's local header is."""
    return _LOCAL.size + len(member.name) + (20 if member.size >= _MAX_32 else 0)


def local_header(member: Member) -> bytes:
    name, extra, size, version = member.name.encode("ascii"), b"", member.size, _VERSION
    if size >= _MAX_32:
        extra = struct.pack("<HHQQ", _ZIP64_EXTRA, 16, size, size)
        size, version = _MAX_32, _VERSION_64
    fixed = _LOCAL.pack(
        LOCAL_SIGNATURE,
        version,
        0,
        0,
        _TIME,
        _DATE,
        member.crc32,
        size,
        size,
        len(name),
        len(extra),
    )
    return fixed + name + extra


def central_header(member: Member, offset: int) -> bytes:
    name, size, version = member.name.encode("ascii"), member.size, _VERSION
    large = []
    if size >= _MAX_32:
        large, size = [size, size], _MAX_32
    if offset >= _MAX_32:
        large, offset = [*large, offset], _MAX_32
    extra = b""
    if large:
        extra = struct.pack("<HH%dQ" % len(large), _ZIP64_EXTRA, 8 * len(large), *large)
        version = _VERSION_64
    fixed = _CENTRAL.pack(
        CENTRAL_SIGNATURE,
        _MADE_ON_UNIX | version,
        version,
        0,
        0,
        _TIME,
        _DATE,
        member.crc32,
        size,
        size,
        len(name),
        len(extra),
        0,
        0,
        0,
        _MODE,
        offset,
    )
    return fixed + name + extra


def directory(members: Sequence[Member]) -> Iterator[bytes]:
    """The central directory, one piece for each member, then one for the end records."""
    places = offsets(members)
    size = 0
    for member, place in zip(members, places):
        header = central_header(member, place)
        size += len(header)
        yield header
    yield _end_records(count=len(members), size=size, start=places[-1])


def _end_records(*, count: int, size: int, start: int) -> bytes:
    records = b""
    if count >= _MAX_16 or size >= _MAX_32 or start >= _MAX_32:
        records = _END_64.pack(
            b"PK\x06\x06",
            _END_64.size - 12,
            _MADE_ON_UNIX | _VERSION_64,
            _VERSION_64,
            0,
            0,
            count,
            count,
            size,
            start,
        ) + _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1)
    count, size, start = min(count, _MAX_16), min(size, _MAX_32), min(start, _MAX_32)
    return records + _END.pack(END_SIGNATURE, 0, 0, count, count, size, start, 0)
