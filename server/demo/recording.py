"""Writes the demonstration's recording: a short silent MP4 that any player shows.

H.264 is written by hand with uncompressed macroblocks (I_PCM), so that the
demonstration needs no encoder; a second of it is one picture.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

WIDTH, HEIGHT = 320, 240
_MACROBLOCK = 16
_BRAND = b"isom"
#: Seconds from 1904-01-01, where ISO 14496-12 counts from, to 1970-01-01.
_EPOCH_1904 = 2_082_844_800
_TIMESCALE = 1000
_IDENTITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, kw_only=True)
class RecorderTime:
    """What the recorder writes: when it stopped, UTC, and where it was (ISO 6709)."""

    created_at_ms: int
    lat_e7: int
    lon_e7: int


def recording(frames: Sequence[Image.Image], written: RecorderTime) -> bytes:
    """An MP4 that shows each of ``frames`` for one second."""
    samples = [_frame(image, number % 2) for number, image in enumerate(frames)]
    head = _box(b"ftyp", _BRAND + struct.pack(">I", 512) + _BRAND + b"iso2avc1mp41")
    data = _box(b"mdat", b"".join(samples))
    first = len(head) + 8
    return head + data + _movie([len(sample) for sample in samples], first, written)


def _frame(image: Image.Image, picture: int) -> bytes:
    """One IDR picture as a length-prefixed NAL unit (ISO 14496-10 §7.3.3, §7.3.5)."""
    # I_PCM samples below 16 are outside the video range; leaving them out also
    # means that the payload can never look like a start code.
    planes = [
        plane.point(lambda value: min(max(value, 16), 235))
        for plane in image.resize((WIDTH, HEIGHT)).convert("YCbCr").split()
    ]
    half = (WIDTH // 2, HEIGHT // 2)
    luma, blue, red = planes[0], planes[1].resize(half), planes[2].resize(half)
    header = _Bits()
    header.golomb(0, 7, 0).fixed(0, 4).golomb(picture).fixed(0, 2).golomb(0, 1)
    out = bytearray(b"\x65")
    for top in range(0, HEIGHT, _MACROBLOCK):
        for left in range(0, WIDTH, _MACROBLOCK):
            out += header.golomb(25).aligned()
            header = _Bits()
            for plane, size in ((luma, 16), (blue, 8), (red, 8)):
                x, y = left * size // 16, top * size // 16
                out += plane.crop((x, y, x + size, y + size)).tobytes()
    out += b"\x80"
    return struct.pack(">I", len(out)) + bytes(out)


class _Bits:
    """A string of bits, most significant first."""

    def __init__(self) -> None:
        self._text = ""

    def fixed(self, value: int, width: int) -> "_Bits":
        self._text += format(value, f"0{width}b")
        return self

    def golomb(self, *values: int) -> "_Bits":
        for value in values:
            binary = format(value + 1, "b")
            self._text += "0" * (len(binary) - 1) + binary
        return self

    def aligned(self) -> bytes:
        text = self._text + "0" * (-len(self._text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")

    def ended(self) -> bytes:
        return self.fixed(1, 1).aligned()


def _parameter_sets() -> bytes:
    """The avcC record: profile, level, one sequence and one picture parameter set."""
    sequence = b"\x67\x42\xc0\x1e" + (
        _Bits()
        .golomb(0, 0, 2, 0)
        .fixed(0, 1)
        .golomb(WIDTH // 16 - 1, HEIGHT // 16 - 1)
        .fixed(0b1000, 4)
        .ended()
    )
    picture = (
        b"\x68"
        + (
            _Bits().golomb(0, 0).fixed(0, 2).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0, 0).fixed(4, 3)
        ).ended()
    )
    return (
        b"\x01\x42\xc0\x1e\xff\xe1"
        + struct.pack(">H", len(sequence))
        + sequence
        + b"\x01"
        + struct.pack(">H", len(picture))
        + picture
    )


def _movie(sizes: Sequence[int], first: int, written: RecorderTime) -> bytes:
    created = written.created_at_ms // 1000 + _EPOCH_1904
    length = len(sizes) * _TIMESCALE
    times = struct.pack(">II", created, created)
    header = _full(
        b"mvhd",
        times
        + struct.pack(">IIIHxxxxxxxxxx", _TIMESCALE, length, 0x10000, 0x100)
        + _IDENTITY
        + bytes(24)
        + struct.pack(">I", 2),
    )
    track_header = _full(
        b"tkhd",
        times
        + struct.pack(">IIIxxxxxxxxhhhxx", 1, 0, length, 0, 0, 0)
        + _IDENTITY
        + struct.pack(">II", WIDTH << 16, HEIGHT << 16),
        flags=3,
    )
    media_header = _full(b"mdhd", times + struct.pack(">IIHH", _TIMESCALE, length, 0x55C4, 0))
    handler = _full(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"demo\0")
    reference = _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1)))
    information = _box(
        b"minf", _full(b"vmhd", bytes(8), flags=1) + reference + _sample_table(sizes, first)
    )
    track = _box(b"trak", track_header + _box(b"mdia", media_header + handler + information))
    return _box(b"moov", header + track + _box(b"udta", _place(written)))


def _sample_table(sizes: Sequence[int], first: int) -> bytes:
    entry = _box(
        b"avc1",
        bytes(6)
        + struct.pack(">H", 1)
        + bytes(16)
        + struct.pack(">HHIIIH", WIDTH, HEIGHT, 0x480000, 0x480000, 0, 1)
        + bytes(32)
        + struct.pack(">Hh", 24, -1)
        + _box(b"avcC", _parameter_sets()),
    )
    count = len(sizes)
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1) + entry)
        + _full(b"stts", struct.pack(">III", 1, count, _TIMESCALE))
        + _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1))
        + _full(b"stsz", struct.pack(f">II{count}I", 0, count, *sizes))
        + _full(b"stco", struct.pack(">II", 1, first)),
    )


def _place(written: RecorderTime) -> bytes:
    """The ``©xyz`` text that phones write."""
    text = f"{written.lat_e7 / 1e7:+08.4f}{written.lon_e7 / 1e7:+09.4f}/".encode("ascii")
    return _box(b"\xa9xyz", struct.pack(">HH", len(text), 0x15C7) + text)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def _full(kind: bytes, body: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags) + body)
