"""A loopback proxy that plays a bad network: it loses, cuts, repeats and forges what passes."""

import contextlib
import http.client
import json
import random
import socket
import threading
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "host"}


class Fault(Enum):
    """What may happen to one request."""

    NONE = "none"
    REQUEST_LOST = "the server never sees it"
    REQUEST_CUT = "the server sees its first half"
    REPLY_LOST = "the server does it, the device is not told"
    REPLY_CUT = "half of the reply arrives"
    TWICE = "the server gets it twice"
    PORTAL = "a log-in page answers 200"
    REDIRECT = "a log-in page redirects"


class BadNetwork:
    """Listens on loopback and passes requests on to ``upstream`` as ``plan`` says.

    ``plan(method, path)`` returns a :class:`Fault`; ``seen`` lists every request
    with the fault that befell it. ``forge(path, status, headers, body)`` returns
    the reply that the device gets in place of the server's.
    """

    def __init__(self, upstream):
        self.upstream = urlsplit(upstream).netloc
        self.calm()
        self.seen = []

    def __enter__(self):
        network = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def log_message(self, *_arguments):
                pass

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: network._pass_on(self)
                raise AttributeError(name)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_exception):
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}"

    def randomly(self, rate, seed, faults=tuple(Fault)[1:]):
        """From now on a share ``rate`` of requests meets one of ``faults``."""
        draw = random.Random(seed)
        self.plan = lambda *_: draw.choice(faults) if draw.random() < rate else Fault.NONE

    def once(self, fault, method, path):
        """The next request of ``method`` whose path contains ``path`` meets ``fault``."""
        waiting = [True]

        def plan(got_method, got_path):
            if waiting and got_method == method and path in got_path:
                waiting.clear()
                return fault
            return Fault.NONE

        self.plan = plan

    def calm(self):
        self.plan = lambda _method, _path: Fault.NONE
        self.forge = lambda _path, *reply: reply

    def forge_json(self, path, change):
        """From now on ``change(value)`` is answered where the path contains ``path``."""

        def forge(got, status, headers, body):
            if path not in got or status >= 300:
                return status, headers, body
            return status, headers, json.dumps(change(json.loads(body))).encode()

        self.forge = forge

    def _pass_on(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        fault = self.plan(handler.command, handler.path)
        self.seen.append((handler.command, handler.path, fault))
        match fault:
            case Fault.REQUEST_LOST:
                self._hang_up(handler)
            case Fault.REQUEST_CUT:
                self._send_part(handler, body, len(body) // 2)
                self._hang_up(handler)
            case Fault.REPLY_LOST:
                self._ask(handler, body)
                self._hang_up(handler)
            case Fault.REPLY_CUT:
                self._answer(handler, *self._ask(handler, body), half=True)
                self._hang_up(handler)
            case Fault.TWICE:
                self._ask(handler, body)
                self._answer(handler, *self._ask(handler, body))
            case Fault.PORTAL:
                page = b"<html>Welcome to the hotel</html>"
                self._answer(handler, 200, [("Content-Type", "text/html")], page)
            case Fault.REDIRECT:
                self._answer(handler, 302, [("Location", "http://portal.invalid/")], b"")
            case Fault.NONE:
                self._answer(handler, *self._ask(handler, body))

    def _ask(self, handler, body):
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            # Answers come unpacked, so that whoever forges them can read them.
            dropped = {*_HOP, "accept-encoding"}
            headers = {k: v for k, v in handler.headers.items() if k.lower() not in dropped}
            connection.request(handler.command, handler.path, body=body, headers=headers)
            answer = connection.getresponse()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP]
            return self.forge(handler.path, answer.status, kept, answer.read())
        finally:
            connection.close()

    def _send_part(self, handler, body, length):
        """Announce the whole body, send its first ``length`` bytes, and be gone."""
        host, _, port = self.upstream.partition(":")
        head = f"{handler.command} {handler.path} HTTP/1.1\r\nHost: {self.upstream}\r\n"
        for name, value in handler.headers.items():
            if name.lower() not in _HOP:
                head += f"{name}: {value}\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(head.encode("latin-1") + body[:length])
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                # Until the server has done what it does with half a request.
                while connection.recv(65_536):
                    pass

    def _answer(self, handler, status, headers, body, *, half=False):
        handler.send_response_only(status)
        for name, value in headers:
            handler.send_header(name, value)
        if status != 204:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[: len(body) // 2] if half else body)
        handler.wfile.flush()

    def _hang_up(self, handler):
        handler.close_connection = True
        with contextlib.suppress(OSError):
            handler.connection.shutdown(socket.SHUT_RDWR)
