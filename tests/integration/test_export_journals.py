"""Which lines a package carries and shows: forks, doubts, other cases, heads noted by others."""

import io
import json
import zipfile

import pytest

from server.db import db, reading, transaction
from server.operations import ledger, revocation
from server.operations.access import Actor
from server.operations.export.asked import read_asked
from sync.evidence.line import Anchor
from sync.evidence.verifier import verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.casework import Exporting, PackageDesk, add_officer
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world


@pytest.fixture
def exporting(make_database, tmp_path):
    world = make_world(make_database("sqlite"), tmp_path / "var", store=MemoryStore())
    return Exporting(world, tmp_path)


def _media(world, inspection, **changes):
    return {
        "officer": world.officers[0],
        "inspection": inspection,
        "item": new_id(),
        "sha256": new_id().replace("-", "") * 2,
        "size": 5,
        "media_type": "image/jpeg",
        "class": "A",
        **changes,
    }


@pytest.mark.parametrize(
    ("size", "code"), [(3, "journal.inconsistent"), (10**9, "journal.anchor_unproved")]
)
def test_a_ledger_that_never_was_in_a_signed_line_is_named(exporting, size, code):
    """Whether the device or the ledger errs cannot be told: the package leaves only as FAIL."""
    world = exporting.world
    device = world.on_patrol()
    with world.app.app_context():
        origin = ledger.current_generation(db.session()).origin
    device.anchor = Anchor(origin, size, "ab" * 32)
    device.write("note.added", officer=world.officers[0], inspection=device.inspection, text="x")
    _push(world, device)
    desk = PackageDesk(world)

    row = desk.build(desk.request(device.inspection))
    (exporting.folder / "strange.zip").write_bytes(desk.bytes_of(row))
    result = verify_package(str(exporting.folder / "strange.zip"))

    assert (row.state, row.verdict) == ("ready", "FAIL")
    assert code in {claim.code for claim in result.claims if claim.verdict is Verdict.FAIL}
    with world.app.app_context(), reading() as session:
        told = read_asked(session, row.id)
    assert "anchor_unknown" in [defect.code for defect in told.defects]


def _index(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return json.loads(archive.read("data/case-index.json"))


def _journal(data, device):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        body = archive.read(f"data/journal/{device.id}/{device.epoch}.ndjson")
    return [json.loads(line) for line in body.splitlines()]


def _push(world, *devices):
    for device in devices:
        assert world.push(device).status_code == 200


def test_an_item_whose_line_waits_for_a_decision_is_listed(exporting):
    world = exporting.world
    device = world.on_patrol()
    stranger = new_id()
    device.write("media.captured", **_media(world, device.inspection, officer=stranger))
    _push(world, device)

    data = exporting.package(device.inspection)

    (item,) = _index(data)["items"]
    assert (item["state"], item["disposition"]) == ("quarantined", "missing")


def test_an_announcement_that_says_too_little_is_present_but_withheld(exporting):
    world = exporting.world
    device = world.on_patrol()
    fields = _media(world, device.inspection, sha256="not a digest")
    device.write("media.captured", **fields)
    device.write("note.added", officer=world.officers[0], inspection=device.inspection, text="x")
    _push(world, device)

    data = exporting.package(device.inspection)

    lines = _journal(data, device)
    assert (lines[-2]["b"], lines[-1]["b"]["0"]["text"]) == ({}, "x")
    assert _index(data)["items"] == []


def test_both_sides_of_a_fork_are_in_the_package(exporting):
    world = exporting.world
    device = world.on_patrol()
    fork = device.forge([{"type": "note.added", "inspection": device.inspection, "text": "two"}])
    device.write("media.captured", **_media(world, device.inspection))
    _push(world, device)
    assert world.push(device, fork.to_bytes() + b"\n").json["results"][0]["journal"] == "forked"

    data = exporting.package(device.inspection)

    branches = [chain["branch"] for chain in _index(data)["chains"]]
    assert branches == ["", fork.digest]
    assert "journal.forked" in exporting.codes(Verdict.NOT_CHECKED)


def test_an_item_announced_again_on_a_branch_stays_one_item(exporting):
    world = exporting.world
    device = world.on_patrol()
    media = _media(world, device.inspection)
    again = device.forge([{"type": "media.captured", **media}])
    device.write("media.captured", **media)
    _push(world, device)
    world.push(device, again.to_bytes() + b"\n")

    data = exporting.package(device.inspection)

    (item,) = _index(data)["items"]
    assert item["line"]["branch"] == ""


def test_a_journal_goes_as_far_as_a_fellow_officers_device_has_seen(exporting):
    world = exporting.world
    first = world.on_patrol()
    second = world.on_patrol(first.inspection)
    _push(world, second)
    last = second.write("clock.compared", server_ms=1, offset_ms=0, error_ms=1)
    _push(world, second)
    first.write(
        "peer.head", device=second.id, epoch=second.epoch, seq=last.header.seq, head=last.digest
    )
    first.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=first.inspection,
        revisions=[],
        media=[],
        heads=[],
    )
    _push(world, first)

    data = exporting.package(first.inspection)

    assert _journal(data, second)[-1]["e"]["seq"] == last.header.seq


