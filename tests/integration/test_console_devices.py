"""Devices in the console: letting one in, whom it serves, its clock, and losing it."""

import hashlib

import pytest

from media.findings import words
from server.models.devices import Device, DeviceHolder, DeviceKey
from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent
from sync import wire
from sync.evidence.encoding import to_b64url
from tests.support.console import console_world, make_case, views, visitor
from tests.support.simdevice import SimDevice

HOUR_MS, SHORT_MS = 3_600_000, 600_000


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


def _row(world, device):
    (row,) = world.rows(Device, id=device.id)
    return row


def test_lines_received_since_the_stated_moment_are_marked_also_those_already_here(world):
    device = world.on_patrol()
    world.push(device)
    world.now_ms += SHORT_MS
    device.write(
        "note.added", officer=world.officers[0], inspection=device.inspection, text="被盗之后"
    )
    assert world.push(device, device.body(4)).status_code == 200
    world.now_ms += SHORT_MS
    stated = words.moment(world.now_ms - SHORT_MS - 60_000)[:16].replace(" ", "T")

    answer = visitor(world, "administrator").post(
        f"/devices/{device.id}/revocation",
        {"reason": "被盗", "from": stated},
        page=f"/devices/{device.id}",
    )

    assert answer.status_code == 303
    (key,) = world.rows(DeviceKey, device_id=device.id)
    assert key.revoked_from_ms == (world.now_ms - SHORT_MS - 60_000) // 60_000 * 60_000
    assert key.revoked_at_ms == world.now_ms
    (event,) = world.rows(LedgerEvent, kind="revoke")
    assert f'"revoked_from_ms":{key.revoked_from_ms}' in event.event.decode()
    page = visitor(world, "reviewer").get(f"/inspections/{device.inspection}").text
    assert page.count("入库时设备密钥已吊销") == 1


@pytest.mark.parametrize("moment", ["2099-01-01T00:00", "昨天", "99999-99-99T99:99"])
def test_a_moment_that_is_none_or_still_to_come_is_refused_with_a_sentence(world, moment):
    device = world.on_patrol()

    answer = visitor(world, "administrator").post(
        f"/devices/{device.id}/revocation",
        {"reason": "遗失", "from": moment},
        page=f"/devices/{device.id}",
    )

    assert answer.status_code == 422
    assert "请填写不晚于现在的日期和时间" in answer.text
    assert not world.rows(LedgerEvent, kind="revoke")


def test_a_later_revocation_may_only_state_an_earlier_moment_or_ask_for_the_wipe(world):
    device = world.on_patrol()
    _revoke(world, device)
    browser = visitor(world, "administrator")
    path = f"/devices/{device.id}/revocation"

    assert browser.post(path, {"reason": "再报"}).status_code == 409
    assert browser.post(path, {"reason": "清空", "wipe": "yes"}).status_code == 303
    assert browser.post(path, {"reason": "更早", "from": "2026-05-01T08:00"}).status_code == 303

    (key,) = world.rows(DeviceKey, device_id=device.id)
    assert words.moment(key.revoked_from_ms) == "2026-05-01 08:00:00 +08:00"
    assert _row(world, device).wipe_wanted_at_ms == world.now_ms
    assert len(world.rows(LedgerEvent, kind="revoke")) == 3


def test_a_device_learns_with_its_token_how_it_stands(world):
    device = world.on_patrol()
    world.push(device)

    def standing():
        nonce = world.client.post("/api/v1/nonces", json={"key_id": device.key_id}).json["nonce"]
        proof = wire.token_proof(
            nonce=nonce, key_id=device.key_id, origin=world.services.ledger_signer.name
        )
        signed = {"key_id": device.key_id, "nonce": nonce}
        signed["signature"] = to_b64url(device.sign(proof))
        return world.client.post("/api/v1/tokens", json=signed).json["standing"]

    path, browser = f"/devices/{device.id}/revocation", visitor(world, "administrator")
    seen = [standing()]
    browser.post(path, {"reason": "遗失"})
    seen.append(standing())
    browser.post(path, {"reason": "清空", "wipe": "yes"})
    seen.append(standing())
    device.write("device.wiped", lines=5, media=0)
    world.push(device, device.body(4))
    seen.append(standing())

    assert seen == ["active", "revoked", "wipe", "revoked"]
    assert _row(world, device).wiped_at_ms == world.now_ms


