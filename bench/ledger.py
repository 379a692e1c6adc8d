"""The ledger alone: events appended in groups, proofs at a million leaves, and the audit."""

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from bench.databases import fresh_database
from bench.machine import machine
from server.db import reading, transaction
from server.operations import ledger, ledger_audit, tiles
from server.settings import Settings
from sync.evidence import canonical, merkle
from tests.support.bureau import environment
from tests.support.stores import MemoryStore
from tests.support.world import World

_GROUP = 500
_FILL = 10_000


def run(arguments: list[str]) -> dict[str, object]:
    """Append ``--groups`` groups of 500, grow to ``--leaves``, prove ``--proofs`` leaves, audit."""
    parser = argparse.ArgumentParser(prog="scripts/bench ledger")
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--proofs", type=int, default=1000)
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with fresh_database(options.database, folder) as url:
            settings = Settings.from_env(environment(folder / "var", LIUHEN_DATABASE_URL=url))
            world = World(settings, store=MemoryStore())
            with world.app.app_context():
                seconds = [_append(_GROUP) for _ in range(options.groups)]
                _grow(options.leaves)
                with transaction() as session:
                    ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=1)
                late = [_append(_GROUP) for _ in range(options.groups)]
                proofs = _prove(options.proofs)
                audited = _audit(world)
    return {
        "bench": "ledger",
        "database": "sqlite" if options.database is None else "postgresql",
        "group": _GROUP,
        "leaves": options.leaves,
        "events_per_s": {
            "empty": round(_GROUP / statistics.median(seconds)),
            "full": round(_GROUP / statistics.median(late)),
        },
        "slowest_group_ms": round(max(*seconds, *late) * 1000, 1),
        "proof_ms": proofs,
        "audited_leaves_per_s": audited,
        "machine": machine(),
    }


def _append(count: int) -> float:
    """Seconds for one transaction of ``count`` events as a journal line leaves them."""
    actor = canonical.dumps({"device": "0" * 36, "key_id": "0" * 64})
    events = [
        ledger.Event(
            kind="policy",
            actor=actor,
            subject={"device": "0" * 36, "epoch": "0" * 32, "branch": "", "seq": n, "d": "0" * 64},
        )
        for n in range(count)
    ]
    began = time.perf_counter()
    with transaction() as session:
        ledger.append_events(session, events, now_ms=1)
    return time.perf_counter() - began


def _grow(leaves: int) -> None:
    while True:
        with reading() as session:
            lacking = leaves - ledger.size(session)
        if lacking <= 0:
            return
        _append(min(_FILL, lacking))


def _prove(count: int) -> dict[str, float]:
    """Milliseconds for the audit path of a leaf drawn at random, each in a session of its own."""
    drawn, spent = random.Random(1), []
    with reading() as session:
        size = tiles.checkpoint_of(session, None).size
    for _ in range(count):
        index = drawn.randrange(size)
        with reading() as session:
            # A connection from the pool is asked whether it lives: that is no part of a proof.
            ledger.size(session)
            began = time.perf_counter()
            path = ledger.inclusion_proof(session, 1, index=index, size=size)
            spent.append((time.perf_counter() - began) * 1000)
            leaf = merkle.leaf_hash(ledger.leaf_entry(session, 1, index))
            root = ledger.tree_root(session, 1, size)
        merkle.verify_inclusion(leaf, index=index, size=size, path=path, root=root)
    spent.sort()
    return {"median": round(statistics.median(spent), 2), "p95": round(spent[-count // 20], 2)}


def _audit(world: World) -> int:
    began, leaves = time.perf_counter(), 0
    for report in ledger_audit.audit(world.services):
        if report.doubts:
            raise SystemExit(f"doubts: {report.doubts[:3]}")
        leaves += report.leaves
    return round(leaves / (time.perf_counter() - began))
