"""Finding what differs between two copies of the same documents (docs/protocol.md §4.4).

Each side folds its documents into buckets and compares the sums: only what lies in
a bucket that differs has to be looked at. Pure; server, client and other languages
share ``tests/vectors/digest.json``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sync.evidence.encoding import from_b64url, to_b64url
from sync.evidence.errors import BadEncoding

#: At most 4,096 buckets: 32 KiB of sums, however many documents there are.
MAX_BITS = 12
#: How many documents a bucket should hold, so that one that differs is quickly looked through.
_PER_BUCKET = 16
_SUM_BYTES = 8


def document_digest(body: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a document's canonical bytes."""
    return hashlib.sha256(body).hexdigest()[:16]


def place_of(kind: str, identifier: str) -> int:
    """The 64-bit number that says in which bucket a document lies, whatever its version."""
    return _hash(f"liuhen/place\n{kind}\n{identifier}")


def fingerprint(kind: str, identifier: str, digest: str) -> int:
    """The 64-bit number of one version of a document, by its :func:`document_digest`."""
    return _hash(f"liuhen/document\n{kind}\n{identifier}\n{digest}")


def bits_for(count: int) -> int:
    """How many bits number the buckets for ``count`` documents: 0 (one bucket) to 12."""
    bits = 0
    while bits < MAX_BITS and count > _PER_BUCKET << bits:
        bits += 1
    return bits


def bucket_of(place: int, bits: int) -> int:
    """The bucket of a document: the highest ``bits`` bits of its place."""
    return place >> (64 - bits)


@dataclass
class Fold:
    """The documents seen so far, folded: a sum is the exclusive or of fingerprints."""

    count: int = 0
    _sums: list[int] = field(default_factory=lambda: [0] * (1 << MAX_BITS))

    def add(self, place: int, mark: int) -> None:
        """Take in the document at ``place`` with the fingerprint ``mark``, each but once."""
        self.count += 1
        self._sums[place >> (64 - MAX_BITS)] ^= mark

    def sums(self, bits: int) -> list[int]:
        """The sums of 2^``bits`` buckets."""
        folded = [0] * (1 << bits)
        for index, value in enumerate(self._sums):
            folded[index >> (MAX_BITS - bits)] ^= value
        return folded


def encode_sums(sums: Iterable[int]) -> str:
    """Sums as unpadded base64url, eight bytes each, big-endian."""
    return to_b64url(b"".join(value.to_bytes(_SUM_BYTES, "big") for value in sums))


def decode_sums(text: str, bits: int) -> list[int]:
    """The sums of 2^``bits`` buckets from their text.

    Raises:
        BadEncoding: if it is not base64url of just so many sums.
    """
    packed = from_b64url(text)
    if len(packed) != _SUM_BYTES << bits:
        raise BadEncoding("another number of sums")
    return [
        int.from_bytes(packed[start : start + _SUM_BYTES], "big")
        for start in range(0, len(packed), _SUM_BYTES)
    ]


def differing(ours: Sequence[int], theirs: Sequence[int]) -> list[int]:
    """The numbers of the buckets whose sums differ; both sides have equally many."""
    return [n for n, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b]


def mark_text(mark: int) -> str:
    """A fingerprint as 16 hex digits."""
    return f"{mark:016x}"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
