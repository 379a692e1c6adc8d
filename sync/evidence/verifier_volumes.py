"""The volumes into which a package was cut for discs, read as the one file that they were."""

from __future__ import annotations

import os
from bisect import bisect_right
from io import RawIOBase
from itertools import takewhile
from typing import Any, List, Sequence

FIRST = ".001"
_MOST = 1000


class Volumes(RawIOBase):
    """The volumes ``X.zip.001``, ``X.zip.002`` … of a package, read as the one file they were."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__()
        self._files = [open(path, "rb", buffering=0) for path in paths]  # noqa: SIM115 - by close
        self._ends: List[int] = []
        for file in self._files:
            size = file.seek(0, os.SEEK_END)
            self._ends.append((self._ends[-1] if self._ends else 0) + size)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ends[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes also where they lie in two volumes; fewer only at the end."""
        wanted = self._ends[-1] - self._at if size < 0 else size
        pieces: List[bytes] = []
        while wanted > 0:
            piece = super().read(wanted)
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._ends, self._at)
        if number == len(self._files):
            return 0
        start = self._ends[number - 1] if number else 0
        room = memoryview(buffer).cast("B")[: self._ends[number] - self._at]
        self._files[number].seek(self._at - start)
        count = self._files[number].readinto(room) or 0
        self._at += count
        return count

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def open_whole(path: str) -> RawIOBase:
    """The file at ``path``, or its volumes where it lies in such; unbuffered.

    Raises:
        OSError.
    """
    paths = _volumes(path)
    return Volumes(paths) if paths else open(path, "rb", buffering=0)


def _volumes(path: str) -> List[str]:
    """The volumes of ``path`` from the first without a gap; empty where it is a file itself."""
    if os.path.exists(path):
        return []
    names = ("%s.%03d" % (path, number) for number in range(1, _MOST))
    return list(takewhile(os.path.isfile, names))
