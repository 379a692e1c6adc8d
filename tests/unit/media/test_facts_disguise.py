"""What could run is named for what it is: alone, as a second reading, or behind a picture."""

import struct

import pytest

from media.facts import read_facts
from media.source import MemorySource
from tests.support import draw

PROGRAM = b"MZ\x90\0\3\0\0\0" + bytes(52) + struct.pack("<I", 64) + b"PE\0\0" + bytes(400)
END = b"\xff\xd9"


def read(data):
    return read_facts(MemorySource(data))


def raws(data):
    return {value.tag: value.raw for value in read(data).values}


def trailing(data):
    """What stands behind the picture, and where; None if nothing does."""
    for value in read(data).values:
        if value.tag == "File:TrailingData":
            return value.raw, value.offset
    return None


LONG_COMMENT = b"<!--" + b"x" * 5000 + b"-->"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><script>alert(1)</script>", "HTML"),
        (b"<!-- x --><script>alert(1)</script>", "HTML"),
        (LONG_COMMENT + b"<p>", "HTML"),
        (b"\n" * 5000 + b"<script>alert(1)</script>", "HTML"),
        (b"<div onclick=alert(1)>", "HTML"),
        (b"<img src=x onerror=alert(1)>", "HTML"),
        (b'<a href="javascript:alert(1)">x</a>', "HTML"),
        ("\ufeff<html><script>".encode("utf-16-le"), "HTML"),
        ("\ufeff <script>".encode("utf-16-be"), "HTML"),
        (b"\xef\xbb\xbf  <svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "SVG"),
        (b"<!-- x --><svg onload='x()'/>", "SVG"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"<?xml version='1.0'?>" + LONG_COMMENT + b"<svg onload='x()'/>", "SVG"),
        (b"<?xml version='1.0'?><s:svg xmlns:s='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' ''><svg/>", "SVG"),
        ("<?xml version='1.0'?><svg/>".encode("utf-16-le"), "SVG"),
        (
            b"<?xml version='1.0'?>" + b" " * 5000 + b"<html xmlns='http://www.w3.org/1999/xhtml'>",
            "HTML",
        ),
        (
            b"<?xml version='1.0'?><r>"
            + b" " * 5000
            + b"<script xmlns='http://www.w3.org/1999/xhtml'>",
            "HTML",
        ),
        (b"<?xml version='1.0'?>" + b"<?a?><!--b-->" * 100_000 + b"<html><script>", "HTML"),
        (b"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY a '>'>]><html><script>", "HTML"),
        (PROGRAM, "PE"),
        (PROGRAM[:62], "PE"),
        (b"\x7fELF\2\1\1" + bytes(50), "ELF"),
        (b"\xfe\xed\xfa\xcf" + bytes(60), "MACHO"),
        (b"\xfe\xed\xfa\xce" + bytes(60), "MACHO"),
        (b"\xca\xfe\xba\xbe" + bytes(60), "MACHO"),
        (b"#!/bin/sh\nrm -rf x\n", "SCRIPT"),
        (b"@echo off\r\ndel *.*\r\n", "SCRIPT"),
        (b"[InternetShortcut]\r\nURL=file://x", "SCRIPT"),
        (b"L\0\0\0\1\x14\2\0\0\0\0\0\xc0\0\0\0\0\0\0F" + bytes(60), "LNK"),
        (b"%!PS-Adobe-3.0\n", "PS"),
        (b"PK\x03\x04" + bytes(50), "ZIP"),
        (b"%PDF-1.7\n", "PDF"),
    ],
)
def test_what_could_run_is_named_for_what_it_is(data, kind):
    assert read(data).type == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<?xml version='1.0'?><kml><description><![CDATA[<html>]]></description></kml>", "XML"),
        (b"<?xml version='1.0'?>" + LONG_COMMENT + b"<gpx/>", "XML"),
        (b"<record><name>x</name></record>", None),
        (b"<abbreviation> of something", None),
        (b"MZ 17/2026: a letter about this and that, in so many words", None),
        ("MZ文件：关于现场检查的说明，一共三页，请查收".encode(), None),
        (b"a paper that mentions <script> and @echo off", None),
        (b"\xff\xfe" + "plain words".encode("utf-16-le"), None),
    ],
)
def test_what_nothing_runs_is_not_called_a_page_or_a_program(data, kind):
    assert read(data).type == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (draw.jpeg() + b"PK\x03\x04" + bytes(60) + b"PK\x05\x06" + bytes(18), "ZIP"),
        (draw.jpeg(draw.segment(0xFE, b"<script>alert(1)</script>")), "HTML"),
        (draw.jpeg(draw.segment(0xFE, b"<BODY onload=alert(1)>")), "HTML"),
        (draw.jpeg(draw.segment(0xFE, b"%PDF-1.4 obj")), "PDF"),
        (draw.jpeg(draw.segment(0xFE, b"<?php system($_GET[1]);")), "SCRIPT"),
        (draw.jpeg() + b"<script>x()</script>", "HTML"),
        (b"GIF89a/*" + bytes(30) + b"*/=1;PK\x05\x06" + bytes(18), "ZIP"),
        (draw.png(draw.png_chunk(b"tEXt", b"Comment\0<svg onload=x()>")), "SVG"),
    ],
)
def test_a_second_valid_reading_is_found(data, kind):
    assert raws(data)["File:Polyglot"] == kind


