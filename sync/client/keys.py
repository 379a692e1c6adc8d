"""The device's signing key: P-256, made here, in a file that only its owner can read."""

import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sync.client.folder import sync_directory
from sync.evidence.line import key_id_of

_SHA256 = ec.ECDSA(hashes.SHA256())


class DeviceKey:
    """Signs lines and proofs; ``spki`` is the public key in DER, ``key_id`` its SHA-256."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key_id = key_id_of(self.spki)

    def sign(self, message: bytes) -> bytes:
        """The signature over ``message`` as 64 bytes r‖s."""
        r, s = utils.decode_dss_signature(self._key.sign(message, _SHA256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def make_key(path: Path) -> DeviceKey:
    """Make a new key at ``path`` with mode 0600, whole or not at all, in place of an older one."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)
    return DeviceKey(key)


def load_key(path: Path) -> DeviceKey:
    """Load the key at ``path``.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not an unencrypted P-256 key in PKCS #8.
    """
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 key")
    return DeviceKey(key)
