"""Fixtures for the real servers: SeaweedFS and PostgreSQL, one of each for a whole run."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from media.s3_address import S3Address
from server import migrations
from server.db import configure_sqlite, engine_options

_START_S = 90
_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class S3:
    """A running object store; keys are written once, so tests use bytes of their own."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str
    region: str
    #: Access key and secret of who may make buckets and lift locks, where that is another.
    administrator: tuple[str, str] | None = None
    #: Of our own store: where its keys lie, and its ports by name.
    folder: str | None = None
    ports: Mapping[str, int] | None = None

    def address(self, **more):
        """As the server knows the store."""
        return S3Address(
            endpoint=self.endpoint,
            access_key=self.access_key,
            secret_key=self.secret_key,
            bucket=self.bucket,
            region=self.region,
            **more,
        )

    def as_administrator(self, **more):
        """As somebody knows it who may do anything."""
        access_key, secret_key = self.administrator or (self.access_key, self.secret_key)
        return replace(self.address(**more), access_key=access_key, secret_key=secret_key)

    def environment(self):
        """The settings that point at this store."""
        return {
            "LIUHEN_S3_ENDPOINT": self.endpoint,
            "LIUHEN_S3_ACCESS_KEY": self.access_key,
            "LIUHEN_S3_SECRET_KEY": self.secret_key,
            "LIUHEN_S3_BUCKET": self.bucket,
            "LIUHEN_S3_REGION": self.region,
        }


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory, worker_id):
    """A folder that all workers of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def seaweedfs(shared_folder):
    """SeaweedFS with its bucket, fsync on; about 4 s for the first test that asks."""
    with _user_of("store", shared_folder / "store") as where:
        yield S3(**where)


@pytest.fixture(scope="session")
def rclone(shared_folder):
    """``rclone serve s3``: a store that overwrites, compares no SHA-256 and knows no locks."""
    with _user_of("rclone", shared_folder / "rclone") as where:
        yield S3(**where)


@pytest.fixture(scope="session")
def moto(shared_folder):
    """moto's server: a store that compares no digests but knows Object Lock and encryption."""
    with _user_of("moto", shared_folder / "moto") as where:
        yield S3(**where)


@pytest.fixture(scope="session")
def s3(request):
    """The store of this run: the one that we come with, unless LIUHEN_TEST_STORE names another."""
    return request.getfixturevalue(os.environ.get("LIUHEN_TEST_STORE") or "seaweedfs")


@pytest.fixture(scope="session", params=["seaweedfs", "rclone", "moto"])
def any_s3(request):
    """Each of the stores that we run against; the test runs once on each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def postgres_url(shared_folder):
    """PostgreSQL; a URL that ends in the slash before the database's name."""
    with _user_of("postgres", shared_folder / "postgres") as where:
        yield where["url"]


@pytest.fixture
def make_database(request, tmp_path):
    """Makes fresh databases: ``make_database("sqlite")`` or ``("postgresql")`` gives a URL.

    They are copies of one migrated database; ``empty=True`` leaves the migrations out.
    """
    made = []

    def make(kind, *, empty=False):
        name = f"t_{uuid.uuid4().hex}"
        if kind == "sqlite":
            path = tmp_path / f"{name}.sqlite"
            if not empty:
                shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        template = "template0" if empty else request.getfixturevalue("postgres_template")
        server = request.getfixturevalue("postgres_url")
        _on_postgres(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        made.append((server, name))
        return f"{server}{name}"

    yield make
    for server, name in made:
        _on_postgres(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, make_database):
    """A fresh migrated database; the test runs once on each kind."""
    return make_database(request.param)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    """The file of a migrated SQLite database that nobody has open."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_url, worker_id):
    """The name of a migrated PostgreSQL database; each worker has its own."""
    name = f"template_{worker_id}"
    _on_postgres(postgres_url, f"CREATE DATABASE {name}")
    _migrate(f"{postgres_url}{name}")
    return name


def _migrate(url):
    engine = create_engine(url, **engine_options(url))
    configure_sqlite(engine)
    with engine.begin() as connection:
        migrations.upgrade(connection)
    if make_url(url).get_backend_name() == "sqlite":
        with engine.connect() as connection:
            # Everything into the one file that will be copied.
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()


def _on_postgres(server_url, statement):
    engine = create_engine(f"{server_url}postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


class _user_of:  # noqa: N801 - reads as the statement it is used in
    """Holds a shared server for the rest of this process, starting it if nobody has."""

    def __init__(self, kind, folder):
        self.kind = kind
        self.folder = folder

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.users = (self.folder / "users").open("a")
        with (self.folder / "starting").open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(self.users, fcntl.LOCK_SH)
            if not self._ready():
                self._start()
            self._await()
        return json.loads((self.folder / "ready.json").read_text())

    def __exit__(self, *_exception):
        self.users.close()

    def _ready(self):
        return (self.folder / "ready.json").exists()

    def _start(self):
        with (self.folder / "guardian.log").open("wb") as log:
            subprocess.Popen(
                [sys.executable, "-m", "tests.support.guardian", self.kind, self.folder],
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own: Ctrl-C in the terminal reaches its users first.
                start_new_session=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("LIUHEN_")},
            )

    def _await(self):
        deadline = time.monotonic() + _START_S
        while not self._ready():
            failed = self.folder / "failed"
            if failed.exists() or time.monotonic() > deadline:
                reason = failed.read_text() if failed.exists() else "too slow"
                pytest.fail(f"the test {self.kind} did not start: {reason} ({self.folder})")
            time.sleep(0.05)
