"""Manifests: nothing in one counts unless the right key has signed exactly that."""

import pytest

from server.signatures import verifier
from sync.carrier.errors import CarrierDamaged, CarrierForged
from sync.carrier.keys import load_key, make_key
from sync.carrier.manifest import (
    EpochRange,
    Manifest,
    Medium,
    Part,
    ReplyManifest,
    digest_of,
    folder_id,
    is_incomplete,
    open_reply,
    parse_carrier,
    read_recipient,
    recipient_text,
    seal_carrier,
    seal_reply,
)
from sync.evidence import canonical
from sync.evidence.note import parse_verifier_key
from tests.support.fieldkit import ORIGIN, Signer
from tests.support.simdevice import SimDevice


@pytest.fixture
def recipient(tmp_path):
    make_key(tmp_path / "carrier.key")
    return load_key(tmp_path / "carrier.key").recipient


@pytest.fixture
def signer():
    return Signer(f"{ORIGIN}/receipt")


@pytest.fixture
def device():
    return SimDevice()


@pytest.fixture
def manifest(device, recipient):
    return Manifest(
        carrier="5a" * 16,
        origin=ORIGIN,
        generation=1,
        device=device.id,
        key_id=device.key_id,
        written_at_ms=1,
        reply_to=recipient,
        cursor="",
        outcomes="",
        checkpoint="note",
        epochs=(EpochRange("0" * 32, 0, 1, "0" * 64),),
        media=(Medium("1" * 64, 5, "照片.jpg", "image/jpeg"),),
        parts=(Part(7, "2" * 64),),
    )


@pytest.fixture
def reply(device):
    return ReplyManifest(
        reply="6b" * 16,
        answers="5a" * 16,
        manifest="3" * 64,
        origin=ORIGIN,
        generation=1,
        device=device.id,
        server_ms=1,
        parts=(),
    )


def accepted(data, device):
    """The manifest, if ``data`` is one that the device has signed."""
    try:
        signed = parse_carrier(data, "manifest.age")
    except CarrierDamaged:
        return None
    good = verifier(device.spki)(signed.message, signed.signature)
    return signed.manifest if good else None


def test_a_manifest_comes_back_as_it_was_signed(manifest, device):
    data = seal_carrier(manifest, device.sign)

    assert accepted(data, device) == manifest
    assert parse_carrier(data, "").digest == digest_of(manifest)
    assert accepted(data, SimDevice()) is None


def test_a_manifest_with_any_byte_changed_does_not_count(manifest, device):
    data = seal_carrier(manifest, device.sign)

    for place in range(0, len(data), 7):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        assert accepted(changed, device) is None, place


@pytest.mark.parametrize(
    "change",
    [
        {"carrier": "../../etc"},
        {"device": "x"},
        {"parts": [{"size": -1, "sha256": "2" * 64}]},
        {"media": [{"sha256": "1" * 64, "size": 1, "name": "x" * 201, "media_type": ""}]},
        {"epochs": "all"},
        {"v": 2},
        {"generation": True},
        {"reply_to": "age1nobody"},
        {"parts": [{"size": 2**53 - 1, "sha256": "zz"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_of_another_form_is_damaged_even_if_signed(manifest, device, change):
    whole = canonical.loads(seal_carrier(manifest, device.sign))
    data = canonical.dumps({**whole, "manifest": whole["manifest"] | change})

    with pytest.raises(CarrierDamaged):
        parse_carrier(data, "manifest.age")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"manifest":1}', b"\xff", b"[" * 5000])
def test_what_is_no_manifest_at_all_is_damaged(data):
    with pytest.raises(CarrierDamaged):
        parse_carrier(data, "manifest.age")


def test_a_reply_counts_only_under_the_pinned_key_and_for_its_own_manifest(reply, signer):
    key = parse_verifier_key(signer.verifier_key)
    data = seal_reply(reply, signer.sign)
    other = canonical.loads(data)
    other["manifest"]["server_ms"] = 2

    assert open_reply(data, "", key) == reply
    with pytest.raises(CarrierForged):
        open_reply(data, "", parse_verifier_key(Signer(f"{ORIGIN}/receipt").verifier_key))
    with pytest.raises(CarrierForged):
        open_reply(canonical.dumps(other), "", key)


def test_a_recipient_counts_only_if_signed_for_this_ledger(signer, recipient):
    key = parse_verifier_key(signer.verifier_key)
    note = signer.sign(recipient_text(ORIGIN, recipient))

    assert read_recipient(note, origin=ORIGIN, key=key) == recipient
    for bad in (
        signer.sign(recipient_text("elsewhere", recipient)),
        Signer(signer.name).sign(recipient_text(ORIGIN, recipient)),
        signer.sign(f"{recipient_text(ORIGIN, recipient)}recipient {recipient}\n"),
        note.replace("carrier", "Carrier"),
        "",
    ):
        with pytest.raises(CarrierForged):
            read_recipient(bad, origin=ORIGIN, key=key)


def test_only_exact_names_are_carrier_folders():
    good = "carrier-" + "5a" * 16

    assert folder_id(good, "carrier") == "5a" * 16
    assert folder_id(good, "reply") is None
    for name in (good[:-1], good.upper(), good + "\n", good + ".incomplete", "../" + good):
        assert folder_id(name, "carrier") is None, name
    assert is_incomplete(good + ".incomplete")
    assert not is_incomplete(good)
