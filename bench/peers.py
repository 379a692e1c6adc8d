"""The same records pushed to, and pulled from, Liuhen, pouchdb-server and Kinto in one run.

The peers are installed by name from npm and PyPI into a folder of their own. None
of them checks a signature, keeps an audit trail or gives a receipt; what each
does do is in docs/benchmarks.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench import pull, push
from bench.machine import descendants, machine, tree_cpu_seconds
from tests.support.guardian import await_port, free_port, reachable_binaries

_POUCHDB = "pouchdb-server@4.2.0"
_KINTO = "kinto[postgresql]==26.5.0"
#: About 1 KB of UTF-8 with the other fields.
_TEXT = "现场检查发现排放口有泡沫，已拍照取证，并要求当事人说明情况。" * 8
_WRITERS = 4


@dataclass(frozen=True)
class Peer:
    """A running peer: ``pids`` are all processes whose CPU time counts as the server's."""

    push: Callable[[list[dict[str, Any]]], int]
    pull: Callable[[], tuple[int, int]]
    pids: Callable[[], list[int]]


def run(arguments: list[str]) -> dict[str, object]:
    """Push ``--records`` to each of ``--peers`` and to Liuhen, then pull them again."""
    parser = argparse.ArgumentParser(prog="scripts/bench peers")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--kinto-records", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--peers", default="pouchdb,kinto")
    parser.add_argument(
        "--installed", type=Path, default=Path.home() / ".cache" / "liuhen-bench", metavar="FOLDER"
    )
    options = parser.parse_args(arguments)
    options.installed.mkdir(parents=True, exist_ok=True)
    starters = {"pouchdb": _pouchdb, "kinto": _kinto}
    found: dict[str, object] = {
        "liuhen": {
            "push": push.run(["--lines", str(options.records)])["batches"],
            "pull": pull.run(["--documents", str(options.records), "--devices", "1"])["first_pull"],
        }
    }
    for name in filter(None, options.peers.split(",")):
        count = options.kinto_records if name == "kinto" else options.records
        with (
            tempfile.TemporaryDirectory() as folder,
            starters[name](options.installed, Path(folder)) as peer,
        ):
            found[name] = _measure(peer, count, options.batch)
    return {"bench": "peers", "records": options.records, **found, "machine": machine()}


def _measure(peer: Peer, count: int, batch: int) -> dict[str, object]:
    records = [_record(number) for number in range(count)]
    batches = [records[start : start + batch] for start in range(0, count, batch)]
    before, began = _spent(peer), time.monotonic()
    with ThreadPoolExecutor(_WRITERS) as pool:
        stored = sum(pool.map(peer.push, batches))
    elapsed, spent = time.monotonic() - began, _spent(peer) - before
    before = _spent(peer)
    pulled, size = peer.pull()
    return {
        "records": count,
        "acknowledged": stored,
        "records_per_s": round(stored / elapsed),
        "server_cpu_s_per_10k": round(spent * 10_000 / count, 2),
        "pulled": pulled,
        "pull_cpu_s_per_10k": round((_spent(peer) - before) * 10_000 / max(1, pulled), 2),
        "pull_wire_bytes": size,
    }


def _spent(peer: Peer) -> float:
    return sum(tree_cpu_seconds(pid) for pid in peer.pids())


def _record(number: int) -> dict[str, Any]:
    return {"id": str(uuid.uuid4()), "findings": _TEXT, "number": number, "place": "示范区"}


@contextmanager
def _pouchdb(installed: Path, folder: Path) -> Iterator[Peer]:
    program = installed / "pouchdb" / "node_modules" / ".bin" / "pouchdb-server"
    if not program.exists():
        (installed / "pouchdb").mkdir(exist_ok=True)
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent", _POUCHDB],
            cwd=installed / "pouchdb",
            check=True,
        )
    port = free_port()
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--dir", folder]
    # It writes its log and settings into the current folder.
    with _running(command, cwd=folder) as server:
        await_port(server, port)
        url = f"http://127.0.0.1:{port}/records"
        requests.put(url, timeout=60).raise_for_status()

        def send(records: list[dict[str, Any]]) -> int:
            docs = [{"_id": record["id"], **record} for record in records]
            answer = requests.post(f"{url}/_bulk_docs", json={"docs": docs}, timeout=300)
            return sum(bool(row.get("ok")) for row in answer.json())

        def read() -> tuple[int, int]:
            answer = requests.get(f"{url}/_changes?include_docs=true", timeout=300)
            return len(answer.json()["results"]), len(answer.content)

        yield Peer(send, read, lambda: [server.pid])


