"""Putting a finished package into the store, under its own digest and written once."""

import hashlib
from pathlib import Path

from media.store import ObjectDiffers, Part, Store, package_key

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
    keep_file(store, archive, key, sha256=sha256)
    data = note.encode()
    store.put_once(
        signature_key(key), data, size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    return key


def keep_file(store: Store, archive: Path, key: str, *, sha256: str) -> None:
    """Store the file ``archive``, whose digest is ``sha256``, under ``key``.

    Raises:
        StoreUnavailable
        ObjectDiffers: if the key holds other bytes, or the file has become another meanwhile.
    """
    size = archive.stat().st_size
    if size <= _SINGLE_LIMIT:
        with archive.open("rb") as content:
            store.put_once(key, content, size=size, sha256=sha256)
    else:
        _keep_in_parts(store, archive, key, size, sha256)


def signature_key(key: str) -> str:
    """Where the sidecar of the package at ``key`` is."""
    return f"{key}.sig"


def _keep_in_parts(store: Store, archive: Path, key: str, size: int, sha256: str) -> None:
    step = max(_PART_BYTES, -(-size // _MAX_PARTS))
    multipart_id = store.begin_multipart(key)
    parts: list[Part] = []
    whole = hashlib.sha256()
    with archive.open("rb") as content:
        while piece := content.read(step):
            whole.update(piece)
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
    if whole.hexdigest() != sha256:
        store.abort(key, multipart_id)
        raise ObjectDiffers(key, expected=sha256, found=whole.hexdigest())
    store.complete(key, multipart_id, parts)
