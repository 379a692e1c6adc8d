"""One recording over a slow link that goes silent again and again: how many bytes go twice.

The link neither ends a connection nor resets it towards the server, as a phone that
drives into a tunnel does not; the client notices at once and comes back. Counted is
what the link carries up: bodies, heads and questions.
"""

import argparse
import contextlib
import http.client
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench.machine import machine
from bench.uploadrig import Rig, Sample, TusSender, ours, running

_STEP = 4096


class _Link:
    """Listens on loopback; carries bytes up at a bounded rate and goes silent when told."""

    def __init__(self, url: str, *, bits_per_s: int) -> None:
        self.carried = 0
        self._upstream = urlsplit(url).hostname, urlsplit(url).port
        self._pause_s = 8 / bits_per_s
        self._open: list[socket.socket] = []
        self._silent: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """The device sees its connections end; the server hears nothing any more."""
        for asking in self._open:
            self._silent.append(asking)
            with contextlib.suppress(OSError):
                asking.shutdown(socket.SHUT_RDWR)
        self._open = []

    def _accept(self) -> None:
        while True:
            asking, _ = self._listener.accept()
            server = socket.create_connection(self._upstream)
            self._open.append(asking)
            threading.Thread(target=self._up, args=(asking, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, asking), daemon=True).start()

    def _up(self, asking: socket.socket, server: socket.socket) -> None:
        due = time.monotonic()
        with contextlib.suppress(OSError):
            while data := asking.recv(_STEP):
                # By the clock, so that what a busy machine sleeps too long is made up for.
                due = max(due, time.monotonic() - 0.1) + len(data) * self._pause_s
                time.sleep(max(0.0, due - time.monotonic()))
                self.carried += len(data)
                if asking in self._silent:
                    return
                server.sendall(data)

    @staticmethod
    def _down(server: socket.socket, asking: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(_STEP):
                asking.sendall(data)


def run(arguments: list[str]) -> dict[str, object]:
    """Send ``--megabytes`` over a link of ``--bits-per-s`` that is cut every ``--every`` s."""
    parser = argparse.ArgumentParser(prog="scripts/bench cut")
    parser.add_argument("--megabytes", type=int, default=40)
    parser.add_argument("--bits-per-s", type=int, default=8_000_000)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between cuts")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, running(Path(name), threads=32) as rig:
        link = _Link(rig.web.url, bits_per_s=options.bits_per_s)
        sample = Sample(options.megabytes << 20)
        sender = ours(rig)
        connection = sender.connect()
        place = sender.create(connection, sample)
        connection.close()
        with _cutting(link, options.every) as cuts:
            began = time.monotonic()
            _send(rig, sender, link, place, sample)
            seconds = time.monotonic() - began
    return {
        "bench": "cut",
        "bytes": sample.size,
        "bits_per_s": options.bits_per_s,
        "cuts": len(cuts),
        "carried": link.carried,
        "again_percent": round(100 * (link.carried / sample.size - 1), 2),
        "seconds": round(seconds, 1),
        "machine": machine(),
    }


@contextlib.contextmanager
def _cutting(link: _Link, every_s: float) -> Iterator[list[float]]:
    over, cuts = threading.Event(), list[float]()

    def cut() -> None:
        while not over.wait(every_s):
            link.cut()
            cuts.append(time.monotonic())

    cutter = threading.Thread(target=cut, daemon=True)
    cutter.start()
    yield cuts
    over.set()
    cutter.join()


def _send(rig: Rig, sender: TusSender, link: _Link, place: str, sample: Sample) -> None:
    """Ask where the upload stands and send from there, until it is whole."""
    offset = 0
    while offset < sample.size:
        connection = http.client.HTTPConnection(urlsplit(link.url).netloc, timeout=30)
        try:
            connection.request("HEAD", place, headers={**rig.headers, "Tus-Resumable": "1.0.0"})
            answer = connection.getresponse()
            answer.read()
            offset = int(answer.headers["Upload-Offset"])
            while offset < sample.size:
                offset = sender.append(connection, place, sample, offset)
        except (OSError, http.client.HTTPException):
            continue
        finally:
            connection.close()
