"""Draws the media files that tests are about: small, made from nothing, nobody's photo."""

import io
import random
import struct
from collections.abc import Mapping, Sequence

from PIL import Image

ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7
Entry = tuple[int, int, bytes | Sequence[int]]

_MAKE, _MODEL, _SOFTWARE, _MODIFIED, _ORIENTATION = 0x010F, 0x0110, 0x0131, 0x0132, 0x0112
_ORIGINAL, _DIGITIZED, _SUBSEC, _ZONE = 0x9003, 0x9004, 0x9291, 0x9011
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825


def tiff(
    main: Sequence[Entry],
    exif: Sequence[Entry] = (),
    gps: Sequence[Entry] = (),
    *,
    order: str = "<",
    gap: bytes = b"",
) -> bytes:
    """A TIFF structure; an entry is (tag, type, bytes or numbers; rationals as top, bottom …).

    ``gap`` stands between its header and the first directory, as raw formats have it.
    """
    first = 8 + len(gap)
    directories = [list(main)]
    for pointer, entries in ((_EXIF_IFD, exif), (_GPS_IFD, gps)):
        if entries:
            directories[0].append((pointer, LONG, [0]))
            directories.append(list(entries))
    pointers = iter(_starts(directories, first)[1:])
    directories[0] = [
        (tag, kind, [next(pointers)]) if tag in (_EXIF_IFD, _GPS_IFD) else (tag, kind, value)
        for tag, kind, value in directories[0]
    ]
    out = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, first) + gap
    for entries in directories:
        out += _directory(entries, at=len(out), order=order)
    return out


def _starts(directories: Sequence[Sequence[Entry]], at: int) -> list[int]:
    starts = []
    for entries in directories:
        starts.append(at)
        at += len(_directory(entries, at=at, order="<"))
    return starts


def _directory(entries: Sequence[Entry], *, at: int, order: str) -> bytes:
    head = struct.pack(order + "H", len(entries))
    heap_at = at + 2 + 12 * len(entries) + 4
    heap = b""
    for tag, kind, value in sorted(entries, key=lambda entry: entry[0]):
        data = _bytes(kind, value, order)
        count = len(value) // (2 if kind == RATIONAL else 1)
        head += struct.pack(order + "HHI", tag, kind, count)
        if len(data) <= 4:
            head += data.ljust(4, b"\0")
        else:
            head += struct.pack(order + "I", heap_at + len(heap))
            heap += data + b"\0" * (len(data) & 1)
    return head + b"\0" * 4 + heap


def _bytes(kind: int, value: bytes | Sequence[int], order: str) -> bytes:
    if isinstance(value, bytes):
        return value
    return struct.pack(f"{order}{len(value)}{'H' if kind == SHORT else 'I'}", *value)


def exif(
    *,
    taken: str | None = "2026:05:04 09:02:03",
    subsec: str | None = None,
    zone: str | None = None,
    make: str | None = "Drawn",
    model: str | None = "Builder 1",
    software: str | None = None,
    orientation: int | None = None,
    gps_utc: tuple[str, Sequence[int]] | None = None,
    lat_lon: tuple[float, float] | None = None,
    datum: str | None = None,
    order: str = "<",
) -> bytes:
    """An EXIF block. ``gps_utc`` is ("2026:05:04", (1, 2, 3)): date, hour, minute, second."""
    main = [_text(tag, text) for tag, text in ((_MAKE, make), (_MODEL, model)) if text is not None]
    if software is not None:
        main.append(_text(_SOFTWARE, software))
    if orientation is not None:
        main.append((_ORIENTATION, SHORT, [orientation]))
    taken_texts = ((_ORIGINAL, taken), (_DIGITIZED, taken), (_SUBSEC, subsec), (_ZONE, zone))
    inner = [_text(tag, text) for tag, text in taken_texts if text is not None]
    if taken is not None:
        main.append(_text(_MODIFIED, taken))
    gps: list[Entry] = []
    if gps_utc is not None:
        date, clock = gps_utc
        gps += [_text(0x1D, date), (7, RATIONAL, [n for part in clock for n in (part, 1)])]
    if lat_lon is not None:
        for tag, value, refs in ((1, lat_lon[0], "NS"), (3, lat_lon[1], "EW")):
            gps += [_text(tag, refs[value < 0]), (tag + 1, RATIONAL, _degrees(abs(value)))]
    if datum is not None:
        gps.append(_text(0x12, datum))
    return tiff(main, inner, gps, order=order)


