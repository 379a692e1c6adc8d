"""The real server under load, killed with SIGKILL at random moments, and clients that go on.

``gunicorn`` reads this module as its configuration: what the application needs
is imported before the fork, so that the next worker is there quickly.
"""

import random
import threading
import time
from dataclasses import dataclass, field

import requests

import server.app  # noqa: F401 - imported before gunicorn forks, see above
from tests.support.audit import audit
from tests.support.simdevice import new_id
from tests.support.simfield import SimField
from tests.support.webserver import WebServer

_ANSWER_S = 30


class KilledServer(WebServer):
    """The whole application under one gunicorn with one worker, as it runs in earnest."""

    configuration = "tests.support.killing"

    def __init__(self, environment):
        super().__init__(environment, "server.launch.wsgi:application")

    @property
    def root(self):
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Tally:
    """What a run came to."""

    kills: int = 0
    lines: int = 0
    answered: int = 0
    unanswered: int = 0
    failures: list[str] = field(default_factory=list)


class _Client(threading.Thread):
    """One device that pushes without rest, each batch until it is answered."""

    def __init__(self, server, field_, world, over, tally):
        super().__init__(daemon=True)
        self._server, self._field, self._world = server, field_, world
        self._over, self._tally = over, tally
        self._http = requests.Session()

    def run(self):
        try:
            while not self._over.is_set():
                self._round()
        except BaseException as error:
            self._tally.failures.append(f"{type(error).__name__}: {error}"[:2000])

    def _round(self):
        device, world = self._field, self._world
        start = len(device.sim.lines)
        for number in range(random.choice((1, 5, 40))):
            device.write(
                "note.added",
                officer=world.officers[0],
                inspection=device.inspections[0],
                text=f"记录{number}",
            )
        self.send(device.sim.lines[start:])

    def send(self, lines):
        """Push ``lines`` until an answer comes."""
        body = b"".join(line.to_bytes() + b"\n" for line in lines)
        device = self._field
        while True:
            try:
                answer = self._http.post(
                    f"{self._server.root}/api/v1/journal/{device.sim.id}/{device.sim.epoch}",
                    data=body,
                    headers={**device.sim.headers, "Content-Type": "application/x-ndjson"},
                    timeout=_ANSWER_S,
                )
                break
            except requests.RequestException:
                self._tally.unanswered += 1
                time.sleep(0.01)
        assert answer.status_code == 200, answer.text
        self._tally.answered += 1
        device.believe(lines, answer.json())
        assert not device.unsafe(), "a line of an answered push has no receipt"


def kill_under_load(world, env, *, kills, seed, clients=4) -> Tally:
    """Kill the serving process ``kills`` times while ``clients`` push; then audit what is kept.

    Raises:
        AssertionError: if anything acknowledged is lost, doubled or altered.
    """
    draw, tally, over = random.Random(seed), Tally(), threading.Event()
    fields = [_patrol(world) for _ in range(clients)]
    with KilledServer(env) as server:
        threads = [_Client(server, one, world, over, tally) for one in fields]
        for thread, one in zip(threads, fields, strict=True):
            thread.send(one.sim.lines)
            thread.start()
        while tally.kills < kills:
            _await_answers(tally, 1 + draw.randrange(3))
            time.sleep(draw.uniform(0, 0.05))
            tally.kills += server.kill_worker()
        _await_answers(tally, len(fields))
        over.set()
        for thread in threads:
            thread.join(_ANSWER_S)
            assert not thread.is_alive(), "a push never ended"
        for thread, one in zip(threads, fields, strict=True):
            # Everything once more: what is here already must come back as it was answered.
            for start in range(0, len(one.sim.lines), 500):
                thread.send(one.sim.lines[start : start + 500])
    assert tally.failures == []
    kept = audit(world.app, [world.services.receipt_signer.verifier_key])
    written = {digest: raw for one in fields for digest, raw in one.written.items()}
    assert kept.lines == written, "lines are lost, altered or doubled"
    for one in fields:
        assert set(one.promised.values()) <= kept.receipts
    tally.lines = len(written)
    return tally


def _await_answers(tally, more):
    enough, deadline = tally.answered + more, time.monotonic() + _ANSWER_S
    while tally.answered < enough and not tally.failures:
        assert time.monotonic() < deadline, "the server does not answer any more"
        time.sleep(0.002)


def _patrol(world):
    device = SimField(
        world.enrol(),
        receipt_keys=[world.services.receipt_signer.verifier_key],
        ledger_keys=[world.services.ledger_signer.verifier_key],
    )
    device.keep(device.sim.open_epoch())
    device.open_session(world.officers[0])
    device.inspections.append(new_id())
    device.write(
        "inspection.opened",
        officer=world.officers[0],
        inspection=device.inspections[0],
        officers=world.officers[:1],
    )
    return device
