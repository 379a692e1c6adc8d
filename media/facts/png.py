"""Reads a PNG: EXIF (``eXIf``, or the text form of older tools), XMP, IPTC, labels, C2PA."""

import struct
import zlib

from media.errors import Limit, LimitReached, Malformed, Truncated
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import Block, FileBlock, UnpackedBlock
from media.facts.iptc import read_iptc, read_resources
from media.facts.model import Collector, text_of
from media.facts.tiff import SECOND_EXIF, note_second_exif, read_exif, without_identifier
from media.facts.xmp import PACKET_LIMIT_BYTES, read_xmp
from media.source import Window

CHUNK_LIMIT = 4096
UNPACKED_LIMIT_BYTES = 1024 * 1024
_XMP_NAME = b"XML:com.adobe.xmp"
_LABEL_NAME = b"AIGC"
#: Dates that tools keep as text, by the keyword; what they mean is not for us to say.
_DATES = {b"Creation Time": "PNG:CreationTime", b"date:create": "PNG:DateCreate"}
_TEXT_LIMIT_BYTES = 4096
#: Keyword, language and translated keyword are short.
_HEAD_BYTES = 160
#: ImageMagick's raw profiles: blocks of other formats in hexadecimal.
_EXIF_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
_XMP_PROFILE = b"Raw profile type xmp"
_PROFILES = {*_EXIF_PROFILES, _XMP_PROFILE, b"Raw profile type iptc", b"Raw profile type 8bim"}
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def read_png(window: Window, into: Collector) -> None:
    """Collect the EXIF and the picture size of a PNG; EXIF often stands behind the picture.

    A chunk that is broken costs itself only.

    Raises:
        Truncated: where the chunks end too early.
        LimitReached: after 4,096 chunks, or when the read budget is spent.
    """
    chunks = _Chunks(window, into)
    at = 8
    for _ in range(CHUNK_LIMIT):
        length, kind = struct.unpack(">I4s", window.exactly(at, 8))
        if kind == b"IEND":
            into.ends_at = at + 8 + length + 4
            return
        try:
            chunks.read(kind, at + 8, length)
        except (Truncated, Malformed) as error:
            into.fault(error)
        at += 8 + length + 4
    raise LimitReached(Limit.SEGMENTS, offset=at)


class _Chunks:
    def __init__(self, window: Window, into: Collector) -> None:
        self._window = window
        self._into = into
        self._first_exif: Block | None = None

    def read(self, kind: bytes, start: int, length: int) -> None:
        window, into = self._window, self._into
        if kind == b"IHDR" and length == 13:
            if not into.has("PNG:ImageSize"):
                width, height = struct.unpack(">II", window.exactly(start, 8))
                into.add("PNG:ImageSize", f"{width} {height}", offset=start, size=8)
        elif kind == b"eXIf":
            self._exif(FileBlock(window, [(start, length)]), start, length)
        elif kind == b"tIME" and length == 7 and not into.has("PNG:ModifyDate"):
            fields = struct.unpack(">HBBBBB", window.exactly(start, 7))
            raw = "{:04}:{:02}:{:02} {:02}:{:02}:{:02}".format(*fields)
            into.add("PNG:ModifyDate", raw, offset=start, size=7)
        elif kind == b"caBX" and not into.has("PNG:JUMBF"):
            into.add("PNG:JUMBF", "", offset=start, size=length)
        elif kind in (b"zTXt", b"tEXt", b"iTXt"):
            block = _Text(window, into, kind, start, length).read()
            if block is not None:
                self._exif(block, start, length)

    def _exif(self, block: Block, start: int, length: int) -> None:
        """Read the first block of EXIF; a second one counts only if it is not the same again.

        Some tools write it both as a chunk and as text.
        """
        block = without_identifier(block)
        first = self._first_exif
        if first is None:
            self._first_exif = block
            self._into.add("PNG:Exif", "", offset=start, size=length)
            read_exif(block, self._into)
        elif not self._into.has(SECOND_EXIF) and _content(first) != _content(block):
            note_second_exif(self._into, offset=start, size=length)


