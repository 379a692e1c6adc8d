"""A package written from the real store, beside a plain copy of the same objects.

Both read each object from SeaweedFS and write one file, fsynced, in turn and several
times. Writing the ZIP also hashes every original and the whole, which the copy does not.
The whole build, with its own verification and the package back in the store, stands beside.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from bench.casefile import ask, capture
from bench.machine import machine
from media.s3 import S3Store
from server import migrations
from server.app import create_database_app
from server.db import db, reading
from server.models.inspections import EvidencePackage
from server.models.uploads import MediaObject
from server.operations import export
from server.operations.export import build
from server.settings import Settings
from tests.support.bureau import environment
from tests.support.guardian import run_store
from tests.support.services import S3
from tests.support.world import World

_LOOK_EVERY_S = 0.02


def run(arguments: list[str]) -> dict[str, object]:
    """Export ``--items`` originals of ``--bytes`` each, ``--rounds`` times."""
    parser = argparse.ArgumentParser(prog="scripts/bench export")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=16 << 20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, run_store(_made(Path(name) / "store")) as where:
        folder = Path(name)
        world = _world(folder, S3(**where))
        inspection = capture(world, world.services.store, options.items, options.bytes)
        with world.app.app_context():
            rounds = [_round(world, inspection, folder) for _ in range(options.rounds)]
            whole, growth = _watched(lambda: _build(world, inspection))
    medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    megabytes = options.items * options.bytes / 1e6
    return {
        "bench": "export",
        "items": options.items,
        "item_bytes": options.bytes,
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "mb_per_s": {name: round(megabytes / value, 1) for name, value in medians.items()},
        # Each round is a pair of its own: what slowed the one slowed the other.
        "share_of_copy": round(statistics.median(r["copy"] / r["zip"] for r in rounds), 2),
        "whole_build_s": round(whole, 2),
        "whole_build_growth_mb": round(growth / 1e6, 1),
        "machine": machine(),
    }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _world(folder: Path, s3: S3) -> World:
    settings = Settings.from_env(environment(folder / "var", s3))
    settings.data_dir.mkdir()
    with create_database_app(settings).app_context(), db.engine.begin() as connection:
        migrations.upgrade(connection)
    return World(settings, store=S3Store(s3.address()))


def _round(world: World, inspection: str, folder: Path) -> dict[str, float]:
    order = build.begin(ask(world, inspection))
    if order is None:
        raise SystemExit("nothing to build")
    spool = _made(folder / order.package_id)
    files = build.collect(world.services, order, spool)
    began = time.monotonic()
    build.write_archive(files, spool / "package.zip")
    zipped = time.monotonic() - began
    began = time.monotonic()
    _copy(world, spool / "copy")
    copied = time.monotonic() - began
    for name in ("package.zip", "copy"):
        (spool / name).unlink()
    return {"zip": zipped, "copy": copied}


def _copy(world: World, path: Path) -> None:
    with reading() as session:
        keys = [row.key for row in session.query(MediaObject)]
    with path.open("xb") as out:
        for key in keys:
            for piece in world.services.store.stream(key):
                out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def _build(world: World, inspection: str) -> None:
    package_id = ask(world, inspection)
    export.build_package(world.services, package_id)
    with reading() as session:
        row = session.get_one(EvidencePackage, package_id)
        if row.state != "ready":
            raise SystemExit(row.failure)


def _watched(work: Callable[[], None]) -> tuple[float, int]:
    """How long ``work`` takes, and by how many bytes this process grows meanwhile at most."""
    process = psutil.Process()
    before = peak = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_LOOK_EVERY_S):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    began = time.monotonic()
    try:
        work()
    finally:
        took = time.monotonic() - began
        done.set()
        watcher.join()
    return took, peak - before
