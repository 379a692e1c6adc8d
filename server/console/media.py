"""Bytes of evidence: thumbnails, originals with ranges, and copies to take away.

Nothing here is ever run or sniffed: what our own reader found to be of a fixed list
of types is shown, all else is a download, and every answer carries a sandbox of its own.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from flask import Response, redirect
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.console.stored import stored_answer
from server.db import reading
from server.failures import NotFound
from server.models.inspections import Derivative, EvidenceItem
from server.operations.custody import ORIGINAL, THUMBNAIL, Shown
from server.operations.evidence_view import owned_item, stored_media
from server.operations.serving import DOWNLOAD, serving_of
from server.services import services

_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/avif": "avif",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
}
_BYTES_POLICY = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
)


@dataclass(frozen=True, kw_only=True)
class _Bytes:
    """Bytes that a page may fetch, how they are answered, and the leaf that they need."""

    key: str
    size: int
    media_type: str
    name: str
    shown: Shown

    def disposition(self, kind: str) -> str:
        extension = _EXTENSIONS.get(self.media_type, "bin")
        return disposition(kind, f"{self.shown.digests[0][:16]}.{extension}", self.name)


@bp.get("/items/<uuid:item_id>/thumbnail")
def thumbnail(item_id: object) -> ResponseReturnValue:
    return _in_place(_made(str(item_id), THUMBNAIL, page=THUMBNAIL))


@bp.get("/items/<uuid:item_id>/derived/<purpose>")
def derived(item_id: object, purpose: str) -> ResponseReturnValue:
    """A preview, poster or playback copy: the leaf is that of its original."""
    return _in_place(_made(str(item_id), purpose, page=ORIGINAL))


@bp.get("/items/<uuid:item_id>/original")
def original(item_id: object) -> ResponseReturnValue:
    """The untouched bytes, shown in place; recordings by range, so that they can be wound."""
    return _in_place(_stored(str(item_id), ORIGINAL))


@bp.get("/items/<uuid:item_id>/download")
def download(item_id: object) -> ResponseReturnValue:
    """A copy of the untouched bytes; each one has a leaf of its own."""
    found = _stored(str(item_id), "download")
    session.leave_leaf(found.shown, always=True)
    settings = services().settings
    header = found.disposition("attachment")
    if settings.s3_presigned_reads:
        return redirect(
            services().store.presigned(
                found.key, seconds=settings.s3_presigned_s, disposition=header
            )
        )
    answer = _answer(found)
    answer.headers["Content-Type"] = DOWNLOAD
    answer.headers["Content-Disposition"] = header
    return answer


def disposition(kind: str, plain: str, name: str) -> str:
    """A header that no file name can break: a plain name of ours, theirs percent-encoded.

    ``kind`` is ``inline`` or ``attachment`` (RFC 6266).
    """
    header = f'{kind}; filename="{plain}"'
    return f"{header}; filename*=UTF-8''{quote(name, safe='')}" if name else header


def _stored(item_id: str, page: str) -> _Bytes:
    """The untouched bytes of an item."""
    with reading() as db_session:
        item = owned_item(db_session, session.current_actor(), item_id)
        media = stored_media(db_session, item)
        if media is None:
            raise NotFound("original", item.id)
        return _Bytes(
            key=media.key,
            size=media.size,
            media_type=serving_of(db_session, item).media_type,
            name=item.name,
            shown=_shown(item, page),
        )


def _made(item_id: str, purpose: str, *, page: str) -> _Bytes:
    """A picture or copy made from an item's bytes."""
    with reading() as db_session:
        item = owned_item(db_session, session.current_actor(), item_id)
        made = db_session.get(Derivative, (item.sha256, purpose))
        if made is None or stored_media(db_session, item) is None:
            raise NotFound(purpose, item.id)
        return _Bytes(
            key=made.key,
            size=made.size,
            media_type=made.media_type,
            name="",
            shown=_shown(item, page),
        )


def _shown(item: EvidenceItem, page: str) -> Shown:
    case = [item.inspection_id] if item.inspection_id else []
    return Shown(page=page, items=[item.id], inspections=case, digests=[item.sha256])


def _in_place(found: _Bytes) -> Response:
    """All of it, or the range that was asked for; what browsers may not show is a download."""
    session.leave_leaf(found.shown)
    answer = _answer(found)
    kind = "attachment" if found.media_type == DOWNLOAD else "inline"
    answer.headers["Content-Disposition"] = found.disposition(kind)
    return answer


def _answer(found: _Bytes) -> Response:
    answer = stored_answer(
        services().store,
        found.key,
        size=found.size,
        media_type=found.media_type,
        etag=hashlib.sha256(found.key.encode()).hexdigest(),
    )
    answer.headers["Content-Security-Policy"] = _BYTES_POLICY
    return answer
