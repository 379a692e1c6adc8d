"""gunicorn with the upload API as it runs in earnest, and a client that can misbehave."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from flask import Flask

from server.launch.web import limit_unread
from server.settings import Settings
from tests.support.bureau import TOKEN, upload_app

_ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1


def app() -> Flask:
    """What gunicorn serves: ``tests.support.webserver:app()``."""
    return upload_app(Settings.from_env(os.environ))


def when_ready(server):
    """gunicorn's hook: the listeners are as in earnest."""
    limit_unread(listener.sock for listener in server.LISTENERS)


def die_with_parent():
    """For ``preexec_fn``: SIGKILL when the process that started this one ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def children_of(pid):
    """The processes that ``pid`` started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class WebServer:
    """One gunicorn with one worker process; ends with the block, or with the test process."""

    #: Read as a configuration, this module is imported before the fork: a new worker is quick.
    configuration = "tests.support.webserver"

    def __init__(self, environment, application="tests.support.webserver:app()"):
        self.environment = environment
        self.application = application
        self.port = 0

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()
        return self

    def start(self):
        command = [sys.executable, "-m", "gunicorn", "--worker-class=gthread", "--threads=16"]
        command += [f"--config=python:{self.configuration}"]
        command += [f"--bind=127.0.0.1:{self.port}", "--log-level=warning", "--no-control-socket"]
        self.process = subprocess.Popen(
            [*command, "--graceful-timeout=1", self.application],
            cwd=_ROOT,
            env={**os.environ, **self.environment},
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert self.process.poll() is None, "gunicorn did not start"
            assert time.monotonic() < deadline, "gunicorn does not listen"
            time.sleep(0.05)

    def kill_worker(self):
        """SIGKILL to the process that serves; gunicorn starts the next one. Answers how many."""
        workers = children_of(self.process.pid)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        return len(workers)

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/uploads"

    def pour(self, path, data, *, offset):
        """Send a PATCH of ``data`` until the connection ends; see :class:`Pouring`."""
        connection = self.half_patch(path, b"", offset=offset, claimed=len(data))
        return Pouring(connection, data)

    def half_patch(self, path, data, *, offset, claimed):
        """Send a PATCH that announces ``claimed`` bytes but has only ``data``; the open socket."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        head = (
            f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nTus-Resumable: 1.0.0\r\n"
            f"Content-Type: application/offset+octet-stream\r\n"
            f"Upload-Offset: {offset}\r\nContent-Length: {claimed}\r\n\r\n"
        )
        connection.sendall(head.encode() + data)
        return connection


class Pouring:
    """A sender who counts the ``sent`` bytes that have left it."""

    def __init__(self, connection, data):
        # What waits in its own system was not sent, so that is little.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        self.connection, self.sent = connection, 0
        self._left = memoryview(data)
        self._thread = threading.Thread(target=self._pour)
        self._thread.start()

    def _pour(self):
        with contextlib.suppress(OSError):
            while self._left:
                n = self.connection.send(self._left[: 64 << 10])
                self.sent, self._left = self.sent + n, self._left[n:]

    def stop(self):
        """End the connection, if it has not; answers ``sent``."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.connection.close()
        return self.sent
