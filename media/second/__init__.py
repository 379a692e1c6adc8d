"""The second, independent reader and the thumbnails, behind the walls of a sandbox.

exifread hangs on a file of 70 bytes and can fill gigabytes (docs/evidence.md §7), so it
never runs in a process of ours. A worker process with bounded memory, processor time,
files and no way to write answers one request at a time; it is killed when it is late
and replaced after a number of requests. No file can make this module raise.
"""

import json
import os
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

REQUEST_LIMIT_BYTES = 64 * 1024 * 1024
CPU_LIMIT_SECONDS = 10
WALL_LIMIT_SECONDS = 15.0
REQUESTS_PER_WORKER = 200
_ANSWER_LIMIT_BYTES = 4 * 1024 * 1024
_HEADER_LIMIT_BYTES = 1024 * 1024
_WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True, slots=True)
class SecondFacts:
    """What the second reader saw: its name and version, and raw values by our tag names."""

    reader: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small upright JPEG without metadata, and the library that drew it."""

    jpeg: bytes
    width: int
    height: int
    made_with: str


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """What decoding a picture gave.

    ``width`` and ``height`` are those stored; ``likeness`` is a 64-bit perceptual hash, nearly
    equal for pictures that look alike; ``thumbnail_distance`` is how many of 64 bits the
    embedded thumbnail differs by, None where there is none.
    """

    width: int
    height: int
    likeness: int
    thumbnail_distance: int | None


@dataclass(frozen=True, slots=True)
class SecondFailed:
    """No answer about this file: what the library said, ``timeout``, ``died`` or ``too large``."""

    reason: str


class SecondReader:
    """One worker process, started when first needed; calls from several threads take turns."""

    def __init__(
        self,
        *,
        cpu_seconds: int = CPU_LIMIT_SECONDS,
        wall_seconds: float = WALL_LIMIT_SECONDS,
        requests_per_worker: int = REQUESTS_PER_WORKER,
    ) -> None:
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._requests_per_worker = requests_per_worker
        self._turn = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None
        self._asked = 0

    def read(self, content: bytes | str | os.PathLike[str]) -> SecondFacts | SecondFailed:
        """The EXIF of a picture as exifread sees it; ``content`` is its bytes or a path."""
        match self._ask("exif", content):
            case SecondFailed() as failed:
                return failed
            case answer, _:
                return SecondFacts(reader=answer["reader"], values=answer["values"])

    def thumbnail(self, content: bytes | str | os.PathLike[str]) -> Thumbnail | SecondFailed:
        """A picture of at most 512 × 512 pixels, for JPEG, PNG, WebP and MPO up to 64 Mpx."""
        match self._ask("thumbnail", content):
            case SecondFailed() as failed:
                return failed
            case answer, jpeg:
                return Thumbnail(
                    jpeg=jpeg,
                    width=answer["width"],
                    height=answer["height"],
                    made_with=answer["made_with"],
                )

    def pixels(self, content: bytes | str | os.PathLike[str]) -> PixelFacts | SecondFailed:
        """Size and likeness of a JPEG, PNG, WebP or MPO of up to 64 Mpx."""
        match self._ask("pixels", content):
            case SecondFailed() as failed:
                return failed
            case answer, _:
                return PixelFacts(
                    width=answer["width"],
                    height=answer["height"],
                    likeness=int(answer["likeness"], 16),
                    thumbnail_distance=answer.get("thumbnail_distance"),
                )

    def close(self) -> None:
        """End the worker; a later call starts another."""
        with self._turn:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(
        self, task: str, content: bytes | str | os.PathLike[str]
    ) -> tuple[dict[str, Any], bytes] | SecondFailed:
        try:
            data = content if isinstance(content, bytes) else _read_file(content)
        except OSError as error:
            return SecondFailed(f"unreadable: {error.strerror}")
        if len(data) > REQUEST_LIMIT_BYTES:
            return SecondFailed("too large")
        with self._turn:
            answer = self._exchange(task, data)
        match answer:
            case ({"failed": str(reason)}, _):
                return SecondFailed(reason)
            case _:
                return answer

    def _exchange(self, task: str, data: bytes) -> tuple[dict[str, Any], bytes] | SecondFailed:
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
            self._stop()
            return SecondFailed("timeout" if late.is_set() else "died")
        if late.is_set() or self._asked >= self._requests_per_worker:
            self._stop()
        return answer, payload

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._worker is not None and self._worker.poll() is not None:
            self._stop()
        if self._worker is None:
            # Isolated mode: neither the current folder nor the environment chooses what it imports.
            self._worker = subprocess.Popen(
                [sys.executable, "-I", "-B", str(_WORKER), str(self._cpu_seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                cwd="/",
                env={"LC_ALL": "C.UTF-8"},
            )
            self._finalizer = weakref.finalize(self, _end, self._worker)
            self._asked = 0
        self._asked += 1
        return self._worker

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._worker = self._finalizer = None


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


def _read_file(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read(REQUEST_LIMIT_BYTES + 1)
