"""P-256 signatures checked at full speed with ``cryptography``; the verifier has its own way."""

from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from server.failures import KeyInvalid
from sync.evidence.line import Verify

_SIGNATURE_BYTES = 64
_SHA256 = ec.ECDSA(hashes.SHA256())


@lru_cache(maxsize=1024)
def verifier(spki: bytes) -> Verify:
    """A function that checks 64-byte r‖s signatures under the P-256 key ``spki`` (DER).

    Raises:
        KeyInvalid: if ``spki`` is not the one DER encoding of a P-256 public key.
    """
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyInvalid("not a public key in DER") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyInvalid("not a P-256 key")
    # One key has one id: an encoding that differs would give it a second.
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != spki:
        raise KeyInvalid("not the canonical encoding of the key")

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != _SIGNATURE_BYTES:
            return False
        r = int.from_bytes(signature[:32], "big")
        s = int.from_bytes(signature[32:], "big")
        try:
            key.verify(utils.encode_dss_signature(r, s), message, _SHA256)
        except InvalidSignature:
            return False
        return True

    return verify
