"""Reading request bodies that may be cut, compressed or hostile, within a limit."""

import zlib

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from server.failures import BodyTooLarge, BodyUndecodable, EncodingUnsupported

_STEP = 65_536
_GZIP_WINDOW = 31


def read_body(request: Request, limit: int) -> bytes:
    """All bytes that arrived, expanded; a body cut on the way gives its beginning.

    Raises:
        BodyTooLarge: if it is over ``limit`` bytes, before or after expansion.
        EncodingUnsupported: for a content encoding other than identity and gzip.
        BodyUndecodable: if gzip data is corrupt.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise EncodingUnsupported(encoding)
    inflate = zlib.decompressobj(_GZIP_WINDOW) if encoding == "gzip" else None
    body = bytearray()
    while True:
        try:
            piece = request.stream.read(_STEP)
        except (ClientDisconnected, OSError):
            return bytes(body)
        if not piece:
            return bytes(body)
        if inflate is None:
            body += piece
        else:
            try:
                # One byte more than allowed is enough to know, whatever a bomb would unfold to.
                body += inflate.decompress(piece, limit + 1 - len(body))
            except zlib.error as error:
                raise BodyUndecodable(str(error)) from error
        if len(body) > limit:
            raise BodyTooLarge(limit=limit)
