"""A reader of C2SP transparency logs of its own: nothing of it is shared with the program.

Hashing follows the definitions of RFC 6962 §2.1, paths of tiles those of C2SP tlog-tiles.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def tree_hash(entries):
    """MTH of RFC 6962 §2.1, as it is written there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\x01" + tree_hash(entries[:k]) + tree_hash(entries[k:])).digest()


def tile_path(level, index, width=256):
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.insert(0, f"x{index % 1000:03d}")
    return f"tile/{level}/{'/'.join(groups)}" + ("" if width == 256 else f".p/{width}")


def tiles_of(size):
    """Every tile of a tree: (level, index, width)."""
    level = 0
    while size >> (8 * level):
        full, partial = divmod(size >> (8 * level), 256)
        for index in range(full):
            yield level, index, 256
        if partial:
            yield level, full, partial
        level += 1


def unbundle(data):
    """The entries of a bundle."""
    entries = []
    while data:
        size = int.from_bytes(data[:2], "big")
        entries.append(data[2 : 2 + size])
        assert len(entries[-1]) == size
        data = data[2 + size :]
    return entries


@dataclass
class Head:
    origin: str
    size: int
    root: bytes


def open_checkpoint(note, key):
    """The checkpoint that the verifier key ``key`` (name+hash+base64) signed."""
    text, _, signatures = note.rpartition("\n\n")
    name, key_hash, encoded = key.split("+", 2)
    public = base64.b64decode(encoded)[1:]
    for row in signatures.splitlines():
        dash, signer, signature = row.split(" ")
        data = base64.b64decode(signature)
        if (dash, signer, data[:4].hex()) == ("—", name, key_hash):
            Ed25519PublicKey.from_public_bytes(public).verify(data[4:], f"{text}\n".encode())
            origin, size, root = f"{text}\n".splitlines()[:3]
            return Head(origin, int(size), base64.b64decode(root))
    raise AssertionError("not signed by this key")


def check_proof(text, entry, key):
    """Whether a tlog-proof leads from ``entry`` to the root that ``key`` signed; its extra."""
    head, _, checkpoint = text.partition("\n\n")
    rows = head.split("\n")
    assert rows.pop(0) == "c2sp.org/tlog-proof@v1"
    extra = base64.b64decode(rows.pop(0)[6:]) if rows[0].startswith("extra ") else b""
    word, number = rows.pop(0).split(" ")
    assert word == "index"
    assert number == str(int(number))
    signed = open_checkpoint(checkpoint, key)
    path = [base64.b64decode(row) for row in rows]
    root = _root(int(number), signed.size, hashlib.sha256(b"\x00" + entry).digest(), path)
    assert not path
    assert root == signed.root
    return extra


def _root(index, size, leaf, path):
    """Undo PATH of RFC 6962 §2.1.1, whose last hash is the one below the root."""
    if size == 1:
        return leaf
    k = 1
    while k * 2 < size:
        k *= 2
    sibling = path.pop()
    if index < k:
        below = _root(index, k, leaf, path)
        return hashlib.sha256(b"\x01" + below + sibling).digest()
    below = _root(index - k, size - k, leaf, path)
    return hashlib.sha256(b"\x01" + sibling + below).digest()
