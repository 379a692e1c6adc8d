"""Writing a carrier folder: encrypted parts first, the manifest last, each whole or not at all.

Until it is complete the folder's name ends in ``.incomplete``: a full disk, a
pulled stick or a power cut leaves either a whole carrier or one that says so.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyrage

from sync.carrier.errors import CarrierUnwritable
from sync.carrier.manifest import MANIFEST_NAME, README_NAME, Part, part_name
from sync.carrier.members import Packer, Source
from sync.catalogue import LANGUAGES, text

#: Fits every file system and disc in use: FAT32 ends at 4 GiB, a DVD at 4.7 GB.
SPLIT_BYTES = 4_000_000_000
SMALLEST_SPLIT = 256_000
_INCOMPLETE = ".incomplete"
# An age file adds a header, a nonce and 16 bytes to each 64 KiB.
_AGE_CHUNK, _AGE_TAG, _AGE_HEAD = 1 << 16, 16, 1024


class CarrierWriter:
    """One folder under way: ``pack``, then ``finish``; left without that, it is removed again."""

    def __init__(self, parent: Path, kind: str, identifier: str, *, recipient: str) -> None:
        """Make the folder of a ``kind`` (``carrier`` or ``reply``) in ``parent``.

        Raises:
            CarrierUnwritable.
        """
        self.path = parent / f"{kind}-{identifier}"
        self._draft = parent / f"{kind}-{identifier}{_INCOMPLETE}"
        self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        with _writing(self._draft):
            self._draft.mkdir(mode=0o700)
            self._put(README_NAME, lambda file: file.write(_readme(kind)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # On a pulled stick this fails too; the name then says that it is incomplete.
        shutil.rmtree(self._draft, ignore_errors=True)

    def pack(self, sources: Iterator[Source], *, split: int) -> tuple[Part, ...]:
        """Write ``sources`` as parts of at most ``split`` bytes each; one part is in memory never.

        Raises:
            CarrierUnwritable.
        """
        packer = Packer(sources, _room(split))
        parts: list[Part] = []
        with _writing(self._draft):
            while not packer.done:
                parts.append(self._encrypt(part_name(len(parts) + 1), packer.part()))
        return tuple(parts)

    def finish(self, manifest: bytes) -> None:
        """Write the ``manifest`` and give the folder its name: from now on it is a carrier.

        Raises:
            CarrierUnwritable.
        """
        with _writing(self._draft):
            self._encrypt(MANIFEST_NAME, iter((manifest,)))
            _sync_directory(self._draft)
            self._draft.rename(self.path)
            _sync_directory(self.path.parent)

    def _encrypt(self, name: str, plain: Iterator[bytes]) -> Part:
        sink: _Sink | None = None

        def pour(file: Any) -> None:
            nonlocal sink
            source, sink = _Reader(plain), _Sink(file)
            try:
                pyrage.encrypt_io(source, sink, [self._recipient])
            except (pyrage.EncryptError, OSError):
                # What went wrong on our side of the library is the reason to tell.
                raise source.error or sink.error or OSError(errno.EIO, "not encrypted") from None

        self._put(name, pour)
        assert sink is not None  # noqa: S101 - _put has called pour
        return Part(sink.size, sink.digest.hexdigest())

    def _put(self, name: str, pour: Callable[[Any], object]) -> None:
        draft = self._draft / f"{name}.tmp"
        with open(draft, "xb") as file:
            pour(file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._draft / name)


class _Reader:
    """A stream over an iterator, as the encryption wants it; keeps the error that ended it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.error: Exception | None = None

    def read(self, most: int = -1) -> bytes:
        try:
            while not self._rest:
                self._rest = next(self._pieces)
        except StopIteration:
            return b""
        except Exception as error:
            self.error = error
            raise
        given = self._rest if most < 0 else self._rest[:most]
        self._rest = self._rest[len(given) :]
        return given


class _Sink:
    """A file that is hashed and counted while it is written."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self.error = error
            raise
        self.digest.update(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        return


class _writing:  # noqa: N801 - reads as a word in ``with``
    """Tells whatever the file system refuses as one error about ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise CarrierUnwritable(str(self._folder), reason) from error


def _readme(kind: str) -> bytes:
    """What a person who finds the folder should know; nothing of its content."""
    texts = (text(f"carrier.readme_{kind}", lang) for lang in LANGUAGES)
    return "\n\n".join((*texts, "")).replace("\n", "\r\n").encode()


def _room(split: int) -> int:
    """How many bytes fit into a part whose encrypted file has at most ``split``."""
    room = split - _AGE_HEAD
    return room - -(-room // (_AGE_CHUNK + _AGE_TAG)) * _AGE_TAG


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems of removable disks cannot sync a directory and say so.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
