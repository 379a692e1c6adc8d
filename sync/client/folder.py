"""The device folder: where everything of one device lives, and how files come into it.

A file is whole, hashed and behind an fsync before any line speaks of it, so that
a crash leaves a file without a line, never a line without its bytes.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sync.client.errors import DiskFull, FolderBusy, SourceChanged, SourceUnreadable
from sync.client.mediatype import HEAD_BYTES

_STEP = 1 << 20
_RESERVE_BYTES = 16 << 20
_PARTIAL = ".part"


@dataclass(frozen=True)
class Taken:
    """A file that is in the folder now: ``name`` inside ``media/``, first bytes in ``head``."""

    sha256: str
    size: int
    name: str
    head: bytes


class DeviceFolder:
    """The paths of one device folder (docs/client.md §2)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path / "key.pem"
        self.database = path / "journal.sqlite"
        self.media = path / "media"
        self.orphans = path / "orphans"
        self.alarms = path / "alarms"
        self.notices = path / "notices"
        self.authority = path / "ca.pem"
        self.patterns = path / "recorders.toml"
        self._lock = path / "lock"

    def create(self) -> None:
        """Make the folder and its parts, readable by the owner alone."""
        for folder in (self.path, self.media, self.alarms):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that works in this folder.

        Raises:
            FolderBusy: if another one does.
        """
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise FolderBusy(str(self.path)) from error
            yield
        finally:
            os.close(descriptor)

    def take(self, source: Path) -> Taken:
        """Copy ``source`` into the folder, hashing what is written; behind an fsync on return.

        Raises:
            SourceUnreadable, SourceChanged: nothing stays behind.
            DiskFull: likewise.
        """
        partial = self.media / f"{uuid.uuid4()}{_PARTIAL}"
        try:
            sha256, size, head = self._copy(source, partial)
            name = sha256 + _extension(source)
            partial.replace(self.media / name)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_directory(self.media)
        return Taken(sha256, size, name, head)

    def drop(self, taken: Taken) -> None:
        """Remove a copy that turned out not to be needed."""
        (self.media / taken.name).unlink(missing_ok=True)

    def tidy(self, known: set[str]) -> list[str]:
        """After a crash: remove half-copied files, set whole ones without a line aside.

        ``known`` are the names that lines speak of. Half a copy is worth nothing,
        its source was never touched; a whole copy may be the last one, so it is
        kept in ``orphans/`` for a person to decide.
        """
        for entry in list(os.scandir(self.media)):
            if entry.name in known:
                continue
            if entry.name.endswith(_PARTIAL):
                os.unlink(entry.path)
            else:
                self.orphans.mkdir(mode=0o700, exist_ok=True)
                os.replace(entry.path, self.orphans / entry.name)
        return self.orphaned()

    def orphaned(self) -> list[str]:
        """The names of files that were set aside."""
        return sorted(path.name for path in self.orphans.glob("*"))

    def alarmed(self) -> list[str]:
        """The names of alarms that nobody has settled yet."""
        return sorted(path.name for path in self.alarms.glob("*.json"))

    def _copy(self, source: Path, target: Path) -> tuple[str, int, bytes]:
        try:
            file = open(source, "rb")  # noqa: SIM115 - closed below, its errors differ from ours
        except OSError as error:
            raise SourceUnreadable(str(source), error.strerror or str(error)) from error
        with file:
            before = os.fstat(file.fileno())
            if shutil.disk_usage(self.media).free < before.st_size + _RESERVE_BYTES:
                raise DiskFull(str(source), before.st_size)
            sha256, size, head = _pour(file.fileno(), source, target)
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or (
            size != after.st_size
        ):
            raise SourceChanged(str(source))
        return sha256, size, head


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 and size of the file at ``path``.

    Raises:
        SourceUnreadable: if it cannot be read to its end.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with open(path, "rb") as file:
            while block := file.read(_STEP):
                digest.update(block)
                size += len(block)
    except OSError as error:
        raise SourceUnreadable(str(path), error.strerror or str(error)) from error
    return digest.hexdigest(), size


def sync_directory(path: Path) -> None:
    """Make the names in directory ``path`` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pour(descriptor: int, source: Path, target: Path) -> tuple[str, int, bytes]:
    digest, size, head = hashlib.sha256(), 0, b""
    mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(target, mode, 0o600), "wb", buffering=0) as out:
        while True:
            try:
                block = os.read(descriptor, _STEP)
            except OSError as error:
                raise SourceUnreadable(str(source), error.strerror or str(error)) from error
            if not block:
                break
            digest.update(block)
            head = head or block[:HEAD_BYTES]
            size += len(block)
            _write_all(out.fileno(), block, source)
        os.fsync(out.fileno())
    return digest.hexdigest(), size, head


def _write_all(descriptor: int, block: bytes, source: Path) -> None:
    view = memoryview(block)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(str(source), len(block)) from error
        raise


def _extension(source: Path) -> str:
    """A short plain extension for people who look into the folder; types come from the bytes."""
    suffix = source.suffix.lower()
    return suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 6 else ""
