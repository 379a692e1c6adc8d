"""Work that one process does at a time, on however many machines there are workers."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from hashlib import sha256

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.db import db, path_beside
from server.locking import locked

_TRY = text("SELECT pg_try_advisory_lock(:key)")
_LET_GO = text("SELECT pg_advisory_unlock(:key)")


@contextmanager
def alone(name: str) -> Iterator[bool]:
    """Whether nobody else does the work of that name now; then it is ours in this block.

    Nothing is left of a process that dies: the database or the system lets its lock go.
    """
    if db.engine.dialect.name == "sqlite":
        # All workers of a SQLite database are on its machine.
        path = path_beside(db.engine.url, f".{name}.lock")
        with locked(path) if path else nullcontext(True) as mine:
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


def _key(name: str) -> int:
    return int.from_bytes(sha256(f"liuhen {name}".encode()).digest()[:8], "big", signed=True)
