"""C2SP signed notes: a text with signatures under it that any tool can check.

Implements https://c2sp.org/signed-note with Ed25519 signatures (type 0x01).
Signatures by unknown keys are ignored, as the specification demands, so that
witnesses and newer algorithms can sign beside us.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Callable, Iterable, List, Tuple

from . import ed25519
from .errors import SyncError
from .p256 import KeyMalformed

#: The signature types of C2SP: a plain signature, and a witness's with its time.
ED25519 = 0x01
COSIGNATURE_V1 = 0x04
_SEPARATOR = "\n\n"
_SIGNATURE_PREFIX = "\u2014 "
_NAME = re.compile(r"\A[^\s+]+\Z")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
MAX_SIGNATURES = 100


class NoteMalformed(SyncError):
    """Text is not a C2SP signed note."""

    code = "note.malformed"


class NoteUnsigned(SyncError):
    """A note bears no signature by any of the keys that were asked for."""

    code = "note.unsigned"


class NoteForged(SyncError):
    """A note bears a signature in the name of a known key that does not verify."""

    code = "note.forged"


@dataclass(frozen=True)
class VerifierKey:
    """A named Ed25519 public key, as ``name+hash+base64`` says it."""

    name: str
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        return key_hash(self.name, self.public_key)

    def __str__(self) -> str:
        return verifier_key(self.name, self.public_key)


@dataclass(frozen=True)
class SignedNote:
    """A note taken apart: ``text`` ends in a newline; signatures are (name, hash ‖ bytes)."""

    text: str
    signatures: Tuple[Tuple[str, bytes], ...]


def verifier_key(name: str, public_key: bytes, kind: int = ED25519) -> str:
    """The C2SP spelling of an Ed25519 key that makes signatures of the type ``kind``.

    Raises:
        KeyMalformed: for a name with spaces or plus signs, or an unusable key.
    """
    _check_name(name)
    ed25519.check_public_key(public_key)
    encoded = base64.b64encode(bytes([kind]) + public_key).decode("ascii")
    return "%s+%s+%s" % (name, key_hash(name, public_key, kind).hex(), encoded)


def parse_verifier_key(text: str) -> VerifierKey:
    """Parse ``name+hash+base64``.

    Raises:
        KeyMalformed: if it is malformed, of another type, or its hash is wrong.
    """
    return VerifierKey(*parse_key(text, ED25519))


def parse_key(text: str, kind: int) -> Tuple[str, bytes]:
    """The name and the Ed25519 key in ``name+hash+base64``, of the signature type ``kind``.

    Raises:
        KeyMalformed: as :func:`parse_verifier_key`.
    """
    fields = text.strip().split("+", 2)
    if len(fields) != 3:
        raise KeyMalformed("not name+hash+key")
    name, hash_, encoded = fields
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyMalformed("a key that is not base64") from error
    if len(data) != 33 or data[0] != kind:
        raise KeyMalformed("not an Ed25519 key for signatures of type 0x%02x" % kind)
    # Spelling the key again checks name and key, and admits one spelling only.
    if verifier_key(name, data[1:], kind) != "%s+%s+%s" % (name, hash_.lower(), encoded):
        raise KeyMalformed("the key hash is not that of the key")
    return name, data[1:]


def key_hash(name: str, public_key: bytes, kind: int = ED25519) -> bytes:
    """The 4 bytes by which a signature says whose and of which type it is."""
    data = name.encode("utf-8") + b"\n" + bytes([kind]) + public_key
    return hashlib.sha256(data).digest()[:4]


def sign_note(text: str, name: str, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Sign ``text`` (ending in a newline) with the key ``name``; ``sign`` returns 64 bytes."""
    return add_signature(text + "\n", name, public_key, sign)


def add_signature(note: str, name: str, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Put one more signature under ``note``, which is signed or a text and an empty line.

    Raises:
        NoteMalformed: if the text cannot be that of a note.
        KeyMalformed: if the name or the key cannot sign notes.
    """
    _check_name(name)
    end = note.rfind(_SEPARATOR)
    if end < 0:
        raise NoteMalformed("a note's text ends in a newline")
    text = note[: end + 1]
    _check_text(text)
    return note + signature_line(name, key_hash(name, public_key) + sign(text.encode("utf-8")))


def signature_line(name: str, data: bytes) -> str:
    """One line under a note: ``data`` are the key's hash and what its type signs with."""
    encoded = base64.b64encode(data).decode("ascii")
    return "%s%s %s\n" % (_SIGNATURE_PREFIX, name, encoded)


def parse_note(note: str) -> SignedNote:
    """Take a note apart without checking any signature.

    Raises:
        NoteMalformed.
    """
    _check_text(note)
    end = note.rfind(_SEPARATOR)
    if end < 0 or not note.endswith("\n"):
        raise NoteMalformed("no signatures")
    text, rows = note[: end + 1], note[end + 2 :].split("\n")[:-1]
    if not 1 <= len(rows) <= MAX_SIGNATURES:
        raise NoteMalformed("between 1 and %d signatures" % MAX_SIGNATURES)
    return SignedNote(text, tuple(_signature(row) for row in rows))


def open_note(note: str, keys: Iterable[VerifierKey]) -> Tuple[str, List[VerifierKey]]:
    """Check ``note`` and return its text with the keys of ``keys`` that signed it.

    Raises:
        NoteMalformed: if it is not a note.
        NoteForged: if a signature in a known key's name does not verify.
        NoteUnsigned: if none of ``keys`` signed it.
    """
    parsed = parse_note(note)
    signers = [key for key in keys if _signed_by(parsed, key)]
    if not signers:
        raise NoteUnsigned("signed by none of the known keys")
    return parsed.text, signers


def _signed_by(note: SignedNote, key: VerifierKey) -> bool:
    wanted = (key.name, key.key_hash)
    signatures = [data for name, data in note.signatures if (name, data[:4]) == wanted]
    for data in signatures:
        if not ed25519.verify(key.public_key, note.text.encode("utf-8"), data[4:]):
            raise NoteForged("the signature of %s does not verify" % key.name)
    return bool(signatures)


def _signature(row: str) -> Tuple[str, bytes]:
    name, _, encoded = row[len(_SIGNATURE_PREFIX) :].partition(" ")
    if not row.startswith(_SIGNATURE_PREFIX) or not _NAME.match(name):
        raise NoteMalformed("a signature line of another form")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteMalformed("a signature that is not base64") from error
    if len(data) < 5 or base64.b64encode(data).decode("ascii") != encoded:
        raise NoteMalformed("a signature that is not base64")
    return name, data


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteMalformed("a note's text ends in a newline")
    if _CONTROL.search(text) or not _is_unicode(text):
        raise NoteMalformed("control characters or broken Unicode")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _check_name(name: str) -> None:
    if not _NAME.match(name) or not _is_unicode(name):
        raise KeyMalformed("a key name has no spaces and no plus signs")
