"""One recording synced by the device client over a slow link that goes silent again and again.

The link neither ends a connection nor resets it towards the server, as a phone that
drives into a tunnel does not; the client notices at once and comes back. Counted is
what the link carries up for the whole sync: bodies, heads, lines and questions.
"""

import argparse
import contextlib
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from bench.machine import machine
from bench.uploadrig import Rig, running
from server.db import transaction
from server.operations import feed
from sync.client.device import Device

_STEP = 4096
_PIECE = 1 << 20
_FILM = b"\x00\x00\x00\x18ftypmp42"
_SYNCS = 20


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
                    break
                server.sendall(data)
        if asking in self._silent:
            # A reset: an end alone does not reach a sender that waits for room.
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            asking.close()

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
    size, syncs = options.megabytes << 20, 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rig = stack.enter_context(running(folder, threads=32))
        link = _Link(rig.web.url, bits_per_s=options.bits_per_s)
        device = stack.enter_context(Device.open(folder / "device"))
        _capture(device, rig, link, folder, size)
        link.carried = 0
        began = time.monotonic()
        with _cutting(link, options.every) as cuts:
            while syncs < _SYNCS and not device.status().clear:
                device.sync()
                syncs += 1
        seconds = time.monotonic() - began
        if not device.status().clear:
            raise SystemExit(f"not finished after {_SYNCS} syncs")
    return {
        "bench": "cut",
        "bytes": size,
        "bits_per_s": options.bits_per_s,
        "cuts": len(cuts),
        "syncs": syncs,
        "carried": link.carried,
        "again_percent": round(100 * (link.carried / size - 1), 2),
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


def _capture(device: Device, rig: Rig, link: _Link, folder: Path, size: int) -> None:
    """Enrol over the link and take a recording of ``size`` random bytes in, offline."""
    world = rig.world
    with world.app.app_context(), transaction() as session:
        for number, officer in enumerate(world.officers, start=1):
            feed.put_document(
                session,
                scope=feed.organization_scope(world.organization),
                kind="officer",
                identifier=officer,
                body={"id": officer, "name": f"示例检查员{number}", "certificate_no": f"{number}"},
                now_ms=world.now_ms,
            )
    device.enrol(server=link.url, code=world.code(valid_ms=3_600_000), name="bench", serial="1")
    film = folder / "film.mp4"
    with open(film, "wb") as file:
        file.write(_FILM)
        for _ in range(size // _PIECE):
            file.write(os.urandom(_PIECE))
    inspection = device.open_inspection(world.officers).inspection
    device.capture(film, inspection)
