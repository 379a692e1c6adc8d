"""The real web process for a benchmark, over a world that the benchmark has installed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from bench.machine import children, cpu_seconds
from server import migrations
from server.app import create_database_app
from server.db import db
from server.settings import Settings
from tests.support.guardian import free_port
from tests.support.world import World

_START_S = 60


@dataclass(frozen=True)
class Web:
    """A running server; ``worker`` is the process that answers."""

    url: str
    worker: int

    def cpu(self) -> float:
        """CPU seconds that the worker has spent so far."""
        return cpu_seconds(self.worker)

    def memory_kib(self) -> int:
        """What of the worker is in memory now (VmRSS)."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def install(env: Mapping[str, str]) -> World:
    """A migrated database with a bureau, two officers and a task; the clock is today's."""
    settings = Settings.from_env(env)
    settings.data_dir.mkdir(exist_ok=True)
    with create_database_app(settings).app_context(), db.engine.begin() as connection:
        migrations.upgrade(connection)
    world = World(settings)
    world.now_ms = time.time_ns() // 1_000_000
    return world


@contextmanager
def serving(env: Mapping[str, str], *, threads: int = 8) -> Iterator[Web]:
    """gunicorn as the launcher starts it: one process."""
    port = free_port()
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--config=python:server.launch.gunicorn"),
            *(f"--threads={threads}", f"--bind=127.0.0.1:{port}", "--log-level=error"),
            "server.launch.wsgi:application",
        ],
        env={**os.environ, **env},
    )
    try:
        url = f"http://127.0.0.1:{port}"
        yield Web(url, _await(server, url))
    finally:
        server.terminate()
        server.wait()


def _await(server: subprocess.Popen, url: str) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            requests.get(f"{url}/health", timeout=5).raise_for_status()
            return children(server.pid)[0]
        except requests.RequestException:
            time.sleep(0.2)
    raise SystemExit("the server did not start")
