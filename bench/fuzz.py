"""Damaged files of every format: each is read, compared, and answered within a second.

All of them are timed and all of them are weighed.
"""

import argparse
import resource
import time
from pathlib import Path

from bench.machine import machine
from tests.support import fuzz

_SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "exif-samples"
#: Of so many files together it is measured how much the process grew: no single one grew it more.
_WEIGHED = 50


def run(arguments: list[str]) -> dict[str, object]:
    """Read ``--count`` files made from seed ``--seed``; ``--samples`` is a folder of real ones."""
    parser = argparse.ArgumentParser(prog="scripts/bench fuzz")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=Path, default=_SAMPLES)
    options = parser.parse_args(arguments)
    files = fuzz.files(options.samples)
    times: list[float] = []
    memory, grown = fuzz.Memory(), 0
    memory.begin()
    uncaught: list[str] = []
    for number, data in enumerate(fuzz.mutants(files, options.seed, options.count), 1):
        began = time.perf_counter()
        try:
            fuzz.read_and_compare(data)
        # What the benchmark counts is that none of any kind comes out.
        except Exception as error:
            uncaught.append(f"file {number}: {type(error).__name__}: {error}"[:200])
        times.append(time.perf_counter() - began)
        if number % _WEIGHED == 0:
            grown = max(grown, memory.grown_bytes())
            memory.begin()
    times.sort()
    return {
        "files": options.count,
        "seed": options.seed,
        "seeds": len(set(files)),
        "uncaught": len(uncaught),
        "first_uncaught": uncaught[:3],
        "over_a_second": sum(seconds > 1 for seconds in times),
        "slowest_ms": round(1000 * times[-1], 1),
        "p50_ms": round(1000 * times[len(times) // 2], 2),
        "fifty_files_grew_mb": round(grown / 2**20, 1),
        "process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "machine": machine(),
    }
