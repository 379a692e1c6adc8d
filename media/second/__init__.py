"""The second, independent reader and all decoding of pictures, behind the walls of a sandbox.

exifread hangs on a file of 70 bytes and can fill gigabytes (docs/evidence.md §7), so it
never runs in a process of ours. Worker processes with bounded memory, processor time,
files and no way to write answer one request at a time; one is killed when it is late
and replaced after a number of requests. No file can make this module raise.
"""

import json
import os
import queue
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Literal, Self

from media.second.process import Worker

REQUEST_LIMIT_BYTES = 64 * 1024 * 1024
CPU_LIMIT_SECONDS = 10
WALL_LIMIT_SECONDS = 15.0
REQUESTS_PER_WORKER = 200


@dataclass(frozen=True, slots=True)
class SecondFacts:
    """What the second reader saw: its name and version, and raw values by our tag names."""

    reader: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """An upright JPEG without metadata, the library that drew it, and how."""

    jpeg: bytes
    width: int
    height: int
    made_with: str
    recipe: str


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of an upright picture to be covered, in 1/10,000 of its width and height.

    ``how`` is ``black`` or ``mosaic``.
    """

    x: int
    y: int
    width: int
    height: int
    how: Literal["black", "mosaic"]


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
    """A pool of worker processes, each started when first needed; callers may be many threads."""

    def __init__(
        self,
        *,
        workers: int = 1,
        cpu_seconds: int = CPU_LIMIT_SECONDS,
        wall_seconds: float = WALL_LIMIT_SECONDS,
        requests_per_worker: int = REQUESTS_PER_WORKER,
    ) -> None:
        self._workers = workers
        self._free: queue.LifoQueue[Worker] = queue.LifoQueue()
        for _ in range(workers):
            self._free.put(
                Worker(
                    cpu_seconds=cpu_seconds,
                    wall_seconds=wall_seconds,
                    requests=requests_per_worker,
                )
            )

    def read(self, content: bytes | str | os.PathLike[str]) -> SecondFacts | SecondFailed:
        """The EXIF of a picture as exifread sees it; ``content`` is its bytes or a path."""
        match self._ask("exif", content):
            case SecondFailed() as failed:
                return failed
            case answer, _:
                return SecondFacts(reader=answer["reader"], values=answer["values"])

    def draw(
        self, content: bytes | str | os.PathLike[str], purpose: Literal["thumbnail", "preview"]
    ) -> Picture | SecondFailed:
        """A picture within 512 or 2048 pixels, for JPEG, PNG, WebP and MPO up to 64 Mpx."""
        return _picture(self._ask(purpose, content))

    def redacted(self, content: bytes, regions: Sequence[Region]) -> Picture | SecondFailed:
        """The picture within 4096 pixels with ``regions`` covered for good, as ``picture``."""
        line = json.dumps([asdict(region) for region in regions]).encode("ascii")
        return _picture(self._ask("redact", line + b"\n" + content))

    def banded(
        self, content: bytes, lines: Sequence[str], font: str | os.PathLike[str]
    ) -> Picture | SecondFailed:
        """The picture within 2048 pixels with ``lines`` of text in a band below it."""
        told = {"lines": list(lines), "font": os.fspath(font)}
        return _picture(self._ask("band", json.dumps(told).encode("ascii") + b"\n" + content))

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
        """End the workers, each when it has answered; a later call starts others."""
        workers = [self._free.get() for _ in range(self._workers)]
        for worker in workers:
            worker.stop()
            self._free.put(worker)

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
        worker = self._free.get()
        try:
            answer = worker.ask(task, data)
        finally:
            self._free.put(worker)
        match answer:
            case str(reason) | ({"failed": str(reason)}, _):
                return SecondFailed(reason)
            case _:
                return answer


def _picture(answer: tuple[dict[str, Any], bytes] | SecondFailed) -> Picture | SecondFailed:
    match answer:
        case SecondFailed() as failed:
            return failed
        case told, jpeg:
            return Picture(
                jpeg=jpeg,
                width=told["width"],
                height=told["height"],
                made_with=told["made_with"],
                recipe=told["recipe"],
            )


def _read_file(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read(REQUEST_LIMIT_BYTES + 1)
