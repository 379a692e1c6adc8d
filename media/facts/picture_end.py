"""Finds where the picture of a JPEG ends, so that what follows it can be told.

The compressed data of a photo of 4 MB say nowhere how long they are. A short file is read
to its end. Of a longer one the last 4 KB tell: inside compressed data only a zero, a restart
or the end may follow a byte FF, and their bytes are as varied as those of anything packed.
Only if the file does not end so is the end of the picture looked for.
"""

import re

from media.errors import Limit, LimitReached, Malformed, Truncated
from media.facts.jpeg import EOI, SOS, segments
from media.facts.model import Collector
from media.source import Window

SHORT_BYTES = 64 * 1024
_PROBE_BYTES = 4096
_STEP_BYTES, _LONGEST_STEP_BYTES = 32 * 1024, 1024 * 1024
_PADDING = b"\0\r\n \t"

_END = b"\xff\xd9"
_ENDING = re.compile(_END)
_NO_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")
_SAMPLE_BYTES, _SAMPLE_KINDS = 512, 96


def end_of_jpeg(window: Window, into: Collector) -> int:
    """Where the last picture ends that the file says to hold, -1 if that is not to be found.

    Raises:
        LimitReached: when the read budget is spent.
    """
    start = max(0, window.size - _PROBE_BYTES)
    if into.scan_at < 0:
        # Its structure ends in the middle: only a marker behind that can be an end.
        at = window.read(start, _PROBE_BYTES).rfind(_END)
        return start + at + 2 if at >= 0 and start + at >= into.metadata_end else -1
    if window.size > SHORT_BYTES and start > into.scan_at:
        tail = window.read(start, _PROBE_BYTES).rstrip(_PADDING)
        if tail.endswith(_END) and _is_scan(tail[:-2]):
            return window.size
        end = _first_end(window, into.scan_at, into.scan_at + window.held(into.scan_at))
        if end < 0:
            end = _end_of_long(window, into, start)
    else:
        end = _first_end(window, into.scan_at, window.size)
    for _ in range(into.pictures - 1):
        # Telephones keep a map of brightness or a second view behind the picture.
        following = _end_of_next(window, end) if end >= 0 else -1
        if following < 0:
            break
        end = following
    return end


def _end_of_long(window: Window, into: Collector, start: int) -> int:
    """The end of a picture behind which something may stand, as exact as the budget allows."""
    # What is left is for a second picture behind the first.
    affordable = window.bytes_left - SHORT_BYTES
    if window.size - into.scan_at <= affordable:
        return _first_end(window, into.scan_at, window.size)
    tail = window.read(start, _PROBE_BYTES).rstrip(_PADDING)
    if tail.endswith(_END) and not _NO_SCAN.search(tail, 0, len(tail) - 2):
        # Flat parts of a picture, or text with the marker of an end behind it.
        return _first_end(window, window.size - affordable, window.size)
    end = _end_by_halves(window, into.scan_at, start)
    if end < 0:
        into.hit(Limit.BUDGET)
    return end


def _is_scan(data: bytes) -> bool:
    """Whether ``data`` look like compressed picture data."""
    return _NO_SCAN.search(data) is None and len(set(data[-_SAMPLE_BYTES:])) >= _SAMPLE_KINDS


def _first_end(window: Window, at: int, stop: int) -> int:
    """Behind the first end-of-image marker from ``at`` to ``stop``; -1 if there is none."""
    step = _STEP_BYTES
    stop = min(stop, window.size)
    while at + 2 <= stop:
        held = window.held(at)
        data = window.read(at, held if held > 1 else min(step, stop - at))
        found = _ENDING.search(data)
        if found is not None:
            return at + found.end()
        at += max(1, len(data) - 1)
        step = min(2 * step, _LONGEST_STEP_BYTES)
    return -1


def _end_by_halves(window: Window, low: int, high: int) -> int:
    """The end of a picture, given that its data go on at ``low`` and no more at ``high``."""
    while high - low > 2 * _PROBE_BYTES:
        middle = (low + high) // 2
        if _is_scan(window.read(middle, _PROBE_BYTES)):
            low = middle
        else:
            high = middle
    found = _NO_SCAN.search(window.read(low, high - low + 2 * _PROBE_BYTES))
    return low + found.end() if found is not None and found.group() == _END else -1


def _end_of_next(window: Window, at: int) -> int:
    """Where the picture ends that follows at ``at``, perhaps behind padding; -1 if none does."""
    gap = window.read(at, _PROBE_BYTES)
    start = at + len(gap) - len(gap.lstrip(b"\0"))
    if window.read(start, 3) != b"\xff\xd8\xff":
        return -1
    try:
        for segment in segments(window, start):
            if segment.marker in (SOS, EOI):
                return _first_end(window, segment.start + segment.size, window.size)
    except (Truncated, Malformed, LimitReached):
        return -1
    return -1