def _text(tag: int, text: str) -> Entry:
    return tag, ASCII, text.encode() + b"\0"


def _degrees(value: float) -> list[int]:
    seconds = round(value * 3600 * 10000)
    return [
        seconds // 36000000,
        1,
        seconds // 600000 % 60,
        1,
        seconds % 600000,
        10000,
    ]


def photo(
    block: bytes | None = None, *, size: tuple[int, int] = (64, 48), colour: str = "teal"
) -> bytes:
    """A JPEG with ``block`` as its EXIF; by default ``exif()``. Empty bytes: without EXIF."""
    out = io.BytesIO()
    block = exif() if block is None else block
    head = b"Exif\0\0" + block if block else b""
    Image.new("RGB", size, colour).save(out, "JPEG", exif=head)
    return out.getvalue()


def segment(marker: int, data: bytes) -> bytes:
    """One JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def bare_jpeg(*segments: bytes) -> bytes:
    """A JPEG of the given segments and the start of its picture data."""
    return b"\xff\xd8" + b"".join(segments) + b"\xff\xda\x00\x02"


def app1(block: bytes) -> bytes:
    """An EXIF segment."""
    return segment(0xE1, b"Exif\0\0" + block)


def box(kind: bytes, *content: bytes, wide: bool = False) -> bytes:
    """One ISO-BMFF box; ``wide`` writes its size in 64 bits."""
    body = b"".join(content)
    if wide:
        return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


def seconds_1904(unix_s: int) -> int:
    """Seconds since 1904, as QuickTime counts them."""
    return unix_s + 2082844800


def mvhd(created: int, *, version: int = 0, duration: int = 5000) -> bytes:
    """A movie header: ``created`` in seconds since 1904, ``duration`` in milliseconds."""
    form = ">B3xQQIQ" if version else ">B3xIIII"
    return box(b"mvhd", struct.pack(form, version, created, created, 1000, duration), bytes(80))


def xyz(text: str) -> bytes:
    """A QuickTime place."""
    return box(b"\xa9xyz", struct.pack(">HH", len(text), 0x15C7), text.encode())


def loci(lat: float, lon: float, name: bytes = b"here\0") -> bytes:
    """A 3GPP place."""
    place = struct.pack(">iii", round(lon * 65536), round(lat * 65536), 0)
    return box(b"loci", bytes(4), b"\x15\xc7", name, b"\0", place, b"earth\0\0")


def apple_meta(values: Mapping[str, str]) -> bytes:
    """Apple's keys and values, as iPhones write them."""
    names = [struct.pack(">I4s", len(key) + 8, b"mdta") + key.encode() for key in values]
    items = [
        box(struct.pack(">I", i), box(b"data", struct.pack(">II", 1, 0), text.encode()))
        for i, text in enumerate(values.values(), 1)
    ]
    keys = box(b"keys", struct.pack(">II", 0, len(names)), *names)
    handler = box(b"hdlr", bytes(8), b"mdta", bytes(12))
    return box(b"meta", handler, keys, box(b"ilst", *items))


def movie(
    *moov: bytes,
    brand: bytes = b"isom",
    before: bytes = b"",
    front: bool = False,
    wide: bool = False,
) -> bytes:
    """A recording without tracks: ``ftyp``, ``mdat`` and a ``moov`` of the given boxes."""
    head = box(b"ftyp", brand, bytes(4), brand, b"mp41")
    data = box(b"mdat", b"frames" * 50, wide=wide)
    body = box(b"moov", *moov, wide=wide)
    return head + before + (body + data if front else data + body)


def heic(block: bytes, *, inline: bool = False, brand: bytes = b"heic") -> bytes:
    """A HEIC without a picture whose EXIF item stands in ``idat`` or behind all boxes."""
    item = struct.pack(">I", 6) + b"Exif\0\0" + block
    head = box(b"ftyp", brand, bytes(4), b"mif1", brand)

    def meta(offset: int) -> bytes:
        info = box(b"infe", b"\x02\0\0\0", struct.pack(">HH4s", 7, 0, b"Exif"), b"\0")
        method = 1 if inline else 0
        place = struct.pack(">HHHHHHII", 0x4400, 1, 7, method, 0, 1, offset, len(item))
        boxes = [
            box(b"hdlr", bytes(4), bytes(4), b"pict", bytes(13)),
            box(b"iinf", bytes(4), struct.pack(">H", 1), info),
            box(b"iloc", b"\x01\0\0\0", place),
        ]
        if inline:
            boxes.append(box(b"idat", item))
        return box(b"meta", bytes(4), *boxes)

    if inline:
        return head + meta(0)
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", item)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk (readers of metadata do not look at the checksum)."""
    return struct.pack(">I4s", len(data), kind) + data + bytes(4)


