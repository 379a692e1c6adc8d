"""Devices, people, faults and sudden deaths for as long as wanted; stops where views differ.

The run is divided into lives, each with a database of its own, so that comparing
everything at rest stays cheap; a life repeats from the seed and its number.
"""

import argparse
import json
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.databases import fresh_database
from bench.machine import machine
from tests.support.chaos import RULES, Chaos

_LIFE_STEPS = 600
_SETTLE_EVERY = 200


def run(arguments: list[str]) -> dict[str, object]:
    """Take ``--steps`` steps from ``--seed``, beginning with life ``--life``."""
    parser = argparse.ArgumentParser(prog="scripts/bench chaos")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--life", type=int, default=0, help="begin with this life")
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", file=sys.stderr)
    total, life, began = Counter[str](), options.life, time.monotonic()
    while total["steps"] < options.steps:
        steps = min(_LIFE_STEPS, options.steps - total["steps"])
        with (
            tempfile.TemporaryDirectory() as folder,
            fresh_database(options.database, Path(folder)) as url,
        ):
            total += _live(url, Path(folder), steps, options.seed, life)
        life += 1
    seconds = time.monotonic() - began
    return {
        "bench": "chaos",
        "seed": options.seed,
        "database": "postgresql" if options.database else "sqlite",
        **total,
        "lives": life - options.life,
        "seconds": round(seconds, 1),
        "steps_per_s": round(total["steps"] / seconds, 1),
        "machine": machine(),
    }


def _live(url: str, folder: Path, steps: int, seed: int, life: int) -> Counter[str]:
    rng, trace = random.Random(f"{seed}/{life}"), ["enrol"] * 3
    chaos = Chaos(url, folder / "var")
    try:
        for name in trace:
            getattr(chaos, name)(rng)
        for number in range(1, steps + 1):
            name = rng.choices(list(RULES), list(RULES.values()))[0]
            trace.append(name)
            getattr(chaos, name)(rng)
            if number % _SETTLE_EVERY == 0 or number == steps:
                trace.append("settle")
                chaos.settle()
    except BaseException:
        print(json.dumps({"seed": seed, "life": life, "trace": trace}), file=sys.stderr)
        raise
    finally:
        chaos.close()
    lines = sum(len(field.written) for field in chaos.fields)
    return Counter(steps=steps, lines=lines, kills=chaos.kills, restores=chaos.restores)