@pytest.mark.parametrize(
    "data",
    [
        draw.jpeg(draw.segment(0xFE, b"see <body> of water")),
        draw.jpeg(draw.segment(0xFE, b"<html> <head> <title>a</title>")),
        draw.jpeg(draw.segment(0xFE, b"taken for the %PDF- report")),
        draw.png(draw.png_chunk(b"tEXt", b"Comment\0a <svg> drawing once")),
        b"ID3\3\0\0\0\0\0\x40COMM\0\0\0\x30\0\0\0eng\0<html>" + bytes(100),
        b"PK\3\4" + bytes(26) + b"a.html<html><script>" + bytes(50) + b"PK\5\6" + bytes(18),
        b"PK\3\4" + bytes(26) + b"logo.svg<?xml?><svg >" + bytes(50) + b"PK\5\6" + bytes(18),
        b"%PDF-1.7\n" + bytes(2000) + b"<script>x</script>\n%%EOF",
        b"<?xml version='1.0'?><svg><script>x()</script></svg>",
    ],
)
def test_words_in_metadata_and_files_in_an_archive_are_no_second_reading(data):
    assert "File:Polyglot" not in raws(data)


PHOTO = draw.jpeg(draw.app1(draw.exif()), data=draw.scan(30_000))
LARGE_PHOTO = draw.jpeg(draw.app1(draw.exif()), data=draw.scan(300_000))
HUGE_PHOTO = draw.jpeg(draw.app1(draw.exif()), data=draw.scan(9_000_000))
#: The darkness of a night: one pattern over and over.
FLAT_PHOTO = draw.jpeg(data=draw.scan(5_000_000)[:-2] + b"\x28\xa2\x8a" * 300_000 + END)
PAGE = b"<html><body onload=alert(1)></html>"


@pytest.mark.parametrize("photo", [PHOTO, LARGE_PHOTO, HUGE_PHOTO], ids=["30k", "300k", "9M"])
@pytest.mark.parametrize(
    ("behind", "kind"),
    [
        (PROGRAM, "PE"),
        (PROGRAM + END, "PE"),
        (PROGRAM + bytes(100_000), "PE"),
        (PROGRAM + b"A" * 100_000, "PE"),
        (PROGRAM + b"A" * 100_000 + END, "PE"),
        (b"\x7fELF\2\1\1" + bytes(5000) + END, "ELF"),
        (bytes(700) + PROGRAM, "PE"),
        (PAGE, "HTML"),
        (b"#!/bin/sh\nrm -rf x\n" + END, "SCRIPT"),
        (draw.movie(draw.mvhd(1)), "MP4"),
    ],
)
def test_what_follows_a_picture_is_told_with_its_kind_and_place(photo, behind, kind):
    assert trailing(photo + behind) == (kind, len(photo))


def test_a_program_before_a_second_picture_is_found_in_a_short_file():
    assert trailing(PHOTO + PROGRAM + draw.jpeg()) == ("PE", len(PHOTO))


@pytest.mark.parametrize(
    "photo",
    [
        PHOTO,
        LARGE_PHOTO,
        HUGE_PHOTO,
        FLAT_PHOTO,
        PHOTO + bytes(500),
        LARGE_PHOTO + b"\r\n",
        draw.mpo(),
        draw.mpo(second=draw.jpeg(data=draw.scan(5000))) + bytes(40),
        draw.photo(),
    ],
    ids=["30k", "300k", "9M", "flat", "padded", "newline", "mpo", "padded mpo", "drawn"],
)
def test_nothing_follows_a_picture_that_ends_where_the_file_ends(photo):
    facts = read(photo)

    assert "File:TrailingData" not in {value.tag for value in facts.values}
    assert (facts.limits_hit, facts.faults) == ((), ())


def test_a_program_behind_the_pictures_of_an_mpo_is_found():
    pictures = draw.mpo()

    assert trailing(pictures + PROGRAM) == ("PE", len(pictures))


def test_a_large_photo_is_not_read_for_its_end():
    assert read(HUGE_PHOTO).bytes_read <= 64 * 1024
    assert read(HUGE_PHOTO + draw.movie(draw.mvhd(1))).bytes_read <= 256 * 1024
    assert read(FLAT_PHOTO).bytes_read <= 4 * 1024 * 1024


def test_what_follows_a_png_and_a_webp_is_told_too():
    for picture in (draw.png(), draw.riff(b"WEBP", (b"VP8X", bytes(10)))):
        assert trailing(picture) is None
        assert trailing(picture + bytes(20)) is None
        assert trailing(picture + PROGRAM) == ("PE", len(picture))


def test_a_picture_that_is_cut_off_behind_its_thumbnail_has_nothing_behind_its_end():
    thumbnail = b"\xff\xd8" + draw.scan()
    segment = b"\xff\xe2" + struct.pack(">H", 2 + 600) + thumbnail + bytes(range(1, 251)) * 2

    assert trailing(b"\xff\xd8" + segment[:200]) is None


def test_a_photo_that_is_cut_off_has_nothing_behind_its_end():
    for photo in (PHOTO, LARGE_PHOTO, HUGE_PHOTO):
        assert trailing(photo[: len(photo) // 2]) is None