def png(*chunks: bytes) -> bytes:
    """A PNG of the given chunks."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 6, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + png_chunk(b"IEND", b"")


def riff(form: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A RIFF file of the given chunks."""
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)
        for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + form + body


def raw(kind: str) -> bytes:
    """A raw file of a camera without its picture: ``CR2``, ``ORF``, ``RW2``, ``RAF`` or ``CR3``."""
    taken = _text(_ORIGINAL, "2026:05:04 09:02:03")
    main = [_text(_MAKE, "Drawn"), _text(_MODEL, kind)]
    match kind:
        case "CR2":
            return tiff(main, [taken], gap=b"CR\x02\0" + bytes(4))
        case "ORF":
            return b"IIRO" + tiff(main, [taken])[4:]
        case "RW2":
            return b"IIU\0" + tiff(main, [taken], gap=bytes(16))[4:]
        case "RAF":
            head = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0")
            preview = bare_jpeg(app1(tiff(main, [taken])))
            return head + struct.pack(">II", 92, len(preview)) + preview
        case _:
            uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
            parts = (box(b"CMT1", tiff(main)), box(b"CMT2", tiff([taken])))
            head = box(b"ftyp", b"crx ", bytes(4))
            return head + box(b"moov", box(b"uuid", uuid, *parts), mvhd(1))


def scan(size: int = 40, seed: int = 1) -> bytes:
    """Compressed picture data as a JPEG has them, from their start to their end, and nothing."""
    noise = random.Random(seed).randbytes(size).replace(b"\xff", b"\xff\0")
    return b"\xff\xda\0\2" + noise[: size - size % 2] + b"\0\xff\xd9"


def jpeg(*segments: bytes, data: bytes | None = None) -> bytes:
    """A JPEG of the given segments with picture data of some sort; nobody could decode it."""
    return b"\xff\xd8" + b"".join(segments) + (scan() if data is None else data)


def mpo(first: bytes = b"", second: bytes | None = None) -> bytes:
    """A JPEG of two pictures (CIPA DC-007), ``first`` being more segments of the first one."""
    second = jpeg() if second is None else second

    def whole(size: int) -> bytes:
        places = struct.pack("<IIIIIIII", 0x20020000, size, 0, 0, 0x20002, len(second), size, 0)
        entries = struct.pack("<HHII", 0xB001, 4, 1, 2) + struct.pack("<HHII", 0xB002, 7, 32, 38)
        index = b"MPF\0II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4) + places
        return jpeg(first, segment(0xE2, index))

    return whole(len(whole(0))) + second


def avi(frames: int, *more: tuple[bytes, bytes], whole: int | None = None) -> bytes:
    """An AVI of 25 frames a second without any; ``whole`` is what OpenDML says of a long one."""
    head = struct.pack("<I14I", 56, 40000, 0, 0, 0, frames, *[0] * 9)
    lists = b"hdrl" + b"avih" + head
    if whole is not None:
        index = struct.pack("<4sI4s4sII", b"LIST", 16, b"odml", b"dmlh", 4, whole)
        lists += index
    return riff(b"AVI ", (b"LIST", lists), *more)


def mkv(created_s: int, *, kind: bytes = b"matroska") -> bytes:
    """A Matroska or WebM recording without tracks; ``created_s`` counts from 1970."""
    date = b"\x44\x61\x88" + struct.pack(">q", (created_s - 978307200) * 10**9)
    scale = b"\x2a\xd7\xb1\x83\x0f\x42\x40"
    length = b"\x44\x89\x88" + struct.pack(">d", 2500.0)
    info = scale + date + length
    return (
        b"\x1a\x45\xdf\xa3"
        + bytes((0x83 + len(kind), 0x42, 0x82, 0x80 | len(kind)))
        + kind
        + b"\x18\x53\x80\x67\x01"
        + b"\xff" * 7
        + b"\x15\x49\xa9\x66"
        + bytes((0x80 | len(info),))
        + info
    )
