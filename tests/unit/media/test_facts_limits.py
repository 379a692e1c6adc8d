"""No file costs more than a known amount: each bomb ends early, with the limit named."""

import struct
import sys
import time
import tracemalloc
import zlib

import pytest

from media.errors import LimitReached, Truncated, Unreadable
from media.facts import read_facts
from media.source import MemorySource, Window
from tests.support import draw

GPS, EXIF, MAKE = 0x8825, 0x8769, 0x010F
#: An ordinary photo takes about a thousand.
CALLS = 500_000


def raw_ifd(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(entries) & 0xFFFF)
        + body
        + struct.pack("<I", following)
    )


def lists(depth: int) -> bytes:
    """RIFF lists inside one another."""
    inner = b""
    for _ in range(depth):
        inner = b"LIST" + struct.pack("<I", len(inner) + 4) + b"hdrl" + inner
    return inner


def xmp(text: bytes) -> bytes:
    return draw.bare_jpeg(draw.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text))


def blocks(tag: int, data: bytes, count: int) -> bytes:
    """A directory whose ``count`` entries all lead to the same block."""
    entry = (tag, 1, len(data), 8 + 2 + 12 * count + 4)
    return raw_ifd([entry] * count) + data


def busy_xmp(size: int) -> bytes:
    """A packet that is full of places that look like properties and are none."""
    declared = b" ".join(
        b'xmlns:%s="http://ns.adobe.com/xap/1.0/"' % (b"a" * i) for i in range(1, 33)
    )
    return (declared + b" <a:CreateDate <aaaaaaaa:ModifyDate" * 3000)[:size]


def extents(items: int, widths: int = 0, *, wanted: int = 1) -> bytes:
    """A HEIC whose items count 65,535 extents each, of fields without width."""
    info = draw.box(b"infe", b"\x02\0\0\0", struct.pack(">HH4s", wanted, 0, b"Exif"), b"\0")
    places = struct.pack(">HHH", 2, 0, 65535) * items
    return HEIC + draw.box(
        b"meta",
        bytes(4),
        draw.box(b"iinf", bytes(4), struct.pack(">H", 1), info),
        draw.box(b"iloc", bytes(4), struct.pack(">HH", widths, items), places),
    )


def fill_to_each_page() -> bytes:
    """A JPEG of segments that each begin behind almost a page of fill bytes."""
    out = bytearray(b"\xff\xd8")
    for _ in range(510):
        out += b"\xff" * (4096 - len(out) % 4096 - 6) + draw.segment(0xE5, bytes(18))
    return bytes(out)


HEIC = draw.box(b"ftyp", b"heic", bytes(4))
EMPTY_BOX = struct.pack(">I4s", 8, b"free")
FAR_BOX = struct.pack(">I4s", 8000, b"free") + bytes(7992)

