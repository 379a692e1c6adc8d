"""Where the verifier reads a package from: a ZIP, or the folder that one was unpacked into.

Everything is streamed; a file of many gigabytes takes no more memory than a small one.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import RawIOBase
from typing import BinaryIO, Dict, Iterator, List, Optional, Sequence, Tuple, Union, cast

from .errors import SyncError
from .verifier_volumes import FIRST, open_whole
from .zipreading import Fault, Layout, read_layout

_CHUNK = 1 << 20
#: Small enough that a piece is still in the processor's cache for its CRC.
_BUFFER = 1 << 18
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


Measurement = Union[Measured, Unreadable]


class ZipSource:
    """A package in its ZIP. ``foreign`` ones, written by another tool, are read leniently."""

    def __init__(self, path: str, layout: Layout) -> None:
        self.path = path
        self.faults: Tuple[Fault, ...] = layout.faults
        # Where a signature lies beside it, the ZIP is read as a whole, beside all else.
        self._whole = _Whole(path) if os.path.isfile(path + ".sig") else None
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
                with open_whole(self.path) as file:
                    file.seek(start)
                    yield from _bounded(file, size)
        except EntryUnreadable:
            raise
        # zipfile and its decompressors raise many kinds for broken data, none documented in full.
        except Exception as error:
            raise EntryUnreadable(str(error)) from error

    def measure(self, names: Sequence[str]) -> List[Tuple[str, Measurement]]:
        """Read each of ``names`` once; a thread of its own may do it for each call."""
        if self._archive:
            return [(name, _measure_foreign(self, name)) for name in names]
        buffer = memoryview(bytearray(_BUFFER))
        measured: List[Tuple[str, Measurement]] = []
        try:
            with open_whole(self.path) as file:
                for name in names:
                    start, size, announced = self._places[name]
                    file.seek(start)
                    measured.append((name, _measure(file, buffer, size, announced)))
        except OSError as error:
            unread = names[len(measured) :]
            measured += [(name, Unreadable(str(error))) for name in unread]
        return measured

    def whole(self) -> Tuple[str, int]:
        """SHA-256 and length of the ZIP itself.

        Raises:
            OSError.
        """
        if self._whole is None:
            self._whole = _Whole(self.path)
        return self._whole.result()


class FolderSource:
    """A package unpacked into a folder; links are not followed."""

    foreign = False

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: Tuple[Fault, ...] = ()
        names = []
        for folder, folders, files in os.walk(path):
            folders.sort()
            # A link to a folder is nothing that a package holds: it is named, not followed.
            links = [one for one in folders if os.path.islink(os.path.join(folder, one))]
            for file in files + links:
                full = os.path.join(folder, file)
                names.append(os.path.relpath(full, path).replace(os.sep, "/"))
        self.names: Tuple[str, ...] = tuple(sorted(names))

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of ``name``, in order.

        Raises:
            EntryUnreadable: also for a link or a pipe.
        """
        try:
            with open(self._regular(name), "rb") as file:
                yield from iter(lambda: file.read(_CHUNK), b"")
        except OSError as error:
            raise EntryUnreadable(str(error)) from error

    def measure(self, names: Sequence[str]) -> List[Tuple[str, Measurement]]:
        """Read each of ``names`` once; a thread of its own may do it for each call."""
        buffer = memoryview(bytearray(_BUFFER))
        return [(name, self._measure(name, buffer)) for name in names]

    def _measure(self, name: str, buffer: memoryview) -> Measurement:
        try:
            with open(self._regular(name), "rb", buffering=0) as file:
                return _measure(file, buffer, None, None)
        except (OSError, EntryUnreadable) as error:
            return Unreadable(str(error))

    def _regular(self, name: str) -> str:
        # Neither a link, which could lead anywhere, nor a pipe, which never ends.
        full = _long_path(os.path.join(self.path, *name.split("/")))
        if not stat.S_ISREG(os.lstat(full).st_mode):
            raise EntryUnreadable("no regular file")
        return full


def _long_path(path: str) -> str:
    """The same file without Windows' limit of 260 characters, and without its device names."""
    return "\\\\?\\" + os.path.abspath(path) if os.name == "nt" else path


Source = Union[ZipSource, FolderSource]


def open_source(path: str) -> Source:
    """Open a package: a ZIP, the first of its volumes, or a folder.

    Raises:
        PackageUnusable: if there is nothing that could be one.
    """
    if os.path.isdir(path):
        return FolderSource(path)
    if path.endswith(FIRST) and not os.path.exists(path[: -len(FIRST)]):
        path = path[: -len(FIRST)]
    try:
        # Many short pieces from all over the file: a buffer would only be filled in vain.
        with open_whole(path) as file:
            layout = read_layout(cast(BinaryIO, file))
    except OSError as error:
        raise PackageUnusable(str(error)) from error
    if layout is None:
        raise PackageUnusable("not a ZIP: " + path)
    return ZipSource(path, layout)


def _open_foreign(path: str) -> Optional[zipfile.ZipFile]:
    """The ZIP as Python's own module reads it; None where it cannot."""
    try:
        return zipfile.ZipFile(cast(BinaryIO, open_whole(path)))
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


def measure(source: Source) -> Dict[str, Measurement]:
    """Read every file once: its SHA-256, its size, and whether its CRC is as announced."""
    names = list(source.names)
    measured: Dict[str, Measurement] = {}
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for results in pool.map(source.measure, _batches(names)):
            measured.update(results)
    return measured


def _batches(names: Sequence[str]) -> Iterator[List[str]]:
    # Few large tasks for many small files: handing over one by one costs more than hashing.
    step = max(1, min(_BATCH_FILES, len(names) // 8))
    for start in range(0, len(names), step):
        yield list(names[start : start + step])


def _measure(
    file: RawIOBase, buffer: memoryview, size: Optional[int], announced: Optional[int]
) -> Measurement:
    """Read ``size`` bytes, or to the end, through ``buffer``; a CRC only where one is announced."""
    digest, count, crc = hashlib.sha256(), 0, 0
    while size is None or count < size:
        room = buffer if size is None or size - count >= len(buffer) else buffer[: size - count]
        try:
            got = file.readinto(room) or 0
        except OSError as error:
            return Unreadable(str(error))
        if not got:
            if size is not None:
                return Unreadable("the ZIP ends too early")
            break
        digest.update(room[:got])
        if announced is not None:
            crc = zlib.crc32(room[:got], crc)
        count += got
    return Measured(digest.hexdigest(), count, None if announced is None else crc == announced)


def _measure_foreign(source: ZipSource, name: str) -> Measurement:
    """As zipfile reads it, which checks the CRC itself."""
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in source.chunks(name):
            digest.update(chunk)
            size += len(chunk)
    except EntryUnreadable as error:
        return Unreadable(str(error))
    return Measured(digest.hexdigest(), size, None)


class _Whole:
    """Reads a file in a thread of its own, from now on; its digest is asked for at the end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._measured: Measurement = Unreadable("")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def result(self) -> Tuple[str, int]:
        """SHA-256 and length.

        Raises:
            OSError.
        """
        self._thread.join()
        if isinstance(self._measured, Unreadable):
            raise OSError(self._measured.reason)
        return self._measured.sha256, self._measured.size

    def _read(self) -> None:
        try:
            with open_whole(self._path) as file:
                self._measured = _measure(file, memoryview(bytearray(_CHUNK)), None, None)
        except OSError as error:
            self._measured = Unreadable(str(error))


def _bounded(file: RawIOBase, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise EntryUnreadable("the ZIP ends too early")
        size -= len(chunk)
        yield chunk
