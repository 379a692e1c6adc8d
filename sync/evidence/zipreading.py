"""Reading a package's ZIP: every header is written again and compared with the file's.

The entries are worked out twice, from the central directory and from the local
headers; whichever explains more of the file is believed, so that one changed
byte is blamed on the entry that it belongs to and the rest can still be checked.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO, List, Optional, Sequence, Tuple

from .zipformat import (
    CENTRAL_SIGNATURE,
    END_SIGNATURE,
    LOCAL_SIGNATURE,
    Member,
    directory,
    is_name,
    local_header,
    local_length,
    offsets,
    twins,
)

_SIZES_LOCAL = struct.Struct("<14xIIIHH")
_SIZES_CENTRAL = struct.Struct("<16xIIIHHH8xI")
_MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF
_MAX_ENTRIES = 2_000_000
_MAX_SIZE = 1 << 50


@dataclass(frozen=True)
class Fault:
    """A place where the file is not what the format prescribes.

    ``name`` is the entry concerned, empty for the ZIP as a whole; ``part`` is one
    of ``local``, ``central``, ``end``, ``length``, ``name`` and ``order``.
    """

    name: str
    part: str


@dataclass(frozen=True)
class Layout:
    """The entries of a ZIP with the offset of each one's bytes, and the faults found.

    ``foreign`` says that another tool wrote it: the offsets mean nothing then.
    """

    members: Tuple[Member, ...]
    starts: Tuple[int, ...]
    faults: Tuple[Fault, ...]
    foreign: bool


def read_layout(file: BinaryIO) -> Optional[Layout]:
    """Work out the layout of ``file``; None if it shows no trace of a ZIP."""
    size = file.seek(0, os.SEEK_END)
    listed = _from_central(file, size)
    faults = _faults(file, size, listed) if listed else []
    if listed and not faults:
        return _layout(listed, faults)
    scanned = _from_locals(file, size)
    judged = [(faults, listed)] if listed else []
    if scanned:
        judged.append((_faults(file, size, scanned), scanned))
    if not judged:
        return None
    # The explanation of more headers wins; the directory's where both explain as many.
    judged.sort(key=lambda pair: _explained(*pair), reverse=True)
    best, members = judged[0]
    faults = list(best)
    for others, other_members in judged[1:]:
        # Two equally good explanations: name what either names.
        if _explained(others, other_members) == _explained(best, members):
            faults += [fault for fault in others if fault not in faults]
    return _layout(members, faults, foreign=_is_foreign(best, members))


def _layout(members: List[Member], faults: List[Fault], *, foreign: bool = False) -> Layout:
    starts = tuple(place + local_length(member) for member, place in zip(members, offsets(members)))
    return Layout(tuple(members), starts, tuple(faults), foreign)


def _explained(faults: Sequence[Fault], members: Sequence[Member]) -> int:
    """How many headers are as the format prescribes for these ``members``."""
    return 2 * len(members) - sum(fault.part in ("local", "central") for fault in faults)


def _is_foreign(faults: Sequence[Fault], members: Sequence[Member]) -> bool:
    # A changed byte spoils one header; another tool writes nearly all otherwise.
    return 2 * sum(fault.part == "local" for fault in faults) > len(members)


def _faults(file: BinaryIO, size: int, members: Sequence[Member]) -> List[Fault]:
    faults = []
    before = ""
    for member in members:
        if not is_name(member.name):
            faults.append(Fault(member.name, "name"))
        elif member.name <= before:
            faults.append(Fault(member.name, "order"))
        before = member.name
    faults += [Fault(name, "name") for name in twins(member.name for member in members)]
    places = offsets(members)
    for member, place in zip(members, places):
        header = local_header(member)
        if _at(file, place, len(header)) != header:
            faults.append(Fault(member.name, "local"))
    place = places[-1]
    names = [member.name for member in members]
    for number, record in enumerate(directory(members)):
        if _at(file, place, len(record)) != record:
            last = number == len(names)
            faults.append(Fault("" if last else names[number], "end" if last else "central"))
        place += len(record)
    if place != size:
        faults.append(Fault("", "length"))
    return faults


def _from_locals(file: BinaryIO, size: int) -> List[Member]:
    """The entries as their own headers tell, from the first on."""
    members = []  # type: List[Member]
    place = 0
    while place < size and len(members) < _MAX_ENTRIES:
        head = _at(file, place, 30)
        if len(head) < 30 or not head.startswith(LOCAL_SIGNATURE):
            break
        crc, _, length, name_length, extra_length = _SIZES_LOCAL.unpack(head)
        tail = _at(file, place + 30, name_length + extra_length)
        extra = tail[name_length:]
        if length == _MAX_32 and len(extra) >= 20:
            length = struct.unpack("<Q", extra[4:12])[0]
        if place + length > size:
            break
        members.append(_member(tail[:name_length], length, crc))
        place += 30 + name_length + extra_length + length
    return members


def _from_central(file: BinaryIO, size: int) -> List[Member]:
    """The entries as the central directory tells, found through the end record."""
    place = _directory_start(file, size)
    members = []  # type: List[Member]
    total = 0
    while place is not None and len(members) < _MAX_ENTRIES:
        head = _at(file, place, 46)
        if len(head) < 46 or not head.startswith(CENTRAL_SIGNATURE):
            break
        crc, _, length, name_length, extra_length, comment_length, _ = _SIZES_CENTRAL.unpack(head)
        tail = _at(file, place + 46, name_length + extra_length)
        extra = tail[name_length:]
        if length == _MAX_32 and len(extra) >= 12:
            length = struct.unpack("<Q", extra[4:12])[0]
        total += length
        if total > _MAX_SIZE:
            break
        members.append(_member(tail[:name_length], length, crc))
        place += 46 + name_length + extra_length + comment_length
    return members


def _directory_start(file: BinaryIO, size: int) -> Optional[int]:
    tail_start = max(0, size - 22 - _MAX_16)
    tail = _at(file, tail_start, size - tail_start)
    place = tail.rfind(END_SIGNATURE)
    if place < 0 or place + 22 > len(tail):
        return None
    start = struct.unpack("<16xI2x", tail[place : place + 22])[0]  # type: int
    locator = tail[max(0, place - 20) : place]
    if start == _MAX_32 and locator.startswith(b"PK\x06\x07"):
        end_64 = _at(file, struct.unpack("<8xQ4x", locator)[0], 56)
        if len(end_64) == 56:
            start = struct.unpack("<48xQ", end_64)[0]
    return start if start < size else None


def _member(name: bytes, size: int, crc: int) -> Member:
    # Spelling out foreign bytes makes a name longer than a header can say again.
    return Member(name.decode("ascii", "backslashreplace")[:_MAX_16], size, crc)


def _at(file: BinaryIO, place: int, length: int) -> bytes:
    """The bytes at ``place``; none where a hostile header points beyond all files."""
    if place > file.seek(0, os.SEEK_END):
        return b""
    file.seek(place)
    return file.read(length)
