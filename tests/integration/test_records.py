"""Records over the real application: merging, choosing, sensitive parts, versions of forms."""

import json

import pytest

from server.db import transaction
from server.models.inspections import Addendum, Inspection, RecordRevision
from server.operations import forms
from tests.support.simdevice import new_id

FORM = {"id": "site_inspection_record", "version": 1}


@pytest.fixture
def patrol(world):
    """Two devices on one inspection, both pushed up to its opening."""
    first = world.on_patrol()
    second = world.on_patrol(first.inspection)
    for device in (first, second):
        assert world.push(device).status_code == 200
        device.pushed = len(device.lines)
    return first, second


def save(world, device, record, fields, base=(), *apart, template=FORM):
    return device.write_parts(
        {
            "type": "record.saved",
            "officer": world.officers[0],
            "inspection": device.inspection,
            "record": record,
            "template": template,
            "fields": fields,
            "base": list(base),
        },
        *apart,
    )


def add(world, device, text, **more):
    return device.write(
        "addendum.added",
        officer=world.officers[0],
        inspection=device.inspection,
        text=text,
        **more,
    )


def seal(world, device, **lists):
    act = {"revisions": [], "media": [], "heads": [], **lists}
    officer = world.officers[0]
    device.write("inspection.sealed", officer=officer, inspection=device.inspection, **act)


def push(world, device):
    """Push what is new; the projection and code of each line."""
    answer = world.push(device, device.body(device.pushed))
    assert answer.status_code == 200, answer.text
    device.pushed = len(device.lines)
    return [(row["projection"], row["code"]) for row in answer.json["results"]]


def changes(world, device):
    answer = world.client.get("/api/v1/outcomes", headers=device.headers)
    return {row["digest"]: row["projection"] for row in answer.json["outcomes"]}


def test_what_two_officers_save_apart_merges_and_where_it_differs_both_are_kept(world, patrol):
    first, second = patrol
    record = new_id()
    ours = save(world, first, record, {"place": "东门", "findings": "清澈"})
    theirs = save(world, second, record, {"party": "示例化工", "findings": "乳白"})

    assert push(world, first) == [("applied", "")]
    assert push(world, second) == [("conflict", "projection.conflict")]

    assert changes(world, first) == {ours.digest: "conflict"}
    choice = add(
        world,
        second,
        "现场复核",
        record=record,
        field="findings",
        chosen=ours.digest,
        base=[ours.digest, theirs.digest],
    )
    assert push(world, second) == [("applied", "")]
    assert changes(world, first) == {ours.digest: "merged"}
    assert changes(world, second) == {theirs.digest: "merged"}
    assert [row.line_digest for row in world.rows(Addendum)] == [choice.digest]
    assert len(world.rows(RecordRevision)) == 2


def test_a_choice_that_comes_before_what_it_chose_waits_for_it(world, patrol):
    first, second = patrol
    record = new_id()
    ours = save(world, first, record, {"findings": "清澈"})
    theirs = save(world, second, record, {"findings": "乳白"})
    add(
        world,
        first,
        "现场复核",
        record=record,
        field="findings",
        chosen=theirs.digest,
        base=[ours.digest, theirs.digest],
    )

    assert push(world, first) == [("applied", ""), ("applied", "")]
    assert push(world, second) == [("merged", "projection.merged")]


def test_a_revision_after_the_seal_stands_beside_what_was_sealed(world, patrol):
    first, _ = patrol
    record = new_id()
    sealed = save(world, first, record, {"findings": "清澈"})
    seal(world, first, revisions=[sealed.digest])
    save(world, first, record, {"findings": "乳白"}, [sealed.digest])

    outcomes = push(world, first)

    assert [projection for projection, _ in outcomes] == ["conflict", "applied", "conflict"]
    outside = {row.line_digest: row.outside_seal for row in world.rows(RecordRevision)}
    assert outside[sealed.digest] is False
    assert sum(outside.values()) == 1


def test_a_sensitive_field_comes_in_a_part_of_its_own(world, patrol):
    first, _ = patrol
    save(
        world,
        first,
        new_id(),
        {"place": "东门"},
        (),
        {"field": "site_contact", "value": "张三"},
    )
    save(world, first, new_id(), {"place": "x"}, (), {"field": "place", "value": "twice"})
    save(world, first, new_id(), {"place": "x"}, (), {"other": "part"})

    outcomes = push(world, first)

    assert outcomes == [("applied", "")] + [("quarantined", "projection.malformed_act")] * 2
    (row,) = world.rows(RecordRevision)
    assert json.loads(row.fields) == {"place": "东门", "site_contact": "张三"}


def test_a_revision_on_an_unknown_version_is_shown_once_it_is_published(world, patrol):
    first, _ = patrol
    template = {"id": "evidence_form", "version": 1}
    line = save(world, first, new_id(), {"method": "拍摄"}, template=template)
    assert push(world, first) == [("quarantined", "projection.unknown_template")]

    with world.app.app_context(), transaction() as session:
        forms.publish_shipped(session, world.organization, now_ms=world.now_ms)

    assert changes(world, first) == {line.digest: "applied"}
    assert [row.template_id for row in world.rows(RecordRevision)] == ["evidence_form"]


def test_names_in_other_systems_are_kept_and_bounded(world):
    device = world.on_patrol()
    other = new_id()
    device.write(
        "inspection.opened",
        officer=world.officers[0],
        inspection=other,
        officers=world.officers,
        external_ids={"case": "环立〔2026〕3号", "Bad Scheme": "x", "permit": 7, "long": "x" * 201},
    )

    assert world.push(device).status_code == 200

    (row,) = world.rows(Inspection, id=other)
    assert json.loads(row.external_ids) == {"case": "环立〔2026〕3号"}


@pytest.mark.parametrize(
    "more",
    [
        {"field": "x"},
        {"field": "x", "chosen": "a" * 64},
        {"record": "no id", "field": "x", "chosen": "a" * 64},
        {"record": "0f0e0d0c-0b0a-4908-8706-050403020100", "field": 7, "chosen": "a" * 64},
        {"record": "0f0e0d0c-0b0a-4908-8706-050403020100", "field": "x", "chosen": "short"},
        {"base": [1]},
        {"base": "a"},
    ],
)
def test_an_addendum_of_another_form_is_quarantined(world, patrol, more):
    first, _ = patrol
    add(world, first, "text", **more)

    assert push(world, first) == [("quarantined", "projection.malformed_act")]
