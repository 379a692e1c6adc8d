"""A bureau whose devices serve different officers, and a case that only some of them may see."""

from server.db import transaction
from server.operations import directory, enrolment, people, scopes
from server.operations.directory import NewTask
from tests.support.copies import Copy
from tests.support.simdevice import SimDevice, new_id

BY = {"server": "test"}


def enrol(world, holders=None, organization=None):
    """An enrolled device that serves ``holders``, or everybody."""
    device = SimDevice()
    with world.app.app_context(), transaction() as session:
        code = enrolment.issue_code(
            session,
            organization_id=organization or world.organization,
            issued_by=world.persons[0],
            now_ms=world.now_ms,
            valid_ms=60_000,
            holders=holders,
        )
    answer = world.client.post("/api/v1/enrolments", json=device.enrolment(code))
    assert answer.status_code == 201, answer.text
    device.headers = {"Authorization": f"Bearer {world.token(device)}"}
    return device


def copy_of(world, device):
    return Copy(world.client, device.headers)


def officer(world, name, organization=None):
    """A further officer of the bureau."""
    with world.app.app_context(), transaction() as session:
        return people.create_officer(
            session,
            organization_id=organization or world.organization,
            person_id=people.create_person(session, name),
            certificate_no=name,
            issuer="示范",
            valid_from="2024-01-01",
            valid_to="2030-12-31",
            by=BY,
            now_ms=world.now_ms,
        )


def another_bureau(world):
    with world.app.app_context(), transaction() as session:
        return people.create_organization(
            session,
            name="另一个局",
            kind="authority",
            division_code="1",
            by=BY,
            now_ms=world.now_ms,
        )


def task(world, officers, entity=None):
    with world.app.app_context(), transaction() as session:
        return directory.create_task(
            session,
            world.organization,
            NewTask(
                title="专项检查",
                source="plan",
                kind="special",
                launch_mode="routine",
                entity_id=entity,
                officers=officers,
                due_at_ms=world.now_ms + 86_400_000,
            ),
            approved_by=world.persons[0],
            approver=BY,
            now_ms=world.now_ms,
        )


def assign(world, task_id, officers):
    with world.app.app_context(), transaction() as session:
        directory.assign_task(
            session, world.organization, task_id, officers, by=BY, now_ms=world.now_ms
        )


def end(world, task_id, state):
    with world.app.app_context(), transaction() as session:
        directory.end_task(
            session,
            world.organization,
            task_id,
            state=state,
            reason="办结",
            by=BY,
            now_ms=world.now_ms,
        )


def set_holders(world, device, holders):
    with world.app.app_context(), transaction() as session:
        scopes.set_holders(
            session, world.organization, device.id, holders, by=BY, now_ms=world.now_ms
        )


def visit(world, device, officers, task_id):
    """An inspection with a record, an item and an addendum, pushed by ``device``."""
    inspection = new_id()
    device.open_epoch()
    for who in officers:
        device.open_session(who)
    act = {"officer": officers[0], "inspection": inspection}
    device.write("inspection.opened", **act, officers=list(officers), task=task_id)
    device.write(
        "record.saved",
        **act,
        record=new_id(),
        template={"id": "site_inspection_record", "version": 1},
        fields={"weather": "晴"},
        base=[],
    )
    device.write(
        "media.captured",
        **act,
        item=new_id(),
        sha256="ab" * 32,
        size=5,
        media_type="image/jpeg",
        **{"class": "A"},
    )
    device.write("addendum.added", **act, text="补充")
    answer = world.push(device)
    assert answer.status_code == 200, answer.text
    assert {row["projection"] for row in answer.json["results"]} == {"applied"}
    return inspection
