"""Reads the label of generated sound in an MP3; such a file carries no time of its own."""

from media.errors import Limit
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.model import Collector
from media.source import Window

_FRAME_LIMIT = 128


def read_id3(window: Window, into: Collector) -> None:
    """Look through the text frames of an ID3v2.3 or 2.4 tag.

    Raises:
        LimitReached: when the read budget is spent.
    """
    head = window.read(0, 10)
    if head[:3] != b"ID3" or len(head) < 10 or head[3] not in (3, 4):
        return
    end = min(10 + _synchsafe(head[6:10]), window.size)
    at = 10
    for _ in range(_FRAME_LIMIT):
        frame = window.read(at, 10)
        if at + 10 > end or len(frame) < 10 or not frame[:4].isalnum():
            return
        size = _synchsafe(frame[4:8]) if head[3] == 4 else int.from_bytes(frame[4:8], "big")
        if frame[:4] in (b"TXXX", b"COMM"):
            data = window.read(at + 10, min(size, LABEL_LIMIT_BYTES))
            note_label(data, into, offset=at + 10)
        at += 10 + size
    into.hit(Limit.ENTRIES)


def _synchsafe(data: bytes) -> int:
    """Four bytes of seven bits each (ID3v2.4 §6.2)."""
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number
