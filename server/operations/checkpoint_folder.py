"""Checkpoints kept outside the database: a database that is put back cannot take them back along.

One file for each origin holds its newest signed checkpoint; an older one never
replaces a newer one, since that is what proves the database went back
(docs/evidence.md §5).
"""

import os
import re
from pathlib import Path

from sync.evidence.checkpoint import Checkpoint, parse_checkpoint
from sync.evidence.errors import SyncError
from sync.evidence.note import parse_note

_SUFFIX = ".checkpoint"
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
#: A signed checkpoint is far shorter; another file may lie in the folder.
_MAX_BYTES = 4096


def keep_newest(folder: Path, note: str) -> None:
    """Write ``note`` down unless the folder holds as new a one of its origin; durable on return."""
    head = parse_checkpoint(parse_note(note).text)
    path = folder / (_UNSAFE.sub("_", head.origin) + _SUFFIX)
    kept = _head(_read(path))
    if kept is not None and (kept.origin, kept.size >= head.size) == (head.origin, True):
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def kept_notes(folder: Path) -> list[str]:
    """What lies in the folder and looks like a checkpoint; whose it is must still be checked."""
    notes = [_read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    return [note for note in notes if _head(note) is not None]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""


def _head(note: str) -> Checkpoint | None:
    try:
        return parse_checkpoint(parse_note(note).text)
    except SyncError:
        return None
