"""The object of a complete upload: the store makes it, or has made it already."""

import base64
import logging
from dataclasses import dataclass

from media.hashing import sha256_of
from media.store import Content, ObjectDiffers, ObjectMissing, Store, long_key
from media.upload import parts_end
from server.operations.uploads.desk import UploadState

_CHANGED = "changed"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """Where the object is; ``wrong`` is its proper key, if other bytes lie there."""

    key: str
    wrong: str = ""


def make(store: Store, state: UploadState, content: Content | None, *, lost: str = "") -> Made:
    """Have the store make the object of a complete upload, or find that it has.

    ``lost`` says how an original with these bytes was lost (``missing``, ``changed``): what
    the store says of it is not believed then, only bytes that were read.

    Raises:
        ObjectMissing: it is not there, and its bytes are not at hand.
        ObjectDiffers: wherever it may lie there are other bytes.
        MultipartGone: the store has lost its parts.
    """
    if state.single and state.found_sha256 is not None:
        if content is None:
            return _find_single(store, state, state.found_sha256, lost=lost)
        return _make_single(store, state, content, state.found_sha256, lost=lost)
    if parts_end(state.parts) != state.length:
        # Parts are listed in the row before anything can be committed: an object that
        # is shorter than its digest says must not come to be, whatever went wrong.
        raise ObjectMissing(state.target_key)
    store.complete(state.target_key, state.multipart_id or "", state.parts)
    return Made(state.target_key)


def _make_single(
    store: Store, state: UploadState, content: Content, sha256: str, *, lost: str
) -> Made:
    key, size = state.target_key, state.length or 0
    try:
        if lost != _CHANGED:
            store.put_once(key, content, size=size, sha256=sha256)
            if not lost or _is_whole(store, key, size=size, sha256=sha256, believed=False):
                return Made(key)
    except ObjectDiffers:
        _log.error("store_holds_other_bytes key=%s upload=%s", key, state.id)
    if not isinstance(content, bytes | memoryview):
        content.seek(0)
    if state.concat == "partial":
        # Half written when the store died. It is no evidence, and this upload's alone.
        store.delete_tails([key])
        store.put_once(key, content, size=size, sha256=sha256)
        return Made(key)
    # Nothing is overwritten: the right bytes go where those of a file in parts would, and
    # the rows say so.
    aside = long_key(state.id)
    store.put_once(aside, content, size=size, sha256=sha256)
    return Made(aside, wrong=key)


def _find_single(store: Store, state: UploadState, sha256: str, *, lost: str) -> Made:
    """The object that an interrupted commit may have made; its bytes count, not its length."""
    key, wrong = state.target_key, ""
    for candidate in (key, long_key(state.id)):
        try:
            if _is_whole(store, candidate, size=state.length, sha256=sha256, believed=not lost):
                return Made(candidate, wrong)
            wrong = key
        except ObjectMissing:
            continue
    raise ObjectMissing(key)


def _is_whole(store: Store, key: str, *, size: int | None, sha256: str, believed: bool) -> bool:
    """Whether an object has these bytes; read whole where the store names no digest.

    Nor is a digest that it names ``believed`` of an original that was once found changed: it
    may be the one that it was told.

    Raises:
        ObjectMissing: there is none.
    """
    found = store.head(key)
    if found.size != size:
        return False
    if believed and found.checksum == base64.b64encode(bytes.fromhex(sha256)).decode("ascii"):
        return True
    return sha256_of(store.stream(key)) == sha256
