"""The database: one engine, the only commit, and the lock that keeps SQLite's writers in line."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from server.locking import locked
from server.models import Base

db = SQLAlchemy(metadata=Base.metadata, disable_autonaming=True)

_WRITING = "liuhen_writing"


def engine_options(database_url: str) -> dict[str, Any]:
    """Engine options: SQLite waits for its lock, PostgreSQL checks its links before use."""
    if make_url(database_url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": 30}}
    return {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 24}


def configure_sqlite(engine: Engine) -> None:
    """Durable and strict: WAL with a full fsync, foreign keys, triggers that replace cannot pass.

    pysqlite's own transaction handling is switched off, so that a write
    transaction begins as BEGIN IMMEDIATE and a reading one as BEGIN.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
            "secure_delete=ON",
            "busy_timeout=30000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writing = connection.get_execution_options().get(_WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def transaction() -> Iterator[Session]:
    """Commit if the block ends, roll back if it raises; the only place that commits.

    On SQLite the writers of all processes first queue at an exclusive ``flock``
    beside the database: without it they wait by polling and push p95 was 936 ms
    instead of 34 ms (docs/protocol.md §4.4). Do slow work before entering.
    """
    session = db.session()
    if session.info.get(_WRITING):
        raise RuntimeError("a transaction is already open; operations never open their own")
    # A read before this block would have opened a snapshot that may be stale by now.
    session.rollback()
    with _write_lock(db.engine.url):
        session.info[_WRITING] = True
        try:
            session.connection(execution_options={_WRITING: True})
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            del session.info[_WRITING]


@contextmanager
def reading() -> Iterator[Session]:
    """A session for reading only; whatever was changed in it is rolled back."""
    session = db.session()
    try:
        yield session
    finally:
        session.rollback()


@contextmanager
def _write_lock(url: URL) -> Iterator[None]:
    path = path_beside(url, ".lock")
    with locked(path, wait=True) if path else nullcontext():
        yield


def path_beside(url: URL, suffix: str) -> Path | None:
    """A file beside a SQLite database; None where the database is none in a file."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database).with_suffix(suffix)