@pytest.mark.parametrize("noted", [0, 99], ids=["mistyped", "not received"])
def test_a_wrong_note_of_a_fellow_officers_journal_keeps_no_case_from_export(exporting, noted):
    world = exporting.world
    first = world.on_patrol()
    second = world.on_patrol(first.inspection)
    _push(world, second)
    first.write("peer.head", device=second.id, epoch=second.epoch, seq=noted, head="0" * 64)
    _push(world, first)

    data = exporting.package(first.inspection)

    assert _journal(data, second)


def test_another_cases_line_that_names_our_item_changes_nothing(exporting):
    world = exporting.world
    device = world.on_patrol()
    media = _media(world, device.inspection)
    device.write("media.captured", **media)
    _push(world, device)
    intruder = world.on_patrol()
    intruder.write(
        "media.captured", **_media(world, intruder.inspection, item=media["item"], size=6)
    )
    _push(world, intruder)

    data = exporting.package(device.inspection)

    (item,) = _index(data)["items"]
    assert item["size"] == 5
    assert [chain["device"] for chain in _index(data)["chains"]] == [device.id]


def test_the_session_of_an_officer_of_another_case_is_withheld(exporting):
    world = exporting.world
    outsider = add_officer(world, "示例检查员3", "示例003")
    device = world.on_patrol()
    device.open_session(outsider)
    device.write("note.added", officer=world.officers[0], inspection=device.inspection, text="x")
    _push(world, device)

    data = exporting.package(device.inspection)

    assert _journal(data, device)[-2]["b"] == {}
    assert outsider.encode() not in data


def test_a_discarding_that_waits_for_a_decision_does_not_withhold_the_item(exporting):
    world = exporting.world
    device = world.on_patrol()
    media = _media(world, device.inspection)
    device.write("media.captured", **media)
    device.write(
        "media.discarded",
        officer=new_id(),
        inspection=device.inspection,
        item=media["item"],
        reason="by a stranger",
    )
    _push(world, device)

    data = exporting.package(device.inspection)

    (item,) = _index(data)["items"]
    assert item["disposition"] == "missing"
    assert item["discarded"]["seq"] == len(device.lines) - 1


def test_a_package_verifies_as_an_unpacked_folder(exporting, tmp_path):
    device = exporting.world.on_patrol()
    _push(exporting.world, device)
    data = exporting.package(device.inspection)
    zipfile.ZipFile(io.BytesIO(data)).extractall(tmp_path / "unpacked")

    result = verify_package(str(tmp_path / "unpacked"))

    assert result.verdict is Verdict.PASS


def test_lines_that_came_after_a_revocation_are_named_as_doubtful(exporting):
    world = exporting.world
    device = world.on_patrol()
    _push(world, device)
    administrator = Actor(
        user_id=new_id(),
        person_id=world.persons[1],
        name="示例",
        organization_id=world.organization,
        roles=frozenset({"administrator"}),
    )
    with world.app.app_context(), transaction() as session:
        revocation.revoke_device(
            session, administrator, device.id, reason="手机遗失", now_ms=world.now_ms
        )
    device.write("note.added", officer=world.officers[0], inspection=device.inspection, text="晚")
    _push(world, device)

    exporting.package(device.inspection)

    assert "journal.after_revocation" in exporting.codes(Verdict.NOT_CHECKED)
