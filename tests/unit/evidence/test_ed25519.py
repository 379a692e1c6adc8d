import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import ed25519
from sync.evidence.p256 import KeyMalformed

ORDER = 2**252 + 27742317777372353535851937790883648493

# RFC 8032 §7.1: public key, message, signature.
RFC = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), RFC)
def test_the_signatures_of_the_rfc_verify(key, message, signature):
    assert ed25519.verify(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))


@pytest.fixture(scope="module")
def private():
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def key(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def test_a_signature_made_elsewhere_verifies_until_a_bit_changes(private, key):
    signature = private.sign(b"checkpoint")

    assert ed25519.verify(key, b"checkpoint", signature)
    assert not ed25519.verify(key, b"checkpoints", signature)
    for place in range(64):
        flipped = bytearray(signature)
        flipped[place] ^= 1
        assert not ed25519.verify(key, b"checkpoint", bytes(flipped))


def test_a_second_spelling_of_a_signature_is_refused(private, key):
    signature = private.sign(b"checkpoint")
    s = int.from_bytes(signature[32:], "little")

    assert not ed25519.verify(
        key, b"checkpoint", signature[:32] + (s + ORDER).to_bytes(32, "little")
    )


@pytest.mark.parametrize("size", [0, 31, 63, 65])
def test_a_signature_of_another_length_is_refused(private, key, size):
    assert not ed25519.verify(key, b"", (private.sign(b"") * 2)[:size])


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param((1).to_bytes(32, "little"), id="the neutral point"),
        pytest.param(bytes(32), id="a point of order four"),
        pytest.param((2**255 - 19 + 3).to_bytes(32, "little"), id="not canonical"),
        pytest.param((2).to_bytes(32, "little"), id="off the curve"),
        pytest.param(bytes(31), id="too short"),
    ],
)
def test_a_key_under_which_no_signature_means_anything_is_refused(bad):
    with pytest.raises(KeyMalformed):
        ed25519.check_public_key(bad)
