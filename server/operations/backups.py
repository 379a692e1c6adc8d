"""Backups: a copy of the database while it runs, its originals, and the mark of both.

Devices let nothing go before the newest mark has passed its receipt
(docs/protocol.md §4.2), so a mark is made only of what is behind an fsync.
"""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from media.store import ObjectDiffers, Store
from server.failures import Invalid
from server.models.ledger import Backup
from server.operations import ledger


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A copied database and how far the ledger in it goes."""

    path: Path
    generation: int
    size: int


def copy_database(database_url: str, folder: Path, *, now_ms: int) -> Copy:
    """Copy the SQLite database into ``folder``, consistent and checked; writers go on meanwhile.

    Raises:
        Invalid: if the database is not SQLite; PostgreSQL has tools of its own.
        OSError: if it cannot be copied whole; nothing with a final name is left.
    """
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise Invalid("database", "not SQLite: use pg_dump, then --mark")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / ".database.part"
    draft.unlink(missing_ok=True)
    source = f"{Path(url.database).resolve().as_uri()}?mode=ro"
    try:
        generation, size = _snapshot(source, draft)
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
    draft.chmod(0o600)
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / f"liuhen-{at}-{generation}-{size}.sqlite"
    _settle(draft, path)
    return Copy(path=path, generation=generation, size=size)


def _snapshot(source: str, draft: Path) -> tuple[int, int]:
    with (
        closing(sqlite3.connect(source, uri=True, timeout=30)) as live,
        closing(sqlite3.connect(draft)) as copy,
    ):
        # In one step: the copy is one snapshot, however much is written meanwhile.
        live.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")
        (sound,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(sound)
        generation, size = copy.execute(
            "SELECT generation, size FROM ledger_head ORDER BY generation DESC LIMIT 1"
        ).fetchone()
    return generation, size


def copy_objects(store: Store, database: Path, folder: Path) -> int:
    """Copy every stored object that the copied ``database`` names and ``folder`` lacks; how many.

    That is originals, receipts and foreign packages; all else can be made again.

    Raises:
        ObjectDiffers: if the store no longer has the bytes that were taken in.
    """
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as copy:
        rows = copy.execute(
            "SELECT store_key, sha256, size FROM media_object WHERE status = 'stored'"
            " UNION SELECT store_key, sha256, size FROM package_receipt"
            " UNION SELECT store_key, sha256, size FROM foreign_package"
        ).fetchall()
    copied = 0
    for key, sha256, size in rows:
        path = folder / key
        if path.exists() and path.stat().st_size == size:
            continue
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft, digest = path.with_name(f".{path.name}.part"), hashlib.sha256()
        with draft.open("wb") as file:
            for piece in store.stream(key):
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != sha256:
            raise ObjectDiffers(key, expected=sha256, found=digest.hexdigest())
        _settle(draft, path)
        copied += 1
    return copied


def copy_keys(secrets_dir: Path, folder: Path) -> None:
    """Copy the server's keys and secrets; whoever has them can sign as the server."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(secrets_dir.iterdir()):
        if path.is_file():
            draft = folder / f".{path.name}.part"
            shutil.copyfile(path, draft)
            draft.chmod(0o600)
            _settle(draft, folder / path.name)


def mark(session: Session, *, generation: int, size: int, now_ms: int) -> None:
    """Note that a backup holds the ledger of ``generation`` up to ``size``, and its originals.

    Raises:
        Invalid: if the ledger is not as long, or the generation has ended.
    """
    present = ledger.current_generation(session).number
    if generation != present or not 0 < size <= ledger.size(session):
        raise Invalid("size", "not a size of the present ledger")
    session.add(Backup(generation=generation, size=size, made_at_ms=now_ms))
    session.flush()


def backed_up_size(session: Session) -> int:
    """Up to which size of the present ledger a backup is known; 0 if of none."""
    generation = ledger.current_generation(session).number
    found = session.scalar(select(func.max(Backup.size)).where(Backup.generation == generation))
    return found or 0


def _settle(draft: Path, path: Path) -> None:
    """Give a finished file its name, behind an fsync of both."""
    for target in (draft, draft.parent):
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    draft.replace(path)
