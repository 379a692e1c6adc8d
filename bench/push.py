"""Signed lines verified and committed by the real server over HTTP, per second and CPU.

The lines are signed beforehand. In the same run the bare cost of checking the
same signatures is measured, so that a figure carries over between machines.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from bench.machine import children, cpu_seconds, machine
from server import migrations
from server.app import create_database_app
from server.db import db
from server.settings import Settings
from server.signatures import verifier
from sync.evidence.line import check_signature
from tests.support.bureau import environment
from tests.support.simdevice import SimDevice, new_id
from tests.support.world import World

_PORT = 18_790
#: A record is saved some twenty times before it is sealed.
_REVISIONS = 20
_TEXT = "现场检查发现排放口有泡沫，已拍照取证，并要求当事人说明情况。" * 6


def run(arguments: list[str]) -> dict[str, object]:
    """Push ``--lines`` lines in batches of 100 and of 500."""
    parser = argparse.ArgumentParser(prog="scripts/bench push")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder))
        if options.database:
            env["LIUHEN_DATABASE_URL"] = options.database
        world = _install(env)
        devices = {size: _journal(world, options.lines) for size in (100, 500)}
        checked = _check_only(devices[500])
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--worker-class=gthread", "--threads=8"),
                *(f"--bind=127.0.0.1:{_PORT}", "--log-level=error", "--no-control-socket"),
                "server.launch.wsgi:application",
            ],
            env={**os.environ, **env},
        )
        try:
            worker = _await(server)
            batches = {size: _push(world, d, size, worker) for size, d in devices.items()}
        finally:
            server.terminate()
            server.wait()
    return {
        "bench": "push",
        "lines": options.lines,
        "line_bytes": len(devices[100].lines[-1].to_bytes()),
        "database": "postgresql" if options.database else "sqlite",
        "signature_check_only_cpu_s_per_10k": checked,
        "batches": batches,
        "machine": machine(),
    }


def _install(env: dict[str, str]) -> World:
    settings = Settings.from_env(env)
    settings.data_dir.mkdir(exist_ok=True)
    with create_database_app(settings).app_context(), db.engine.begin() as connection:
        migrations.upgrade(connection)
    return World(settings)


def _journal(world: World, count: int) -> SimDevice:
    world.now_ms = time.time_ns() // 1_000_000
    device = world.on_patrol()
    record, seen = new_id(), ""
    while len(device.lines) < count:
        if len(device.lines) % _REVISIONS == 0:
            record, seen = new_id(), ""
        line = device.write(
            "record.saved",
            officer=world.officers[0],
            inspection=device.inspection,
            record=record,
            template={"id": "site_inspection_record", "version": 1},
            fields={"findings": _TEXT, "number": str(len(device.lines))},
            base=[seen] if seen else [],
        )
        seen = line.digest
    return device


def _check_only(device: SimDevice) -> float:
    check = verifier(device.spki)
    sample = device.lines[:1000]
    before = time.process_time()
    for line in sample:
        check_signature(line, check)
    return round((time.process_time() - before) * 10_000 / len(sample), 2)


def _await(server: subprocess.Popen) -> int:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            requests.get(f"http://127.0.0.1:{_PORT}/health", timeout=5).raise_for_status()
            return children(server.pid)[0]
        except requests.RequestException:
            time.sleep(0.2)
    raise SystemExit("the server did not start")


def _push(world: World, device: SimDevice, size: int, worker: int) -> dict[str, float]:
    bodies = [
        b"".join(line.to_bytes() + b"\n" for line in device.lines[start : start + size])
        for start in range(0, len(device.lines), size)
    ]
    session, accepted = requests.Session(), 0
    cpu, began = cpu_seconds(worker), time.monotonic()
    for body in bodies:
        answer = session.post(
            f"http://127.0.0.1:{_PORT}/api/v1/journal/{device.id}/{device.epoch}",
            data=body,
            headers={**device.headers, "Content-Type": "application/x-ndjson"},
            timeout=60,
        )
        results = answer.json()["results"]
        accepted += sum(
            (row["journal"], row["projection"]) == ("accepted", "applied") for row in results
        )
    elapsed, spent = time.monotonic() - began, cpu_seconds(worker) - cpu
    if accepted != len(device.lines):
        raise SystemExit(f"only {accepted} of {len(device.lines)} lines were accepted")
    return {
        "lines_per_s": round(accepted / elapsed),
        "server_cpu_s_per_10k": round(spent * 10_000 / accepted, 2),
    }
