"""Uploads by a device in wrong hands."""

import base64
import hashlib
import json

import pytest

from server.models.inspections import EvidenceItem, Finding
from server.models.people import Organization
from server.models.uploads import QuarantinedMedia
from server.operations.media_checks import check_waiting_items
from tests.support import draw
from tests.support.casework import Case, add_officer
from tests.support.console import add_stranger, console_world, visitor
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world


@pytest.fixture
def case(database_url, tmp_path):
    return Case(make_world(database_url, tmp_path / "var", store=MemoryStore()))


def _send(case, announced, data, length=None):
    tus = {**case.second.headers, "Tus-Resumable": "1.0.0"}
    sha256 = hashlib.sha256(announced).hexdigest()
    return case.world.client.post(
        "/api/v1/uploads",
        data=data,
        headers={
            **tus,
            "Content-Type": "application/offset+octet-stream",
            "Upload-Length": str(len(data) if length is None else length),
            "Upload-Metadata": "sha256 " + base64.b64encode(sha256.encode()).decode(),
        },
    )


def test_rubbish_under_a_digest_casts_doubt_only_on_an_item_that_lacks_its_bytes(case):
    for name in ("outfall", "unsent"):
        announced = case.media[name]
        metadata = {"announced_sha256": hashlib.sha256(announced).hexdigest()}
        # Another length, or the server would answer that it has the bytes.
        assert _send(case, announced, b"rubbish").status_code == 460
        assert len(case.world.rows(QuarantinedMedia, **metadata)) == 1

    doubted = {finding.item_id for finding in case.world.rows(Finding, code="DIGEST_MISMATCH")}

    assert doubted == {case.items["unsent"]}
    assert case.world.rows(EvidenceItem, id=case.items["outfall"])[0].state == "stored"


@pytest.mark.parametrize("lie", [-1, 1])
def test_a_line_with_the_right_digest_and_another_length_is_doubted_as_the_bytes_arrive(case, lie):
    data, device = draw.photo(colour="teal"), case.world.on_patrol()
    case.second = device
    item = device.write(
        "media.captured",
        officer=case.world.officers[0],
        inspection=device.inspection,
        item=new_id(),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data) + lie,
        media_type="image/jpeg",
        **{"class": "A"},
    ).act["item"]
    case.world.push(device)

    answer = _send(case, data, data)

    assert (answer.status_code, "Repr-Digest" in answer.headers) == (201, True)
    assert case.world.rows(EvidenceItem, id=item)[0].state == "stored"
    (finding,) = case.world.rows(Finding, item_id=item)
    assert (finding.code, finding.severity) == ("DIGEST_MISMATCH", "fail")
    expected = json.loads(finding.evidence)["expected"]
    assert (expected["size"], expected["received_size"]) == (len(data) + lie, len(data))

    with case.world.app.app_context():
        check_waiting_items(case.world.services)

    [newest] = case.world.rows(Finding, item_id=item, code="DIGEST_MISMATCH")[1:]
    assert newest.severity == "fail"


def test_knowing_a_digest_opens_no_other_organisations_evidence(database_url, tmp_path):
    """A package lists the digests of withheld items; a neighbour's device announces one."""
    world = console_world(database_url, tmp_path / "var")
    case = Case(world, checked=True)
    secret = case.media["outfall"]
    sha256 = hashlib.sha256(secret).hexdigest()
    add_stranger(world)
    neighbour = _neighbour(world)
    theirs = neighbour.write(
        "media.captured",
        officer=neighbour.officer,
        inspection=neighbour.inspection,
        item=new_id(),
        sha256=sha256,
        size=len(secret),
        media_type="image/jpeg",
        **{"class": "A"},
    ).act["item"]
    assert world.push(neighbour).json["results"][-1]["projection"] == "applied"
    case.second = neighbour
    stranger = visitor(world, "stranger")

    lacking = world.client.post(
        "/api/v1/media/lacking", json={"digests": [sha256]}, headers=neighbour.headers
    )
    begun = _send(case, secret, b"", length=len(secret))
    pages = [stranger.get(f"/items/{theirs}/{what}") for what in ("thumbnail", "original")]
    row = case.build(case.request(neighbour.inspection))

    assert lacking.json["lacking"] == [sha256]
    assert begun.headers["Upload-Offset"] == "0"
    assert [page.status_code for page in pages] == [404, 404]
    assert stranger.get(f"/items/{theirs}").status_code == 200
    assert secret not in case.bytes_of(row)
    assert world.rows(EvidenceItem, id=theirs)[0].state == "captured"

    assert _send(case, secret, secret).headers["Upload-Offset"] == str(len(secret))
    assert world.rows(EvidenceItem, id=theirs)[0].state == "stored"
    assert stranger.get(f"/items/{theirs}/original").data == secret


def _neighbour(world):
    """A device of the stranger's organisation with an inspection of its own."""
    (other,) = [o.id for o in world.rows(Organization) if o.id != world.organization]
    ours, world.organization = world.organization, other
    device = world.enrol()
    device.officer = add_officer(world, "邻区检查员", "邻001")
    world.organization = ours
    device.inspection = new_id()
    device.open_epoch()
    device.open_session(device.officer)
    device.write(
        "inspection.opened",
        officer=device.officer,
        inspection=device.inspection,
        officers=[device.officer],
    )
    return device
