"""Where the metadata readers get their bytes: a file, memory or an object in the store.

Readers never see a whole file. They ask for ranges, through a window that
counts what was fetched, so that a hostile file cannot make them read more
than a fixed amount.
"""

import os
from bisect import bisect_right
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from media.errors import Limit, LimitReached, Truncated, Unreadable

READ_BUDGET_BYTES = 4 * 1024 * 1024
READ_BUDGET_FETCHES = 1024

# A JPEG of a phone has its EXIF within the first 16–33 KB, so one fetch usually does.
_FIRST_FETCH_BYTES = 32 * 1024
_LEAST_FETCH_BYTES = 4 * 1024


class ByteSource(Protocol):
    """Bytes of known length that can be read at any place."""

    @property
    def size(self) -> int:
        """Length in bytes."""
        ...

    def read(self, offset: int, n: int) -> bytes:
        """``n`` bytes from ``offset``; fewer only where the source ends."""
        ...


class MemorySource:
    """Bytes that are at hand anyway."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


class FileSource:
    """A regular file, opened once; safe to read from several threads.

    Raises:
        Unreadable: if the path cannot be opened or is not a regular file. A pipe
            or a device could keep a reader waiting for ever.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            if not Path(path).is_file():
                raise Unreadable("not a regular file" if Path(path).exists() else "no such file")
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise Unreadable(getattr(error, "strerror", None) or str(error)) from error
        self._size = os.fstat(self._fd).st_size

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, n: int) -> bytes:
        """As ``ByteSource.read``; a disk that fails to give the bytes is ``Unreadable``."""
        try:
            return os.pread(self._fd, n, offset)
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Window:
    """Reads through to a source, keeps what was fetched, and stops at a budget.

    Small reads are fetched in larger pieces, since behind a source may stand an
    object store that answers in milliseconds whatever the size.
    """

    def __init__(
        self,
        source: ByteSource,
        *,
        budget_bytes: int = READ_BUDGET_BYTES,
        budget_fetches: int = READ_BUDGET_FETCHES,
    ) -> None:
        self._source = source
        self._left_bytes = budget_bytes
        self._left_fetches = budget_fetches
        # Starts and contents of what was fetched, sorted by start for a search by halves:
        # a walk over every piece would let a file with a thousand of them cost seconds.
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        # The piece that was read from last: most reads stand beside one another.
        self._start = 0
        self._piece = b""
        self.size = source.size
        self.bytes_read = 0

    def read(self, offset: int, n: int) -> bytes:
        """``n`` bytes from ``offset``; fewer only where the source ends.

        Raises:
            LimitReached: when the budget of bytes or fetches is spent.
        """
        skip = offset - self._start
        if skip >= 0 and 0 < n <= len(self._piece) - skip:
            return self._piece[skip : skip + n]
        if n <= 0 or offset < 0 or offset >= self.size:
            return b""
        if offset + n > self.size:
            n = self.size - offset
        if self.held(offset) < n:
            self._fetch(offset, n)
        skip = offset - self._start
        return self._piece[skip : skip + n]

    def held(self, offset: int) -> int:
        """How many bytes from ``offset`` on are at hand in one piece, without a fetch."""
        nearest = bisect_right(self._starts, offset) - 1
        if nearest < 0:
            return 0
        self._start, self._piece = self._starts[nearest], self._pieces[nearest]
        return max(0, self._start + len(self._piece) - offset)

    @property
    def bytes_left(self) -> int:
        """How many bytes may still be fetched."""
        return self._left_bytes

    def exactly(self, offset: int, n: int) -> bytes:
        """``n`` bytes from ``offset``.

        Raises:
            Truncated: if the source ends before them.
            LimitReached: when the budget is spent.
        """
        data = self.read(offset, n)
        if len(data) < n:
            raise Truncated(offset=offset, wanted=n, got=len(data))
        return data

    def _fetch(self, offset: int, n: int) -> None:
        if n > self._left_bytes:
            raise LimitReached(Limit.BUDGET, offset=offset)
        if self._left_fetches == 0:
            raise LimitReached(Limit.READS, offset=offset)
        ahead = _LEAST_FETCH_BYTES if self._pieces else _FIRST_FETCH_BYTES
        data = self._source.read(offset, min(max(n, ahead), self._left_bytes))
        self._left_bytes -= len(data)
        self._left_fetches -= 1
        self.bytes_read += len(data)
        place = bisect_right(self._starts, offset)
        self._starts.insert(place, offset)
        self._pieces.insert(place, data)
        self._start, self._piece = offset, data
