"""Reading a carrier folder that anybody may have made or touched.

Names of files are never taken from its content, links are not followed, and no
byte of a part is looked at before its digest is the one that the manifest signs.
"""

import hashlib
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import pyrage

from sync.carrier.errors import (
    CarrierDamaged,
    CarrierIncomplete,
    CarrierNotFound,
    CarrierUnreadable,
)
from sync.carrier.keys import CarrierKey
from sync.carrier.manifest import (
    KINDS,
    MANIFEST_BYTES,
    MANIFEST_NAME,
    README_NAME,
    Part,
    folder_id,
    is_incomplete,
    part_name,
)
from sync.carrier.members import Member, members

_STEP = 1 << 20
_AGE_MARGIN = 1 << 20


class PartState(StrEnum):
    """How a part stands on a disk: as signed, not there, or there and something else."""

    PRESENT = "present"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Found:
    """The folders of one kind at a place, and the names of all else that lies there."""

    folders: tuple[Path, ...]
    incomplete: tuple[str, ...]
    ignored: tuple[str, ...]


def find_folders(place: Path, kind: str) -> Found:
    """The carrier folders (``kind`` ``carrier`` or ``reply``) in ``place``, or ``place`` itself.

    Raises:
        CarrierNotFound: if ``place`` is no readable folder.
        CarrierIncomplete: if it is one that was cut off while it was written.
    """
    if is_incomplete(place.name):
        raise CarrierIncomplete(str(place), MANIFEST_NAME)
    if folder_id(place.name, kind):
        return Found((place,), (), ())
    folders, incomplete, ignored = [], [], []
    try:
        entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    except OSError as error:
        raise CarrierNotFound(str(place)) from error
    for entry in entries:
        if folder_id(entry.name, kind) and entry.is_dir(follow_symlinks=False):
            folders.append(place / entry.name)
        elif any(folder_id(entry.name, other) for other in KINDS - {kind}):
            # What goes the other way lies on the same disk as a rule.
            continue
        elif is_incomplete(entry.name):
            incomplete.append(entry.name)
        else:
            ignored.append(entry.name)
    return Found(tuple(folders), tuple(incomplete), tuple(ignored))


def strangers(folder: Path, parts: int) -> list[str]:
    """Names in ``folder`` that belong to no carrier of so many ``parts``."""
    ours = {MANIFEST_NAME, README_NAME, *(part_name(n) for n in range(1, parts + 1))}
    return sorted(entry.name for entry in os.scandir(folder) if entry.name not in ours)


def read_manifest(path: Path, keys: Iterable[CarrierKey]) -> bytes:
    """The decrypted manifest at ``path``.

    Raises:
        CarrierIncomplete: if it is not there.
        CarrierUnreadable: if none of ``keys`` opens it.
        CarrierDamaged: if it is no plain file, too large or damaged.
    """
    limit = MANIFEST_BYTES + _AGE_MARGIN
    try:
        with _open_plain(path) as file:
            sealed = file.read(limit + 1)
    except FileNotFoundError as error:
        raise CarrierIncomplete(str(path.parent), path.name) from error
    except OSError as error:
        raise CarrierDamaged(str(path), error.strerror or str(error)) from error
    if len(sealed) > limit:
        raise CarrierDamaged(str(path), f"larger than {limit} bytes")
    try:
        return bytes(pyrage.decrypt(sealed, [key.identity for key in keys]))
    except (pyrage.DecryptError, OSError, ValueError) as error:
        raise CarrierUnreadable(str(path)) from error


def check_part(path: Path, part: Part) -> PartState:
    """Whether the file at ``path`` is ``part`` to the byte; reads all of it."""
    digest = hashlib.sha256()
    try:
        with _open_plain(path) as file:
            if os.fstat(file.fileno()).st_size != part.size:
                return PartState.DAMAGED
            while block := file.read(_STEP):
                digest.update(block)
    except FileNotFoundError:
        return PartState.MISSING
    except OSError:
        return PartState.DAMAGED
    return PartState.PRESENT if digest.hexdigest() == part.sha256 else PartState.DAMAGED


@contextmanager
def opened_part(path: Path, key: CarrierKey) -> Iterator[Iterator[Member]]:
    """The members of the encrypted part at ``path``, as a stream: nothing is held or put on disk.

    Raises:
        CarrierDamaged, CarrierUnreadable: on the way or at the end.
    """
    failed: list[Exception] = []
    reading, writing = os.pipe()

    def decrypt() -> None:
        # In a thread, because the library pushes and what takes the bytes wants to pull.
        try:
            with os.fdopen(writing, "wb") as sink, _open_plain(path) as sealed:
                pyrage.decrypt_io(sealed, sink, [key.identity])
        except BrokenPipeError:
            return
        except (pyrage.DecryptError, OSError) as error:
            failed.append(error)

    thread = threading.Thread(target=decrypt, name="carrier", daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb") as stream:
            yield members(stream, str(path))
    except CarrierDamaged as error:
        thread.join()
        raise (_told(failed[0], path) if failed else error) from error
    finally:
        thread.join()
    if failed:
        raise _told(failed[0], path)


def _told(error: Exception, path: Path) -> CarrierDamaged | CarrierUnreadable:
    if isinstance(error, pyrage.DecryptError):
        return CarrierUnreadable(str(path))
    return CarrierDamaged(str(path), str(error))


def _open_plain(path: Path) -> BinaryIO:
    """Open a regular file; a link, pipe or device in its place is refused, never followed.

    Raises:
        OSError.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no plain file")
    return os.fdopen(descriptor, "rb")
