"""The witness over HTTP: one call of C2SP ``tlog-witness``, bounded in every direction."""

import logging
import socket
import ssl
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sync.errors import SyncError
from sync.witness.submission import MAX_BYTES, PATH, SIZE_TYPE, SubmissionMalformed
from sync.witness.witness import (
    NotTrusted,
    OriginUnknown,
    ProofRefused,
    SizeConflict,
    Witness,
)

_log = logging.getLogger(__name__)
_TEXT = "text/plain; charset=utf-8"
#: A connection may stay silent so long, and so many may be open.
_IDLE_S = 30.0
_CONNECTIONS = 64
#: What is read of a body that was refused, and how long is waited for more of it.
_MOST_DRAINED, _LINGER_S = 1 << 20, 1.0
_STATUS: dict[type[SyncError], HTTPStatus] = {
    SubmissionMalformed: HTTPStatus.BAD_REQUEST,
    NotTrusted: HTTPStatus.FORBIDDEN,
    OriginUnknown: HTTPStatus.NOT_FOUND,
    ProofRefused: HTTPStatus.UNPROCESSABLE_ENTITY,
}


class WitnessServer(ThreadingHTTPServer):
    """Serves ``witness`` at ``address``; over TLS where a certificate is given."""

    daemon_threads = True
    request_queue_size = _CONNECTIONS

    def __init__(
        self,
        witness: Witness,
        address: tuple[str, int],
        *,
        certificate: Path | None = None,
        certificate_key: Path | None = None,
    ) -> None:
        self.witness = witness
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, certificate_key)
            # The handshake is the first read, in the connection's own thread: whoever
            # stalls in it holds up nobody else.
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.warning("connection_failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "liuhen-witness"
    sys_version = ""
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Who this witness is; nothing else can be read here."""
        if self.path == PATH:
            self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "")
        elif self.path == "/":
            self._answer(HTTPStatus.OK, f"{self.server.witness.key}\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "")

    def do_POST(self) -> None:
        """``add-checkpoint``."""
        body = self._body()
        if body is None:
            return
        if self.path != PATH:
            self._answer(HTTPStatus.NOT_FOUND, "")
            return
        try:
            line = self.server.witness.add_checkpoint(body)
        except SizeConflict as error:
            self._answer(HTTPStatus.CONFLICT, f"{error.size}\n", SIZE_TYPE)
        except SyncError as error:
            status = _STATUS.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
            self._answer(status, f"{error.code}: {error}\n")
        except Exception:
            _log.exception("submission_failed")
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "")
        else:
            self._answer(HTTPStatus.OK, line)

    def _body(self) -> bytes | None:
        """The whole body; None after an answer that says why there is none."""
        text = self.headers.get("Content-Length", "")
        if self.headers.get("Transfer-Encoding") or not text.isascii() or not text.isdigit():
            self._hang_up(HTTPStatus.LENGTH_REQUIRED)
            return None
        length = int(text[:10])
        if len(text) > 10 or length > MAX_BYTES:
            self._hang_up(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def _hang_up(self, status: HTTPStatus) -> None:
        """Refuse a body unread, and let the answer arrive.

        Closing over unread bytes would reset the connection, and the answer be lost with it.
        """
        self.close_connection = True
        self._answer(status, "")
        left = _MOST_DRAINED
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_S)
            while left > 0 and (piece := self.connection.recv(65_536)):
                left -= len(piece)

    def _answer(self, status: HTTPStatus, text: str, kind: str = _TEXT) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        _log.info("%s %s", self.address_string(), format % args)
