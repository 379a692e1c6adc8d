"""Finds the EXIF of a PNG: the ``eXIf`` chunk, or the text form that older tools wrote."""

import struct
import zlib

from media.errors import Limit, LimitReached, Malformed
from media.facts.block import FileBlock, UnpackedBlock
from media.facts.model import Collector
from media.facts.tiff import read_tiff
from media.source import Window

CHUNK_LIMIT = 4096
UNPACKED_LIMIT_BYTES = 1024 * 1024
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
        elif kind in (b"zTXt", b"tEXt", b"iTXt") and not into.has("PNG:Exif"):
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
    """ImageMagick's raw profile: a name, a length and the EXIF block in hexadecimal."""
    name = window.read(at, min(length, 80)).partition(b"\0")[0]
    if name not in _PROFILE_NAMES:
        return
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
