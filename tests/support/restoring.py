"""Putting an old copy of a database in place of the present one, as a restored backup does."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from server.app import create_app
from server.db import db, reading, transaction
from server.operations import generations, ledger
from server.services import open_services


class Backup:
    """Copies of the database of ``world``: ``keep`` makes one, ``put_back`` restores the last."""

    def __init__(self, world, folder: Path) -> None:
        self._world = world
        self._url = make_url(world.settings.database_url)
        self._saved = folder / "backup.sqlite"

    def keep(self) -> None:
        self._let_go()
        if self._url.get_backend_name() == "sqlite":
            _copy_file(self._url.database, self._saved)
        else:
            self._copy(self._url.database, f"{self._url.database}_kept")

    def put_back(self) -> None:
        self._let_go()
        if self._url.get_backend_name() == "sqlite":
            _copy_file(self._saved, self._url.database)
        else:
            self._copy(f"{self._url.database}_kept", self._url.database)
        restart(self._world)

    def _let_go(self):
        with self._world.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def _copy(self, source, target):
        server = create_engine(self._url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)"))
            connection.execute(
                text(f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY file_copy")
            )
        server.dispose()

    def discard(self) -> None:
        """Leave nothing on the server."""
        if self._url.get_backend_name() != "sqlite":
            server = create_engine(self._url.set(database="postgres"), isolation_level="AUTOCOMMIT")
            with server.connect() as connection:
                connection.execute(
                    text(f"DROP DATABASE IF EXISTS {self._url.database}_kept WITH (FORCE)")
                )
            server.dispose()


def _copy_file(source, target):
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def restart(world) -> None:
    """The server's processes end, and start again over what the database holds now."""
    with world.app.app_context():
        with reading() as session:
            origin = ledger.current_generation(session).origin
        db.engine.dispose()
    fresh = open_services(world.settings, origin=origin)
    world.services = replace(
        fresh,
        store=world.services.store,
        now_ms=lambda: world.now_ms,
        clock_state=lambda: "synchronised",
    )
    world.app = create_app(world.settings, services=world.services)
    world.client = world.app.test_client()


def begin_generation(world) -> None:
    """What ``liuhen-admin ledger restore`` does, and the restart after it."""
    with world.app.app_context(), transaction() as session:
        generations.restore(session, world.settings, reason="换用备份", now_ms=world.now_ms)
    restart(world)
