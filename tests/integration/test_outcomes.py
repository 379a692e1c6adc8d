"""A device learns what became of its lines: later changes, and what a lost answer had told."""

import pytest

from server.models.journal import LineOutcome
from sync.evidence import note
from sync.evidence.receipt import parse_receipt
from tests.support.simdevice import new_id


def _outcomes(world, device, since="", **query):
    answer = world.client.get(
        "/api/v1/outcomes", query_string={"since": since, **query}, headers=device.headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json


def _standing(world, device, since=None):
    query = {} if since is None else {"since": since}
    answer = world.client.get(
        f"/api/v1/journal/{device.id}/{device.epoch}", query_string=query, headers=device.headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json


def _stray_notes(world, count):
    """A device whose notes speak of an inspection that another device has not brought yet."""
    device = world.enrol()
    device.open_epoch()
    device.open_session(world.officers[0])
    device.inspection = new_id()
    for number in range(count):
        device.write(
            "note.added",
            officer=world.officers[0],
            inspection=device.inspection,
            text=f"第{number}条",
        )
    answer = world.push(device)
    assert {r["code"] for r in answer.json["results"][2:]} == {"projection.unknown_inspection"}
    return device


def test_a_line_that_falls_into_place_later_is_told_to_its_device(world):
    device = _stray_notes(world, 2)
    before = _outcomes(world, device)

    world.push(world.on_patrol(device.inspection))
    told = _outcomes(world, device, before["cursor"])

    assert before["outcomes"] == []
    assert [(row["seq"], row["projection"], row["code"]) for row in told["outcomes"]] == [
        (2, "applied", ""),
        (3, "applied", ""),
    ]
    assert told["outcomes"][0]["digest"] == device.lines[2].digest
    assert _outcomes(world, device, told["cursor"]) == {
        "outcomes": [],
        "cursor": told["cursor"],
        "more": False,
    }


def test_changes_come_in_pages_that_miss_and_repeat_nothing(world):
    device = _stray_notes(world, 5)
    world.push(world.on_patrol(device.inspection))
    seen, cursor, more = [], "", True

    while more:
        page = _outcomes(world, device, cursor, limit=2)
        seen += [row["seq"] for row in page["outcomes"]]
        cursor, more = page["cursor"], page["more"]

    assert seen == [2, 3, 4, 5, 6]


def test_nobody_is_told_of_another_devices_lines(world):
    device = _stray_notes(world, 1)
    other = world.on_patrol(device.inspection)
    world.push(other)

    assert _outcomes(world, other)["outcomes"] == []


@pytest.mark.parametrize(
    "cursor", ["x", "中", "MS4yLjM", "=", "MS45OTk5OTk5OTk5OTk5OTk5OTk5OS4uLjE"]
)
def test_a_cursor_that_was_never_given_is_a_typed_error(world, cursor):
    device = world.enrol()

    answer = world.client.get(
        "/api/v1/outcomes", query_string={"since": cursor}, headers=device.headers
    )

    assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")


def test_after_a_lost_answer_receipts_and_results_are_read_without_sending_again(world):
    device = world.on_patrol()
    first = world.push(device)
    device.write("future.act", a=1)
    device.write("note.added", officer=world.officers[0], inspection=device.inspection, text="在")
    second = world.push(device, device.body(4))

    standing = _standing(world, device, since=4)

    assert standing["next_seq"] == 6
    assert standing["head"] == device.head.digest
    assert standing["receipts"] == second.json["receipts"]
    assert [(r["seq"], r["journal"], r["code"]) for r in standing["results"]] == [
        (4, "accepted", "projection.unknown_act")
    ]
    assert standing["next_since"] is None
    assert _standing(world, device, since=0)["receipts"] == [
        *first.json["receipts"],
        *second.json["receipts"],
    ]
    assert _standing(world, device)["receipts"] == []


def test_what_was_refused_is_told_as_well(world):
    device = world.on_patrol()
    world.push(device)
    refused = world.push(device, b"{}\n").json["results"]

    assert _standing(world, device, since=4)["results"] == refused


def test_many_receipts_come_in_pages(world, monkeypatch):
    monkeypatch.setattr("server.operations.outcomes.PAGE", 2)
    device = world.on_patrol()
    for seq in range(4):
        device.write("future.act", a=seq)
    for seq in range(8):
        world.push(device, device.lines[seq].to_bytes() + b"\n")
    key = note.parse_verifier_key(device.enrolled["receipt_key"])
    covered, results, since = set(), [], 0

    while since is not None:
        page = _standing(world, device, since=since)
        for text in page["receipts"]:
            receipt = parse_receipt(note.open_note(text, [key])[0])
            covered.update(range(receipt.first_seq, receipt.last_seq + 1))
        results += [row["seq"] for row in page["results"]]
        since = page["next_since"]

    assert covered == set(range(8))
    assert results == [4, 5, 6, 7]


def test_an_outcome_that_stays_as_it_was_is_no_change(world):
    device = _stray_notes(world, 1)

    world.push(world.on_patrol())

    assert {row.changed for row in world.rows(LineOutcome, device_id=device.id)} == {None}
