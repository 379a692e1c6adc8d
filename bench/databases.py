"""Fresh migrated databases for benchmarks that need one after another."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from server import migrations
from server.db import configure_sqlite, engine_options


@contextmanager
def fresh_database(server_url: str | None, folder: Path) -> Iterator[str]:
    """The URL of an empty migrated database that is gone afterwards.

    It is a file in ``folder``, or a new database beside the one that
    ``server_url`` names on PostgreSQL, whose role must be allowed to create one.
    """
    name = f"bench_{uuid.uuid4().hex}"
    if server_url is None:
        folder.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{folder / name}.sqlite"
        _migrate(url)
        yield url
        return
    _do(server_url, f"CREATE DATABASE {name}")
    try:
        url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
        _migrate(url)
        yield url
    finally:
        _do(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _migrate(url: str) -> None:
    engine = create_engine(url, **engine_options(url))
    configure_sqlite(engine)
    with engine.begin() as connection:
        migrations.upgrade(connection)
    engine.dispose()


def _do(server_url: str, statement: str) -> None:
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
