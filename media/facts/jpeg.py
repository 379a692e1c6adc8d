"""Walks the segments of a JPEG up to its picture data: EXIF, XMP, IPTC and its own structure."""

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from media.errors import Limit, LimitReached, Malformed, Truncated
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import FileBlock
from media.facts.iptc import read_resources
from media.facts.model import Collector
from media.facts.tiff import note_second_exif, read_tiff
from media.facts.xmp import read_xmp
from media.source import Window

SEGMENT_LIMIT = 512
#: A run of fill bytes is legal, one of pages is an attempt to keep us busy.
_FILL_LIMIT_BYTES = 4096
#: Marker and length of a segment, and as much of it as tells what it is.
_HEAD_BYTES = 4 + 32
_PICTURES_LIMIT = 16

SOS, EOI = 0xDA, 0xD9
_TABLES = 0xDB
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Its second byte of padding is not zero in the files of some writers.
_EXIF, _EXIF_BYTES = b"Exif\0", 6
_TIFF_HEADS = (b"II*\0", b"MM\0*")
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MPF = b"MPF\0"
_PHOTOSHOP = b"Photoshop 3.0\0"


class Segment(NamedTuple):
    """One segment: its marker stands at ``at``, its content of ``size`` bytes from ``start``.

    ``head`` are the first bytes of the content.
    """

    marker: int
    at: int
    start: int
    size: int
    head: bytes


def read_jpeg(window: Window, into: Collector, *, at: int = 0) -> None:
    """Collect EXIF, XMP, IPTC dates and structure of the JPEG or MPO that begins at ``at``.

    A segment that is broken costs itself only.

    Raises:
        Truncated: if the file ends before its picture data.
        Malformed: where no marker stands at the end of a segment.
        LimitReached: after 512 segments, or when the read budget is spent.
    """
    tables = hashlib.sha256()
    for segment in segments(window, at):
        into.metadata_end = segment.start + segment.size
        if segment.marker in (SOS, EOI):
            into.scan_at = segment.start + segment.size
            if into.has("File:EncodingProcess") and not into.has("JPEG:QuantTables"):
                into.add("JPEG:QuantTables", tables.hexdigest(), offset=segment.at, size=0)
        elif segment.marker == _TABLES:
            tables.update(window.read(segment.start, segment.size))
        elif segment.marker in _READERS:
            try:
                _READERS[segment.marker](window, into, segment)
            except (Truncated, Malformed) as error:
                into.fault(error)


def segments(window: Window, at: int) -> Iterator[Segment]:
    """The segments of the JPEG at ``at`` up to that before its picture data (SOS), or its end.

    Raises:
        Truncated, Malformed, LimitReached: as ``read_jpeg``.
    """
    at += 2
    for _ in range(SEGMENT_LIMIT):
        head = window.read(at, _HEAD_BYTES)
        if head[1:2] == b"\xff":
            at = _past_fill(window, at)
            head = window.read(at, _HEAD_BYTES)
        if len(head) < 2:
            raise Truncated(offset=at, wanted=2, got=len(head))
        if head[0] != 0xFF:
            raise Malformed("no JPEG marker", offset=at)
        marker = head[1]
        if marker in _STANDALONE:
            at += 2
            continue
        if marker == EOI:
            yield Segment(marker, at, at, 0, b"")
            return
        if len(head) < 4:
            raise Truncated(offset=at + 2, wanted=2, got=len(head) - 2)
        length = head[2] << 8 | head[3]
        if length < 2:
            raise Malformed(f"segment {marker:02X} of length {length}", offset=at)
        yield Segment(marker, at, at + 4, length - 2, head[4 : 2 + length])
        if marker == SOS:
            return
        at += 2 + length
    raise LimitReached(Limit.SEGMENTS, offset=at)


def _past_fill(window: Window, at: int) -> int:
    """Where the last byte of the run of FF at ``at`` stands."""
    run = window.read(at, _FILL_LIMIT_BYTES)
    filled = len(run) - len(run.lstrip(b"\xff"))
    if filled == _FILL_LIMIT_BYTES:
        raise LimitReached(Limit.SEGMENTS, offset=at)
    return at + max(filled - 1, 0)


def read_raf(window: Window, into: Collector) -> None:
    """The metadata of a Fujifilm RAF stands in a JPEG that its header points to.

    Raises:
        Truncated, Malformed, LimitReached: as ``read_jpeg``.
    """
    (at,) = struct.unpack(">I", window.exactly(84, 4))
    if window.exactly(at, 2) != b"\xff\xd8":
        raise Malformed("no JPEG where the RAF header says", offset=at)
    read_jpeg(window, into, at=at)


