"""A package of many items: exported by the real exporter, verified beside what only hashes it.

``sha256sum -c`` and Python's bare ``hashlib`` read the same files, in turn and
several times, so that a busy machine slows all; the ratio carries over between
machines.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from bench.casefile import ask, capture
from bench.machine import machine
from server import migrations
from server.app import create_database_app
from server.db import db, reading
from server.models.inspections import EvidencePackage
from server.operations import export
from server.settings import Settings
from tests.support.bureau import environment
from tests.support.stores import MemoryStore
from tests.support.world import World

#: The same ZIP with its ``.sig``, for which it is hashed as a whole once more.
_SIGNED = "signed.zip"
_YARDSTICKS = ("sha256sum", "hashlib")
_BATCH = 500
_LOOK_EVERY_S = 0.02
_HASHLIB = """
import hashlib
for row in open("manifest-sha256.txt"):
    digest, name = row.split()
    with open(name, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
"""


def run(arguments: list[str]) -> dict[str, object]:
    """Export ``--items`` items of ``--bytes`` each, then verify ``--rounds`` times."""
    parser = argparse.ArgumentParser(prog="scripts/bench verify")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package, exported = _export(folder, options.items, options.bytes)
        unpacked = folder / "unpacked"
        with zipfile.ZipFile(package) as archive:
            archive.extractall(unpacked)
        rounds = [_round(package, unpacked) for _ in range(options.rounds)]
        size, peak_mb = package.stat().st_size, _peak_mb(package)
    medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    # Each round is a pair of its own: what slowed the one slowed the other.
    ratios = {
        f"{name}_to_{yardstick}": round(
            statistics.median(row[name] / row[yardstick] for row in rounds), 2
        )
        for yardstick in _YARDSTICKS
        for name in medians
        if name not in _YARDSTICKS
    }
    return {
        "bench": "verify",
        "items": options.items,
        "item_bytes": options.bytes,
        "package_bytes": size,
        "export": exported,
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "ratio": ratios,
        "verifier_peak_mb": peak_mb,
        "machine": machine(),
    }


def _round(package: Path, unpacked: Path) -> dict[str, float]:
    python = sys.executable
    verifier = unpacked / "verify/liuhen_verify.py"
    return {
        "sha256sum": _time(["sha256sum", "--quiet", "-c", "manifest-sha256.txt"], unpacked),
        "hashlib": _time([python, "-I", "-S", "-c", _HASHLIB], unpacked),
        "zip": _time([python, "-m", "sync.evidence.verify_cli", str(package)]),
        "zip_with_signature_beside": _time(
            [python, "-m", "sync.evidence.verify_cli", str(package.with_name(_SIGNED))]
        ),
        "folder": _time([python, "-m", "sync.evidence.verify_cli", str(unpacked)]),
        "stand_alone": _time([python, "-I", "-S", str(verifier), str(package)]),
    }


def _time(command: list[str], folder: Path | None = None) -> float:
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    elapsed = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stdout.decode()}{done.stderr.decode()}")
    return elapsed


def _peak_mb(package: Path) -> int:
    """The verifier's largest resident memory, in a run of its own that is watched from outside."""
    command = [sys.executable, "-m", "sync.evidence.verify_cli", str(package)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        peak = 0
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            found = re.search(r"VmHWM:\s+(\d+) kB", status)
            peak = max(peak, int(found[1]) if found else 0)
            time.sleep(_LOOK_EVERY_S)
    return peak // 1024


def _export(folder: Path, count: int, size: int) -> tuple[Path, dict[str, float]]:
    settings = Settings.from_env(environment(folder / "var"))
    settings.data_dir.mkdir()
    with create_database_app(settings).app_context(), db.engine.begin() as connection:
        migrations.upgrade(connection)
    store = MemoryStore()
    world = World(settings, store=store)
    inspection = capture(world, store, count, size)
    with world.app.app_context():
        package_id = ask(world, inspection)
        began, spent = time.monotonic(), time.process_time()
        export.build_package(world.services, package_id)
        took = {
            "seconds": round(time.monotonic() - began, 2),
            "cpu_seconds": round(time.process_time() - spent, 2),
        }
        with reading() as session:
            row = session.get_one(EvidencePackage, package_id)
            if row.state != "ready":
                raise SystemExit(row.failure)
            path = folder / "package.zip"
            with path.open("wb") as file:
                file.writelines(export.open_package(store, row))
            path.with_name(_SIGNED).symlink_to(path)
            path.with_name(f"{_SIGNED}.sig").write_bytes(export.open_signature(store, row))
    shutil.rmtree(settings.data_dir)
    return path, took
