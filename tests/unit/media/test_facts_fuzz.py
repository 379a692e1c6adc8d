"""Thousands of damaged files: every one is answered, at once, and nothing is ever raised."""

import json
import random
import time

from media.facts import read_facts
from media.findings import Context, Hints, claims, compare, to_json
from media.findings.model import Declared, Site, Window
from media.inspect import fields_of
from media.source import MemorySource
from tests.support import draw

MUTANTS = 3000
NINE = 1777856523000
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
        b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\x18\x53\x80\x67\x01"
        + b"\xff" * 7
        + b"\x15\x49\xa9\x66\x8b\x44\x61\x88"
        + bytes(8),
    ]


def mutant(rng: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
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


def test_no_damage_to_a_file_makes_reading_fail_or_last():
    rng = random.Random(20260504)
    files = seeds()
    hints = Hints(capture_class="A", site_zone_min=480, declared=Declared(NINE, 480))
    context = Context(
        hints=hints,
        received_at_ms=NINE,
        window=Window(NINE, None),
        site=Site(225431000, 1140579000, 1000),
    )
    slowest = 0.0
    for _ in range(MUTANTS):
        data = mutant(rng, rng.choice(files))
        began = time.perf_counter()

        facts = read_facts(MemorySource(data))

        json.dumps(fields_of(facts), allow_nan=False)
        to_json(compare(claims(facts.to_dict(), hints), context)).encode()
        slowest = max(slowest, time.perf_counter() - began)

    assert slowest < 1
