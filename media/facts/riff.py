"""Reads RIFF files: a WebP's EXIF and XMP; times and length of a WAV and an AVI."""

import struct

from media.errors import Limit, LimitReached, Malformed, Truncated
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import FileBlock
from media.facts.model import Collector, text_of
from media.facts.tiff import note_second_exif, read_exif
from media.facts.xmp import read_xmp
from media.source import Window

CHUNK_LIMIT = 4096
_TEXT_LIMIT = 4096
# Offsets of EBU Tech 3285: description, originator, reference, then date and time.
_BEXT_DATE = 256 + 32 + 32
_LISTS_DEEP = 3
_READ_LISTS = (b"hdrl", b"odml", b"INFO", b"ncdt")


def read_riff(window: Window, into: Collector) -> None:
    """Collect EXIF and times of a RIFF file; a chunk that is broken costs itself only.

    Raises:
        Truncated: where the chunks end too early.
        LimitReached: after 4,096 chunks, or when the read budget is spent.
    """
    chunks = _Chunks(window, into)
    try:
        chunks.walk(12, window.size, depth=0)
    finally:
        chunks.film_length()
    if into.mime == "image/webp":
        (size,) = struct.unpack("<I", window.exactly(4, 4))
        into.ends_at = 8 + size + (size & 1)


class _Chunks:
    def __init__(self, window: Window, into: Collector) -> None:
        self._window = window
        self._into = into
        self._left = CHUNK_LIMIT
        self._bytes_per_second = 0
        # Of a film: microseconds a frame, frames, and where they are stated.
        self._frame_us = 0
        self._frames = (0, 0)

    def walk(self, at: int, end: int, *, depth: int) -> None:
        while at + 8 <= end:
            if self._left == 0:
                raise LimitReached(Limit.SEGMENTS, offset=at)
            self._left -= 1
            kind, length = struct.unpack("<4sI", self._window.exactly(at, 8))
            try:
                self._chunk(kind, at + 8, min(length, end - at - 8), depth)
            except (Truncated, Malformed) as error:
                self._into.fault(error)
            at += 8 + length + (length & 1)

    def _chunk(self, kind: bytes, at: int, length: int, depth: int) -> None:
        match kind:
            case b"EXIF" | b"Exif":
                if self._into.has("RIFF:Exif"):
                    note_second_exif(self._into, offset=at, size=length)
                    return
                self._into.add("RIFF:Exif", "", offset=at, size=length)
                read_exif(FileBlock(self._window, [(at, length)]), self._into)
            case b"XMP " | b"_PMX":
                if not self._into.has("RIFF:XMP"):
                    self._into.add("RIFF:XMP", "", offset=at, size=length)
                read_xmp(FileBlock(self._window, [(at, length)]), self._into)
            case b"VP8X" if length >= 10:
                data = self._window.exactly(at + 4, 6)
                width, height = (
                    int.from_bytes(part, "little") + 1 for part in (data[:3], data[3:])
                )
                self._size(width, height, at + 4, 6)
            case b"VP8 " if length >= 10:
                width, height = struct.unpack("<HH", self._window.exactly(at + 6, 4))
                self._size(width & 0x3FFF, height & 0x3FFF, at + 6, 4)
            case b"VP8L" if length >= 5:
                (bits,) = struct.unpack("<I", self._window.exactly(at + 1, 4))
                self._size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, at + 1, 4)
            case b"C2PA" if not self._into.has("RIFF:JUMBF"):
                self._into.add("RIFF:JUMBF", "", offset=at, size=length)
            case b"fmt " if length >= 12:
                (self._bytes_per_second,) = struct.unpack("<I", self._window.exactly(at + 8, 4))
            case b"data" if self._bytes_per_second:
                self._duration(f"{length}/{self._bytes_per_second}", at - 4, 4)
            case b"avih" if length >= 20:
                (self._frame_us,) = struct.unpack("<I", self._window.exactly(at, 4))
                (frames,) = struct.unpack("<I", self._window.exactly(at + 16, 4))
                self._more_frames(frames, at + 16)
            case b"dmlh" if length >= 4:
                # OpenDML: the head above counts the frames of the first gigabyte only.
                (frames,) = struct.unpack("<I", self._window.exactly(at, 4))
                self._more_frames(frames, at)
            case b"AIGC" | b"ICMT":
                data = self._window.read(at, min(length, LABEL_LIMIT_BYTES))
                note_label(data, self._into, offset=at, named=kind == b"AIGC")
            case b"bext" if length >= _BEXT_DATE + 18:
                data = self._window.exactly(at + _BEXT_DATE, 18)
                self._text("RIFF:DateTimeOriginal", data, at + _BEXT_DATE)
            case b"IDIT":
                data = self._window.read(at, min(length, _TEXT_LIMIT))
                self._text("RIFF:DigitizationDate", data, at)
            case b"LIST":
                # The lists of frames hold no text and may hold millions of chunks.
                if self._window.read(at, 4) in _READ_LISTS:
                    if depth >= _LISTS_DEEP:
                        self._into.hit(Limit.DEPTH)
                        return
                    self.walk(at + 4, at + length, depth=depth + 1)
            case b"ICRD":
                data = self._window.read(at, min(length, _TEXT_LIMIT))
                self._text("RIFF:DateCreated", data, at)
            case _:
                pass

    def _text(self, tag: str, data: bytes, at: int) -> None:
        if not self._into.has(tag):
            self._into.add(tag, text_of(data), offset=at, size=len(data))

    def _size(self, width: int, height: int, at: int, size: int) -> None:
        if not self._into.has("File:ImageSize"):
            self._into.add("File:ImageSize", f"{width} {height}", offset=at, size=size)

    def _duration(self, raw: str, at: int, size: int) -> None:
        if not self._into.has("RIFF:Duration"):
            self._into.add("RIFF:Duration", raw, offset=at, size=size)

    def _more_frames(self, frames: int, at: int) -> None:
        self._frames = max(self._frames, (frames, at))

    def film_length(self) -> None:
        """Keep the length of a film, which its head and the index of a long one state."""
        frames, at = self._frames
        if at:
            self._duration(f"{self._frame_us * frames}/1000000", at, 4)
