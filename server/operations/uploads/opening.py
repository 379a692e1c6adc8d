"""Makes the desk of a running program from its settings, store and database."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy.orm import Session

from server.db import reading, transaction
from server.operations.room import above_mark, takes_recording
from server.operations.uploads.desk import Desk, Transaction
from server.operations.uploads.heart import Heart
from server.services import services


def open_desk(app: Flask) -> Desk:
    """The desk of ``app``; one for a process, since its heartbeat speaks for the process."""
    with app.app_context():
        parts = services()
    return Desk(
        store=parts.store,
        write=transaction,
        read=reading,
        heart=Heart(write=_anywhere(app, transaction), read=_anywhere(app, reading)),
        now_ms=parts.now_ms,
        limit_bytes=parts.settings.media_limit_bytes,
        unannounced_limit_bytes=parts.settings.unannounced_limit_bytes,
        open_limit=parts.settings.open_uploads_limit,
        ttl_ms=parts.settings.upload_ttl_s * 1000,
        above_mark=lambda session: above_mark(session, parts.settings),
        takes_recording=lambda session, above, size: takes_recording(session, above, size=size),
        spool_dir=parts.settings.data_dir / "spool",
    )


def _anywhere(app: Flask, opener: Transaction) -> Transaction:
    """``opener`` for threads that serve no request."""

    @contextmanager
    def opened() -> Iterator[Session]:
        with app.app_context(), opener() as session:
            yield session

    return opened
