"""Reads a PNG: EXIF (``eXIf``, or the text form of older tools), XMP, labels, C2PA."""

import struct
import zlib

from media.errors import Limit, LimitReached, Malformed
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import FileBlock, UnpackedBlock
from media.facts.model import Collector, text_of
from media.facts.tiff import read_tiff
from media.facts.xmp import PACKET_LIMIT_BYTES, read_xmp
from media.source import Window

CHUNK_LIMIT = 4096
UNPACKED_LIMIT_BYTES = 1024 * 1024
_XMP_NAME = b"XML:com.adobe.xmp"
#: Dates that tools keep as text, by the keyword; what they mean is not for us to say.
_DATES = {b"Creation Time": "PNG:CreationTime", b"date:create": "PNG:DateCreate"}
_TEXT_LIMIT_BYTES = 4096
_PROFILE_NAMES = (b"Raw profile type exif", b"Raw profile type APP1")


def read_png(window: Window, into: Collector) -> None:
    """Collect the EXIF and the picture size of a PNG; EXIF often stands behind the picture.

    Raises:
        Truncated, Malformed: where the chunks end too early or contradict the format.
        LimitReached: after 4,096 chunks, or when the read budget is spent.
    """
    at = 8
    for _ in range(CHUNK_LIMIT):
        length, kind = struct.unpack(">I4s", window.exactly(at, 8))
        start = at + 8
        if kind == b"IEND":
            return
        if kind == b"IHDR" and length == 13:
            width, height = struct.unpack(">II", window.exactly(start, 8))
            into.add("PNG:ImageSize", f"{width} {height}", offset=start, size=8)
        elif kind == b"eXIf" and not into.has("PNG:Exif"):
            into.add("PNG:Exif", "", offset=start, size=length)
            _guarded(FileBlock(window, [(start, length)]), into)
        elif kind == b"tIME" and length == 7 and not into.has("PNG:ModifyDate"):
            fields = struct.unpack(">HBBBBB", window.exactly(start, 7))
            raw = "{:04}:{:02}:{:02} {:02}:{:02}:{:02}".format(*fields)
            into.add("PNG:ModifyDate", raw, offset=start, size=7)
        elif kind == b"caBX" and not into.has("PNG:JUMBF"):
            into.add("PNG:JUMBF", "", offset=start, size=length)
        elif kind in (b"zTXt", b"tEXt", b"iTXt"):
            _text(window, into, kind, start, length)
        at = start + length + 4
    raise LimitReached(Limit.SEGMENTS, offset=at)


def _guarded(block: FileBlock | UnpackedBlock, into: Collector) -> None:
    if block.read(0, 6) == b"Exif\0\0" and isinstance(block, FileBlock):
        block = block.after(6)
    try:
        read_tiff(block, into)
    except Malformed as error:
        into.fault(error)


def _text(window: Window, into: Collector, kind: bytes, at: int, length: int) -> None:
    """A text chunk by its keyword; every other keyword is looked at for a label only."""
    name = window.read(at, min(length, 80)).partition(b"\0")[0]
    if name in _PROFILE_NAMES and not into.has("PNG:Exif"):
        _profile(window, into, kind, at, length)
    elif name == _XMP_NAME and kind == b"iTXt" and not into.has("PNG:XMP"):
        into.add("PNG:XMP", "", offset=at, size=length)
        # Keyword, NUL, "not compressed", language and translated keyword, each with a NUL.
        skip = len(name) + 5
        if window.read(at + len(name) + 1, 1) == b"\0":
            read_xmp(FileBlock(window, [(at + skip, length - skip)]), into)
        else:
            data = window.exactly(at, min(length, PACKET_LIMIT_BYTES))[skip:]
            read_xmp(UnpackedBlock(_unpack(data, into, at), at=at), into)
    elif kind != b"zTXt":
        data = window.read(at, min(length, _TEXT_LIMIT_BYTES))
        tag = _DATES.get(name)
        if tag is not None and not into.has(tag):
            start = len(name) + (1 if kind == b"tEXt" else 5)
            into.add(tag, text_of(data[start:]), offset=at + start, size=len(data) - start)
        note_label(data[:LABEL_LIMIT_BYTES], into, offset=at)


def _profile(window: Window, into: Collector, kind: bytes, at: int, length: int) -> None:
    """ImageMagick's raw profile: a name, a length and the EXIF block in hexadecimal."""
    name = window.read(at, min(length, 80)).partition(b"\0")[0]
    if length > UNPACKED_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
        return
    data = window.exactly(at, length)[len(name) + 1 :]
    if kind == b"zTXt":
        data = _unpack(data[1:], into, at)
    elif kind == b"iTXt":
        data = data[4:]
    into.add("PNG:Exif", "", offset=at, size=length)
    fields = data.split(maxsplit=2)
    try:
        packed = bytes.fromhex(fields[2].decode("ascii"))
    except (IndexError, ValueError):
        into.fault(Malformed("raw EXIF profile is not hexadecimal", offset=at))
        return
    if packed.startswith(b"Exif\0\0"):
        packed = packed[6:]
    _guarded(UnpackedBlock(packed, at=at), into)


def _unpack(data: bytes, into: Collector, at: int) -> bytes:
    """Inflate up to 1 MB; what a bomb holds beyond is never unpacked."""
    engine = zlib.decompressobj()
    try:
        unpacked = engine.decompress(data, UNPACKED_LIMIT_BYTES)
    except zlib.error as error:
        raise Malformed(f"compressed text: {error}", offset=at) from error
    if engine.unconsumed_tail:
        into.hit(Limit.UNPACKED_SIZE)
    return unpacked
