"""Writers, a sequencer and a polling reader, each a process of its own, over one database.

``python -m tests.support.racing`` takes its plan as JSON on standard input and
prints what each side believes; whoever started it compares that with the rows.
"""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import event, insert, select, text
from sqlalchemy.orm import Session

from server.app import create_app
from server.db import db, transaction
from server.models.base import table_of
from server.models.ledger import LedgerEvent, LedgerHead, LedgerLeaf
from server.operations import feed, ledger
from server.services import open_services
from server.settings import Settings
from sync.evidence import canonical
from tests.support.simdevice import SimDevice, new_id
from tests.support.world import World

_ROOT = Path(__file__).resolve().parents[2]
_END_S = 100
_LINGER_S = 5


def race(world, env, *, writers=8, rounds=3, counter="row"):
    """Run a race over ``world``'s database; what was acknowledged, published and seen.

    Each round of a writer pushes three lines and publishes one document. Every
    third transaction lingers before its commit until the reader has polled.
    ``counter="sequence"`` takes the places of documents from a sequence of
    PostgreSQL instead of the ledger's locked row: the fault that the row prevents.
    """
    if counter == "sequence":
        with world.app.app_context(), db.engine.begin() as connection:
            connection.execute(text("CREATE SEQUENCE race START 100000"))
    plan = {
        "env": env,
        "origin": world.services.ledger_signer.name,
        "now_ms": world.now_ms,
        "organization": world.organization,
        "officers": world.officers,
        "codes": [world.code() for _ in range(writers + 1)],
        "rounds": rounds,
        "counter": counter,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.racing"],
        cwd=_ROOT,
        input=json.dumps(plan),
        stdout=subprocess.PIPE,
        text=True,
        timeout=_END_S + 20,
        env={**os.environ, **env},
        check=True,
    )
    return json.loads(done.stdout)


class _Racer(World):
    """A process's own application over the database that another world has set up."""

    def __init__(self, plan):
        self.settings = Settings.from_env(plan["env"])
        self.now_ms = plan["now_ms"]
        self.organization, self.officers = plan["organization"], plan["officers"]
        parts = open_services(self.settings, origin=plan["origin"])
        self.services = replace(parts, now_ms=lambda: self.now_ms)
        self.app = create_app(self.settings, services=self.services)
        self.client = self.app.test_client()

    def enrol_with(self, code):
        device = SimDevice()
        answer = self.client.post("/api/v1/enrolments", json=device.enrolment(code))
        assert answer.status_code == 201, answer.text
        device.headers = {"Authorization": f"Bearer {self.token(device)}"}
        return device


def _write(plan, code, said, start, _over, polls):
    """One writer: pushes and publishes in turn once all have enrolled."""
    racer = _Racer(plan)
    device = racer.enrol_with(code)
    start.wait(_END_S)
    _linger(polls)
    if plan["counter"] == "sequence":
        _count_by_sequence()
        said.put({"published": [_publish(racer) for _ in range(plan["rounds"])]})
        return
    device.open_epoch()
    device.open_session(racer.officers[0])
    inspection, acknowledged, published = new_id(), [], []
    device.write(
        "inspection.opened",
        officer=racer.officers[0],
        inspection=inspection,
        officers=racer.officers,
    )
    sent = 0
    for _ in range(plan["rounds"]):
        for _ in range(3):
            device.write(
                "note.added", officer=racer.officers[0], inspection=inspection, text="记录"
            )
        answer = racer.push(device, device.body(sent))
        assert answer.status_code == 200, answer.text
        assert answer.json["receipts"]
        acknowledged += [
            row["digest"] for row in answer.json["results"] if row["journal"] == "accepted"
        ]
        sent = len(device.lines)
        published.append(_publish(racer))
    said.put({"acknowledged": acknowledged, "published": published})


