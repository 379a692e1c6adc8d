"""Checking many signatures: with ``cryptography`` where it is installed, else by ourselves."""

from __future__ import annotations

from typing import Callable, Optional

from . import p256
from .line import Verify

#: Makes the check for one key from its SPKI; KeyMalformed if it is none.
MakeVerify = Callable[[bytes], Verify]


def pure(spki: bytes) -> Verify:
    """Check with this package's own P-256, about 3 ms for each signature.

    Raises:
        KeyMalformed.
    """
    key = p256.parse_spki(spki)
    return lambda message, signature: p256.verify(key, message, signature)


def fast() -> Optional[MakeVerify]:
    """Check with ``cryptography``; None where it is not installed."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils
    except ImportError:
        return None

    def make(spki: bytes) -> Verify:
        point = p256.parse_spki(spki).point
        numbers = ec.EllipticCurvePublicNumbers(point[0], point[1], ec.SECP256R1())
        key = numbers.public_key()

        def verify(message: bytes, signature: bytes) -> bool:
            r = int.from_bytes(signature[:32], "big")
            s = int.from_bytes(signature[32:], "big")
            try:
                encoded = utils.encode_dss_signature(r, s)
                key.verify(encoded, message, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                return False
            return True

        return verify

    return make
