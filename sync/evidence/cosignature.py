"""C2SP ``cosignature/v1``: a witness's statement about a checkpoint, with the time it made it.

Implements the Ed25519 form of https://c2sp.org/tlog-cosignature: as of that
time, this was the largest tree that the witness had seen of this ledger, and it
began with every smaller one that it had cosigned before.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, Iterable, List

from . import ed25519, note
from .note import COSIGNATURE_V1, NoteForged, SignedNote

_TIME = struct.Struct(">Q")
_MAX_TIME_S = (1 << 63) - 1
_DATA_BYTES = 4 + _TIME.size + 64


@dataclass(frozen=True)
class CosignerKey:
    """A witness's named Ed25519 key, spelled ``name+hash+base64`` with the type 0x04."""

    name: str
    public_key: bytes

    @property
    def key_hash(self) -> bytes:
        return note.key_hash(self.name, self.public_key, COSIGNATURE_V1)

    def __str__(self) -> str:
        return note.verifier_key(self.name, self.public_key, COSIGNATURE_V1)


@dataclass(frozen=True)
class Cosignature:
    """One witness's signature under a note that verifies; ``line`` ends in a newline."""

    key: CosignerKey
    time_s: int
    line: str


def parse_cosigner_key(text: str) -> CosignerKey:
    """Parse a witness's key.

    Raises:
        KeyMalformed: if it is malformed, of another type, or its hash is wrong.
    """
    return CosignerKey(*note.parse_key(text, COSIGNATURE_V1))


def cosign(text: str, key: CosignerKey, sign: Callable[[bytes], bytes], *, time_s: int) -> str:
    """The signature line of ``key`` under the note ``text`` (ending in a newline)."""
    signature = sign(_message(text, time_s))
    return note.signature_line(key.name, key.key_hash + _TIME.pack(time_s) + signature)


def cosignatures(signed: SignedNote, keys: Iterable[CosignerKey]) -> List[Cosignature]:
    """The cosignatures of ``keys`` under a note, in the order of its lines.

    Signatures by unknown keys are ignored.

    Raises:
        NoteForged: if a signature in a known witness's name does not verify.
    """
    known = {(key.name, key.key_hash): key for key in keys}
    found = []
    for name, data in signed.signatures:
        key = known.get((name, data[:4]))
        if key is not None:
            found.append(_verified(signed.text, key, data))
    return found


def _verified(text: str, key: CosignerKey, data: bytes) -> Cosignature:
    if len(data) != _DATA_BYTES:
        raise NoteForged("the cosignature of %s has another length" % key.name)
    (time_s,) = _TIME.unpack(data[4 : 4 + _TIME.size])
    signature = data[4 + _TIME.size :]
    if time_s > _MAX_TIME_S or not ed25519.verify(
        key.public_key, _message(text, time_s), signature
    ):
        raise NoteForged("the cosignature of %s does not verify" % key.name)
    return Cosignature(key, time_s, note.signature_line(key.name, data))


def _message(text: str, time_s: int) -> bytes:
    return ("cosignature/v1\ntime %d\n%s" % (time_s, text)).encode("utf-8")
