"""The real server killed with SIGKILL under load, again and again; everything is audited after.

Killed is the process that serves; gunicorn's master starts the next one.
"""

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from bench.databases import fresh_database
from bench.machine import machine
from tests.support.bureau import environment
from tests.support.killing import kill_under_load
from tests.support.world import make_world


def run(arguments: list[str]) -> dict[str, object]:
    """Kill ``--kills`` times while ``--clients`` devices push."""
    parser = argparse.ArgumentParser(prog="scripts/bench kill")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32))
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory() as name,
        fresh_database(options.database, Path(name)) as url,
    ):
        data = Path(name) / "var"
        world = make_world(url, data)
        world.now_ms = time.time_ns() // 1_000_000
        env = environment(data, LIUHEN_DATABASE_URL=url)
        began = time.monotonic()
        tally = kill_under_load(
            world, env, kills=options.kills, seed=options.seed, clients=options.clients
        )
        seconds = time.monotonic() - began
    return {
        "bench": "kill",
        "seed": options.seed,
        "database": "postgresql" if options.database else "sqlite",
        "kills": tally.kills,
        "lines": tally.lines,
        "pushes_answered": tally.answered,
        "pushes_unanswered": tally.unanswered,
        "lost": 0,
        "doubled": 0,
        "seconds": round(seconds, 1),
        "machine": machine(),
    }