BOMBS = {
    "an IFD that follows itself": (
        lambda: draw.bare_jpeg(draw.app1(raw_ifd([], following=8))),
        {"ifd_repeated"},
    ),
    "an EXIF pointer to its own IFD": (
        lambda: draw.bare_jpeg(draw.app1(raw_ifd([(EXIF, 4, 1, 8)]))),
        {"ifd_repeated"},
    ),
    "thousands of GPS pointers": (
        lambda: raw_ifd([(GPS, 4, 1, 8 + 12 * i) for i in range(1000)]),
        {"sub_ifds"},
    ),
    "too many entries": (lambda: raw_ifd([(MAKE, 5, 1, 8)] * 5000), {"entries"}),
    "a value of a billion bytes": (lambda: raw_ifd([(MAKE, 2, 10**9, 8)]), {"value_size"}),
    "thousands of segments": (
        lambda: draw.bare_jpeg(*[draw.segment(0xE5, b"")] * 3000),
        {"segments"},
    ),
    "pages of fill bytes": (lambda: b"\xff\xd8" + b"\xff" * 3_000_000, {"segments"}),
    "300,000 empty boxes": (lambda: HEIC + EMPTY_BOX * 300_000, {"boxes"}),
    "boxes far apart": (lambda: HEIC + FAR_BOX * 2000, {"budget", "reads"}),
    "nested RIFF lists": (lambda: draw.riff(b"AVI ", (b"LIST", b"hdrl" + lists(50))), {"depth"}),
    "thousands of PNG chunks": (
        lambda: draw.png(*[draw.png_chunk(b"teXt", b"")] * 6000),
        {"segments"},
    ),
    "a compressed text of 100 MB": (
        lambda: draw.png(
            draw.png_chunk(
                b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(100_000_000), 1)
            )
        ),
        {"unpacked_size"},
    ),
    "an XMP of 100 MB, compressed": (
        lambda: draw.png(
            draw.png_chunk(
                b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(100_000_000), 1)
            )
        ),
        {"unpacked_size", "block_size"},
    ),
    "dozens of prefixes for one namespace": (
        lambda: xmp(b"".join(b' xmlns:p%d="http://ns.adobe.com/xap/1.0/"' % i for i in range(64))),
        {"entries"},
    ),
    "thousands of places that look like a property": (
        lambda: xmp(busy_xmp(60_000)),
        {"entries"},
    ),
    "one packet of XMP a thousand times": (
        lambda: blocks(0x02BC, busy_xmp(52_000), 1024),
        {"work"},
    ),
    "one packet of XMP a thousand times in the EXIF of a JPEG": (
        lambda: draw.bare_jpeg(draw.app1(blocks(0x02BC, busy_xmp(52_000), 1024))),
        {"work"},
    ),
    "one record of IPTC a thousand times": (
        lambda: blocks(0x83BB, b"\x1c\x02\x05\0\0" * 600, 1024),
        {"work"},
    ),
    "one block of Photoshop resources a thousand times": (
        lambda: blocks(0x8649, b"8BIM\4\5\0\0\0\0\0\0" * 300, 1024),
        {"work"},
    ),
    "hundreds of directories of a Canon": (
        lambda: (
            draw.box(b"ftyp", b"crx ", bytes(4))
            + draw.box(
                b"moov",
                draw.box(
                    b"uuid",
                    bytes.fromhex("85c0b687820f11e08111f4ce462b6a48"),
                    draw.box(b"CMT1", blocks(0x02BC, busy_xmp(52_000), 32)) * 8,
                ),
            )
        ),
        {"work", "ifd_repeated"},
    ),
    "billions of extents without width": (lambda: extents(10_900), {"entries"}),
    "billions of extents of the item itself": (lambda: extents(10_900, wanted=2), {"entries"}),
    "blocks of EXIF in every chunk": (
        lambda: draw.png(
            draw.png_chunk(b"eXIf", draw.exif() + bytes(1_000_000)),
            *[draw.png_chunk(b"eXIf", draw.exif())] * 5000,
        ),
        {"segments"},
    ),
    "labels in every chunk": (
        lambda: draw.png(*[draw.png_chunk(b"tEXt", b"AIGC\0" + b"{AIGC" * 190)] * 4000),
        {"work"},
    ),
    "compressed labels in every chunk": (
        lambda: draw.png(
            *[draw.png_chunk(b"zTXt", b"AIGC\0\0" + zlib.compress(b"{" * 10**6))] * 2000
        ),
        {"work"},
    ),
    "labels in characters of 16 bits": (
        lambda: draw.bare_jpeg(
            *[draw.segment(0xFE, '{"AIGC":{"Label'.encode("utf-16-le") * 120)] * 500
        ),
        {"work"},
    ),
    "thousands of broken boxes": (
        lambda: (
            draw.box(b"ftyp", b"isom", bytes(4))
            + draw.box(b"moov", *[struct.pack(">I4s", 16, b"udta") + b"\0\0\xff\xff\xa9xyz"] * 2000)
        ),
        {"faults"},
    ),
    "an XMP of megabytes": (
        lambda: draw.tiff([(0x02BC, 1, b"<" * 3_000_000)]),
        {"block_size"},
    ),
    "a long value in XMP": (
        lambda: xmp(b'xmlns:q="http://ns.adobe.com/xap/1.0/" q:CreateDate="' + b"9" * 9000 + b'"'),
        {"value_size"},
    ),
    "thousands of IPTC datasets": (
        lambda: draw.bare_jpeg(
            draw.segment(
                0xED,
                b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\xf0\0" + b"\x1c\x02\x01\0\0" * 12_000,
            )
        ),
        {"entries"},
    ),
    "thousands of Photoshop resources": (
        lambda: draw.bare_jpeg(
            draw.segment(0xED, b"Photoshop 3.0\0" + b"8BIM\1\1\0\0\0\0\0\0" * 5000)
        ),
        {"entries"},
    ),
    "thousands of ID3 frames": (
        lambda: b"ID3\4\0\0\0\3\x7f\x7f" + (b"TXXX" + bytes(6)) * 7000,
        {"entries"},
    ),
    "tables of quantisation without end": (
        lambda: draw.bare_jpeg(*[draw.segment(0xDB, bytes(65_000))] * 200),
        {"budget"},
    ),
    "a segment index of a thousand entries more than allowed": (
        lambda: (
            draw.box(b"ftyp", b"isom", bytes(4))
            + draw.box(
                b"sidx", struct.pack(">IIIIIHH", 0, 1, 1000, 0, 0, 0, 2000) + bytes(12 * 2000)
            )
        ),
        {"entries"},
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_early_and_names_the_limit(name):
    build, limits = BOMBS[name]
    data = build()
    tracemalloc.start()
    began = time.process_time()

    facts = read_facts(MemorySource(data))

    seconds = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert limits & set(facts.limits_hit)
    assert seconds < 1
    assert peak < 16 * 1024 * 1024
    assert facts.bytes_read <= 4 * 1024 * 1024


@pytest.mark.parametrize("name", [*BOMBS, "fill bytes up to the end of each page"])
def test_a_bomb_is_a_bounded_amount_of_work(name):
    """Calls are counted, not seconds: a slow machine says nothing about a file."""
    build = BOMBS[name][0] if name in BOMBS else fill_to_each_page
    data = MemorySource(build())
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        read_facts(data)
    finally:
        sys.setprofile(None)

    assert calls < CALLS


def test_a_maker_note_of_a_billion_bytes_in_a_file_of_seventy_is_passed_over():
    data = draw.bare_jpeg(draw.app1(raw_ifd([(0x927C, 7, 10**9, 38), (MAKE, 2, 4, 0x41414141)])))

    facts = read_facts(MemorySource(data))

    assert [value.raw for value in facts.values if value.tag == "IFD0:Make"] == ["AAAA"]
    assert facts.faults[0].code == "media.truncated"


def test_boxes_nested_two_thousand_deep_are_not_followed():
    nested = draw.mvhd(1)
    for _ in range(2000):
        nested = draw.box(b"meta", bytes(4), nested)

    facts = read_facts(MemorySource(draw.movie(draw.box(b"udta", nested))))

    assert (facts.values, facts.faults) == ((), ())


def test_a_source_that_fails_is_no_fact_about_the_file():
    whole = draw.bare_jpeg(*[draw.segment(0xE7, bytes(60_000))] * 3, draw.app1(draw.exif()))

    class Failing:
        """Gives the start of a file and then nothing."""

        size = len(whole)

        def read(self, offset: int, n: int) -> bytes:
            if offset:
                raise Unreadable("store does not answer")
            return whole[:n]

    with pytest.raises(Unreadable):
        read_facts(Failing())


def test_a_window_stops_at_its_budget_and_at_the_end_of_the_source():
    window = Window(MemorySource(bytes(100)), budget_bytes=60)

    assert window.read(0, 50) == bytes(50)
    with pytest.raises(LimitReached):
        window.read(50, 50)
    with pytest.raises(Truncated):
        Window(MemorySource(bytes(10))).exactly(5, 6)
