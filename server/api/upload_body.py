"""The body of an upload request, read so that a cut connection loses nothing that arrived.

Under gunicorn the bytes are taken from the connection itself: ``wsgi.input`` either
loses what a broken read had gathered or costs four times the processor time, and
says nothing when a body ends early. Elsewhere ``wsgi.input`` is read in small steps.
"""

import select
import socket
import ssl
import threading
from typing import Any

from flask import Request
from gunicorn.http.body import Body as GunicornBody  # type: ignore[import-untyped]  # no types
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # no types
from werkzeug.exceptions import ClientDisconnected

from server.operations.uploads import Body

_STEP = 64 << 10


def body_of(request: Request) -> Body:
    """The body of ``request``, read in the best way its server offers."""
    connection = request.environ.get("gunicorn.socket")
    source = request.environ.get("wsgi.input")
    if isinstance(connection, socket.socket) and isinstance(source, GunicornBody):
        if isinstance(source.reader, LengthReader) and request.content_length is not None:
            return SocketBody(connection, source)
        if isinstance(source.reader, ChunkedReader):
            return ChunkedBody(connection, source)
    return StreamBody(request)


class _Interruptible:
    """Ends a blocked read by closing the reading side of the connection."""

    def __init__(self, connection: socket.socket | None, expected: int | None) -> None:
        self.expected = expected
        self.cut = False
        self._connection = connection
        self._left = expected
        self._finished = False
        self._lock = threading.Lock()

    def interrupt(self) -> None:
        with self._lock:
            if self._finished or self._connection is None:
                return
            try:
                # Not SSLSocket.shutdown, which would drop the TLS layer under the reader
                # and let it take the bytes of the cipher for those of the file.
                socket.socket.shutdown(self._connection, socket.SHUT_RD)
            except OSError:
                return  # Already closed by the other side.

    def finish(self) -> None:
        with self._lock:
            self._finished = True


class SocketBody(_Interruptible):
    """A body of known length straight from gunicorn's connection."""

    def __init__(self, connection: socket.socket, source: Any) -> None:
        super().__init__(connection, source.reader.length)
        self._source = source
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def ready(self, wait_s: float) -> bool:
        if not self._left or self._early():
            return True
        if isinstance(self._connection, ssl.SSLSocket) and self._connection.pending():
            return True
        return bool(self._poll.poll(wait_s * 1000))

    def read_into(self, view: memoryview) -> int:
        if not self._left:
            return 0
        view = view[: min(len(view), self._left)]
        n = self._take_early(view) or self._receive(view)
        self._left -= n
        # gunicorn drains what it believes to be unread before the next request.
        self._source.reader.length = self._left
        return n

    def _take_early(self, view: memoryview) -> int:
        """What gunicorn received together with the head of the request.

        The rest goes back at once: a request that is refused half read would else leave
        gunicorn to drain the beginning of the next one in place of what was kept here.
        """
        early = self._early()
        n = min(len(view), len(early))
        if n:
            unreader = self._source.reader.unreader
            unreader.take_buffered()
            unreader.unread(early[n:])
            view[:n] = early[:n]
        return n

    def _early(self) -> bytes:
        unreader = self._source.reader.unreader
        early: bytes = unreader.take_buffered()
        unreader.unread(early)
        return early

    def _receive(self, view: memoryview) -> int:
        try:
            n = self._connection.recv_into(view) if self._connection is not None else 0
        except OSError:
            n = 0
        if n == 0:
            # Where the next request would begin is unknown: the connection is closed.
            self._source.failed = True
        return n


class ChunkedBody(_Interruptible):
    """A body of unknown length, chunk by chunk as gunicorn finds them on its connection.

    ``wsgi.input`` would wait until it has as much as was asked for, and drop that when the
    connection breaks.
    """

    def __init__(self, connection: socket.socket, source: Any) -> None:
        super().__init__(connection, None)
        self._source = source
        self._piece = memoryview(b"")

    def ready(self, wait_s: float) -> bool:
        return bool(self._piece)

    def read_into(self, view: memoryview) -> int:
        if not self._piece:
            self._piece = memoryview(self._next())
        n = min(len(view), len(self._piece))
        view[:n] = self._piece[:n]
        self._piece = self._piece[n:]
        return n

    def _next(self) -> bytes:
        if self.cut:
            return b""
        try:
            found: bytes = next(self._source.reader.parser, b"")
        except (OSError, ParseException):
            self.cut = self._source.failed = True
            return b""
        return found


class StreamBody(_Interruptible):
    """A body through ``wsgi.input``, under another server than gunicorn."""

    def __init__(self, request: Request) -> None:
        super().__init__(None, request.content_length)
        self._stream = request.stream

    def ready(self, wait_s: float) -> bool:
        return False

    def read_into(self, view: memoryview) -> int:
        if self._left == 0:
            return 0
        try:
            piece = self._stream.read(min(len(view), _STEP))
        except (ClientDisconnected, OSError):
            self.cut = True
            return 0
        view[: len(piece)] = piece
        if self._left is not None:
            self._left -= len(piece)
        return len(piece)
