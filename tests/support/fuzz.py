"""Seeded damage to media files of every format that the reader knows."""

import ctypes
import json
import random
import resource
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from media.facts import read_facts
from media.findings import Context, Hints, claims, compare, to_json
from media.findings.model import Declared, Site, Window
from media.inspect import fields_of
from media.source import MemorySource
from tests.support import draw
from tests.support.fuzz_structure import damaged

NINE = 1777856523000
SAMPLE_LIMIT_BYTES = 256 * 1024
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
    b'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    b'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" '
    b'xmp:CreateDate="2026-05-04T09:02:03+08:00" xmp:CreatorTool="Drawn">'
    b"<TC260:AIGC>{&quot;Label&quot;:&quot;1&quot;}</TC260:AIGC>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
PHOTOSHOP = (
    b"Photoshop 3.0\0"
    + b"8BIM\x04\x04\0\0"
    + struct.pack(">I", 24)
    + b"\x1c\x02\x37\0\x0820260504"
    + b"\x1c\x02\x3c\0\x06090203"
)
WORDS = (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\1")


def seeds() -> list[bytes]:
    block = draw.exif(
        zone="+08:00",
        subsec="5",
        gps_utc=("2026:05:04", (1, 2, 3)),
        lat_lon=(22.5431, 114.0579),
    )
    created = draw.seconds_1904(NINE // 1000)
    key = {"com.apple.quicktime.creationdate": "2026-05-04T09:02:03+0800"}
    place = draw.box(b"udta", draw.xyz("+22.5431+114.0579/"), draw.loci(22.5, 114.0))
    return [
        draw.photo(block, size=(8, 8)),
        draw.bare_jpeg(draw.app1(draw.exif(order=">"))),
        block,
        draw.heic(block),
        draw.heic(block, inline=True),
        draw.png(draw.png_chunk(b"eXIf", block)),
        draw.riff(b"WEBP", (b"VP8X", bytes(10)), (b"EXIF", block)),
        draw.riff(b"WAVE", (b"bext", bytes(320) + b"2026-05-0409:02:03")),
        draw.movie(draw.mvhd(created), place, draw.apple_meta(key)),
        draw.movie(draw.mvhd(created, version=1), front=True, wide=True),
        draw.bare_jpeg(
            draw.segment(0xE0, b"JFIF\0\x01\x02\0\0\1\0\1\0\0"),
            draw.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
            draw.segment(0xED, PHOTOSHOP),
            draw.segment(0xDB, bytes(65)),
            draw.segment(0xFE, b'{"AIGC": {"Label": "1"}}'),
        )
        + b"PK\x05\x06"
        + bytes(18),
        draw.png(
            draw.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
            draw.png_chunk(b"tEXt", b'AIGC\0{"Label":"1"}'),
            draw.png_chunk(b"tIME", bytes((7, 234, 5, 4, 9, 2, 3))),
        ),
        draw.riff(b"WEBP", (b"VP8X", bytes(10)), (b"XMP ", XMP)),
        draw.riff(b"WEBP", (b"VP8 ", bytes(6) + struct.pack("<HH", 40, 30)), (b"EXIF", block)),
        draw.avi(250, (b"IDIT", b"Mon May 04 09:02:03 2026\n\0"), whole=25_000),
        draw.mpo(draw.app1(block)),
        *(draw.raw(kind) for kind in ("CR2", "CR3", "ORF", "RAF", "RW2")),
        draw.tiff([(0xC612, 1, b"\1\4\0\0"), (0x010F, 2, b"Drawn\0")]),
        draw.heic(block, brand=b"avif"),
        draw.movie(draw.mvhd(created), draw.apple_meta(key), brand=b"qt  "),
        draw.movie(draw.mvhd(created), place, brand=b"M4A "),
        draw.movie(draw.mvhd(created), place, brand=b"3gp5"),
        draw.mkv(NINE // 1000),
        fragmented(),
        b"ID3\x04\0\0\0\0\1\0TXXX\0\0\0\x20\0\0\0AIGC\0" + b'{"Label":"1"}' + bytes(99),
        draw.mkv(NINE // 1000, kind=b"webm"),
    ]


def mutant(rng: random.Random, seed: bytes) -> bytes:
    """``seed`` with damage to its structure, to bytes anywhere, or both."""
    data = bytearray(seed)
    if rng.random() < 0.4:
        data = bytearray(damaged(rng, seed))
        if rng.random() < 0.7:
            return bytes(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data))
        match rng.randrange(6):
            case 0 | 1:
                data[at] = rng.randrange(256)
            case 2:
                data[at : at + 4] = rng.choice(WORDS)
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 64)]
            case 4 if len(data) > 64:
                del data[at : at + rng.randint(1, 32)]
            case 5 if len(data) > 64 and rng.random() < 0.2:
                del data[max(16, at) :]
    return bytes(data)


def fragmented() -> bytes:
    """A recording in fragments: no length in its header, one in an index of segments."""
    header = draw.mvhd(draw.seconds_1904(NINE // 1000), duration=0)
    index = struct.pack(">IIIIIHH", 0, 1, 1000, 0, 0, 0, 2) + struct.pack(">III", 9, 2500, 0) * 2
    return (
        draw.box(b"ftyp", b"isom", bytes(4), b"isomiso5")
        + draw.box(b"moov", header)
        + draw.box(b"sidx", index)
        + draw.box(b"moof", bytes(16))
    )


def samples(folder: Path) -> list[bytes]:
    """The real files of a folder that are small enough to be copied thousands of times."""
    return [
        path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and 64 < path.stat().st_size <= SAMPLE_LIMIT_BYTES
    ]


def files(folder: Path) -> list[bytes]:
    """What is damaged: drawn files of every format, and as many real ones where there are any."""
    real = samples(folder) if folder.is_dir() else []
    drawn = seeds()
    return drawn * max(1, len(real) // len(drawn)) + real


def mutants(files: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    rng = random.Random(seed)
    for _ in range(count):
        yield mutant(rng, rng.choice(files))


def read_and_compare(data: bytes) -> None:
    """Everything that the server does with a file of its own accord, but decoding it."""
    hints = Hints(capture_class="A", site_zone_min=480, declared=Declared(NINE, 480))
    context = Context(
        hints=hints,
        received_at_ms=NINE,
        window=Window(NINE, None),
        site=Site(225431000, 1140579000, 1000),
    )
    facts = read_facts(MemorySource(data))
    json.dumps(fields_of(facts), allow_nan=False)
    to_json(compare(claims(facts.to_dict(), hints), context)).encode()


class Memory:
    """How much this process has grown since it was asked to begin, at its largest moment.

    The kernel counts that whoever looks, so that no file is read more slowly for being weighed.
    Elsewhere than on Linux the largest moment is that of the whole process.
    """

    def __init__(self) -> None:
        self._before = 0

    def begin(self) -> None:
        """Forget what was before."""
        _give_back()
        try:
            _FORGET_PEAK.write_text("5")
        except OSError:
            self._before = _peak_bytes()
        else:
            self._before = _status_bytes("VmRSS")

    def grown_bytes(self) -> int:
        """The largest since ``begin``, beyond what there was then."""
        return max(0, _peak_bytes() - self._before)


def _give_back() -> None:
    """Free memory that the process still holds would hide as much growth (glibc keeps it)."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


_FORGET_PEAK, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def _peak_bytes() -> int:
    if _STATUS.exists():
        return _status_bytes("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status_bytes(name: str) -> int:
    line = next(one for one in _STATUS.read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) * 1024
