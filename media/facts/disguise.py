"""What else a file can be read as, and what follows the end of a picture.

A second reading is one that another program would take: it looks for an archive at the end
of a file, for a PDF in its first 1,024 bytes, and runs the markup of a page wherever that
stands. Words in the metadata of a recording are none, nor are the files inside an archive.
"""

import re

from media.facts.model import Collector
from media.facts.picture_end import SHORT_BYTES, end_of_jpeg
from media.facts.sniff import HEAD_BYTES, sniff
from media.source import Window

TAIL_BYTES = 4096
#: PDF readers look at this much, and a page would begin there.
_HEAD_BYTES = 1024
#: How much behind a picture may be nothing but padding.
_PADDING_BYTES = 64 * 1024
_PADDING = b"\0\r\n \t\xff"

#: What runs wherever it stands: scripts, frames, instructions of PHP, and handlers of events.
_MARKUP = re.compile(
    rb"<(?:script[\s/>]|iframe[\s/>]|(\?php)|"
    rb"(?:(svg)|html|body|img|video|audio|details|math|object|embed|input)"
    rb"[\s/][^<>]{0,500}?\bon[a-z]{3,20}\s{0,8}=)",
    re.IGNORECASE,
)
_PDF = re.compile(rb"%PDF-\d")
_ZIP_END, _ZIP_END_BYTES = b"PK\x05\x06", 22


def look_for_disguise(window: Window, into: Collector) -> None:
    """Note a second valid reading (``File:Polyglot``) and what follows the end of a picture.

    Raises:
        LimitReached: when the read budget is spent.
    """
    if not _is_medium(into):
        return
    is_jpeg = into.type in ("JPEG", "MPO")
    if is_jpeg and window.size <= SHORT_BYTES:
        # At once, instead of its tail now and the rest later.
        held = window.held(0)
        window.read(held, window.size - held)
    start = max(0, window.size - TAIL_BYTES)
    _second_reading(into, window.read(0, _HEAD_BYTES), window.read(start, TAIL_BYTES), start)
    end = end_of_jpeg(window, into) if is_jpeg else into.ends_at
    if 0 <= end < window.size:
        _behind(window, into, end)


def _is_medium(into: Collector) -> bool:
    kind = (into.mime or "").partition("/")[0]
    return kind in ("image", "audio", "video") and into.type != "SVG"


def _second_reading(into: Collector, head: bytes, tail: bytes, start: int) -> None:
    for data, offset in ((head, 0), (tail, start)):
        markup = _MARKUP.search(data)
        if markup is not None:
            kind = "SCRIPT" if markup[1] else "SVG" if markup[2] else "HTML"
            into.add("File:Polyglot", kind, offset=offset + markup.start(), size=0)
            return
    pdf = _PDF.search(head)
    if pdf is not None:
        into.add("File:Polyglot", "PDF", offset=pdf.start(), size=0)
        return
    at = tail.rfind(_ZIP_END)
    if at >= 0 and len(tail) - at >= _ZIP_END_BYTES:
        comment = int.from_bytes(tail[at + 20 : at + 22], "little")
        if at + _ZIP_END_BYTES + comment <= len(tail):
            into.add("File:Polyglot", "ZIP", offset=start + at, size=0)


def _behind(window: Window, into: Collector, end: int) -> None:
    """Note everything behind the end of a picture but padding."""
    size = window.size - end
    if size <= _PADDING_BYTES:
        behind = window.read(end, size)
        if not behind.strip(_PADDING):
            return
    else:
        behind = window.read(end, TAIL_BYTES)
    known = sniff(behind[:HEAD_BYTES]) or sniff(behind.lstrip(_PADDING)[:HEAD_BYTES])
    into.add("File:TrailingData", known.type if known else "", offset=end, size=size)
