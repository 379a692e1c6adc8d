"""What else a file can be read as: a script, a page, a program or an archive in a picture.

Only its beginning and its last 4 KB are looked at: that is where other programs look.
"""

from media.facts.model import Collector
from media.facts.sniff import sniff
from media.source import Window

TAIL_BYTES = 4096
#: How far behind the end of a picture that end is looked for when the last 4 KB do not hold it.
_SEARCH_BYTES = 64 * 1024
#: Browsers that guess look at this much, PDF readers too.
_HEAD_BYTES = 1024

_PAGES = (b"<!doctype html", b"<html", b"<script", b"<iframe", b"<body")
_PADDING = b"\0\r\n \t\xff"
_ZIP_END, _ZIP_END_BYTES = b"PK\x05\x06", 22


def look_for_disguise(window: Window, into: Collector) -> None:
    """Note a second valid reading (``File:Polyglot``) and what follows the end of a JPEG.

    Raises:
        LimitReached: when the read budget is spent.
    """
    head = window.read(0, _HEAD_BYTES)
    start = max(0, window.size - TAIL_BYTES)
    tail = window.read(start, TAIL_BYTES)
    found = _second_reading(head, tail)
    if found is not None and into.type != found[0]:
        kind, at, in_tail = found
        into.add("File:Polyglot", kind, offset=at + start if in_tail else at, size=0)
    if into.type in ("JPEG", "MPO"):
        _behind_picture(window, into, tail, start)


def _second_reading(head: bytes, tail: bytes) -> tuple[str, int, bool] | None:
    """Name, place, and whether that is counted in ``tail``."""
    lower = head.lower()
    for mark in _PAGES:
        at = lower.find(mark)
        if at > 0:
            return "HTML", at, False
    for mark, kind in ((b"<svg", "SVG"), (b"<?php", "SCRIPT"), (b"%pdf-", "PDF")):
        at = lower.find(mark)
        if at > 0:
            return kind, at, False
    at = tail.rfind(_ZIP_END)
    if at >= 0 and len(tail) - at >= _ZIP_END_BYTES:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _ZIP_END_BYTES + comment <= len(tail):
            return "ZIP", at, True
    at = tail.lower().rfind(b"</script>")
    return ("HTML", at, True) if at >= 0 else None


def _behind_picture(window: Window, into: Collector, tail: bytes, start: int) -> None:
    """Everything behind the last end-of-image marker but padding."""
    if tail.rstrip(_PADDING[:-1]).endswith(b"\xff\xd9") or not tail.strip(_PADDING):
        return
    end = tail.rfind(b"\xff\xd9")
    if end < 0 and start > 0:
        start = max(0, window.size - _SEARCH_BYTES)
        tail = window.read(start, _SEARCH_BYTES)
        end = tail.rfind(b"\xff\xd9")
    if end < 0 or not tail[end + 2 :].strip(_PADDING):
        # Cut off, or longer than we look: decoding will tell.
        return
    if start + end < into.picture_at:
        # The picture is cut off: this is the end of a thumbnail.
        return
    behind = tail[end + 2 :]
    known = sniff(behind[:512])
    into.add(
        "File:TrailingData",
        known.type if known else "",
        offset=start + end + 2,
        size=len(behind),
    )
