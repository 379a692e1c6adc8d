"""Devices in the console: letting one in, and revoking one that is lost."""

import pytest

from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent
from tests.support.console import console_world, visitor
from tests.support.simdevice import SimDevice


@pytest.fixture
def world(database_url, tmp_path):
    return console_world(database_url, tmp_path / "var")


def _revoke(world, device, reason="手机遗失"):
    return visitor(world, "administrator").post(
        f"/devices/{device.id}/revocation", {"reason": reason}, page="/devices"
    )


def test_a_code_from_the_page_lets_one_device_in(world):
    page = visitor(world, "administrator").post("/devices/codes", page="/devices").text
    code = page.split('<p class="big-code"><code>')[1].split("<")[0]
    device = SimDevice()

    answer = world.client.post("/api/v1/enrolments", json=device.enrolment(code))

    assert answer.status_code == 201


def test_a_revoked_device_may_still_hand_in_its_lines_which_are_marked(world):
    device = world.on_patrol()
    world.push(device)

    assert _revoke(world, device).status_code == 303
    device.write("future.act", late=True)
    late = world.push(device, device.body(4))

    assert late.json["results"][0]["journal"] == "accepted"
    assert late.json["receipts"]
    marks = {row.seq: row.after_revocation for row in world.rows(JournalLine)}
    assert marks == {0: False, 1: False, 2: False, 3: False, 4: True}
    (event,) = world.rows(LedgerEvent, kind="revoke")
    assert "手机遗失" in event.event.decode()


def test_a_revoked_device_learns_nothing_new(world):
    device = world.on_patrol()
    _revoke(world, device)

    feed = world.client.get("/api/v1/feed", headers=device.headers)

    assert (feed.status_code, feed.json["code"]) == (403, "token.revoked")
    assert feed.json["standing"] == "revoked"
    assert world.token(device)


def test_revoking_needs_a_reason_and_says_so(world):
    device = world.on_patrol()

    answer = _revoke(world, device, reason="  ")

    assert answer.status_code == 422
    assert "请写明吊销原因" in answer.text
    assert not world.rows(LedgerEvent, kind="revoke")


def test_a_device_is_revoked_once(world):
    device = world.on_patrol()
    _revoke(world, device)

    assert _revoke(world, device).status_code == 409
    assert len(world.rows(LedgerEvent, kind="revoke")) == 1
    page = visitor(world, "administrator").get("/devices").text
    assert "已吊销" in page
    assert "/revocation" not in page