@contextmanager
def _kinto(installed: Path, folder: Path) -> Iterator[Peer]:
    program = installed / "kinto" / "bin" / "kinto"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", installed / "kinto"], check=True)
        subprocess.run(
            [installed / "kinto" / "bin" / "pip", "install", "--quiet", _KINTO], check=True
        )
    with _postgresql(folder) as (database, postgres):
        port = free_port()
        config = folder / "kinto.ini"
        config.write_text(_kinto_settings(database, port))
        subprocess.run([program, "migrate", "--ini", config], check=True, capture_output=True)
        with _running([program, "start", "--ini", config, "--port", str(port)]) as server:
            await_port(server, port)
            url, auth = f"http://127.0.0.1:{port}/v1", ("bench", "bench")
            place = "/buckets/bench/collections/records"
            for part in ("/buckets/bench", place):
                requests.put(url + part, auth=auth, json={}, timeout=60).raise_for_status()

            def send(records: list[dict[str, Any]]) -> int:
                asked = [
                    {
                        "method": "PUT",
                        "path": f"{place}/records/{record['id']}",
                        "body": {"data": record},
                    }
                    for record in records
                ]
                answer = requests.post(
                    f"{url}/batch", auth=auth, json={"requests": asked}, timeout=600
                )
                return sum(row["status"] == 201 for row in answer.json()["responses"])

            def read() -> tuple[int, int]:
                found, size, page = 0, 0, f"{url}{place}/records"
                while page:
                    answer = requests.get(page, auth=auth, timeout=300)
                    found += len(answer.json()["data"])
                    size += len(answer.content)
                    page = answer.headers.get("Next-Page", "")
                return found, size

            yield Peer(send, read, lambda: [server.pid, postgres])


def _kinto_settings(database: str, port: int) -> str:
    return f"""[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
threads = 8

[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.postgresql
kinto.storage_url = {database}
kinto.cache_backend = kinto.core.cache.postgresql
kinto.cache_url = {database}
kinto.permission_backend = kinto.core.permission.postgresql
kinto.permission_url = {database}
kinto.userid_hmac_secret = bench
multiauth.policies = basicauth
kinto.bucket_create_principals = system.Authenticated
kinto.batch_max_requests = 1000
kinto.paginate_by = 1000

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = ERROR
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %(message)s
"""


@contextmanager
def _postgresql(folder: Path) -> Iterator[tuple[str, int]]:
    """PostgreSQL with its own settings, fsync on; gives a URL and the server's process."""
    user: dict[str, Any] = {}
    home = folder / "postgres"
    home.mkdir()
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        folder.chmod(0o755)
        shutil.chown(home, "nobody", "nogroup")
    binaries = reachable_binaries(home, user)
    initdb = [binaries / "initdb", f"-D{home}/data", "-Uliuhen", "-Atrust", "-EUTF8", "--no-locale"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=home, **user)
    port = free_port()
    command = [
        *(binaries / "postgres", f"-D{home}/data", f"-p{port}"),
        *("-clisten_addresses=127.0.0.1", "-cunix_socket_directories="),
    ]
    with _running(command, cwd=home, **user) as server:
        await_port(server, port)
        yield f"postgresql://liuhen@127.0.0.1:{port}/postgres", server.pid


@contextmanager
def _running(command: list[Any], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **how)
    try:
        yield server
    finally:
        for pid in [*descendants(server.pid), server.pid]:
            # A child may have ended with its parent.
            try:
                os.kill(pid, 15)
            except ProcessLookupError:
                continue
        server.wait()


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:]), ensure_ascii=False))
