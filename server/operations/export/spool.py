"""Files made for one package, kept on disk until the ZIP is written: memory stays constant."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sync.evidence.package import PackageFile

_STEP = 1 << 20


class Spool:
    """A folder of files made here, each measured while it is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def write(self, path: str, chunks: Iterable[bytes]) -> PackageFile:
        """Keep ``chunks`` as the package's file ``path``."""
        file = self._folder / f"{self._count:06d}"
        self._count += 1
        digest, size, crc32 = hashlib.sha256(), 0, 0
        with file.open("xb") as out:
            for chunk in chunks:
                out.write(chunk)
                digest.update(chunk)
                size, crc32 = size + len(chunk), zlib.crc32(chunk, crc32)
        return PackageFile(
            path=path,
            sha256=digest.hexdigest(),
            size=size,
            crc32=crc32,
            chunks=lambda: read_pieces(file),
        )


def read_pieces(file: Path) -> Iterator[bytes]:
    """The bytes of ``file`` in pieces of at most 1 MiB."""
    with file.open("rb") as source:
        while piece := source.read(_STEP):
            yield piece
