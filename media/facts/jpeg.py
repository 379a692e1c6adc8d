"""Walks the segments of a JPEG up to its picture data: EXIF, XMP, IPTC and its own structure."""

import hashlib
import struct

from media.errors import Limit, LimitReached, Malformed
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import FileBlock
from media.facts.iptc import read_resources
from media.facts.model import Collector
from media.facts.tiff import read_tiff
from media.facts.xmp import read_xmp
from media.source import Window

SEGMENT_LIMIT = 512

_SOS, _EOI = 0xDA, 0xD9
_APP0, _APP1, _APP2, _APP11, _APP13, _APP14 = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xEE
_COMMENT, _TABLES = 0xFE, 0xDB
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_EXIF = b"Exif\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MPF = b"MPF\0"
_PHOTOSHOP = b"Photoshop 3.0\0"


def read_jpeg(window: Window, into: Collector, *, at: int = 0) -> None:
    """Collect EXIF, XMP, IPTC dates and structure of the JPEG or MPO that begins at ``at``.

    Raises:
        Truncated: if the file ends before its picture data.
        Malformed: where no marker stands at the end of a segment.
        LimitReached: after 512 segments, or when the read budget is spent.
    """
    at += 2
    tables = hashlib.sha256()
    for _ in range(SEGMENT_LIMIT):
        at, marker = _marker(window, at)
        if marker in (_SOS, _EOI):
            if into.has("File:EncodingProcess") and not into.has("JPEG:QuantTables"):
                into.add("JPEG:QuantTables", tables.hexdigest(), offset=at - 2, size=0)
            return
        if marker in _STANDALONE:
            continue
        (length,) = struct.unpack(">H", window.exactly(at, 2))
        if length < 2:
            raise Malformed(f"segment {marker:02X} of length {length}", offset=at)
        if marker == _TABLES:
            tables.update(window.read(at + 2, length - 2))
        else:
            _segment(window, into, marker, at + 2, length - 2)
        at += length
        into.picture_at = at
    raise LimitReached(Limit.SEGMENTS, offset=at)


def read_raf(window: Window, into: Collector) -> None:
    """The metadata of a Fujifilm RAF stands in a JPEG that its header points to.

    Raises:
        Truncated, Malformed, LimitReached: as ``read_jpeg``.
    """
    (at,) = struct.unpack(">I", window.exactly(84, 4))
    if window.exactly(at, 2) != b"\xff\xd8":
        raise Malformed("no JPEG where the RAF header says", offset=at)
    read_jpeg(window, into, at=at)


def _marker(window: Window, at: int) -> tuple[int, int]:
    """The marker at ``at``, past fill bytes, and where it ends."""
    first, code = window.exactly(at, 2)
    if first != 0xFF:
        raise Malformed("no JPEG marker", offset=at)
    while code == 0xFF:
        at += 1
        code = window.exactly(at + 1, 1)[0]
        if at % 4096 == 0:
            # A run of fill bytes is legal, one of pages is an attempt to keep us busy.
            raise LimitReached(Limit.SEGMENTS, offset=at)
    return at + 2, code


def _segment(window: Window, into: Collector, marker: int, at: int, length: int) -> None:
    head = window.read(at, min(length, 32))
    if marker == _APP1 and head.startswith(_EXIF) and not into.has("JPEG:Exif"):
        into.add("JPEG:Exif", "", offset=at, size=length)
        try:
            # The identifier is "Exif", a NUL and one more byte, which some writers do not zero.
            read_tiff(FileBlock(window, [(at + 6, max(0, length - 6))]), into)
        except Malformed as error:
            into.fault(error)
    elif marker == _APP1 and head.startswith(_XMP) and not into.has("JPEG:XMP"):
        into.add("JPEG:XMP", "", offset=at, size=length)
        read_xmp(FileBlock(window, [(at + len(_XMP), length - len(_XMP))]), into)
    elif marker == _APP13 and head.startswith(_PHOTOSHOP) and not into.has("Photoshop:IRB"):
        into.add("Photoshop:IRB", "", offset=at, size=length)
        read_resources(FileBlock(window, [(at + len(_PHOTOSHOP), length - len(_PHOTOSHOP))]), into)
    elif (
        marker == _APP0
        and head.startswith(b"JFIF\0")
        and len(head) >= 7
        and not into.has("JFIF:JFIFVersion")
    ):
        into.add("JFIF:JFIFVersion", f"{head[5]}.{head[6]:02d}", offset=at + 5, size=2)
    elif marker == _APP14 and head.startswith(b"Adobe") and not into.has("APP14:Adobe"):
        into.add("APP14:Adobe", "", offset=at, size=length)
    elif marker == _COMMENT:
        note_label(window.read(at, min(length, LABEL_LIMIT_BYTES)), into, offset=at)
    elif marker == _APP11 and head[8:12] == b"jumb" and not into.has("JPEG:JUMBF"):
        into.add("JPEG:JUMBF", "", offset=at, size=length)
    elif marker == _APP2 and head.startswith(_MPF):
        _multi_picture(window, into, at + 4, length - 4)
    elif marker in _FRAMES and not into.has("File:EncodingProcess") and len(head) >= 5:
        height, width = struct.unpack(">HH", head[1:5])
        into.add("File:EncodingProcess", str(marker), offset=at - 3, size=1)
        into.add("File:ImageSize", f"{width} {height}", offset=at + 1, size=4)


def _multi_picture(window: Window, into: Collector, at: int, length: int) -> None:
    """Tell a multi-frame MPO (CIPA DC-007) from a JPEG that merely carries a large preview."""
    block = window.read(at, min(length, 1024))
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 10:
        return
    start = struct.unpack(order + "I", block[4:8])[0]
    for place in range(start + 2, min(start + 2 + 12 * 16, len(block) - 11), 12):
        tag, _, size, first = struct.unpack_from(order + "HHII", block, place)
        if tag == 0xB002:
            pictures = block[first : first + min(size, 16 * 16)]
            kinds = [
                struct.unpack_from(order + "I", pictures, i)[0]
                for i in range(0, len(pictures) - 15, 16)
            ]
            if any(kind >> 16 & 0xFF == 0x02 for kind in kinds):
                into.type = "MPO"
