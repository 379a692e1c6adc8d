"""Damage that knows where the parts of a media file and their sizes and counts stand.

Random bytes hardly ever make a table whose fields have no width, or a directory that names
one block a thousand times: each needs several fields to say so at once, inside boxes that
still agree about their lengths.
"""

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

_LARGEST_BYTES = 256 * 1024
_MOST_COPIES = 1200
_EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
#: ISO boxes that hold others, and how many bytes of fields of their own stand before those.
_CONTAINERS = {
    **dict.fromkeys(
        (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"ilst", b"iprp", b"ipco", b"mvex"),
        0,
    ),
    b"meta": 4,
    b"iinf": 6,
    b"uuid": 16,
}
_BUSY = (
    b' xmlns:a="http://ns.adobe.com/xap/1.0/" <a:CreateDate <a:ModifyDate ',
    b"8BIM\4\5\0\0\0\0\0\0",
    b"\x1c\x02\x05\0\0",
    b"AIGC{",
    b"\xff",
    b"\0",
)
#: Rows of tables that count as much as they can.
_TABLES = (b"\xff\xff\0\1", b"\0\2\0\0\xff\xff", b"\0\1\0\0\xff\xff")
#: Tags of whole blocks and of tables, which readers follow.
_TAGS = (0x02BC, 0x83BB, 0x8649, 0x8769, 0x8825, 0x927C, 0x9286, 0x010E, 0x010F, 0x0201, 0x0202)


@dataclass(frozen=True)
class Part:
    """One box, chunk, segment or directory, and where its own size and those around it stand.

    ``sizes`` are (place, width) of the numbers that grow when something is put into it, in
    ``order``; the innermost comes first.
    """

    kind: bytes
    start: int
    body: int
    end: int
    order: Literal["big", "little"]
    sizes: tuple[tuple[int, int], ...]


def damaged(rng: random.Random, seed: bytes) -> bytes:
    """``seed`` with one or two of its parts changed; as it is if it has none that we know."""
    data = seed
    for again in range(rng.randint(1, 2)):
        parts = list(_parts(data)) if again else _parts_of_seed(seed)
        if not parts:
            return data
        part = rng.choice(parts)
        if part.kind == b"IFD":
            data = _damage_directory(rng, data, part)
        else:
            data = rng.choice((_resize, _set_field, _repeat, _flood))(rng, data, part)
        if len(data) > _LARGEST_BYTES:
            break
    return data


def _resize(rng: random.Random, data: bytes, part: Part) -> bytes:
    """Let a part say that it has another size."""
    if not part.sizes:
        return data
    at, width = part.sizes[0]
    return _put(data, at, width, part.order, rng.choice(_EXTREMES))


