"""Enrolling a device and getting its token, and everything that must not get one."""

import pytest

from server.models.devices import DeviceToken, EnrolmentCode
from server.models.ledger import LedgerEvent
from sync import wire
from sync.evidence import merkle, note
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.encoding import to_b64url
from tests.support.simdevice import SimDevice


def _refused(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] == code
    assert answer.json["title"]


def test_an_enrolled_device_gets_the_keys_and_a_checkpoint_that_holds_its_key(world):
    device = world.enrol()

    enrolled = device.enrolled
    key = note.parse_verifier_key(enrolled["ledger_key"])
    text, _ = note.open_note(enrolled["checkpoint"], [key])
    assert parse_checkpoint(text).size > enrolled["enrolled_index"]
    assert enrolled["organization"]["name"] == "示范区生态环境分局"
    kinds = [row.kind for row in world.rows(LedgerEvent)]
    assert kinds.count("enrol") == 3  # two keys of the server, one of the device


def test_the_leaf_of_the_key_is_proved_against_the_checkpoint(world):
    device = world.enrol()
    index = device.enrolled["enrolled_index"]
    key = note.parse_verifier_key(device.enrolled["ledger_key"])
    tree = parse_checkpoint(note.open_note(device.enrolled["checkpoint"], [key])[0])

    proof = world.client.get(
        f"/api/v1/ledger/inclusion?index={index}&size={tree.size}", headers=device.headers
    ).json

    merkle.verify_inclusion(
        merkle.leaf_hash(bytes.fromhex(proof["entry"])),
        index=index,
        size=tree.size,
        path=[bytes.fromhex(node) for node in proof["path"]],
        root=tree.root,
    )


def test_a_code_works_once(world):
    code = world.code()
    first = world.client.post("/api/v1/enrolments", json=SimDevice().enrolment(code))
    assert first.status_code == 201

    again = world.client.post("/api/v1/enrolments", json=SimDevice().enrolment(code))

    _refused(again, 403, "enrolment.code_unknown")


def test_an_expired_code_lets_nobody_in(world):
    code = world.code(valid_ms=1000)
    world.now_ms += 1000

    answer = world.client.post("/api/v1/enrolments", json=SimDevice().enrolment(code))

    _refused(answer, 403, "enrolment.code_unknown")


def test_an_invented_code_lets_nobody_in_and_uses_none_up(world):
    world.code()

    answer = world.client.post(
        "/api/v1/enrolments", json=SimDevice().enrolment("AAAAA-AAAAA-AAAAA-AAAAA")
    )

    _refused(answer, 403, "enrolment.code_unknown")
    assert [row.used_at_ms for row in world.rows(EnrolmentCode)] == [None]


def test_a_code_survives_being_read_aloud(world):
    device = SimDevice()
    code = world.code()
    body = device.enrolment(code)
    body["code"] = f" {code.lower().replace('0', 'o').replace('1', 'l')} "

    assert world.client.post("/api/v1/enrolments", json=body).status_code == 201


def test_a_key_that_is_not_its_senders_is_refused(world):
    body = SimDevice().enrolment(world.code())
    body["spki"] = to_b64url(SimDevice().spki)

    _refused(world.client.post("/api/v1/enrolments", json=body), 422, "enrolment.key_invalid")


def test_bytes_that_are_no_key_are_refused(world):
    body = {**SimDevice().enrolment(world.code()), "spki": to_b64url(b"no key")}

    _refused(world.client.post("/api/v1/enrolments", json=body), 422, "enrolment.key_invalid")


def test_one_device_cannot_be_enrolled_twice(world):
    device = world.enrol()

    answer = world.client.post("/api/v1/enrolments", json=device.enrolment(world.code()))

    _refused(answer, 409, "enrolment.already_enrolled")


@pytest.mark.parametrize("body", [{}, {"code": 1}, [], "text", {"code": "x", "device": {}}])
def test_a_malformed_request_is_a_problem_document(world, body):
    answer = world.client.post("/api/v1/enrolments", json=body)

    assert answer.status_code in (400, 422)
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] in ("server.invalid", "http.400")


def test_json_that_is_none_is_a_problem_document(world):
    answer = world.client.post(
        "/api/v1/enrolments", data=b'{"code":', content_type="application/json"
    )

    _refused(answer, 400, "http.400")


def test_a_nonce_works_once(world):
    device = world.enrol()
    nonce = world.client.post("/api/v1/nonces", json={"key_id": device.key_id}).json["nonce"]
    request = _token_request(world, device, nonce)
    assert world.client.post("/api/v1/tokens", json=request).status_code == 201

    again = world.client.post("/api/v1/tokens", json=request)

    _refused(again, 401, "token.nonce_unknown")
    assert len(world.rows(DeviceToken)) == 2


def test_a_nonce_expires(world):
    device = world.enrol()
    nonce = world.client.post("/api/v1/nonces", json={"key_id": device.key_id}).json["nonce"]
    world.now_ms += 120_000

    answer = world.client.post("/api/v1/tokens", json=_token_request(world, device, nonce))

    _refused(answer, 401, "token.nonce_unknown")


def test_a_wrong_signature_gets_no_token_and_leaves_the_nonce_good(world):
    device = world.enrol()
    nonce = world.client.post("/api/v1/nonces", json={"key_id": device.key_id}).json["nonce"]
    request = _token_request(world, device, nonce)
    forged = {**request, "signature": to_b64url(SimDevice().sign(b"something else"))}

    _refused(world.client.post("/api/v1/tokens", json=forged), 401, "token.signature_invalid")
    assert world.client.post("/api/v1/tokens", json=request).status_code == 201


def test_an_unknown_key_gets_no_nonce(world):
    answer = world.client.post("/api/v1/nonces", json={"key_id": "ab" * 32})

    _refused(answer, 401, "token.key_unknown")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic abc"])
def test_without_a_valid_token_nothing_is_told(world, header):
    answer = world.client.get("/api/v1/feed", headers={"Authorization": header})

    _refused(answer, 401, "token.invalid")


def test_a_token_ends(world):
    device = world.enrol()
    world.now_ms += 3_600_000

    _refused(world.client.get("/api/v1/feed", headers=device.headers), 401, "token.invalid")


def _token_request(world, device, nonce):
    origin = world.services.ledger_signer.name
    proof = wire.token_proof(nonce=nonce, key_id=device.key_id, origin=origin)
    return {
        "key_id": device.key_id,
        "nonce": nonce,
        "signature": to_b64url(device.sign(proof)),
    }
