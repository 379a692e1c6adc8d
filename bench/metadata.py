"""Reading metadata of real files beside hashing the same bytes, and agreement with ExifTool."""

import argparse
import hashlib
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.machine import machine
from media.facts import read_facts
from media.source import FileSource, MemorySource
from tests.unit.media import test_media_samples as samples

_PHOTO_BYTES = 4_000_000


def run(arguments: list[str]) -> dict[str, object]:
    """Read all samples ``--rounds`` times, each beside SHA-256 of the same bytes."""
    parser = argparse.ArgumentParser(prog="scripts/bench metadata")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    if not samples.TRUTH:
        raise SystemExit("no samples: LIUHEN_SAMPLES names their folder")
    names = sorted(samples.TRUTH)
    contents = [(samples.SAMPLES / name).read_bytes() for name in names]
    ratios, photo_ratios, each = [], [], []
    photos = [_as_large(data) for data in contents if data[:2] == b"\xff\xd8"]
    for _ in range(options.rounds):
        hashing = _seconds(lambda: [hashlib.sha256(data).digest() for data in contents])
        began = time.perf_counter()
        for data in contents:
            start = time.perf_counter()
            read_facts(MemorySource(data))
            each.append(time.perf_counter() - start)
        ratios.append((time.perf_counter() - began) / hashing)
        photo_ratios.append(
            _seconds(lambda: [read_facts(MemorySource(data)) for data in photos])
            / _seconds(lambda: [hashlib.sha256(data).digest() for data in photos])
        )
    each.sort()
    return {
        "files": len(names),
        "megabytes": round(sum(map(len, contents)) / 1e6, 1),
        **_agreement(names),
        "mean_kilobytes": round(sum(map(len, contents)) / len(names) / 1e3, 1),
        "time_to_sha256": round(statistics.median(ratios), 2),
        # The samples are cut down; the same JPEGs at the size that a phone gives them.
        "photos_of_4_mb_to_sha256": round(statistics.median(photo_ratios), 3),
        "p50_ms": round(1000 * each[len(each) // 2], 2),
        "p99_ms": round(1000 * each[len(each) * 99 // 100], 2),
        **_first_bytes(names),
        "machine": machine(),
    }


def _as_large(data: bytes) -> bytes:
    """A cut-down JPEG with as much of a picture in it as a phone takes, and its end."""
    noise = random.Random(1).randbytes(_PHOTO_BYTES - len(data)).replace(b"\xff", b"\xff\0")
    return data.removesuffix(b"\xff\xd9") + noise[: _PHOTO_BYTES - len(data)] + b"\0\xff\xd9"


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _agreement(names: list[str]) -> dict[str, object]:
    """How many of the values that ExifTool reads we read alike."""
    asked = same = originals = same_originals = 0
    differing = []
    for name in names:
        truth, ours = samples.TRUTH[name], samples.describe(samples.SAMPLES / name)
        for field, key in samples.FIELDS.items():
            if truth[key] is None:
                continue
            if isinstance(truth[key], float) and ours[field] is not None:
                alike = abs(ours[field] - truth[key]) < 2e-6
            else:
                alike = ours[field] == truth[key]
            asked, same = asked + 1, same + alike
            if field == "datetime_original":
                originals, same_originals = originals + 1, same_originals + alike
            if not alike:
                differing.append(f"{Path(name).name[:40]}: {field}")
    return {
        "values": asked,
        "values_alike_percent": round(100 * same / asked, 2),
        "datetime_original_alike_percent": round(100 * same_originals / originals, 2),
        "differing": differing,
    }


def _first_bytes(names: list[str]) -> dict[str, object]:
    """The share of JPEGs of which at most 64 KB are read, over a store that gives ranges."""
    read = []
    for name in names:
        if samples.TRUTH[name]["type"] == "JPEG":
            with FileSource(samples.SAMPLES / name) as source:
                read.append(read_facts(source).bytes_read)
    within = sum(count <= 64 * 1024 for count in read)
    return {"jpegs": len(read), "within_64k_percent": round(100 * within / len(read), 1)}