def _publish(racer):
    identifier = new_id()
    with racer.app.app_context(), transaction() as session:
        feed.put_document(
            session,
            scope=feed.organization_scope(racer.organization),
            kind="entity",
            identifier=identifier,
            body={"id": identifier, "name": "示例"},
            now_ms=racer.now_ms,
        )
    return identifier


def _read(plan, code, said, start, over, polls):
    """The reader: polls without rest and never goes back."""
    racer = _Racer(plan)
    headers = racer.enrol_with(code).headers
    start.wait(_END_S)
    cursor, seen = "", []
    while True:
        last = over.is_set()
        query = {"cursor": cursor, "limit": 7}
        page = racer.client.get("/api/v1/feed", query_string=query, headers=headers)
        assert page.status_code == 200, page.text
        seen += [row["id"] for row in page.json["documents"] if row["kind"] == "entity"]
        cursor = page.json["cursor"]
        polls.value += 1
        if last and not page.json["more"]:
            break
    said.put({"seen": seen, "polls": polls.value})


def _sequence(plan, _code, said, start, over, _polls):
    """The sequencer beside them: signs a checkpoint whenever there is something to sign."""
    racer = _Racer(plan)
    start.wait(_END_S)
    signed = 0
    while not over.is_set():
        with racer.app.app_context(), transaction() as session:
            ledger.sign_checkpoint(session, racer.services.ledger_signer, now_ms=racer.now_ms)
        signed += 1
        time.sleep(0.05)
    said.put({"signed": signed})


def _linger(polls):
    """Hold every third transaction of this process open until the reader has polled thrice."""
    draw = random.Random()

    def wait(_session):
        enough, deadline = polls.value + 3, time.monotonic() + _LINGER_S
        while polls.value < enough and time.monotonic() < deadline:
            time.sleep(0.001)

    event.listen(Session, "before_commit", lambda session: draw.random() < 1 / 3 and wait(session))


def _count_by_sequence():
    """Take ledger places from a sequence, without the lock: index order is not commit order."""

    def append_events(session, events, *, now_ms):
        head = session.execute(select(LedgerHead)).scalar_one()
        first = None
        for made in events:
            index = session.execute(text("SELECT nextval('race')")).scalar_one()
            first = index if first is None else first
            place = {"generation": head.generation, "leaf_index": index}
            body = canonical.dumps({"kind": made.kind})
            session.execute(insert(table_of(LedgerLeaf)), [{**place, "entry": bytes(32)}])
            row = {**place, "kind": made.kind, "at_ms": now_ms, "salt": b"", "event": body}
            session.execute(insert(table_of(LedgerEvent)), [row])
        return first

    ledger.append_events = append_events
    ledger.lock_head = lambda session: session.execute(select(LedgerHead)).scalar_one()


def _run(role, *arguments):
    said = arguments[2]
    try:
        role(*arguments)
    except BaseException as error:
        said.put({"errors": [f"{role.__name__}: {type(error).__name__}: {error}"[:2000]]})


def _main():
    plan = json.load(sys.stdin)
    # The parent has opened no connection that a child could inherit.
    context = multiprocessing.get_context("fork")
    *codes, reader = plan["codes"]
    roles = [(_write, code) for code in codes] + [(_read, reader)]
    if plan["counter"] == "row":
        roles.append((_sequence, ""))
    said, over, start = context.Queue(), context.Event(), context.Barrier(len(roles))
    polls = context.Value("i", 0)
    for role, code in roles:
        arguments = (role, plan, code, said, start, over, polls)
        context.Process(target=_run, args=arguments, daemon=True).start()
    result = {name: [] for name in ("acknowledged", "published", "seen", "errors")}
    result |= {"polls": 0, "signed": 0}
    for number in range(len(roles)):
        if number == len(codes):
            over.set()
        _gather(result, said.get(timeout=_END_S))
    print(json.dumps(result))


def _gather(result, part):
    for name, value in part.items():
        result[name] += value


if __name__ == "__main__":
    _main()
