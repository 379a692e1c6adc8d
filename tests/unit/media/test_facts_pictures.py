"""What the readers find in pictures: every value with its raw text and its place in the file."""

import struct
import zlib

import pytest

from media.facts import Facts, read_facts
from media.source import MemorySource
from tests.support import draw


def read(data: bytes) -> Facts:
    return read_facts(MemorySource(data))


def raws(facts: Facts) -> dict[str, str]:
    return {value.tag: value.raw for value in facts.values}


FULL = {
    "subsec": "250",
    "zone": "+08:00",
    "software": "Liuhen 1",
    "gps_utc": ("2026:05:04", (1, 2, 3)),
    "lat_lon": (22.5431, 114.0579),
}


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_jpeg_gives_its_times_place_and_maker_as_stored(order):
    facts = read(draw.photo(draw.exif(**FULL, order=order)))

    assert (facts.type, facts.mime, facts.limits_hit, facts.faults) == (
        "JPEG",
        "image/jpeg",
        (),
        (),
    )
    found = raws(facts)
    assert found["IFD0:Make"] == "Drawn"
    assert found["ExifIFD:DateTimeOriginal"] == "2026:05:04 09:02:03"
    assert found["ExifIFD:SubSecTimeOriginal"] == "250"
    assert found["ExifIFD:OffsetTimeOriginal"] == "+08:00"
    assert found["GPS:GPSTimeStamp"] == "1/1 2/1 3/1"
    assert found["GPS:GPSLatitude"] == "22/1 32/1 351600/10000"


def test_every_value_says_where_in_the_file_it_stands():
    data = draw.photo(draw.exif(**FULL))

    taken = next(v for v in read(data).values if v.tag == "ExifIFD:DateTimeOriginal")

    assert data[taken.offset : taken.offset + taken.size] == b"2026:05:04 09:02:03\0"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("HEIC", draw.heic(draw.exif(**FULL))),
        ("HEIC", draw.heic(draw.exif(**FULL), inline=True)),
        ("PNG", draw.png(draw.png_chunk(b"eXIf", draw.exif(**FULL)))),
        ("Extended WEBP", draw.riff(b"WEBP", (b"VP8X", bytes(10)), (b"EXIF", draw.exif(**FULL)))),
        ("TIFF", draw.exif(**FULL)),
    ],
)
def test_the_same_exif_reads_the_same_from_every_container(name, data):
    facts = read(data)

    assert facts.type == name
    wanted = {
        tag: raw
        for tag, raw in raws(read(draw.photo(draw.exif(**FULL)))).items()
        if tag.split(":")[0] in ("IFD0", "ExifIFD", "GPS")
    }
    assert {tag: raw for tag, raw in raws(facts).items() if tag in wanted} == wanted
    taken = next(v for v in facts.values if v.tag == "ExifIFD:DateTimeOriginal")
    assert data[taken.offset : taken.offset + 19] == b"2026:05:04 09:02:03"


@pytest.mark.parametrize("kind", [b"zTXt", b"tEXt"])
def test_an_exif_profile_that_older_tools_put_into_png_text_is_read(kind):
    profile = b"\nexif\n  %d\n%s\n" % (6, (b"Exif\0\0" + draw.exif()).hex().encode())
    text = b"\0" + zlib.compress(profile) if kind == b"zTXt" else profile
    data = draw.png(draw.png_chunk(kind, b"Raw profile type exif\0" + text))

    assert raws(read(data))["ExifIFD:DateTimeOriginal"] == "2026:05:04 09:02:03"


def test_exif_behind_large_vendor_segments_is_found():
    vendor = [draw.segment(0xE7, bytes(60_000)), draw.segment(0xE8, bytes(60_000))]

    facts = read(draw.bare_jpeg(*vendor, draw.app1(draw.exif())))

    assert raws(facts)["IFD0:Model"] == "Builder 1"


def test_facts_survive_storage_byte_for_byte():
    facts = read(draw.photo(draw.exif(make="相机\x01", **FULL)))

    text = facts.to_json()

    assert Facts.from_json(text) == facts
    assert Facts.from_json(text).to_json() == text
    assert "null" not in text


def test_text_that_is_not_utf_8_keeps_every_byte():
    facts = read(draw.bare_jpeg(draw.app1(draw.tiff([(0x010F, draw.ASCII, b"\xc9\xe0\xff\0")]))))

    assert raws(facts)["IFD0:Make"].encode("latin-1") == b"\xc9\xe0\xff"


