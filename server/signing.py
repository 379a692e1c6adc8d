"""The server's own keys: Ed25519 in files of mode 0600, used to sign notes."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sync.evidence import note
from sync.evidence.note import SignedNote


@dataclass(frozen=True)
class NoteSigner:
    """Signs C2SP notes under ``name`` with one Ed25519 key."""

    name: str
    key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def verifier_key(self) -> str:
        """The key as a C2SP verifier key, ``name+hash+base64``."""
        return note.verifier_key(self.name, self.public_key)

    def sign(self, text: str) -> str:
        """The signed note of ``text``, which ends in a newline."""
        return note.sign_note(text, self.name, self.public_key, self.key.sign)


def signed_by(signed: SignedNote, name: str, public_key: bytes) -> bool:
    """Whether one signature of the note is good under ``name`` and the Ed25519 ``public_key``.

    At full speed with ``cryptography``; devices and the verifier have their own way.
    """
    key = note.VerifierKey(name, public_key)
    for signer, data in signed.signatures:
        if (signer, data[:4]) != (key.name, key.key_hash):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(
                data[4:], signed.text.encode("utf-8")
            )
        except (InvalidSignature, ValueError):
            continue
        return True
    return False


def make_key(path: Path) -> None:
    """Make an Ed25519 key at ``path``, readable by the owner alone, never over an old one."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def load_signer(path: Path, name: str) -> NoteSigner:
    """Load the key at ``path`` as the signer called ``name``.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no Ed25519 key.
    """
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path.name} holds no Ed25519 key")
    return NoteSigner(name, key)
