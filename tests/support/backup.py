"""A copy of a world's database, on either kind, and its return in place of the present one."""

import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from server.db import db
from tests.support.restoring import copy_database, restart


class Backup:
    """The last copy of the database of ``world``: ``keep`` makes it, ``put_back`` restores it."""

    def __init__(self, world, folder: Path) -> None:
        self._world = world
        self._url = make_url(world.settings.database_url)
        self._saved = folder / "backup.sqlite"

    def keep(self) -> None:
        self._copy(forth=True)

    def put_back(self) -> None:
        self._copy(forth=False)
        restart(self._world)

    def discard(self) -> None:
        """Leave nothing on the server."""
        if self._url.get_backend_name() != "sqlite":
            self._do(f"DROP DATABASE IF EXISTS {self._url.database}_kept WITH (FORCE)")

    def _copy(self, *, forth):
        with self._world.app.app_context():
            db.session.remove()
            db.engine.dispose()
        lite = self._url.get_backend_name() == "sqlite"
        live, kept = self._url.database, self._saved if lite else f"{self._url.database}_kept"
        source, target = (live, kept) if forth else (kept, live)
        if lite:
            copy_database(source, target)
        else:
            self._copy_on_server(source, target)

    def _copy_on_server(self, source, target):
        self._do(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
        # A connection that was closed may be seen a moment longer, and nobody may be connected.
        self._do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{source}'")
        for _ in range(100):
            with suppress(OperationalError):
                self._do(f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY file_copy")
                return
            time.sleep(0.05)
        raise AssertionError(f"{source} cannot be copied")

    def _do(self, statement):
        server = create_engine(self._url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text(statement))
        server.dispose()
