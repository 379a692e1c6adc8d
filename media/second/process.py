"""One sandboxed worker process: asked one thing at a time, killed when late, replaced in turn."""

import json
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import IO, Any, cast

_ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
_HEADER_LIMIT_BYTES = 1024 * 1024
_WORKER = Path(__file__).with_name("worker.py")


class Worker:
    """A process that is started when first needed; for one thread at a time."""

    def __init__(self, *, cpu_seconds: int, wall_seconds: float, requests: int) -> None:
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._requests = requests
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._asked = 0

    def ask(self, task: str, data: bytes) -> tuple[dict[str, Any], bytes] | str:
        """The answer and its bytes, or ``timeout`` or ``died``."""
        worker = self._ready()
        requests, answers = cast("IO[bytes]", worker.stdin), cast("IO[bytes]", worker.stdout)
        late = threading.Event()

        def end_late() -> None:
            late.set()
            worker.kill()

        # Killing the worker ends any read or write that waits for it, at whatever place.
        watchdog = threading.Timer(self._wall_seconds, end_late)
        watchdog.daemon = True
        watchdog.start()
        header = {"task": task, "size": len(data), "cpu_seconds": self._cpu_seconds}
        try:
            requests.write(json.dumps(header).encode("ascii") + b"\n" + data)
            requests.flush()
            answer = json.loads(answers.readline(_HEADER_LIMIT_BYTES))
            size = answer["size"]
            payload = answers.read(min(size, _ANSWER_LIMIT_BYTES))
        except (OSError, ValueError, KeyError, TypeError):
            # The worker died, or was brought to say something that is not an answer.
            answer, size, payload = {}, -1, b""
        finally:
            watchdog.cancel()
        if len(payload) != size:
            self.stop()
            return "timeout" if late.is_set() else "died"
        if late.is_set() or self._asked >= self._requests:
            self.stop()
        return answer, payload

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            # Isolated mode: neither the current folder nor the environment chooses what it imports.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", str(_WORKER), str(self._cpu_seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                cwd="/",
                env={"LC_ALL": "C.UTF-8"},
            )
            self._finalizer = weakref.finalize(self, _end, self._process)
            self._asked = 0
        self._asked += 1
        return self._process

    def stop(self) -> None:
        """End the process; a later question starts another."""
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = None


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Kill and reap a worker, so that none is left over as a zombie."""
    worker.kill()
    for stream in (worker.stdin, worker.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                # What was still to be written to a dead worker is of no use to anyone.
                continue
    worker.wait()
