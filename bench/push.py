"""Signed lines verified and committed by the real server over HTTP, per second and CPU.

The lines are signed beforehand. The same work is then done in this process,
one stage after another, so that a figure can be compared between machines by
the share of what everybody has to do: checking the signatures.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import requests
from sqlalchemy.engine import make_url

from bench.databases import fresh_database
from bench.machine import machine, tree_cpu_seconds
from bench.webserver import Web, install, serving
from server.db import reading, transaction
from server.operations import push
from server.operations.enrolment import device_of_token
from server.signatures import verifier
from sync.evidence.line import check_signature
from tests.support.bureau import environment
from tests.support.simdevice import SimDevice, new_id
from tests.support.world import World

_BATCHES = (100, 500)
#: A record is saved some twenty times before it is sealed.
_REVISIONS = 20
_TEXT = "现场检查发现排放口有泡沫，已拍照取证，并要求当事人说明情况。"


def run(arguments: list[str]) -> dict[str, object]:
    """Push ``--lines`` lines in batches of 100 and of 500."""
    parser = argparse.ArgumentParser(prog="scripts/bench push")
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        env = environment(folder)
        if options.database:
            url = stack.enter_context(fresh_database(options.database, folder))
            env["LIUHEN_DATABASE_URL"] = url
        world = install(env)
        devices = {size: _journal(world, options.lines) for size in _BATCHES}
        with serving(env) as web:
            batches = {size: _push(web, devices[size], size, options) for size in _BATCHES}
        stages = _stages(world, _journal(world, options.lines), max(_BATCHES))
    return {
        "bench": "push",
        "lines": options.lines,
        "line_bytes": len(devices[100].lines[-1].to_bytes()),
        "database": "postgresql" if options.database else "sqlite",
        "batches": batches,
        "stages_cpu_s_per_10k": stages,
        "machine": machine(),
    }


def _journal(world: World, count: int) -> SimDevice:
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


def _bodies(device: SimDevice, size: int) -> list[bytes]:
    raws = [line.to_bytes() + b"\n" for line in device.lines]
    return [b"".join(raws[start : start + size]) for start in range(0, len(raws), size)]


def _push(
    web: Web, device: SimDevice, size: int, options: argparse.Namespace
) -> dict[str, float | None]:
    bodies, accepted = _bodies(device, size), 0
    session = requests.Session()
    before = _database_cpu(options.database)
    memory, cpu, began = web.memory_kib(), web.cpu(), time.monotonic()
    for body in bodies:
        answer = session.post(
            f"{web.url}/api/v1/journal/{device.id}/{device.epoch}",
            data=body,
            headers={**device.headers, "Content-Type": "application/x-ndjson"},
            timeout=60,
        )
        results = answer.json()["results"]
        accepted += sum(
            (row["journal"], row["projection"]) == ("accepted", "applied") for row in results
        )
    elapsed, spent = time.monotonic() - began, web.cpu() - cpu
    database = _database_cpu(options.database)
    if accepted != len(device.lines):
        raise SystemExit(f"only {accepted} of {len(device.lines)} lines were accepted")
    share = 10_000 / accepted
    return {
        "lines_per_s": round(accepted / elapsed),
        "server_cpu_s_per_10k": round(spent * share, 2),
        "postgresql_cpu_s_per_10k": (
            round((database - before) * share, 2) if database and before else None
        ),
        "memory_growth_mib": round((web.memory_kib() - memory) / 1024, 1),
    }


def _database_cpu(url: str | None) -> float | None:
    """CPU seconds of all of PostgreSQL's processes so far; None where there are none here."""
    if url is None:
        return None
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        backend = connection.info.backend_pid
        stat = Path(f"/proc/{backend}/stat")
        if not stat.exists():
            return None
        postmaster = int(stat.read_text().rpartition(")")[2].split()[1])
        while True:
            try:
                return tree_cpu_seconds(postmaster)
            except FileNotFoundError:
                # Another of its processes ended between being listed and being read.
                continue


def _stages(world: World, device: SimDevice, size: int) -> dict[str, float]:
    """CPU seconds of each stage of the same pushes, for 10,000 lines, without HTTP."""
    spent = dict.fromkeys(("read", "signatures", "append", "commit"), 0.0)
    services, check = world.services, verifier(device.spki)
    keys = {device.key_id: device.spki}
    with world.app.app_context():
        token = device.headers["Authorization"].removeprefix("Bearer ")
        with reading() as session:
            identity = device_of_token(session, token, now_ms=services.now_ms())
        for body in _bodies(device, size):
            raws = body.split(b"\n")[:-1]
            began = time.process_time()
            lines = push.parse_lines(
                raws,
                device=device.id,
                epoch=device.epoch,
                keys=keys,
                line_limit=services.settings.line_limit_bytes,
            )
            read = time.process_time()
            for line in lines:
                check_signature(line, check)
            checked = time.process_time()
            with transaction() as session:
                push.append_lines(
                    session,
                    identity,
                    device.epoch,
                    lines,
                    signer=services.receipt_signer,
                    clock=services.clock_state(),
                    now_ms=services.now_ms(),
                )
                appended = time.process_time()
            spent["signatures"] += checked - read
            # Reading a push checks its signatures too: that part is measured alone.
            spent["read"] += read - began - (checked - read)
            spent["append"] += appended - checked
            spent["commit"] += time.process_time() - appended
    share = 10_000 / len(device.lines)
    return {name: round(seconds * share, 2) for name, seconds in spent.items()}
