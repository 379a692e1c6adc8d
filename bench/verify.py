"""A package of many items: exported by the real exporter, verified beside what only hashes it.

``sha256sum -c`` and Python's bare ``hashlib`` read the same files, in turn and
several times, so that a busy machine slows all; the ratio carries over between
machines.
"""

import argparse
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

from bench.machine import machine
from server import migrations
from server.app import create_database_app
from server.db import db, reading, transaction
from server.models.inspections import EvidencePackage
from server.models.uploads import MediaObject
from server.operations import export, ledger
from server.operations.export.asked import Asked
from server.settings import Settings
from tests.support.bureau import environment
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import World

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
    inspection = _capture(world, store, count, size)
    with world.app.app_context():
        with transaction() as session:
            package_id = export.request_package(
                session,
                inspection_id=inspection,
                person_id=world.persons[0],
                reason="benchmark",
                asked=Asked(despite="benchmark"),
                now_ms=world.now_ms,
            )
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
            path.with_name("package.zip.sig").write_bytes(export.open_signature(store, row))
    shutil.rmtree(settings.data_dir)
    return path, took


def _capture(world: World, store: MemoryStore, count: int, size: int) -> str:
    """Journal and store ``count`` items, in a second inspection of the same device."""
    device = world.on_patrol()
    contents = [os.urandom(size) for _ in range(count)]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    for number, sha256 in enumerate(digests):
        device.write(
            "media.captured",
            officer=world.officers[0],
            inspection=device.inspection,
            item=new_id(),
            sha256=sha256,
            size=size,
            media_type="image/jpeg",
            title=f"照片 {number}",
            **{"class": "B"},
        )
    for start in range(0, len(device.lines), _BATCH):
        body = b"".join(line.to_bytes() + b"\n" for line in device.lines[start : start + _BATCH])
        if world.push(device, body).status_code != 200:
            raise SystemExit("a push failed")
    with world.app.app_context():
        for start in range(0, count, _BATCH):
            _store(world, store, contents[start : start + _BATCH], digests[start : start + _BATCH])
    inspection: str = device.inspection
    return inspection


def _store(world: World, store: MemoryStore, contents: list[bytes], digests: list[str]) -> None:
    """As if the uploads had come in: object, row and ``verify`` leaf of each."""
    with transaction() as session:
        for content, sha256 in zip(contents, digests, strict=True):
            key = f"media/{sha256[:2]}/{sha256}"
            store.put_once(key, content, size=len(content), sha256=sha256)
            session.add(
                MediaObject(
                    sha256=sha256,
                    size=len(content),
                    crc32=zlib.crc32(content),
                    key=key,
                    status="stored",
                    stored_at_ms=world.now_ms,
                )
            )
        ledger.append_events(
            session,
            [
                ledger.Event(
                    kind="verify",
                    actor={"server": "bench"},
                    subject={"sha256": sha256, "size": len(content)},
                    about=(f"media:{sha256}",),
                )
                for content, sha256 in zip(contents, digests, strict=True)
            ],
            now_ms=world.now_ms,
        )
