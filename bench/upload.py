"""Uploads into the real store, beside a presigned PUT of the same bytes and ``@tus/server``.

Parts: one recording, many photos, many small PATCHes, the question what is lacking,
stalled uploads, and many recordings at once (docs/benchmarks.md).
"""

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import requests

from bench import stalls
from bench.machine import machine
from bench.uploadrig import PutSender, Rig, Sample, Sender, ours, peer, running

PARTS = ("big", "photos", "patches", "lacking", "stalls", "parallel")
_WORKERS = 4
_SMALL = 64 << 10
_PATCHES = 320
_DIGESTS = 1000


def run(arguments: list[str]) -> dict[str, object]:
    """Measure the parts ``--only`` names, in turn with the peers where there are any."""
    parser = argparse.ArgumentParser(prog="scripts/bench upload")
    parser.add_argument("--only", default=",".join(PARTS), help=",".join(PARTS))
    parser.add_argument("--megabytes", type=int, default=256, help="of a recording")
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--photo-megabytes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=20)
    parser.add_argument("--stalled", type=int, default=200)
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument(
        "--installed", type=Path, default=Path.home() / ".cache" / "liuhen-bench", metavar="FOLDER"
    )
    options = parser.parse_args(arguments)
    chosen = options.only.split(",")
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        rig = stack.enter_context(running(Path(name), threads=options.stalled + 56))
        ways: list[Sender] = [ours(rig), PutSender(rig)]
        if not options.without_peer:
            ways.append(stack.enter_context(peer(rig, options.installed)))
        # First, so that its memory is compared with a process that has seen nothing yet.
        if "parallel" in chosen:
            found["parallel"] = _parallel(rig, options.parallel, options.megabytes << 20)
        # Whatever is made or loaded at the first request counts for none.
        for way in ways:
            way.send(Sample(1 << 20))
        if "big" in chosen:
            found["big"] = _big(rig, ways, options.megabytes << 20, options.rounds)
        if "photos" in chosen:
            size = options.photo_megabytes << 20
            found["photos"] = _photos(rig, ways, options.photos, size, options.rounds)
        if "patches" in chosen:
            found["patches"] = _patches(rig)
        if "lacking" in chosen:
            found["lacking"] = _lacking(rig)
        if "stalls" in chosen:
            found["stalls"] = stalls.measure(rig, options.stalled)
    return {"bench": "upload", **found, "machine": machine()}


def _big(rig: Rig, ways: list[Sender], size: int, rounds: int) -> dict[str, object]:
    def one(way: Sender) -> float:
        sample = Sample(size)
        began = time.monotonic()
        way.send(sample)
        return time.monotonic() - began

    return {"bytes": size, **_in_turn(rig, ways, one, rounds, unit=size / 1e9, name="gb")}


def _photos(rig: Rig, ways: list[Sender], count: int, size: int, rounds: int) -> dict[str, object]:
    def many(way: Sender) -> float:
        samples = [Sample(size) for _ in range(count)]
        with ThreadPoolExecutor(_WORKERS) as pool:
            began = time.monotonic()
            list(pool.map(way.send, samples))
            return time.monotonic() - began

    found = _in_turn(rig, ways, many, rounds, unit=count, name="photo")
    return {"photos": count, "bytes_each": size, "workers": _WORKERS, **found}


def _in_turn(
    rig: Rig,
    ways: list[Sender],
    act: Callable[[Sender], float],
    rounds: int,
    *,
    unit: float,
    name: str,
) -> dict[str, object]:
    """Each way once in every round; seconds and processor seconds are medians for one unit."""
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    spent: dict[str, list[float]] = {way.name: [] for way in ways}
    stored: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            before, store_before = way.cpu(), rig.store_cpu()
            seconds[way.name].append(act(way))
            spent[way.name].append(way.cpu() - before)
            stored[way.name].append(rig.store_cpu() - store_before)
    put = seconds[PutSender.name]
    return {
        way.name: {
            "seconds": [round(value, 2) for value in seconds[way.name]],
            "speed_to_put": round(
                statistics.median(p / s for p, s in zip(put, seconds[way.name], strict=True)), 2
            ),
            f"cpu_s_per_{name}": round(statistics.median(spent[way.name]) / unit, 4),
            f"store_cpu_s_per_{name}": round(statistics.median(stored[way.name]) / unit, 4),
        }
        for way in ways
    }


def _patches(rig: Rig) -> dict[str, object]:
    sender, sample = ours(rig, piece=_SMALL), Sample(_PATCHES * _SMALL)
    before, began = sender.cpu(), time.monotonic()
    sender.send(sample)
    return {
        "patches": _PATCHES,
        "bytes_each": _SMALL,
        "seconds": round(time.monotonic() - began, 2),
        "cpu_s": round(sender.cpu() - before, 2),
    }


def _lacking(rig: Rig) -> dict[str, object]:
    digests = [Sample(100).sha256.hex() for _ in range(_DIGESTS)]
    waits = []
    with requests.Session() as session:
        for _ in range(40):
            began = time.monotonic()
            answer = session.post(
                f"{rig.web.url}/api/v1/media/lacking",
                json={"digests": digests},
                headers=rig.headers,
                timeout=60,
            )
            waits.append((time.monotonic() - began) * 1000)
            answer.raise_for_status()
    return {
        "digests": _DIGESTS,
        "ms_median": round(statistics.median(waits), 1),
        "ms_p95": round(sorted(waits)[37], 1),
    }


def _parallel(rig: Rig, count: int, size: int) -> dict[str, object]:
    samples = [Sample(size) for _ in range(count)]
    before, peak, over = rig.web.memory_kib(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.1):
            peak = max(peak, rig.web.memory_kib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, cpu = time.monotonic(), rig.web.cpu()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(ours(rig).send, samples))
    seconds = time.monotonic() - began
    over.set()
    watcher.join()
    return {
        "uploads": count,
        "bytes_each": size,
        "seconds": round(seconds, 1),
        "cpu_s_per_gb": round((rig.web.cpu() - cpu) * 1e9 / (count * size), 2),
        "memory_growth_mib": round((peak - before) / 1024, 1),
    }
