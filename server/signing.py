"""The server's own keys, which sign notes: Ed25519, in a file or behind a command.

A key that never leaves a token or another machine is reached through a command of the
bureau's own: ``COMMAND public-key`` prints the 32-byte key, ``COMMAND sign`` reads the
message and prints its 64-byte signature, as bytes or in base64 (docs/operations.md).
"""

import base64
import binascii
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

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

from server.failures import ServerError
from sync.evidence import note
from sync.evidence.note import SignedNote

#: The ledger is held while a checkpoint is signed: nobody may wait longer for a token.
_COMMAND_S = 10


class SignerFailed(ServerError):
    """The command that signs for the ledger gave no good signature."""

    code = "server.signer_failed"


class Signer(Protocol):
    """One Ed25519 key, wherever it lies."""

    @property
    def public_key(self) -> bytes:
        """Its 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of ``message``.

        Raises:
            SignerFailed: if whoever has the key gives none.
        """


@dataclass(frozen=True)
class FileSigner:
    """A key in this process's memory, from a file."""

    key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass(frozen=True)
class CommandSigner:
    """A key behind a command, which is asked for its public half once."""

    command: tuple[str, ...]
    public_key: bytes

    def sign(self, message: bytes) -> bytes:
        signature = _ask(self.command, "sign", message, size=64)
        # A token that was exchanged, or answers for another key, must not stay unnoticed.
        if not _verifies(self.public_key, message, signature):
            raise SignerFailed(f"{self.command[0]}: a signature of another key")
        return signature


@dataclass(frozen=True)
class NoteSigner:
    """Signs C2SP notes under ``name`` with one key, and with ``also`` while keys overlap."""

    name: str
    key: Signer
    also: tuple[Signer, ...] = ()

    @property
    def public_key(self) -> bytes:
        return self.key.public_key

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        return tuple(key.public_key for key in (self.key, *self.also))

    @property
    def verifier_key(self) -> str:
        """The key as a C2SP verifier key, ``name+hash+base64``."""
        return note.verifier_key(self.name, self.public_key)

    def sign(self, text: str) -> str:
        """The signed note of ``text``, which ends in a newline."""
        signed = note.sign_note(text, self.name, self.public_key, self.key.sign)
        for key in self.also:
            signed = note.add_signature(signed, self.name, key.public_key, key.sign)
        return signed

    def countersign(self, signed: str) -> str:
        """``signed`` with our signature, where a key that is no longer ours signed it alone."""
        if signed_by(note.parse_note(signed), self.name, self.public_key):
            return signed
        return note.add_signature(signed, self.name, self.public_key, self.key.sign)

    def under(self, name: str) -> "NoteSigner":
        """The same keys under the name of another ledger."""
        return replace(self, name=name)


def signed_by(signed: SignedNote, name: str, public_key: bytes) -> bool:
    """Whether one signature of the note is good under ``name`` and the Ed25519 ``public_key``.

    At full speed with ``cryptography``; devices and the verifier have their own way.
    """
    key = note.VerifierKey(name, public_key)
    for signer, data in signed.signatures:
        if (signer, data[:4]) != (key.name, key.key_hash):
            continue
        if _verifies(public_key, signed.text.encode("utf-8"), data[4:]):
            return True
    return False


def _verifies(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


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


def load_key(path: Path) -> FileSigner:
    """Load the Ed25519 key at ``path``.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no Ed25519 key.
    """
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path.name} holds no Ed25519 key")
    return FileSigner(key)


def ask_for_key(command: Sequence[str]) -> CommandSigner:
    """The key behind ``command``.

    Raises:
        SignerFailed: if it gives no public key.
    """
    return CommandSigner(tuple(command), _ask(command, "public-key", b"", size=32))


def load_signer(path: Path, name: str) -> NoteSigner:
    """Load the key at ``path`` as the signer called ``name``.

    Raises:
        OSError, ValueError: as :func:`load_key`.
    """
    return NoteSigner(name, load_key(path))


def _ask(command: Sequence[str], act: str, message: bytes, *, size: int) -> bytes:
    try:
        done = subprocess.run(
            [*command, act],
            input=message,
            capture_output=True,
            timeout=_COMMAND_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SignerFailed(f"{command[0]} {act}: {error}") from error
    if len(done.stdout) == size:
        return done.stdout
    try:
        answer = base64.b64decode(done.stdout.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignerFailed(f"{command[0]} {act}: neither bytes nor base64") from error
    if len(answer) != size:
        raise SignerFailed(f"{command[0]} {act}: {len(answer)} bytes instead of {size}")
    return answer