def _once(into: Collector, tag: str, segment: Segment) -> None:
    if not into.has(tag):
        into.add(tag, "", offset=segment.start, size=segment.size)


def _app0(window: Window, into: Collector, segment: Segment) -> None:
    head = segment.head
    if head.startswith(b"JFIF\0") and len(head) >= 7 and not into.has("JFIF:JFIFVersion"):
        version = f"{head[5]}.{head[6]:02d}"
        into.add("JFIF:JFIFVersion", version, offset=segment.start + 5, size=2)


def _app1(window: Window, into: Collector, segment: Segment) -> None:
    if segment.head.startswith(_EXIF):
        _exif(window, into, segment)
    elif segment.head.startswith(_XMP):
        _once(into, "JPEG:XMP", segment)
        read_xmp(_behind(window, segment, len(_XMP)), into)


def _exif(window: Window, into: Collector, segment: Segment) -> None:
    _once(into, "JPEG:Exif", segment)
    if not into.has_exif():
        read_tiff(_behind(window, segment, _EXIF_BYTES), into)
    elif segment.head[_EXIF_BYTES:].startswith(_TIFF_HEADS):
        # Without a head of its own it would be the rest of the first one.
        note_second_exif(into, offset=segment.start, size=segment.size)


def _app2(window: Window, into: Collector, segment: Segment) -> None:
    if segment.head.startswith(_MPF):
        _multi_picture(window, into, segment.start + len(_MPF), segment.size - len(_MPF))


def _app11(window: Window, into: Collector, segment: Segment) -> None:
    if segment.head[12:16] == b"jumb":
        _once(into, "JPEG:JUMBF", segment)


def _app13(window: Window, into: Collector, segment: Segment) -> None:
    if segment.head.startswith(_PHOTOSHOP):
        _once(into, "Photoshop:IRB", segment)
        read_resources(_behind(window, segment, len(_PHOTOSHOP)), into)


def _app14(window: Window, into: Collector, segment: Segment) -> None:
    if segment.head.startswith(b"Adobe"):
        _once(into, "APP14:Adobe", segment)


def _comment(window: Window, into: Collector, segment: Segment) -> None:
    data = window.read(segment.start, min(segment.size, LABEL_LIMIT_BYTES))
    note_label(data, into, offset=segment.start)


def _frame(window: Window, into: Collector, segment: Segment) -> None:
    if len(segment.head) >= 5 and not into.has("File:EncodingProcess"):
        height, width = struct.unpack(">HH", segment.head[1:5])
        into.add("File:EncodingProcess", str(segment.marker), offset=segment.start - 3, size=1)
        into.add("File:ImageSize", f"{width} {height}", offset=segment.start + 1, size=4)


def _behind(window: Window, segment: Segment, skip: int) -> FileBlock:
    return FileBlock(window, [(segment.start + skip, max(0, segment.size - skip))])


def _multi_picture(window: Window, into: Collector, at: int, length: int) -> None:
    """Tell a multi-frame MPO (CIPA DC-007) from a JPEG that merely carries a large preview."""
    block = window.read(at, min(length, 1024))
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 10 or into.pictures > 1:
        return
    start = struct.unpack(order + "I", block[4:8])[0]
    for place in range(start + 2, min(start + 2 + 12 * 16, len(block) - 11), 12):
        tag, _, size, first = struct.unpack_from(order + "HHII", block, place)
        if tag == 0xB002:
            pictures = block[first : first + min(size, 16 * _PICTURES_LIMIT)]
            kinds = [
                struct.unpack_from(order + "I", pictures, i)[0]
                for i in range(0, len(pictures) - 15, 16)
            ]
            into.pictures = max(1, len(kinds))
            if any(kind >> 16 & 0xFF == 0x02 for kind in kinds):
                into.type = "MPO"


#: What is read of the segments APP0 (E0) to APP15, of comments (FE) and of frames.
_READERS: Mapping[int, Callable[[Window, Collector, Segment], None]] = {
    0xE0: _app0,
    0xE1: _app1,
    0xE2: _app2,
    0xEB: _app11,
    0xED: _app13,
    0xEE: _app14,
    0xFE: _comment,
    **dict.fromkeys(_FRAMES, _frame),
}