def test_something_else_named_jpg_is_an_unknown_type_and_no_error():
    facts = read(b"just some words, not a picture")

    assert facts.type is None
    assert facts.faults[0].code == "media.unknown_type"


def test_a_file_cut_off_keeps_what_came_before_the_cut():
    data = draw.bare_jpeg(draw.app1(draw.exif()), draw.segment(0xDB, bytes(64)))

    facts = read(data[:-50])

    assert raws(facts)["ExifIFD:DateTimeOriginal"] == "2026:05:04 09:02:03"
    assert [fault.code for fault in facts.faults] == ["media.truncated"]


def test_one_value_out_of_bounds_does_not_cost_the_others():
    block = draw.exif()
    place = block.index(struct.pack("<HH", 0x010F, draw.ASCII)) + 8
    broken = block[:place] + b"\xff\xff\xff\x7f" + block[place + 4 :]

    facts = read(draw.bare_jpeg(draw.app1(broken)))

    assert "IFD0:Make" not in raws(facts)
    assert raws(facts)["IFD0:Model"] == "Builder 1"
    assert facts.faults[0].code == "media.truncated"


@pytest.mark.parametrize("kept", range(8, 60, 4))
def test_a_cut_block_of_exif_costs_nothing_of_what_stands_behind_it(kept):
    xmp = (
        b"http://ns.adobe.com/xap/1.0/\0"
        b'<x xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Drawn"/>'
    )
    frame = struct.pack(">BHHB", 8, 30, 40, 1)
    cut = draw.app1(draw.exif()[:kept])

    facts = read(draw.bare_jpeg(cut, draw.segment(0xE1, xmp), draw.segment(0xC0, frame)))

    assert {fault.code for fault in facts.faults} == {"media.truncated"}
    assert raws(facts)["File:ImageSize"] == "40 30"
    assert raws(facts)["XMP-xmp:CreatorTool"] == "Drawn"


@pytest.mark.parametrize(
    "broken",
    [
        draw.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not deflated"),
        draw.png_chunk(b"zTXt", b"Raw profile type exif\0\0not deflated"),
        draw.png_chunk(b"tEXt", b"Raw profile type xmp\0not hexadecimal"),
        draw.png_chunk(b"zTXt", b"AIGC\0\0not deflated"),
    ],
)
def test_a_broken_chunk_of_a_png_costs_nothing_of_what_stands_behind_it(broken):
    facts = read(draw.png(broken, draw.png_chunk(b"eXIf", draw.exif())))

    assert [fault.code for fault in facts.faults] == ["media.malformed"]
    assert raws(facts)["ExifIFD:DateTimeOriginal"] == "2026:05:04 09:02:03"


def test_a_broken_chunk_of_a_webp_costs_nothing_of_what_stands_behind_it():
    xmp = b'<x xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Drawn"/>'

    facts = read(draw.riff(b"WEBP", (b"EXIF", draw.exif()[:40]), (b"XMP ", xmp)))

    assert {fault.code for fault in facts.faults} == {"media.truncated"}
    assert raws(facts)["XMP-xmp:CreatorTool"] == "Drawn"


@pytest.mark.parametrize("kind", ["CR2", "CR3", "ORF", "RAF", "RW2"])
def test_a_raw_file_gives_its_time_and_its_camera(kind):
    data = draw.raw(kind)

    facts = read(data)

    assert (facts.type, facts.faults) == (kind, ())
    assert raws(facts)["IFD0:Model"] == kind
    taken = next(v for v in facts.values if v.tag == "ExifIFD:DateTimeOriginal")
    assert data[taken.offset : taken.offset + 19] == b"2026:05:04 09:02:03"


def test_a_second_directory_of_a_kind_in_a_cr3_is_not_read():
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    parts = [draw.box(b"CMT1", draw.tiff([(0x0110, 2, name)])) for name in (b"One\0", b"Two\0")]
    data = draw.box(b"ftyp", b"crx ", bytes(4)) + draw.box(b"moov", draw.box(b"uuid", uuid, *parts))

    facts = read(data)

    assert [v.raw for v in facts.values if v.tag == "IFD0:Model"] == ["One"]
    assert facts.limits_hit == ("ifd_repeated",)


def test_a_jpeg_is_read_from_its_first_and_last_bytes_alone():
    facts = read(draw.photo() + bytes(5_000_000))

    assert facts.bytes_read <= 64 * 1024


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8\xff", b"II*\0", b"RIFF", b"\x89PNG\r\n"])
def test_almost_nothing_is_answered_too(data):
    assert read(data).size == len(data)
