"""Bytes of evidence: thumbnails, originals with ranges, and copies to take away.

Nothing here is ever run or sniffed: a fixed list of types is shown, all else is
a download, and every answer carries a sandbox of its own.
"""

from collections.abc import Iterator
from http import HTTPStatus
from urllib.parse import quote

from flask import Response, redirect, request
from flask.typing import ResponseReturnValue

from media.store import Store
from server.console import session
from server.console.blueprint import bp
from server.db import reading
from server.failures import NotFound
from server.models.inspections import Derivative, EvidenceItem
from server.operations.custody import ORIGINAL, THUMBNAIL, Shown
from server.operations.evidence_view import owned_item, stored_media
from server.services import services

#: Types that browsers show as pictures, sound or film and as nothing else.
_PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"})
_SOUNDS = frozenset({"audio/mpeg", "audio/mp4", "audio/wav", "audio/webm", "audio/ogg"})
_FILMS = frozenset({"video/mp4", "video/webm", "video/quicktime", "video/ogg"})
_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/heic": "heic",
    "image/gif": "gif",
    "image/avif": "avif",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/webm": "weba",
    "audio/ogg": "ogg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/ogg": "ogv",
}
_STEP = 1 << 20
_BYTES_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
)


def can_be_shown(media_type: str) -> str:
    """``picture``, ``sound``, ``film``, or empty for what no browser is trusted to show."""
    if media_type in _PICTURES:
        return "picture"
    if media_type in _SOUNDS:
        return "sound"
    return "film" if media_type in _FILMS else ""


@bp.get("/items/<uuid:item_id>/thumbnail")
def thumbnail(item_id: object) -> ResponseReturnValue:
    with reading() as db_session:
        item = owned_item(db_session, session.current_actor(), str(item_id))
        drawn = db_session.get(Derivative, (item.sha256, THUMBNAIL))
        if drawn is None or stored_media(db_session, item) is None:
            raise NotFound("thumbnail", item.id)
        key, length, shown = drawn.key, drawn.size, _shown(item, THUMBNAIL)
    session.leave_leaf(shown)
    return _answer(services().store, key, media_type="image/jpeg", start=0, stop=length, of=length)


@bp.get("/items/<uuid:item_id>/original")
def original(item_id: object) -> ResponseReturnValue:
    """The untouched bytes, shown in place; recordings by range, so that they can be wound."""
    key, length, media_type, _, shown = _stored(str(item_id), ORIGINAL)
    if not can_be_shown(media_type):
        media_type = "application/octet-stream"
    session.leave_leaf(shown)
    start, stop = 0, length
    if request.range is not None:
        bounds = request.range.range_for_length(length)
        if bounds is None:
            return _unsatisfiable(length)
        start, stop = bounds
    answer = _answer(
        services().store, key, media_type=media_type, start=start, stop=stop, of=length
    )
    if request.range is not None:
        answer.status_code = HTTPStatus.PARTIAL_CONTENT
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{length}"
    return answer


@bp.get("/items/<uuid:item_id>/download")
def download(item_id: object) -> ResponseReturnValue:
    """A copy of the untouched bytes; each one has a leaf of its own."""
    key, length, media_type, name, shown = _stored(str(item_id), "download")
    session.leave_leaf(shown, always=True)
    store, settings = services().store, services().settings
    extension = _EXTENSIONS.get(media_type, "bin")
    disposition = attachment(f"{shown.digests[0][:16]}.{extension}", name)
    if settings.s3_presigned_reads:
        return redirect(
            store.presigned(key, seconds=settings.s3_presigned_s, disposition=disposition)
        )
    answer = _answer(
        store,
        key,
        media_type="application/octet-stream",
        start=0,
        stop=length,
        of=length,
    )
    answer.headers["Content-Disposition"] = disposition
    return answer


def attachment(plain: str, name: str) -> str:
    """A header that no file name can break: a plain name of ours, theirs percent-encoded."""
    header = f'attachment; filename="{plain}"'
    return f"{header}; filename*=UTF-8''{quote(name, safe='')}" if name else header


def stream(store: Store, key: str, *, start: int, stop: int) -> Iterator[bytes]:
    """The bytes [start, stop) of an object, a mebibyte at a time."""
    for offset in range(start, stop, _STEP):
        yield store.read(key, offset, min(_STEP, stop - offset))


def _stored(item_id: str, page: str) -> tuple[str, int, str, str, Shown]:
    """Key, length, claimed type and name of an item's bytes, and the leaf that they need."""
    with reading() as db_session:
        item = owned_item(db_session, session.current_actor(), item_id)
        media = stored_media(db_session, item)
        if media is None:
            raise NotFound("original", item.id)
        return media.key, media.size, item.media_type, item.name, _shown(item, page)


def _shown(item: EvidenceItem, page: str) -> Shown:
    case = [item.inspection_id] if item.inspection_id else []
    return Shown(page=page, items=[item.id], inspections=case, digests=[item.sha256])


def _answer(store: Store, key: str, *, media_type: str, start: int, stop: int, of: int) -> Response:
    first = store.read(key, start, min(_STEP, stop - start)) if stop > start else b""

    def body() -> Iterator[bytes]:
        # The first step is read before the headers go out, so that a missing
        # object is an error page and not a broken picture.
        yield first
        yield from stream(store, key, start=start + len(first), stop=stop)

    answer = Response(body(), mimetype=media_type)
    answer.headers["Content-Type"] = media_type
    answer.headers["Content-Length"] = str(stop - start)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Content-Security-Policy"] = _BYTES_POLICY
    return answer


def _unsatisfiable(length: int) -> Response:
    answer = Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    answer.headers["Content-Range"] = f"bytes */{length}"
    return answer
