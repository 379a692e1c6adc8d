"""Who is sent what: every kind of document by every kind of device, and how that changes."""

import pytest

from server.db import transaction
from server.models.inspections import ScopeGrant
from server.operations import grid, people, revocation
from server.operations.access import Actor
from server.operations.grid import NewCell
from tests.support import scoping

_BUREAU = {"officer", "grid_cell"}
_TASK = {"task", "dossier", "deadline"}
_VISIT = {"inspection", "item", "revision", "addendum"}


@pytest.fixture
def bureau(world):
    """A world with a third officer, a task of the first two, and a visit for it."""
    world.officers.append(scoping.officer(world, "示例003"))
    with world.app.app_context(), transaction() as session:
        cell = NewCell(code="G", name="网格", boundary=[(1, 1), (2, 2), (3, 1)])
        grid.enter_cell(session, world.organization, cell, now_ms=world.now_ms)
    scoping.end(world, world.task, "cancelled")
    world.task = scoping.task(world, world.officers[:2], world.entity)
    return world


def _kinds(copy):
    return {kind for kind, _ in copy.documents}


def test_each_kind_of_document_reaches_those_it_is_meant_for_and_nobody_else(bureau):
    author = scoping.enrol(bureau, [bureau.officers[0]])
    fellow = scoping.enrol(bureau, [bureau.officers[1]])
    other = scoping.enrol(bureau, [bureau.officers[2]])
    shared = scoping.enrol(bureau)
    foreign = scoping.enrol(bureau, organization=scoping.another_bureau(bureau))
    lost = scoping.enrol(bureau, [bureau.officers[1]])
    with bureau.app.app_context(), transaction() as session:
        administrator = Actor(
            user_id="u",
            person_id=bureau.persons[0],
            organization_id=bureau.organization,
            name="管理员",
            roles=frozenset({"administrator"}),
        )
        revocation.revoke_device(
            session, administrator, lost.id, reason="遗失", now_ms=bureau.now_ms
        )
    scoping.visit(bureau, author, bureau.officers[:2], bureau.task)

    copies = {
        name: scoping.copy_of(bureau, device).pull()
        for name, device in (("fellow", fellow), ("other", other), ("shared", shared))
    }
    copies["author"] = scoping.copy_of(bureau, author).pull()
    abroad = scoping.copy_of(bureau, foreign).pull()

    assert _kinds(copies["fellow"]) == _BUREAU | _TASK | _VISIT
    assert _kinds(copies["shared"]) == _BUREAU | _TASK | _VISIT
    # What it has written itself stands in its own journal.
    assert _kinds(copies["author"]) == _BUREAU | _TASK | _VISIT - {"revision"}
    assert _kinds(copies["other"]) == _BUREAU | {"deadline"}
    assert list(copies["other"].kinds("deadline")) == [f"{bureau.officers[2]}.certificate"]
    assert _kinds(abroad) == {"organization"}
    for copy in (*copies.values(), abroad):
        asked = bureau.client.post(
            "/api/v1/digest/documents",
            json={"bits": 0, "buckets": {"0": []}},
            headers=copy.headers,
        )
        told = {(d["kind"], d["id"]): d["body"] for d in asked.json["documents"]}
        assert told == copy.documents
    form = "/api/v1/templates/site_inspection_record/1/schema"
    for path in ("/api/v1/feed", "/api/v1/digest?cursor=", "/api/v1/outcomes", form):
        answer = bureau.client.get(path, headers=lost.headers)
        assert (answer.status_code, answer.json["code"]) == (403, "token.revoked")
        assert bureau.client.get(path).status_code == 401


def test_a_task_that_goes_to_others_leaves_the_devices_of_those_who_had_it(bureau):
    first = scoping.enrol(bureau, [bureau.officers[0]])
    third = scoping.enrol(bureau, [bureau.officers[2]])
    had, gets = scoping.copy_of(bureau, first).pull(), scoping.copy_of(bureau, third).pull()
    assert _kinds(had) >= _TASK

    scoping.assign(bureau, bureau.task, bureau.officers[1:])
    had.pull()
    gets.pull()

    assert _kinds(had) == _BUREAU
    assert _kinds(gets) == _BUREAU | _TASK
    assert gets.documents["task", bureau.task]["officers"] == sorted(bureau.officers[1:])


def test_what_another_task_still_holds_is_not_evicted(bureau):
    second = scoping.task(bureau, bureau.officers[:2], bureau.entity)
    copy = scoping.copy_of(bureau, scoping.enrol(bureau, [bureau.officers[0]])).pull()

    scoping.end(bureau, bureau.task, "cancelled")
    copy.pull()

    assert list(copy.kinds("task")) == [second]
    assert list(copy.kinds("dossier")) == [bureau.entity]


def test_a_closed_task_takes_its_visits_along(bureau):
    device = scoping.enrol(bureau, [bureau.officers[0]])
    scoping.visit(bureau, device, bureau.officers[:2], bureau.task)
    copy = scoping.copy_of(bureau, scoping.enrol(bureau, [bureau.officers[1]])).pull()
    assert _kinds(copy) >= _VISIT

    scoping.end(bureau, bureau.task, "closed")
    copy.pull()

    assert _kinds(copy) == _BUREAU


def test_new_holders_change_what_a_device_is_sent_and_a_login_does_not(bureau):
    device = scoping.enrol(bureau, [bureau.officers[2]])
    copy = scoping.copy_of(bureau, device).pull()
    device.open_epoch()
    device.open_session(bureau.officers[0])
    assert bureau.push(device).status_code == 200
    assert "task" not in _kinds(copy.pull())

    scoping.set_holders(bureau, device, [bureau.officers[0]])
    assert "task" in _kinds(copy.pull())
    scoping.set_holders(bureau, device, [])
    copy.pull()

    assert _kinds(copy) == _BUREAU


def test_an_officer_who_leaves_is_a_tombstone_and_their_device_is_emptied(bureau):
    device = scoping.enrol(bureau, [bureau.officers[2]])
    copy = scoping.copy_of(bureau, device).pull()
    assert bureau.officers[2] in copy.kinds("officer")

    with bureau.app.app_context(), transaction() as session:
        people.withdraw_officer(
            session,
            bureau.organization,
            bureau.officers[2],
            reason="调离",
            day="2026-05-04",
            by=scoping.BY,
            now_ms=bureau.now_ms,
        )
    copy.pull()

    assert _kinds(copy) == {"grid_cell"}


def test_every_grant_and_loss_has_its_leaf(bureau):
    device = scoping.enrol(bureau, [bureau.officers[0]])
    before = {row.scope: row.granted for row in bureau.rows(ScopeGrant, device_id=device.id)}

    scoping.set_holders(bureau, device, [])

    after = {row.scope: row for row in bureau.rows(ScopeGrant, device_id=device.id)}
    places = [*before.values(), *(row.lost for row in after.values() if row.lost)]
    assert len(set(places)) == len(places)
    assert [scope for scope, row in after.items() if row.lost is None] == [
        f"organization:{bureau.organization}"
    ]