def test_an_administrator_says_whom_a_device_serves(world):
    browser = visitor(world, "administrator")
    code = browser.post(
        "/devices/codes", {"serves": "officers", "officer": world.officers[0]}, page="/devices"
    ).text
    code = code.split('<p class="big-code"><code>')[1].split("<")[0]
    device = SimDevice()
    world.client.post("/api/v1/enrolments", json=device.enrolment(code))

    def held():
        return {row.officer_id for row in world.rows(DeviceHolder, device_id=device.id)}

    assert (held(), _row(world, device).shared) == ({world.officers[0]}, False)
    shown = browser.get(f"/devices/{device.id}").text
    assert f'name="officer" value="{world.officers[0]}" checked' in shown
    form = {"serves": "officers", "officer": world.officers}
    path = f"/devices/{device.id}/holders"
    assert browser.post(path, form, page=f"/devices/{device.id}").status_code == 303
    assert held() == set(world.officers)
    assert browser.post(path, {"serves": "officers"}).status_code == 422
    assert browser.post(path, {"serves": "all"}).status_code == 303
    assert (held(), _row(world, device).shared) == (set(), True)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_of_a_device_names_steps_restarts_and_sleeps(world, lang):
    device = world.on_patrol()
    for wall_ms, mono_ms, server_ms in (
        (0, 10_000, 0),
        (HOUR_MS, HOUR_MS + 10_000, HOUR_MS),
        (2 * HOUR_MS, HOUR_MS + 20_000, 2 * HOUR_MS),
        (9 * HOUR_MS, 2 * HOUR_MS + 20_000, 3 * HOUR_MS),
    ):
        device.write(
            "clock.compared",
            server_ms=world.now_ms + server_ms,
            offset_ms=server_ms - wall_ms,
            error_ms=20,
            wall_ms=world.now_ms + wall_ms,
            mono_ms=mono_ms,
        )
    world.push(device)

    page = visitor(world, "supervisor").get(f"/devices/{device.id}?lang={lang}").text

    said = {
        "zh": ("休眠至少", "时钟被改动 +6 h 00 min", "漂移", "首次比对"),
        "en": ("slept for at least", "the clock was set by +6 h 00 min", "drifted", "first"),
    }
    for sentence in said[lang]:
        assert sentence in page


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_statement_names_what_is_known_to_be_missing(world, lang):
    lost, fellow = world.on_patrol(), world.enrol()
    world.push(lost)
    for number in range(3):
        lost.write(
            "note.added", officer=world.officers[0], inspection=lost.inspection, text=str(number)
        )
    head = lost.lines[-1]
    fellow.open_epoch()
    fellow.write("peer.head", device=lost.id, epoch=lost.epoch, seq=6, head=head.digest)
    world.push(fellow)
    _revoke(world, lost)

    page = visitor(world, "leader").get(f"/devices/{lost.id}/statement?lang={lang}").text

    said = {"zh": ("第 4 至 6 行，共 3 行", "手机遗失"), "en": ("4 to 6, 3 in all", "手机遗失")}
    for sentence in said[lang]:
        assert sentence in page


def test_the_statement_names_files_that_never_came(world):
    case = make_case(world)

    page = visitor(world, "administrator").get(f"/devices/{case.device.id}/statement").text

    assert "危废暂存间" in page
    assert hashlib.sha256(case.bytes["危废暂存间"]).hexdigest()[:8] in page
    assert views(world)[-1]["subject"]["page"] == "device_statement"


@pytest.mark.parametrize("files", [-1, True, "\0", {"\x7f": 0}, [[]], [{"path": 5, "size": "\0"}]])
def test_no_list_of_files_that_is_none_keeps_the_statement_from_being_printed(world, files):
    device = world.on_patrol()
    listing = {"officer": world.officers[0], "listing": "x", "page": 1, "pages": 1}
    device.write("import.listed", **listing, files=files)
    device.write("note.added", nested={"type": "import.listed", "files": 7})
    world.push(device)

    answer = visitor(world, "leader").get(f"/devices/{device.id}/statement")

    assert answer.status_code == 200, answer.text
