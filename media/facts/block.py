"""A metadata block inside a file: its own addresses from 0, wherever its bytes stand."""

from collections.abc import Sequence
from typing import Protocol

from media.source import Window


class Block(Protocol):
    """Addressable bytes of one metadata block."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, n: int) -> bytes:
        """``n`` bytes from ``offset`` inside the block; fewer where the block ends."""
        ...

    def locate(self, offset: int) -> int:
        """Where in the file the block's byte ``offset`` stands."""
        ...

    def after(self, skip: int) -> "Block":
        """The same block without its first ``skip`` bytes."""
        ...

    def part(self, offset: int, n: int) -> "Block":
        """The ``n`` bytes from ``offset`` as a block; fewer where the block ends."""
        ...

    def near(self) -> bytes:
        """Its first bytes, as many as cost no fetch."""
        ...


class FileBlock:
    """A block made of one or more ranges of the file, in order."""

    def __init__(self, window: Window, pieces: Sequence[tuple[int, int]]) -> None:
        """``pieces`` are (offset in the file, length); what lies behind its end is cut off."""
        self.window = window
        self._pieces = [
            (start, max(0, min(length, window.size - start))) for start, length in pieces
        ]
        self._first, self._first_length = self._pieces[0] if self._pieces else (0, 0)
        self.size = sum(length for _, length in self._pieces)

    def read(self, offset: int, n: int) -> bytes:
        if len(self._pieces) == 1:
            return self.window.read(self._first + offset, min(n, self._first_length - offset))
        parts: list[bytes] = []
        for start, length in self._pieces:
            if n <= 0:
                break
            if offset < length:
                parts.append(self.window.read(start + offset, min(n, length - offset)))
                n -= length - offset
                offset = 0
            else:
                offset -= length
        return b"".join(parts)

    def locate(self, offset: int) -> int:
        if offset < self._first_length:
            return self._first + offset
        for start, length in self._pieces:
            if offset < length:
                return start + offset
            offset -= length
        return self.window.size

    def after(self, skip: int) -> "FileBlock":
        pieces: list[tuple[int, int]] = []
        for start, length in self._pieces:
            cut = min(skip, length)
            pieces.append((start + cut, length - cut))
            skip -= cut
        return FileBlock(self.window, pieces)

    def part(self, offset: int, n: int) -> "FileBlock":
        pieces: list[tuple[int, int]] = []
        for start, length in self.after(offset)._pieces:
            pieces.append((start, min(n, length)))
            n -= pieces[-1][1]
        return FileBlock(self.window, pieces)

    def near(self) -> bytes:
        if len(self._pieces) != 1:
            return b""
        return self.window.read(self._first, min(self._first_length, self.window.held(self._first)))


class UnpackedBlock:
    """A block that stands compressed in the file; all of it is located where that begins."""

    def __init__(self, data: bytes, *, at: int) -> None:
        self._data = data
        self._at = at
        self.size = len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]

    def locate(self, offset: int) -> int:
        return self._at

    def after(self, skip: int) -> "UnpackedBlock":
        return UnpackedBlock(self._data[skip:], at=self._at)

    def part(self, offset: int, n: int) -> "UnpackedBlock":
        return UnpackedBlock(self._data[offset : offset + n], at=self._at)

    def near(self) -> bytes:
        return self._data
