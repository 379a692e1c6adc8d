"""Damaged files of every format: each is read, compared, and answered within a second."""

import argparse
import resource
import time
import tracemalloc
from pathlib import Path

from bench.machine import machine
from tests.support import fuzz

_SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "exif-samples"
#: Measuring memory makes everything several times slower: every so many files it is done.
_WEIGH_EVERY = 50


def run(arguments: list[str]) -> dict[str, object]:
    """Read ``--count`` files made from seed ``--seed``; ``--samples`` is a folder of real ones."""
    parser = argparse.ArgumentParser(prog="scripts/bench fuzz")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=Path, default=_SAMPLES)
    options = parser.parse_args(arguments)
    drawn = fuzz.seeds()
    real = fuzz.samples(options.samples) if options.samples.is_dir() else []
    times: list[float] = []
    heaviest = 0
    uncaught: list[str] = []
    for number, data in enumerate(fuzz.mutants(drawn + real, options.seed, options.count)):
        weigh = number % _WEIGH_EVERY == 0
        if weigh:
            tracemalloc.start()
        began = time.perf_counter()
        try:
            fuzz.read_and_compare(data)
        # What the benchmark counts is that none of any kind comes out.
        except Exception as error:
            uncaught.append(f"file {number}: {type(error).__name__}: {error}"[:200])
        if weigh:
            heaviest = max(heaviest, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        else:
            times.append(time.perf_counter() - began)
    times.sort()
    return {
        "files": options.count,
        "seed": options.seed,
        "drawn_seeds": len(drawn),
        "real_seeds": len(real),
        "uncaught": len(uncaught),
        "first_uncaught": uncaught[:3],
        "over_a_second": sum(seconds > 1 for seconds in times),
        "slowest_ms": round(1000 * times[-1], 1),
        "p50_ms": round(1000 * times[len(times) // 2], 2),
        "heaviest_file_mb": round(heaviest / 2**20, 1),
        "process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "machine": machine(),
    }
