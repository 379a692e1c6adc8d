"""Where the verifier reads a package from: a ZIP, or the folder that one was unpacked into.

Everything is streamed; a file of many gigabytes takes no more memory than a small one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from .errors import SyncError
from .zipreading import Fault, Layout, read_layout

_CHUNK = 1 << 20
_BATCH_FILES = 256
#: Indexes, journals and proofs are read whole or by line; larger ones are refused.
MAX_RECORD_BYTES = 256 << 20
MAX_LINE_BYTES = 4 << 20


class PackageUnusable(SyncError):
    """There is no package at the given path, or it cannot be read at all."""

    code = "package.unusable"


class EntryUnreadable(SyncError):
    """The bytes of one file of a package cannot be read."""

    code = "package.entry_unreadable"


@dataclass(frozen=True)
class Measured:
    """What one file's bytes are; ``crc_good`` is None where no CRC was announced."""

    sha256: str
    size: int
    crc_good: Optional[bool]


@dataclass(frozen=True)
class Unreadable:
    reason: str


class ZipSource:
    """A package in its ZIP. ``foreign`` ones, written by another tool, are read leniently."""

    def __init__(self, path: str, layout: Layout) -> None:
        self.path = path
        self.faults: Tuple[Fault, ...] = layout.faults
        # Opened once, since opening reads the whole directory; threads may share it.
        self._archive = _open_foreign(path) if layout.foreign else None
        self.foreign = self._archive is not None
        self._places = {
            member.name: (start, member.size, member.crc32)
            for member, start in zip(layout.members, layout.starts)
        }
        self.names: Tuple[str, ...] = tuple(dict.fromkeys(m.name for m in layout.members))
        if self._archive:
            listed = [name for name in self._archive.namelist() if not name.endswith("/")]
            self.names = tuple(dict.fromkeys(listed))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of ``name``, in order.

        Raises:
            EntryUnreadable.
        """
        try:
            if self._archive:
                with self._archive.open(name) as entry:
                    yield from iter(lambda: entry.read(_CHUNK), b"")
            else:
                start, size, _ = self._places[name]
                with open(self.path, "rb") as file:
                    file.seek(start)
                    yield from _bounded(file, size)
        except EntryUnreadable:
            raise
        # zipfile and its decompressors raise many kinds for broken data, none documented in full.
        except Exception as error:
            raise EntryUnreadable(str(error)) from error

    def crc32(self, name: str) -> Optional[int]:
        """The CRC that the ZIP announces; zipfile checks it itself for foreign ones."""
        return None if self.foreign else self._places[name][2]


class FolderSource:
    """A package unpacked into a folder; links are not followed."""

    foreign = False

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: Tuple[Fault, ...] = ()
        names = []
        for folder, folders, files in os.walk(path):
            folders.sort()
            for file in files:
                full = os.path.join(folder, file)
                names.append(os.path.relpath(full, path).replace(os.sep, "/"))
        self.names: Tuple[str, ...] = tuple(sorted(names))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of ``name``, in order.

        Raises:
            EntryUnreadable: also for a link or a pipe.
        """
        full = os.path.join(self.path, *name.split("/"))
        try:
            # Neither a link, which could lead anywhere, nor a pipe, which never ends.
            if not stat.S_ISREG(os.lstat(full).st_mode):
                raise EntryUnreadable("no regular file")
            with open(full, "rb") as file:
                yield from iter(lambda: file.read(_CHUNK), b"")
        except OSError as error:
            raise EntryUnreadable(str(error)) from error

    def crc32(self, name: str) -> Optional[int]:
        return None


Source = Union[ZipSource, FolderSource]


def open_source(path: str) -> Source:
    """Open a package, ZIP or folder.

    Raises:
        PackageUnusable: if there is nothing that could be one.
    """
    if os.path.isdir(path):
        return FolderSource(path)
    try:
        with open(path, "rb") as file:
            layout = read_layout(file)
    except OSError as error:
        raise PackageUnusable(str(error)) from error
    if layout is None:
        raise PackageUnusable("not a ZIP: " + path)
    return ZipSource(path, layout)


def _open_foreign(path: str) -> Optional[zipfile.ZipFile]:
    """The ZIP as Python's own module reads it; None where it cannot."""
    try:
        return zipfile.ZipFile(path)
    except Exception:  # of many kinds, none documented in full
        return None


def read(source: Source, name: str, limit: int = MAX_RECORD_BYTES) -> bytes:
    """The whole of one small file.

    Raises:
        EntryUnreadable: also if it is not there or larger than ``limit``.
    """
    if name not in source.names:
        raise EntryUnreadable("not there")
    pieces, size = [], 0
    for chunk in source.chunks(name):
        size += len(chunk)
        if size > limit:
            raise EntryUnreadable("larger than %d bytes" % limit)
        pieces.append(chunk)
    return b"".join(pieces)


def read_lines(source: Source, name: str) -> Iterator[bytes]:
    """The lines of ``name`` without their newlines; an unfinished last one too.

    Raises:
        EntryUnreadable: also if it is not there or a line is too long.
    """
    if name not in source.names:
        raise EntryUnreadable("not there")
    rest = b""
    for chunk in source.chunks(name):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > MAX_LINE_BYTES:
            raise EntryUnreadable("a line longer than %d bytes" % MAX_LINE_BYTES)
        yield from lines
    if rest:
        yield rest


def measure(source: Source) -> Dict[str, Union[Measured, Unreadable]]:
    """Read every file once: its SHA-256, its size, and whether its CRC is as announced."""
    names = list(source.names)
    measured: Dict[str, Union[Measured, Unreadable]] = {}
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for results in pool.map(lambda batch: _measure_all(source, batch), _batches(names)):
            measured.update(results)
    return measured


def _batches(names: Sequence[str]) -> Iterator[List[str]]:
    # Few large tasks for many small files: handing over one by one costs more than hashing.
    step = max(1, min(_BATCH_FILES, len(names) // 8))
    for start in range(0, len(names), step):
        yield list(names[start : start + step])


def _measure_all(
    source: Source, names: Sequence[str]
) -> List[Tuple[str, Union[Measured, Unreadable]]]:
    return [(name, _measure(source, name)) for name in names]


def _measure(source: Source, name: str) -> Union[Measured, Unreadable]:
    announced = source.crc32(name)
    digest, size, crc = hashlib.sha256(), 0, 0
    try:
        for chunk in source.chunks(name):
            digest.update(chunk)
            size += len(chunk)
            if announced is not None:
                crc = zlib.crc32(chunk, crc)
    except EntryUnreadable as error:
        return Unreadable(str(error))
    return Measured(digest.hexdigest(), size, None if announced is None else crc == announced)


def _bounded(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise EntryUnreadable("the ZIP ends too early")
        size -= len(chunk)
        yield chunk
