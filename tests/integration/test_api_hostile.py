"""Requests that strangers and stolen devices make: each is refused by name, none is a 500."""

import base64
import json

import pytest

from server.models.devices import Device
from tests.support.simdevice import SimDevice


@pytest.fixture
def device(world):
    return world.enrol()


def _refused(answer, status=422, code="server.invalid"):
    assert (answer.status_code, answer.json["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    ("member", "value"),
    [("id", "\n"), ("serial", "\0"), ("name", "\0"), ("name", "\ud800"), ("serial", "a\r\nb")],
)
def test_a_device_whose_names_no_database_can_keep_is_refused(world, member, value):
    device = SimDevice()
    body = device.enrolment(world.code())
    body["device"][member] = (body["device"][member] if member == "id" else "") + value

    _refused(world.client.post("/api/v1/enrolments", json=body))
    assert world.rows(Device) == []


def test_control_characters_in_a_code_or_nonce_are_refused(world, device):
    body = device.enrolment(world.code())
    proof = {"key_id": device.key_id, "nonce": "a\0", "signature": body["signature"]}

    _refused(world.client.post("/api/v1/enrolments", json={**body, "code": "a\0b"}))
    _refused(world.client.post("/api/v1/tokens", json=proof))


def test_a_digest_with_a_newline_is_none(world, device):
    asked = {"digests": ["a" * 64 + "\n"]}

    _refused(world.client.post("/api/v1/media/lacking", json=asked, headers=device.headers))


def test_json_nested_beyond_reason_is_refused(world):
    body = '{"key_id":' + "[" * 60_000 + "]" * 60_000 + "}"

    answer = world.client.post("/api/v1/nonces", data=body, content_type="application/json")

    assert answer.status_code in (400, 422), answer.text


@pytest.mark.parametrize("path", ["enrolments", "nonces", "tokens"])
def test_a_stranger_cannot_fill_the_memory(world, path):
    body = json.dumps({"key_id": "a" * 200_000})

    answer = world.client.post(f"/api/v1/{path}", data=body, content_type="application/json")

    _refused(answer, 413, "http.413")


def test_a_cursor_beyond_counting_is_refused(world, device):
    cursor = base64.urlsafe_b64encode(f"1.1.{'9' * 40}".encode()).decode().rstrip("=")

    _refused(world.client.get(f"/api/v1/feed?cursor={cursor}", headers=device.headers))


@pytest.mark.parametrize("path", ["uploads/%00", "uploads/%0A", "uploads/x%FF"])
def test_an_address_that_names_nothing_is_not_found(world, device, path):
    headers = {**device.headers, "Tus-Resumable": "1.0.0"}

    assert world.client.head(f"/api/v1/{path}", headers=headers).status_code in (404, 422)
