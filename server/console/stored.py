"""Answers that are bytes of the store: whole or by range (RFC 9110 §14), a mebibyte at a time."""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Response, request

from media.store import Store

_STEP = 1 << 20


def stored_answer(
    store: Store, key: str, *, size: int, media_type: str, etag: str, offset: int = 0
) -> Response:
    """``size`` bytes of an object from ``offset`` on, or the range of them that was asked for.

    ``etag`` names the bytes for good, so that a download that was cut off can go on
    (``If-Range``) and is never put together from two objects.
    """
    start, stop = 0, size
    ranged = request.range is not None and _still_meant(etag)
    if ranged and request.range is not None:
        bounds = request.range.range_for_length(size)
        if bounds is None:
            return _unsatisfiable(size)
        start, stop = bounds
    answer = Response(_pieces(store, key, offset + start, offset + stop), mimetype=media_type)
    answer.headers["Content-Type"] = media_type
    answer.headers["Content-Length"] = str(stop - start)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.set_etag(etag)
    if ranged:
        answer.status_code = HTTPStatus.PARTIAL_CONTENT
        answer.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return answer


def _pieces(store: Store, key: str, start: int, stop: int) -> Iterator[bytes]:
    # The first step is read before the headers go out, so that a missing
    # object is an error page and not a broken file.
    first = store.read(key, start, min(_STEP, stop - start)) if stop > start else b""

    def pieces() -> Iterator[bytes]:
        yield first
        for offset in range(start + len(first), stop, _STEP):
            yield store.read(key, offset, min(_STEP, stop - offset))

    return pieces()


def _still_meant(etag: str) -> bool:
    """Whether the caller's earlier bytes, where it names them, are these."""
    wanted = request.if_range.etag
    return request.if_range.date is None and (wanted is None or wanted == etag)


def _unsatisfiable(length: int) -> Response:
    answer = Response(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    answer.headers["Content-Range"] = f"bytes */{length}"
    return answer
