import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.evidence import p256


def spki_of(private, encoding=PublicFormat.SubjectPublicKeyInfo):
    return private.public_key().public_bytes(Encoding.DER, encoding)


def sign(private, message):
    r, s = utils.decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture(scope="module")
def private():
    return ec.generate_private_key(ec.SECP256R1())


def test_a_signature_made_elsewhere_verifies(private):
    key = p256.parse_spki(spki_of(private))

    for number in range(20):
        message = b"line %d" % number
        assert p256.verify(key, message, sign(private, message))


def test_an_altered_message_signature_or_key_does_not_verify(private):
    key = p256.parse_spki(spki_of(private))
    other = p256.parse_spki(spki_of(ec.generate_private_key(ec.SECP256R1())))
    signature = sign(private, b"line")

    assert not p256.verify(key, b"lime", signature)
    assert not p256.verify(other, b"line", signature)
    for place in range(64):
        flipped = bytearray(signature)
        flipped[place] ^= 1
        assert not p256.verify(key, b"line", bytes(flipped))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_length_does_not_verify(private, size):
    key = p256.parse_spki(spki_of(private))

    assert not p256.verify(key, b"line", (sign(private, b"line") * 2)[:size])


def test_the_twin_of_a_signature_is_told_by_its_high_s(private):
    key = p256.parse_spki(spki_of(private))
    signature = sign(private, b"line")
    s = int.from_bytes(signature[32:], "big")
    twin = signature[:32] + (p256.N - s).to_bytes(32, "big")

    assert p256.verify(key, b"line", twin)
    assert p256.is_low_s(signature) is not p256.is_low_s(twin)


def test_a_key_off_the_curve_is_refused(private):
    der = bytearray(spki_of(private))
    der[-1] ^= 1

    with pytest.raises(p256.KeyMalformed):
        p256.parse_spki(bytes(der))


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_a_key_of_another_curve_is_refused(curve):
    with pytest.raises(p256.KeyMalformed):
        p256.parse_spki(spki_of(ec.generate_private_key(curve)))


def test_a_coordinate_written_beyond_the_field_is_refused(private):
    der = spki_of(private)

    with pytest.raises(p256.KeyMalformed):
        p256.parse_spki(der[:-64] + p256.P.to_bytes(32, "big") + der[-32:])
