"""SIGKILL to the real server: nothing acknowledged is lost, nothing is doubled, nobody waits."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.db import transaction
from server.models.people import Person
from tests.support.audit import audit
from tests.support.bureau import environment
from tests.support.killing import kill_under_load
from tests.support.simdevice import new_id
from tests.support.world import make_world

_ROOT = Path(__file__).resolve().parents[2]

_HOLD = """
import os, time
from server.app import create_database_app
from server.db import transaction
from server.models.people import Person
from server.operations import ledger
from server.settings import Settings
with create_database_app(Settings.from_env(os.environ)).app_context(), transaction() as session:
    ledger.append(session, "policy", actor={}, subject={}, now_ms=1)
    session.add(Person(id="held", name="nobody"))
    session.flush()
    print("holding", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def entered(database_url, tmp_path):
    """A world in the present, and the environment in which other processes join it."""
    world = make_world(database_url, tmp_path / "var")
    world.now_ms = time.time_ns() // 1_000_000
    return world, environment(tmp_path / "var", LIUHEN_DATABASE_URL=database_url)


def test_ten_kills_under_load_lose_and_double_nothing(entered):
    world, env = entered

    tally = kill_under_load(world, env, kills=10, seed=3, clients=3)

    assert tally.kills >= 10
    assert tally.unanswered > 0


def test_a_writer_killed_in_its_transaction_leaves_nothing_and_blocks_nobody(entered):
    world, env = entered
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD], cwd=_ROOT, env=env, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline().strip() == "holding"

    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with world.app.app_context(), transaction() as session:
        session.add(Person(id=new_id(), name="next"))

    assert world.rows(Person, id="held") == []
    device = world.on_patrol()
    assert world.push(device).status_code == 200
    audit(world.app, [world.services.receipt_signer.verifier_key])
