"""Work that one process does at a time, on however many machines there are workers."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from server.db import db

_TRY = text("SELECT pg_try_advisory_lock(:key)")
_LET_GO = text("SELECT pg_advisory_unlock(:key)")


@contextmanager
def alone(name: str) -> Iterator[bool]:
    """Whether nobody else does the work of that name now; then it is ours in this block.

    Nothing is left of a process that dies: the database or the system lets its lock go.
    """
    url = db.engine.url
    if url.get_backend_name() == "sqlite":
        with _alone_here(url, name) as mine:
            yield mine
        return
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # It does not go back to the pool: its end is the end of the lock.
        connection.detach()
        mine = bool(connection.scalar(_TRY, {"key": _key(name)}))
        yield mine
        if mine:
            # A server sees a closed connection some time later; who asks at once would wait.
            with suppress(DBAPIError):
                connection.execute(_LET_GO, {"key": _key(name)})


@contextmanager
def _alone_here(url: URL, name: str) -> Iterator[bool]:
    """As :func:`alone`; all workers of a SQLite database are on its machine."""
    if not url.database or url.database == ":memory:":
        yield True
        return
    path = Path(url.database).with_suffix(f".{name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _key(name: str) -> int:
    return int.from_bytes(sha256(f"liuhen {name}".encode()).digest()[:8], "big", signed=True)
