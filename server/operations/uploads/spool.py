"""Where the bytes of a body wait until they fill a part: in memory while they come fast.

Memory for parts is bounded for the whole process. A sender that pauses, or is slow, has
its bytes moved to an unlinked file and leaves its memory to one that is not: a stalled
upload costs a few kilobytes, however much of a part it has sent. From the file they go
to the store without being in memory once more, however many wait for a slow store.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from media.store import Content
from media.upload import PART_BYTES

#: Parts that this process holds in memory at once.
BUFFERS = 8
#: A sender that has not filled a part by then is slow.
_FAST_S = 2.0
_SCRATCH_BYTES = 64 << 10


class Buffers:
    """At most ``count`` pieces of memory of the size of a part, used again and again."""

    def __init__(self, count: int) -> None:
        self._unmade = count
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self) -> bytearray | None:
        """One of them; None if none is free."""
        with self._lock:
            if self._free:
                return self._free.pop()
            if not self._unmade:
                return None
            self._unmade -= 1
        return bytearray(PART_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        with self._lock:
            self._free.append(buffer)


_SHARED = Buffers(BUFFERS)


class Spool:
    """The bytes of one request that are in no object yet. Used as a context manager.

    Attributes:
        size: how many they are.
        filed: whether they are in the file; from the next :meth:`clear` on they need not be.
    """

    def __init__(self, folder: Path, buffers: Buffers = _SHARED) -> None:
        """``folder`` is for its file. It should be no memory in disguise, as ``/tmp`` may be."""
        self.size = 0
        self.filed = False
        self._folder = folder
        self._buffers = buffers
        self._held: list[bytearray] = []
        self._held_since = 0.0
        self._file: BinaryIO | None = None
        self._joined: BinaryIO | None = None
        self._scratch = bytearray()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.clear()
        if self._file is not None:
            self._file.close()

    @property
    def slow(self) -> bool:
        """Whether the sender has taken long over what is in memory."""
        return bool(self._held) and time.monotonic() - self._held_since > _FAST_S

    def room(self, size: int) -> memoryview:
        """Memory for at most ``size`` bytes that come next; :meth:`took` says how many came."""
        place = self.size % PART_BYTES
        if not self.filed and not place and not self._hold_more():
            self.move_out()
        if not self.filed:
            return memoryview(self._held[-1])[place : place + size]
        if not self._scratch:
            self._scratch = bytearray(_SCRATCH_BYTES)
        return memoryview(self._scratch)[:size]

    def took(self, n: int) -> None:
        """The first ``n`` bytes of what :meth:`room` gave are part of the body."""
        if self.filed and self._file is not None:
            self._file.write(memoryview(self._scratch)[:n])
        self.size += n

    def move_out(self) -> None:
        """Move everything to the file and leave the memory to others."""
        if self._file is None:
            self._file = self._open_file()
        self._file.seek(0)
        left = self.size
        for buffer in self._held:
            self._file.write(memoryview(buffer)[:left])
            left -= len(buffer)
        self._give_back()
        self.filed = True

    def content(self, before: Iterable[bytes] = ()) -> Content:
        """``before`` and then all bytes: in memory if these are, else a file at its beginning.

        What it gives may be used until :meth:`clear` or the end of the block.
        """
        if self._held:
            pieces: list[bytes | memoryview] = list(before)
            left = self.size
            for buffer in self._held:
                pieces.append(memoryview(buffer)[:left])
                left -= len(buffer)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._close_joined()
        for piece in before:
            if self._joined is None:
                self._joined = self._open_file()
            self._joined.write(piece)
        if self._joined is None:
            return self._own_file() or b""
        own = self._own_file()
        if own is not None:
            shutil.copyfileobj(own, self._joined, _SCRATCH_BYTES)
        self._joined.seek(0)
        return self._joined

    def _own_file(self) -> BinaryIO | None:
        """The file with just these bytes, at its beginning; None if there are none."""
        if self._file is None or not self.size:
            return None
        # Longer ones may have waited in it before.
        self._file.truncate(self.size)
        self._file.seek(0)
        return self._file

    def _open_file(self) -> BinaryIO:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # Closed by whoever holds it here; it has no name that could be left over.
        return cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder))

    def clear(self) -> None:
        """Begin anew: the bytes are in the store."""
        self.size = 0
        self.filed = False
        self._close_joined()
        self._give_back()

    def _close_joined(self) -> None:
        if self._joined is not None:
            self._joined.close()
            self._joined = None

    def _hold_more(self) -> bool:
        buffer = self._buffers.take()
        if buffer is None:
            return False
        if not self._held:
            self._held_since = time.monotonic()
        self._held.append(buffer)
        return True

    def _give_back(self) -> None:
        while self._held:
            self._buffers.give_back(self._held.pop())
