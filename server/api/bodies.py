"""Reading request bodies that may be cut, compressed or hostile, within a limit."""

import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import zstandard
from flask import Request

from server.api.upload_body import body_of
from server.failures import BodyTooLarge, BodyUndecodable, EncodingUnsupported

#: Content encodings that a push may come in.
ENCODINGS = ("identity", "gzip", "zstd")

_STEP = 65_536
_SILENCE_S = 30
_GZIP_WINDOW = 31
#: What a decoder may hold in memory, whatever a frame asks for (RFC 8878 §3.1.1.1.2).
_ZSTD_WINDOW_BYTES = 8 << 20


def read_body(request: Request, limit: int) -> bytes:
    """All bytes that arrived, expanded; a body cut on the way gives its beginning.

    Raises:
        BodyTooLarge: if it is over ``limit`` bytes, before or after expansion.
        EncodingUnsupported: for a content encoding that is not in ``ENCODINGS``.
        BodyUndecodable: if compressed data is corrupt.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
    with _patience(request):
        return _expanded(_Arriving(request), encoding, limit)


def _expanded(source: "_Arriving", encoding: str, limit: int) -> bytes:
    match encoding:
        case "identity":
            pieces = iter(source.read, b"")
        case "gzip":
            pieces = _gunzip(source, limit)
        case "zstd":
            pieces = _unzstd(source)
        case _:
            raise EncodingUnsupported(encoding)
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
    return bytes(body)


class _Arriving:
    """A request's body that simply ends where its sender vanished, or fell silent."""

    def __init__(self, request: Request) -> None:
        self._body = body_of(request)

    def read(self, size: int = _STEP) -> bytes:
        piece = bytearray(min(size, _STEP))
        return bytes(piece[: self._body.read_into(memoryview(piece))])


@contextmanager
def _patience(request: Request) -> Iterator[None]:
    """For so long a sender may be silent: a thread is not kept for who is gone unseen."""
    connection = request.environ.get("gunicorn.socket")
    if not isinstance(connection, socket.socket):
        yield
        return
    before = connection.gettimeout()
    connection.settimeout(_SILENCE_S)
    try:
        yield
    finally:
        connection.settimeout(before)


def _gunzip(source: _Arriving, limit: int) -> Iterator[bytes]:
    inflate = zlib.decompressobj(_GZIP_WINDOW)
    while packed := source.read():
        try:
            # One byte more than allowed is enough to know, whatever a bomb would unfold to.
            yield inflate.decompress(packed, limit + 1)
        except zlib.error as error:
            raise BodyUndecodable(str(error)) from error


def _unzstd(source: _Arriving) -> Iterator[bytes]:
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    with decoder.stream_reader(cast("IO[bytes]", source), read_size=_STEP) as reader:
        while True:
            try:
                piece = reader.read(_STEP)
            except zstandard.ZstdError as error:
                raise BodyUndecodable(str(error)) from error
            if not piece:
                return
            yield piece
