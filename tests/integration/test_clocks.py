"""Device clocks never order or merge: the same acts under other clocks give the same state."""

import hashlib

import pytest

from server.db import reading
from server.models.inspections import EvidenceItem, Inspection, RecordRevision
from server.models.journal import JournalLine, LineOutcome, PeerHead
from server.operations.clocks import line_clock
from sync.evidence.line import DeviceTime
from tests.support.simdevice import SimDevice, new_id
from tests.support.world import make_world

YEAR_MS = 365 * 86_400_000
HOUR_MS = 3_600_000

#: For each line: the wall clock's error, the monotonic clock and the start it counts from.
CLOCKS = {
    "true": lambda n: (0, n * 1000, "a"),
    "ten years ahead": lambda n: (10 * YEAR_MS, n * 1000, "a"),
    "ten years behind": lambda n: (-10 * YEAR_MS, n * 1000, "a"),
    "jumping": lambda n: ((-1) ** n * n * YEAR_MS, n * 1000, "a"),
    "restarting": lambda n: (n * HOUR_MS, 5, f"start-{n}"),
    "asleep": lambda n: (0, n, "a"),
    "backwards": lambda n: (-n * HOUR_MS, n * 1000, "a"),
}
_TIMES = {"captured_at_ms", "opened_at_ms", "sealed_at_ms", "saved_at_ms", "noted_at_ms"}
_NAMES = {"line_digest", "opened_line", "sealed_line", "base", "head", "fix_at_ms"}


@pytest.fixture
def world(database_url, tmp_path):
    return make_world(database_url, tmp_path / "var")


class _Odd(SimDevice):
    """A device whose clocks do as they are told, one reading for each line."""

    clock = staticmethod(CLOCKS["true"])

    def forge(self, parts, **header):
        wall, mono, boot = self.clock(self.head.next_seq)
        return super().forge(
            parts, **{"t": DeviceTime(self.now_ms + wall, mono, boot, 480), **header}
        )


def _patrol(world, clock, ids):
    device = world.enrol(_Odd())
    device.clock = clock
    device.open_epoch()
    for officer in world.officers:
        device.open_session(officer)
    common = {"officer": world.officers[0], "inspection": ids["inspection"]}
    device.write("inspection.opened", officers=world.officers, task=world.task, **common)
    compared = world.now_ms + device.head.next_seq * 1000
    device.write("clock.compared", server_ms=compared, offset_ms=0, error_ms=20)
    for number in range(3):
        device.write(
            "record.saved",
            record=ids["record"],
            template={"id": "site_inspection_record", "version": 1},
            fields={f"field_{number}": str(number)},
            base=[],
            **common,
        )
    device.write(
        "media.captured",
        item=ids["item"],
        sha256=hashlib.sha256(b"x").hexdigest(),
        size=1,
        media_type="image/jpeg",
        **{"class": "B"},
        **common,
    )
    device.write("inspection.sealed", revisions=[], media=[], heads=[], **common)
    device.write("note.added", text="之后", **common)
    # In truth a line was written every second, and half a minute later they were pushed.
    world.now_ms += 30_000
    answer = world.push(device)
    assert answer.status_code == 200, answer.text
    return device


def _state(world, device, ids):
    """Everything projected, apart from claimed times and what is named after a line's bytes."""
    tables = (EvidenceItem, RecordRevision, Inspection, PeerHead)
    renamed = {device.id: "device", device.epoch: "epoch", **{v: k for k, v in ids.items()}}
    rows = []
    for table in tables:
        for row in world.rows(table):
            plain = {
                column.key: renamed.get(getattr(row, column.key), getattr(row, column.key))
                for column in table.__mapper__.column_attrs
                if column.key not in _TIMES | _NAMES | {"position"}
            }
            if "device" in plain.values() or plain.get("id") == "inspection":
                rows.append((table.__name__, sorted(plain.items(), key=str)))
    rows += [
        ("LineOutcome", row.seq, row.projection, row.code)
        for row in world.rows(LineOutcome, device_id=device.id)
    ]
    return sorted(rows, key=str)


@pytest.mark.parametrize("clock", [name for name in CLOCKS if name != "true"])
def test_the_state_is_the_same_whatever_the_device_clock_says(world, clock):
    first = {name: new_id() for name in ("inspection", "record", "item")}
    second = {name: new_id() for name in first}

    honest = _patrol(world, CLOCKS["true"], first)
    odd = _patrol(world, CLOCKS[clock], second)

    assert _state(world, odd, second) == _state(world, honest, first)


@pytest.mark.parametrize("clock", CLOCKS)
def test_every_line_has_an_interval_with_the_truth_in_it(world, clock):
    ids = {name: new_id() for name in ("inspection", "record", "item")}
    began_ms = world.now_ms
    device = _patrol(world, CLOCKS[clock], ids)

    with world.app.app_context(), reading() as session:
        lines = session.query(JournalLine).filter_by(device_id=device.id).all()
        clocks = {line.seq: line_clock(session, line) for line in lines}

    for seq, found in clocks.items():
        bounds, truth_ms = found.bounds, began_ms + seq * 1000
        assert not bounds.contradicted
        assert bounds.lo_ms is None or bounds.lo_ms <= truth_ms
        assert truth_ms <= bounds.hi_ms
        assert found.compared
