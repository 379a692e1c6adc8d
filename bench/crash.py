"""Web process, worker and store killed with SIGKILL while uploads run, and deaths in between.

What was acknowledged must be there afterwards, and little be sent twice; after the
sweeper no object may be without a row and no row without its bytes.
"""

import argparse
import os
import random
import secrets
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bench.databases import fresh_database
from bench.machine import machine
from media.store import long_key
from server.settings import Settings
from tests.support.bureau import TOKEN, TUS, environment, lay_out, metadata, s3_store
from tests.support.crashing import crash_often
from tests.support.processes import OwnStore, Worker
from tests.support.services import S3
from tests.support.slowstore import SlowStore
from tests.support.webserver import WebServer

_HEADERS = {**TUS, "Authorization": f"Bearer {TOKEN}"}
_MIB = 1 << 20
#: More than may be sent twice, or the bound would be kept by sending no more.
_AHEAD = 32 * _MIB
_STEP = 64 << 10
_VICTIMS = ("web", "web", "web", "web", "worker", "store")
_PATIENCE_S = 60


def run(arguments: list[str]) -> dict[str, object]:
    """Kill ``--kills`` times during uploads, and crash ``--injected`` more of them inside."""
    parser = argparse.ArgumentParser(prog="scripts/bench crash")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--injected", type=int, default=1000)
    parser.add_argument("--megabytes", type=int, default=128, help="of each recording")
    parser.add_argument("--slow", type=int, help="bytes per second to the store")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", file=sys.stderr)
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.kills:
            with fresh_database(options.database, folder) as url:
                found["killed"] = _Killing(folder, url, options).run()
        if options.injected:
            settings = Settings.from_env(environment(folder / "injected"))
            crashed = crash_often(settings, crashes=options.injected, seed=options.seed)
            found["injected"] = {
                "crashes": crashed.crashes,
                "uploads": crashed.finished,
                "swept": crashed.swept,
                "unadopted": len(crashed.unadopted),
                "rows_without_bytes": len(crashed.hollow),
                "lost": len(crashed.lost),
            }
    return {"bench": "crash", "seed": options.seed, **found, "machine": machine()}


class _Killing:
    """One device that sends recordings while whoever receives them dies again and again."""

    def __init__(self, folder: Path, url: str, options: argparse.Namespace) -> None:
        self._draw = random.Random(options.seed)
        self._kills: int = options.kills
        self._size: int = options.megabytes * _MIB
        self._slow: int | None = options.slow
        # Until what is sent ahead has arrived, so that kills fall between parts and in commits.
        self._window_s = max(1.5, _AHEAD / (options.slow or 1 << 40))
        self._folder = folder
        self._url = url
        self._tally = Counter[str]()
        self._twice: list[int] = []

    def run(self) -> dict[str, object]:
        with ExitStack() as stack:
            self._store = OwnStore(self._folder / "store")
            self._s3: S3 = stack.enter_context(self._store)
            way = self._s3
            if self._slow:
                slow = SlowStore(way.endpoint, bytes_per_s=self._slow)
                way = replace(way, endpoint=stack.enter_context(slow).url)
            env = environment(
                self._folder / "var",
                way,
                LIUHEN_DATABASE_URL=self._url,
                LIUHEN_UNANNOUNCED_LIMIT_BYTES=str(1 << 49),
            )
            lay_out(Settings.from_env(env))
            self._web = stack.enter_context(WebServer(env))
            self._worker = stack.enter_context(Worker(env))
            began = time.monotonic()
            while self._tally["kills"] < self._kills:
                self._recording()
            seconds = time.monotonic() - began
        return {
            **self._tally,
            "slow_bytes_per_s": self._slow,
            "mib_sent_twice_max": round(max(self._twice) / _MIB, 1),
            "mib_sent_twice_mean": round(sum(self._twice) / len(self._twice) / _MIB, 1),
            "seconds": round(seconds),
        }

    def _recording(self) -> None:
        data = os.urandom(self._size)
        path, reached = self._create(data), 0
        while self._tally["kills"] < self._kills and reached < self._size:
            reached = self._interrupted(path, data, reached)
        while reached < self._size:
            answer = requests.patch(
                self._at(path),
                data=data[reached : reached + 8 * _MIB],
                headers={
                    **_HEADERS,
                    "Content-Type": "application/offset+octet-stream",
                    "Upload-Offset": str(reached),
                },
                timeout=_PATIENCE_S,
            )
            answer.raise_for_status()
            reached = int(answer.headers["Upload-Offset"])
        stored = b"".join(s3_store(self._s3).stream(long_key(path.rpartition("/")[2])))
        if stored != data:
            raise SystemExit(f"{path}: other bytes than were sent")
        self._tally["recordings"] += 1

    def _interrupted(self, path: str, data: bytes, reached: int) -> int:
        """Send some, kill somebody meanwhile; what is there afterwards."""
        connection = self._web.half_patch(path, b"", offset=reached, claimed=self._size - reached)
        # What this machine holds back has not been sent.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STEP)
        sent = [0]
        sender = threading.Thread(
            target=_pour, args=(connection, data[reached : reached + _AHEAD], sent)
        )
        sender.start()
        time.sleep(self._draw.uniform(0, self._window_s))
        victim = self._draw.choice(_VICTIMS)
        if victim == "web":
            self._web.kill_worker()
        elif victim == "worker":
            self._worker.kill()
            self._worker.start()
        else:
            self._store.kill()
            self._store.start()
        connection.close()
        sender.join()
        now = self._offset(path)
        if now < reached:
            raise SystemExit(f"{path}: {reached} bytes acknowledged, {now} there")
        self._tally["kills"] += 1
        self._tally["ended_by_then"] += now == self._size
        self._tally[f"of_{victim}"] += 1
        self._twice.append(max(0, reached + sent[0] - now))
        return now

    def _create(self, data: bytes) -> str:
        said = {"Upload-Length": str(len(data)), "Upload-Metadata": metadata(data)}
        answer = requests.post(self._web.url, headers={**_HEADERS, **said}, timeout=_PATIENCE_S)
        answer.raise_for_status()
        return urlsplit(answer.headers["Location"]).path

    def _offset(self, path: str) -> int:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = requests.head(self._at(path), headers=_HEADERS, timeout=_PATIENCE_S)
                if answer.status_code == 200:
                    return int(answer.headers["Upload-Offset"])
            except requests.ConnectionError:
                pass
            if time.monotonic() > deadline:
                raise SystemExit(f"{path}: no offset within {_PATIENCE_S} s")
            time.sleep(0.1)

    def _at(self, path: str) -> str:
        return f"http://127.0.0.1:{self._web.port}{path}"


def _pour(connection: socket.socket, data: bytes, sent: list[int]) -> None:
    """Send as fast as it is taken, and count; ends when nobody takes any more."""
    try:
        for start in range(0, len(data), _STEP):
            sent[0] += connection.send(data[start : start + _STEP])
    except OSError:
        return
