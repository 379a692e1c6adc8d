"""Putting a finished package into the store, under its own digest and written once."""

import hashlib
from pathlib import Path

from media.store import Part, Store, package_key

_SINGLE_LIMIT = 64 << 20
_PART_BYTES = 16 << 20
#: S3 takes 10,000 parts; fewer leave room for a round number of bytes in each.
_MAX_PARTS = 9_000


def keep(store: Store, archive: Path, note: str, *, package_id: str, sha256: str) -> str:
    """Store ``archive`` and its signed ``note``; return the archive's key.

    Raises:
        StoreUnavailable, ObjectDiffers
    """
    key = package_key(package_id, sha256)
    size = archive.stat().st_size
    if size <= _SINGLE_LIMIT:
        with archive.open("rb") as content:
            store.put_once(key, content, size=size, sha256=sha256)
    else:
        _keep_in_parts(store, archive, key, size)
    data = note.encode()
    store.put_once(
        signature_key(key), data, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    return key


def signature_key(key: str) -> str:
    """Where the sidecar of the package at ``key`` is."""
    return f"{key}.sig"


def _keep_in_parts(store: Store, archive: Path, key: str, size: int) -> None:
    step = max(_PART_BYTES, -(-size // _MAX_PARTS))
    multipart_id = store.begin_multipart(key)
    parts: list[Part] = []
    with archive.open("rb") as content:
        while piece := content.read(step):
            parts.append(
                store.put_part(
                    key,
                    multipart_id,
                    piece,
                    number=len(parts) + 1,
                    size=len(piece),
                    sha256=hashlib.sha256(piece).hexdigest(),
                )
            )
    store.complete(key, multipart_id, parts)
