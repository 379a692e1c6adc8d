"""Whatever a device has read so far, reading the rest leaves it with what it may hold now."""

import random

import pytest

from server.db import reading, transaction
from server.models.inspections import Document, ScopeGrant
from server.operations import feed
from sync.evidence import canonical
from tests.support import scoping
from tests.support.copies import Copy

_DAY_MS = 86_400_000
_STEPS = 30


class Bureau:
    """Makes random changes to documents and tasks, always the same for one seed."""

    def __init__(self, world, seed):
        self.world = world
        self.random = random.Random(seed)
        self.tasks = []
        self.third = scoping.officer(world, "示例003")

    def step(self):
        self.world.now_ms += 1000
        choice = self.random.choice(
            (self.put, self.put, self.remove, self.begin, self.give, self.end)
        )
        choice()

    def put(self):
        with self.world.app.app_context(), transaction() as session:
            self._publish(session, {"n": self.random.randrange(1000)})

    def remove(self):
        with self.world.app.app_context(), transaction() as session:
            self._publish(session, None)

    def begin(self):
        self.tasks.append(scoping.task(self.world, self._team(), self.world.entity))

    def give(self):
        if self.tasks:
            scoping.assign(self.world, self.random.choice(self.tasks), self._team())

    def end(self):
        if self.tasks:
            task = self.tasks.pop(self.random.randrange(len(self.tasks)))
            scoping.end(self.world, task, self.random.choice(("closed", "cancelled")))

    def _team(self):
        return self.random.sample([*self.world.officers, self.third], 2)

    def _publish(self, session, body):
        scope = feed.organization_scope(self.world.organization)
        if self.tasks and self.random.random() < 0.5:
            scope = feed.task_scope(self.random.choice(self.tasks))
        name = f"{scope[-4:]}{self.random.randrange(5)}"
        place = {"scope": scope, "kind": "note", "identifier": name, "now_ms": self.world.now_ms}
        if body is None:
            feed.remove_document(session, **place)
        else:
            feed.put_document(session, **place, body=body)


def _view(world, device):
    """What the device is to hold, straight from the tables."""
    with world.app.app_context(), reading() as session:
        rows = (
            session.query(Document)
            .join(ScopeGrant, ScopeGrant.scope == Document.scope)
            .filter(ScopeGrant.device_id == device.id, ScopeGrant.lost.is_(None))
            .filter(Document.op == "put")
        )
        return {(row.kind, row.id): row.body for row in rows}


def _held(copy):
    return {name: canonical.dumps(body).decode() for name, body in copy.documents.items()}


def _compact(world, older_than_ms):
    with world.app.app_context(), transaction() as session:
        feed.compact(session, older_than_ms=older_than_ms, now_ms=world.now_ms)


@pytest.mark.parametrize("seed", [1, 2])
def test_reading_on_from_any_place_gives_the_present_view_before_and_after_compaction(world, seed):
    bureau = Bureau(world, seed)
    device = scoping.enrol(world, [world.officers[0]])
    often = scoping.copy_of(world, device)
    stopped = []
    for _ in range(_STEPS):
        bureau.step()
        if bureau.random.random() < 0.6:
            often.pull_page(limit=bureau.random.randrange(1, 6))
        stopped.append(Copy(world.client, device.headers, often.cursor, dict(often.documents)))

    wanted = _view(world, device)
    for copy in stopped[::6]:
        again = Copy(world.client, device.headers, copy.cursor, dict(copy.documents))
        assert _held(again.pull(limit=3)) == wanted
        assert again.resets == 0
    _compact(world, world.now_ms - 10_000)
    assert _view(world, device) == wanted
    for copy in stopped[::6]:
        assert _held(copy.pull(limit=3)) == wanted


def test_a_device_that_was_away_for_a_year_is_told_only_what_changed(world):
    bureau = Bureau(world, 3)
    device = scoping.enrol(world, [world.officers[0]])
    for _ in range(10):
        bureau.step()
    copy = scoping.copy_of(world, device).pull()
    world.now_ms += 365 * _DAY_MS
    for _ in range(5):
        bureau.step()

    _compact(world, world.now_ms - 400 * _DAY_MS)
    device.headers = {"Authorization": f"Bearer {world.token(device)}"}
    copy.headers = device.headers
    copy.pull()

    assert copy.resets == 0
    assert _held(copy) == _view(world, device)


def test_a_first_pull_that_began_after_a_compaction_is_never_sent_back(world):
    bureau = Bureau(world, 4)
    device = scoping.enrol(world, [world.officers[0]])
    for _ in range(20):
        bureau.step()
    late = scoping.copy_of(world, device)
    late.pull_page(limit=1)
    bureau.remove()
    world.now_ms += 10_000

    _compact(world, world.now_ms - 1)
    begun = scoping.copy_of(world, device)
    begun.pull(limit=1)
    late.pull(limit=1)

    assert (begun.resets, late.resets) == (0, 1)
    assert _held(begun) == _held(late) == _view(world, device)
