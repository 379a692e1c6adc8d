"""Hostile acts: whatever a device signs, its line is kept and costs no other its place."""

import pytest

from server.db import transaction
from server.models.inspections import EvidenceItem
from server.models.journal import JournalPart
from server.models.people import Officer, Organization, Person
from server.operations.projection import Projector
from sync.evidence.chain import advance
from tests.support.hostile import CLOCKS, HOSTILE, media, opened, record, sealed
from tests.support.simdevice import new_id


def _open(device, world):
    device.inspection = new_id()
    device.write_parts(opened(device, world, inspection=device.inspection))


def _lost(device, world):
    """Push what is new; what should have been kept and shown, but was not."""
    start = world.pushed
    world.pushed = len(device.lines)
    answer = world.push(device, device.body(start))
    if answer.status_code != 200:
        return f"{answer.status_code}"
    if answer.json["next_seq"] != len(device.lines):
        return f"stands at {answer.json['next_seq']}"
    last = answer.json["results"][-1]
    return "" if last["projection"] == "applied" else f"good line {last['code']}"


def test_a_hostile_act_costs_no_other_line_its_place(world):
    device = world.on_patrol()
    world.pushed = 0
    lost = {}

    for name, act in HOSTILE.items():
        _open(device, world)
        device.write_parts(act(device, world))
        device.write_parts(record(device, world))
        lost[name] = _lost(device, world)
    for name, clock in CLOCKS.items():
        for act in (media, record, opened, sealed):
            _open(device, world)
            line = device.forge([act(device, world)], t=clock)
            device.lines.append(line)
            device.head = advance(device.head, line)
            device.write_parts(record(device, world))
            lost[f"{name} {act.__name__}"] = _lost(device, world)

    assert {name: how for name, how in lost.items() if how} == {}


def test_a_nul_in_a_title_is_shown_as_a_replacement_and_kept_as_signed(world):
    device = world.on_patrol()
    line = device.write_parts(media(device, world, title="a\0b"))

    world.push(device)

    assert [item.title for item in world.rows(EvidenceItem)] == ["a\ufffdb"]
    (part,) = world.rows(JournalPart, seq=line.header.seq)
    assert part.body == line.parts[0]


@pytest.mark.parametrize("epoch", ["%00", "a" * 33, "A" * 32, "a" * 31 + "%0A"])
def test_an_address_that_is_no_epoch_is_refused(world, epoch):
    device = world.on_patrol()

    for ask in (world.client.get, world.client.post):
        answer = ask(f"/api/v1/journal/{device.id}/{epoch}", headers=device.headers, data=b"x\n")
        assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")


def test_a_line_of_another_bureau_waits_for_nothing_here(world):
    device = world.on_patrol()
    other, person, officer = new_id(), new_id(), new_id()
    with world.app.app_context(), transaction() as session:
        session.add(Organization(id=other, name="邻区分局", kind="dispatched", division_code="1"))
        session.add(Person(id=person, name="示例丙"))
        session.flush()
        session.add(
            Officer(
                id=officer,
                person_id=person,
                organization_id=other,
                certificate_no="1",
                issuer="",
                valid_from="2024-01-01",
                valid_to="2030-12-31",
            )
        )
    spy = world.enrol(organization=other)
    spy.inspection = device.inspection
    spy.open_epoch()
    spy.open_session(officer)
    spy.write(
        "media.captured",
        officer=officer,
        inspection=device.inspection,
        item=new_id(),
        sha256="ab" * 32,
        size=1,
        media_type="image/jpeg",
        **{"class": "A"},
    )
    early = world.push(spy)

    world.push(device)

    assert early.json["results"][-1]["code"] == "projection.unknown_inspection"
    assert world.rows(EvidenceItem) == []


def test_lines_that_wait_for_nothing_new_cost_the_next_push_no_second_try(world, monkeypatch):
    device = world.on_patrol()
    for _ in range(20):
        device.write_parts(opened(device, world, task=new_id()))
        device.write_parts(record(device, world, officer=new_id()))
        device.write_parts(record(device, world, template={"id": "of_nobody", "version": 1}))
        device.write_parts(opened(device, world, officers=[new_id()]))
    first = world.push(device)
    tried = []
    retry = Projector._retry
    monkeypatch.setattr(
        Projector, "_retry", lambda self, row: (tried.append(row.seq), retry(self, row))
    )

    start = len(device.lines)
    device.write_parts(record(device, world))
    answer = world.push(device, device.body(start))

    assert {row["projection"] for row in first.json["results"][-80:]} == {"quarantined"}
    assert answer.json["results"][0]["projection"] == "applied"
    assert tried == []
