"""Where the bytes of a body wait until they fill a part: in memory while they come fast.

Memory for parts is bounded for the whole process. A sender that pauses, or is slow, has
its bytes moved to an unlinked file and leaves its memory to one that is not: a stalled
upload costs a few kilobytes, however much of a part it has sent.
"""

import tempfile
import threading
import time
from typing import IO

from media.upload import PART_BYTES

#: Parts that this process holds in memory at once.
BUFFERS = 8
#: A sender that has not filled a part by then is slow.
_FAST_S = 2.0
_AWAIT_MEMORY_S = 10.0
_SCRATCH_BYTES = 64 << 10


class Buffers:
    """At most ``count`` pieces of memory of the size of a part, used again and again."""

    def __init__(self, count: int) -> None:
        self._unmade = count
        self._free: list[bytearray] = []
        self._given_back = threading.Condition()

    def take(self, *, wait_s: float = 0.0) -> bytearray | None:
        """One of them; None if none is free within ``wait_s``."""
        with self._given_back:
            if not self._given_back.wait_for(lambda: self._free or self._unmade, wait_s):
                return None
            if self._free:
                return self._free.pop()
            self._unmade -= 1
        return bytearray(PART_BYTES)

    def give_back(self, buffer: bytearray) -> None:
        with self._given_back:
            self._free.append(buffer)
            self._given_back.notify()


_SHARED = Buffers(BUFFERS)


class Spool:
    """The bytes of one request that are in no object yet. Used as a context manager.

    Attributes:
        size: how many they are.
        filed: whether they are in the file; from the next :meth:`clear` on they need not be.
    """

    def __init__(self, buffers: Buffers = _SHARED) -> None:
        self.size = 0
        self.filed = False
        self._buffers = buffers
        self._held: list[bytearray] = []
        self._held_since = 0.0
        self._file: IO[bytes] | None = None
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
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._file.seek(0)
        left = self.size
        for buffer in self._held:
            self._file.write(memoryview(buffer)[:left])
            left -= len(buffer)
        self._give_back()
        self.filed = True

    def content(self) -> bytes | memoryview:
        """All bytes. What it gives may be used until :meth:`clear` or the end of the block."""
        if self.filed and self._file is not None and not self._held:
            self._file.seek(0)
            if not _SCRATCH_BYTES < self.size <= PART_BYTES:
                return self._file.read(self.size)
            # Many may wait for the store at once: without this each would hold a part.
            buffer = self._buffers.take(wait_s=_AWAIT_MEMORY_S)
            if buffer is None:
                return self._file.read(self.size)
            self._held.append(buffer)
            self._file.readinto(memoryview(buffer)[: self.size])  # type: ignore[attr-defined]  # IO lacks it
        if len(self._held) > 1:
            return b"".join(self._held)[: self.size]
        return memoryview(self._held[0])[: self.size] if self._held else b""

    def clear(self) -> None:
        """Begin anew: the bytes are in the store."""
        self.size = 0
        self.filed = False
        self._give_back()

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