def _content(block: Block) -> bytes:
    return block.read(0, UNPACKED_LIMIT_BYTES)


class _Text:
    """A text chunk: a keyword, and text that may be compressed."""

    def __init__(self, window: Window, into: Collector, kind: bytes, at: int, length: int) -> None:
        self._window = window
        self._into = into
        self._at = at
        self._length = length
        head = window.read(at, min(length, _HEAD_BYTES))
        self._name = head.partition(b"\0")[0]
        # Behind the keyword a zTXt has the method; an iTXt whether it is compressed, the
        # method, and language and translated keyword, each with a NUL.
        behind = head[len(self._name) + 1 :]
        self._packed = kind == b"zTXt" or (kind == b"iTXt" and behind[:1] == b"\x01")
        self._skip = len(self._name) + (2 if kind == b"zTXt" else 1)
        if kind == b"iTXt":
            language, _, rest = behind[2:].partition(b"\0")
            self._skip += 2 + len(language) + 1 + len(rest.partition(b"\0")[0]) + 1

    def read(self) -> Block | None:
        """Read the text by its keyword; one we do not know is looked at for a label only.

        A block of EXIF is given back.
        """
        if self._name in _PROFILES:
            return self._profile()
        if self._name == _XMP_NAME:
            self._xmp(self._text(PACKET_LIMIT_BYTES))
        elif self._name == _LABEL_NAME or not self._packed:
            self._words()
        return None

    def _words(self) -> None:
        text = self._text(_TEXT_LIMIT_BYTES)
        data = text.read(0, _TEXT_LIMIT_BYTES)
        tag = _DATES.get(self._name)
        if tag is not None and not self._into.has(tag):
            self._into.add(tag, text_of(data), offset=text.locate(0), size=len(data))
        named = self._name == _LABEL_NAME
        note_label(data[:LABEL_LIMIT_BYTES], self._into, offset=text.locate(0), named=named)

    def _xmp(self, packet: Block) -> None:
        if not self._into.has("PNG:XMP"):
            self._into.add("PNG:XMP", "", offset=self._at, size=self._length)
        read_xmp(packet, self._into)

    def _profile(self) -> Block | None:
        """A raw profile: a name, a length, and a block of another format in hexadecimal."""
        text = self._text(UNPACKED_LIMIT_BYTES)
        if text.size > UNPACKED_LIMIT_BYTES:
            self._into.hit(Limit.BLOCK_SIZE)
            return None
        fields = text.read(0, text.size).split(maxsplit=2)
        try:
            data = bytes.fromhex(fields[2].decode("ascii"))
        except (IndexError, ValueError):
            raise Malformed("raw profile is not hexadecimal", offset=self._at) from None
        block = UnpackedBlock(data.removeprefix(_JPEG_XMP), at=self._at)
        if self._name == _XMP_PROFILE or data.startswith(_JPEG_XMP):
            self._xmp(block)
        elif self._name in _EXIF_PROFILES:
            return block
        else:
            (read_iptc if data.startswith(b"\x1c") else read_resources)(block, self._into)
        return None

    def _text(self, limit: int) -> Block:
        """The text; of one that is compressed up to ``limit`` bytes."""
        block = FileBlock(self._window, [(self._at, self._length)]).after(self._skip)
        if not self._packed:
            return block
        text = b""
        if self._into.affords(0):
            text = _unpack(block.read(0, UNPACKED_LIMIT_BYTES), limit, self._into, self._at)
        return UnpackedBlock(text if self._into.affords(len(text)) else b"", at=self._at)


def _unpack(data: bytes, limit: int, into: Collector, at: int) -> bytes:
    """Inflate up to ``limit`` bytes; what a bomb holds beyond is never unpacked."""
    engine = zlib.decompressobj()
    try:
        unpacked = engine.decompress(data, limit)
    except zlib.error as error:
        raise Malformed(f"compressed text: {error}", offset=at) from error
    if engine.unconsumed_tail:
        into.hit(Limit.UNPACKED_SIZE)
    return unpacked
