"""What comes after a seal or a judgement changes nothing that was sealed or judged."""

import hashlib

from server.db import transaction
from server.models.inspections import CaseSide, EvidenceItem, InspectionOfficer, OfficerSession
from server.models.journal import LineOutcome
from tests.support.casework import add_officer
from tests.support.simdevice import new_id

CONTENT = hashlib.sha256(b"photo").hexdigest()


def _capture(world, device):
    item = new_id()
    device.write(
        "media.captured",
        officer=world.officers[0],
        inspection=device.inspection,
        item=item,
        sha256=CONTENT,
        size=5,
        media_type="image/jpeg",
        **{"class": "A"},
    )
    return item


def _discard(world, device, item, inspection=None):
    return device.write(
        "media.discarded",
        officer=world.officers[0],
        inspection=inspection or device.inspection,
        item=item,
        reason="误拍",
    )


def _seal(world, device, *heads):
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[],
        media=[CONTENT],
        heads=[
            {"device": head.device, "epoch": head.epoch, "seq": head.next_seq - 1, "head": digest}
            for head, digest in heads
        ],
    )


def _beside(world, inspection):
    """A device whose officer works on an inspection that another device opened."""
    device = world.enrol()
    device.open_epoch()
    device.open_session(world.officers[0])
    device.inspection = inspection
    return device


def _last(world, device, start=0):
    answer = world.push(device, device.body(start))
    assert answer.status_code == 200, answer.text
    return answer.json["results"][-1]


def _state(world, item):
    return world.rows(EvidenceItem, id=item)[0].state


def test_an_item_of_a_sealed_inspection_is_not_discarded_any_more(world):
    device = world.on_patrol()
    item = _capture(world, device)
    _seal(world, device)
    _discard(world, device, item)

    result = _last(world, device)

    assert (result["journal"], result["code"]) == ("accepted", "projection.too_late")
    assert _state(world, item) == "captured"


def test_a_judged_item_is_not_discarded_any_more(world):
    device = world.on_patrol()
    item = _capture(world, device)
    world.push(device)
    with world.app.app_context(), transaction() as session:
        session.get_one(EvidenceItem, item).state = "accepted"
    _discard(world, device, item)

    assert _last(world, device)["code"] == "projection.too_late"
    assert _state(world, item) == "accepted"


def test_a_discarding_before_the_seal_counts_once_the_head_that_the_seal_names_is_here(world):
    first = world.on_patrol()
    second = world.on_patrol(first.inspection)
    item = _capture(world, second)
    discarded = _discard(world, second, item)
    second.write("note.added", officer=world.officers[0], inspection=first.inspection, text="完")
    _seal(world, first, (second.head, second.head.digest))
    world.push(first)
    cut = discarded.header.seq + 1

    early = world.push(second, b"".join(x.to_bytes() + b"\n" for x in second.lines[:cut]))
    before = _state(world, item)
    world.push(second, second.body(cut))

    assert early.json["results"][-1]["code"] == "projection.too_late"
    assert before == "captured"
    assert _state(world, item) == "discarded"


def test_nobody_joins_a_sealed_inspection(world):
    device = world.on_patrol()
    _seal(world, device)
    late = add_officer(world, "示例审核员", "示例009")
    for officers in ([late], world.officers):
        device.write(
            "inspection.opened",
            officer=world.officers[0],
            inspection=device.inspection,
            officers=officers,
        )

    results = world.push(device).json["results"]

    assert results[-2]["code"] == "projection.too_late"
    assert results[-1]["projection"] == "applied"
    assert len(world.rows(InspectionOfficer, inspection_id=device.inspection)) == 2
    assert len(world.rows(CaseSide, case_id=device.inspection)) == 2


def test_a_line_that_falls_into_place_releases_those_that_waited_for_it(world):
    opener = world.on_patrol()
    others = [_beside(world, opener.inspection) for _ in range(2)]
    # Tried again in the order of devices: the discarding comes before what it discards.
    discarding, capturing = sorted(others, key=lambda device: device.id)
    item = _capture(world, capturing)
    _discard(world, discarding, item)
    assert _last(world, discarding)["code"] == "projection.unknown_inspection"
    assert _last(world, capturing)["code"] == "projection.unknown_inspection"

    world.push(opener)

    assert _state(world, item) == "discarded"
    assert world.rows(LineOutcome, projection="quarantined") == []


def test_an_officer_closes_no_session_but_their_own(world):
    device = world.on_patrol()
    session = device.lines[2]
    device.write("session.closed", officer=world.officers[0], session=session.act["session"])

    assert _last(world, device)["code"] == "projection.no_officer_session"
    assert [row.closed_seq for row in world.rows(OfficerSession)] == [None, None]