def _set_field(rng: random.Random, data: bytes, part: Part) -> bytes:
    """Set a few of the first fields of a part to the least or the most."""
    out = data
    for _ in range(rng.randint(1, 4)):
        width = rng.choice((1, 2, 4))
        at = part.body + width * rng.randrange(1 + 24 // width)
        if at + width <= part.end:
            out = _put(out, at, width, part.order, rng.choice(_EXTREMES))
    return out


def _repeat(rng: random.Random, data: bytes, part: Part) -> bytes:
    """Put copies of a part behind it, and let everything around it grow with them."""
    whole = data[part.start : part.end]
    most = min(_MOST_COPIES, _LARGEST_BYTES // max(1, len(whole)))
    copies = whole * rng.choice((1, 2, most // 8, most))
    out = data[: part.end] + copies + data[part.end :]
    for at, width in part.sizes[1:]:
        out = _grow(out, at, width, part.order, len(copies))
    return out


def _flood(rng: random.Random, data: bytes, part: Part) -> bytes:
    """Keep the first fields of a part, no widths behind them, and fill it with one pattern."""
    kept = data[part.body : min(part.end, part.body + rng.choice((0, 2, 4, 6, 8, 12)))]
    pattern = rng.choice((*_BUSY, *_TABLES))
    times = rng.choice((64, 4096, 60_000)) // len(pattern)
    filling = kept + bytes(rng.choice((0, 0, 2, 4))) + pattern * times
    out = data[: part.body] + filling + data[part.end :]
    for at, width in part.sizes:
        out = _grow(out, at, width, part.order, len(filling) - (part.end - part.body))
    return out


def _damage_directory(rng: random.Random, data: bytes, part: Part) -> bytes:
    """Change, or multiply, an entry of a directory, and let it lead to a block full of marks."""
    entries = (part.end - part.body) // 12
    at = part.body + 12 * rng.randrange(entries)
    number = "<" if part.order == "little" else ">"
    tag, kind, count, value = struct.unpack(number + "HHII", data[at : at + 12])
    if rng.random() < 0.6:
        tag = rng.choice(_TAGS)
    if rng.random() < 0.3:
        kind = rng.choice((0, 1, 2, 4, 5, 7, 12, 129, 0xFFFF))
    copies = rng.choice((1, 1, 2, 200, 1000))
    block = b""
    if rng.random() < 0.6:
        pattern = rng.choice(_BUSY)
        block = pattern * (rng.choice((200, 5000, 50_000)) // len(pattern))
        kind, count, value = 1, len(block), part.end - _base(data, part) + 12 * (copies - 1) + 4
    else:
        count = rng.choice((count, *_EXTREMES))
        value = rng.choice((value, 0, 8, *_EXTREMES))
    entry = struct.pack(number + "HHII", tag, kind, count, value)
    out = (
        data[:at] + entry * copies + data[at + 12 : part.end] + bytes(4) + block + data[part.end :]
    )
    out = _put(out, part.start, 2, part.order, min(entries + copies - 1, 0xFFFF))
    for place, width in part.sizes:
        out = _grow(out, place, width, "big", 12 * (copies - 1) + 4 + len(block))
    return out


def _base(data: bytes, part: Part) -> int:
    """Where the TIFF structure begins whose first directory ``part`` is."""
    marks = (data.rfind(b"II*\0", 0, part.start), data.rfind(b"MM\0*", 0, part.start))
    return max(0, *marks)


def _put(data: bytes, at: int, width: int, order: Literal["big", "little"], value: int) -> bytes:
    number = (value & (1 << 8 * width) - 1).to_bytes(width, order)
    return data[:at] + number + data[at + width :]


def _grow(data: bytes, at: int, width: int, order: Literal["big", "little"], by: int) -> bytes:
    value = int.from_bytes(data[at : at + width], order) + by
    return _put(data, at, width, order, max(0, min(value, (1 << 8 * width) - 1)))


@cache
def _parts_of_seed(seed: bytes) -> list[Part]:
    return list(_parts(seed))


def _parts(data: bytes) -> Iterator[Part]:
    if data[:2] == b"\xff\xd8":
        return _segments(data, 0)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png_chunks(data)
    if data[:4] == b"RIFF":
        return _riff_chunks(data, 12, len(data), ((4, 4),))
    if data[:2] in (b"II", b"MM"):
        return _directory(data, 0, ())
    if data[:15] == b"FUJIFILMCCD-RAW":
        return _segments(data, 92)
    return _boxes(data, 0, len(data), ())


def _boxes(data: bytes, at: int, end: int, around: tuple[tuple[int, int], ...]) -> Iterator[Part]:
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > end:
            return
        sizes = ((at, 4), *around)
        yield Part(kind, at, at + 8, at + size, "big", sizes)
        if kind in _CONTAINERS:
            yield from _boxes(data, at + 8 + _CONTAINERS[kind], at + size, sizes)
        elif kind in (b"CMT1", b"CMT2"):
            yield from _directory(data, at + 8, sizes)
        at += size


def _segments(data: bytes, at: int) -> Iterator[Part]:
    at += 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            return
        yield Part(data[at : at + 2], at, at + 4, end, "big", ((at + 2, 2),))
        if data[at + 4 : at + 10] == b"Exif\0\0":
            yield from _directory(data, at + 10, ((at + 2, 2),))
        at = end


def _png_chunks(data: bytes) -> Iterator[Part]:
    at = 8
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + size > len(data):
            return
        yield Part(kind, at, at + 8, at + 8 + size, "big", ((at, 4),))
        if kind == b"eXIf":
            yield from _directory(data, at + 8, ((at, 4),))
        at += 12 + size


def _riff_chunks(
    data: bytes, at: int, end: int, around: tuple[tuple[int, int], ...]
) -> Iterator[Part]:
    while at + 8 <= end:
        kind, size = struct.unpack_from("<4sI", data, at)
        if at + 8 + size > end:
            return
        sizes = ((at + 4, 4), *around)
        yield Part(kind, at, at + 8, at + 8 + size, "little", sizes)
        if kind == b"LIST":
            yield from _riff_chunks(data, at + 12, at + 8 + size, sizes)
        at += 8 + size + (size & 1)


def _directory(data: bytes, base: int, around: tuple[tuple[int, int], ...]) -> Iterator[Part]:
    """The first directory of the TIFF structure at ``base``, whose parents count big-endian."""
    order: Literal["big", "little"] = "little" if data[base : base + 2] == b"II" else "big"
    start = base + int.from_bytes(data[base + 4 : base + 8], order)
    count = int.from_bytes(data[start : start + 2], order)
    end = start + 2 + 12 * count
    if count > 0 and end <= len(data):
        yield Part(b"IFD", start, start + 2, end, order, around)
