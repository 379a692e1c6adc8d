"""The inside of a part: a plain ustar archive, written and read as a stream.

Whoever holds the key can therefore look into a part with ``age -d`` and ``tar``.
Reading knows regular files only and never makes one: a name is data here.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from sync.carrier.errors import CarrierDamaged

BLOCK = 512
_END = bytes(2 * BLOCK)
_STEP = 1 << 16
#: A file is not cut for less than this at the end of a part.
_SMALLEST_PIECE = 64 << 10


@dataclass(frozen=True)
class Source:
    """Something to pack: ``name`` of the piece from an offset on, ``stream`` of offset and size.

    Only a ``divisible`` source may go on in the next part.
    """

    size: int
    name: Callable[[int], str]
    stream: Callable[[int, int], Iterator[bytes]]
    divisible: bool = False


def whole(name: str, content: bytes) -> Source:
    """A source whose content is at hand."""
    return Source(len(content), lambda _: name, lambda _offset, _size: iter((content,)))


class Packer:
    """Fills parts of at most ``room`` bytes with sources, in order."""

    def __init__(self, sources: Iterator[Source], room: int) -> None:
        self._sources = sources
        self._room = room // BLOCK * BLOCK - len(_END)
        self._current: Source | None = None
        self._offset = 0
        self._ended = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to pack."""
        return self._peek() is None

    def part(self) -> Iterator[bytes]:
        """The bytes of the next part, in pieces."""
        room = self._room
        while (source := self._peek()) is not None:
            take = self._share(source, room)
            if take is None:
                break
            yield _header(source.name(self._offset), take)
            yield from _exactly(source.stream(self._offset, take), take)
            yield bytes(-take % BLOCK)
            room -= BLOCK + take + (-take % BLOCK)
            self._offset += take
            if self._offset == source.size:
                self._current = None
        yield _END

    def _share(self, source: Source, room: int) -> int | None:
        """How much of ``source`` goes into a part with ``room`` left; None if it begins another."""
        left, most = source.size - self._offset, room - BLOCK
        if left <= most:
            return left
        if source.divisible and most >= _SMALLEST_PIECE:
            return most
        if room == self._room:
            raise ValueError(f"{source.name(self._offset)} does not fit into any part")
        return None

    def _peek(self) -> Source | None:
        if self._current is None and not self._ended:
            self._current, self._offset = next(self._sources, None), 0
            self._ended = self._current is None
        return self._current


class Member:
    """A file inside a part; what is not read of it is skipped."""

    def __init__(self, name: str, size: int, stream: BinaryIO, path: str) -> None:
        self.name = name
        self.size = size
        self.left = size
        self._stream = stream
        self._path = path

    def read(self, most: int = _STEP) -> bytes:
        """Up to ``most`` further bytes; empty at the end.

        Raises:
            CarrierDamaged: if the part ends before the file does.
        """
        wanted = min(most, self.left)
        data = self._stream.read(wanted) if wanted else b""
        if len(data) < wanted:
            raise CarrierDamaged(self._path, f"{self.name} is cut off")
        self.left -= len(data)
        return data

    def lines(self, limit: int) -> Iterator[bytes]:
        """The lines of the file without their newlines.

        Raises:
            CarrierDamaged: if one is longer than ``limit``.
        """
        rest = b""
        while data := self.read():
            *whole_lines, rest = (rest + data).split(b"\n")
            yield from whole_lines
            if len(rest) > limit:
                raise CarrierDamaged(self._path, f"{self.name} has an endless line")
        if rest:
            yield rest

    def content(self, limit: int) -> bytes:
        """All of the file.

        Raises:
            CarrierDamaged: if it is larger than ``limit``.
        """
        if self.size > limit:
            raise CarrierDamaged(self._path, f"{self.name} is too large")
        pieces = io.BytesIO()
        while data := self.read():
            pieces.write(data)
        return pieces.getvalue()


def members(stream: BinaryIO, path: str) -> Iterator[Member]:
    """The files of a part, each to be read before the next is asked for.

    Raises:
        CarrierDamaged: if it is not such an archive, or is cut off.
    """
    while True:
        block = stream.read(BLOCK)
        if block == bytes(BLOCK):
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.TarError, UnicodeError, ValueError) as error:
            raise CarrierDamaged(path, "not an archive, or cut off") from error
        if info.type != tarfile.REGTYPE or info.size < 0:
            raise CarrierDamaged(path, "something that is no plain file")
        member = Member(info.name, info.size, stream, path)
        yield member
        while member.read():
            pass
        if len(stream.read(-info.size % BLOCK)) < -info.size % BLOCK:
            raise CarrierDamaged(path, "cut off")


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _exactly(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        size -= len(piece)
    if size:
        raise ValueError("a source is not as long as it said")
