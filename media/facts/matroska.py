"""Reads the ``DateUTC`` and the length of a Matroska or WebM recording."""

import math
import struct

from media.errors import Limit, LimitReached, Malformed, Truncated
from media.facts.model import Collector
from media.source import Window

ELEMENT_LIMIT = 4096
_UNKNOWN = -1
_SEGMENT, _INFO, _CLUSTER = 0x18538067, 0x1549A966, 0x1F43B675
_DATE_UTC, _TIMESTAMP_SCALE, _DURATION = 0x4461, 0x2AD7B1, 0x4489


def read_matroska(window: Window, into: Collector) -> None:
    """Collect ``DateUTC`` (nanoseconds since 2001-01-01T00:00:00Z, as stored) and the length.

    Raises:
        Truncated, Malformed: where the elements end too early or contradict the format.
        LimitReached: after 4,096 elements, or when the read budget is spent.
    """
    at = 0
    scale = 1_000_000
    end = window.size
    for _ in range(ELEMENT_LIMIT):
        if at >= end:
            return
        kind, size, start = _element(window, at)
        if kind == _CLUSTER:
            # Frames follow; a writer that knows the date puts it before them.
            return
        if kind == _DATE_UTC:
            data = window.exactly(start, min(max(size, 0), 8))
            raw = str(int.from_bytes(data, "big", signed=True))
            into.add("Matroska:DateTimeOriginal", raw, offset=start, size=len(data))
        elif kind == _TIMESTAMP_SCALE:
            scale = int.from_bytes(window.exactly(start, min(max(size, 0), 8)), "big")
        elif kind == _DURATION and size in (4, 8):
            (ticks,) = struct.unpack(">f" if size == 4 else ">d", window.exactly(start, size))
            if math.isfinite(ticks) and 0 <= ticks * scale < 1 << 63:
                raw = f"{int(ticks * scale)}/1000000000"
                into.add("Matroska:Duration", raw, offset=start, size=size)
        at = start if kind in (_SEGMENT, _INFO) else start + size
        if size == _UNKNOWN and kind not in (_SEGMENT, _INFO):
            raise Malformed(f"element {kind:X} of unknown size", offset=start)
    raise LimitReached(Limit.BOXES, offset=at)


def _element(window: Window, at: int) -> tuple[int, int, int]:
    """Kind, size (-1 if unknown) and where the content of the element at ``at`` begins."""
    head = window.read(at, 12)
    width = _width(head, at, most=4)
    kind = int.from_bytes(head[:width], "big")
    rest = head[width:]
    size_width = _width(rest, at + width, most=8)
    if len(rest) < size_width:
        raise Truncated(offset=at, wanted=width + size_width, got=len(head))
    bits = (1 << 7 * size_width) - 1
    size = int.from_bytes(rest[:size_width], "big") & bits
    return kind, _UNKNOWN if size == bits else size, at + width + size_width


def _width(data: bytes, at: int, *, most: int) -> int:
    if not data:
        raise Truncated(offset=at, wanted=1, got=0)
    width = 9 - data[0].bit_length()
    if width > most:
        raise Malformed("no element id or size", offset=at)
    return width
