"""Marks that a file carries beside its EXIF: XMP, IPTC, structure, labels, disguises, lengths."""

import struct
import zlib

import pytest

from media.facts import read_facts
from media.findings.reading import fraction
from media.source import MemorySource
from tests.support import draw, fuzz

XMP = b"http://ns.adobe.com/xap/1.0/\0"
LABEL = b'{"Label":"1","ContentProducer":"0","ProduceID":"x"}'
SCAN = b"\xff\xda\0\2" + bytes(40) + b"\xff\xd9"


def read(data):
    return read_facts(MemorySource(data))


def raws(data):
    return {value.tag: value.raw for value in read(data).values}


def jpeg(*segments, behind=b""):
    return b"\xff\xd8" + b"".join(segments) + SCAN + behind


def packet(properties, attributes=b""):
    return (
        b"<x:xmpmeta><rdf:RDF><rdf:Description "
        b'xmlns:xap="http://ns.adobe.com/xap/1.0/" '
        b'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
        b'xmlns:mm="http://ns.adobe.com/xap/1.0/mm/" '
        b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        b'xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/" '
        + attributes
        + b">"
        + properties
        + b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def test_xmp_is_read_by_namespace_as_attribute_or_element():
    data = packet(
        b"<photoshop:DateCreated>2026-05-04</photoshop:DateCreated>"
        b"<mm:History><rdf:Seq/></mm:History>"
        b'<Iptc4xmpExt:DigitalSourceType rdf:resource="http://x/trainedAlgorithmicMedia"/>',
        b"xap:CreateDate='2026-05-04T09:02:03+08:00' xap:CreatorTool=\"A &amp; B\"",
    )

    seen = raws(jpeg(draw.segment(0xE1, XMP + data)))

    assert seen["XMP-xmp:CreateDate"] == "2026-05-04T09:02:03+08:00"
    assert seen["XMP-xmp:CreatorTool"] == "A & B"
    assert seen["XMP-photoshop:DateCreated"] == "2026-05-04"
    assert seen["XMP-xmpMM:History"] == ""
    assert seen["XMP-iptcExt:DigitalSourceType"].endswith("trainedAlgorithmicMedia")


def test_a_value_of_xmp_says_where_its_bytes_stand():
    data = jpeg(draw.segment(0xE1, XMP + packet(b"", b'xap:CreateDate="2026-05-04"')))

    [value] = [one for one in read(data).values if one.tag == "XMP-xmp:CreateDate"]

    assert data[value.offset : value.offset + value.size] == b"2026-05-04"


def test_entities_that_a_packet_declares_are_never_expanded():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    seen = raws(jpeg(draw.segment(0xE1, XMP + bomb + packet(b"", b'xap:CreateDate="&b;&b;"'))))

    assert seen["XMP-xmp:CreateDate"] == "&b;&b;"


@pytest.mark.parametrize(
    "build",
    [
        lambda xmp: draw.png(draw.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)),
        lambda xmp: draw.png(
            draw.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))
        ),
        lambda xmp: draw.riff(b"WEBP", (b"VP8X", bytes(10)), (b"XMP ", xmp)),
        lambda xmp: draw.tiff([(0x02BC, 1, xmp)]),
        lambda xmp: (
            draw.box(b"ftyp", b"isom", bytes(4))
            + draw.box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), xmp)
            + draw.box(b"moov", draw.mvhd(1))
        ),
    ],
)
def test_xmp_stands_in_many_formats(build):
    xmp = packet(b"", b'xap:ModifyDate="2026-05-04"')
    entries = build(xmp)

    assert raws(entries)["XMP-xmp:ModifyDate"] == "2026-05-04"


def test_iptc_dates_and_the_structure_of_a_jpeg():
    data = jpeg(
        draw.segment(0xE0, b"JFIF\0\x01\x02\0\0\1\0\1\0\0"),
        draw.segment(0xED, fuzz.PHOTOSHOP),
        draw.segment(0xEE, b"Adobe\0"),
        draw.segment(0xDB, bytes(65)),
        draw.segment(0xC2, struct.pack(">BHHB", 8, 30, 40, 1)),
    )
    seen = raws(data)

    assert (seen["IPTC:DateCreated"], seen["IPTC:TimeCreated"]) == ("20260504", "090203")
    assert (seen["JFIF:JFIFVersion"], seen["File:EncodingProcess"]) == ("1.02", "194")
    assert (seen["File:ImageSize"], seen["APP14:Adobe"]) == ("40 30", "")
    assert len(seen["JPEG:QuantTables"]) == 64
    assert "File:TrailingData" not in seen


@pytest.mark.parametrize(
    "data",
    [
        draw.png(draw.png_chunk(b"tEXt", b"AIGC\0" + LABEL)),
        jpeg(draw.segment(0xFE, b'{"AIGC": ' + LABEL + b"}")),
        jpeg(draw.app1(draw.tiff([(0x010E, 2, b"AIGC" + LABEL + b"\0")]))),
        jpeg(draw.app1(draw.tiff([], exif=[(0x9286, 7, b"ASCII\0\0\0" + LABEL)]))),
        b"ID3\x04\0\0\0\0\1\0TXXX" + bytes((0, 0, 0, 60, 0, 0)) + b"\0AIGC\0" + LABEL + bytes(99),
        draw.riff(b"WAVE", (b"AIGC", LABEL)),
        draw.movie(draw.mvhd(1), draw.box(b"udta", draw.box(b"AIGC", LABEL))),
        draw.movie(draw.mvhd(1), draw.apple_meta({"AIGC": LABEL.decode()})),
    ],
)
def test_a_label_of_generated_content_is_found_wherever_it_stands(data):
    assert raws(data)["AIGC:Label"] == LABEL.decode()


def test_a_label_in_xmp_is_json_again():
    packed = LABEL.replace(b'"', b"&quot;")
    seen = raws(jpeg(draw.segment(0xE1, XMP + packet(b"<TC260:AIGC>" + packed + b"</TC260:AIGC>"))))

    assert seen["XMP-TC260:AIGC"] == LABEL.decode()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><script>alert(1)</script>", "HTML"),
        (b"\xef\xbb\xbf  <svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "SVG"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"MZ\x90\0" + bytes(100), "PE"),
        (b"\x7fELF\2\1\1" + bytes(50), "ELF"),
        (b"#!/bin/sh\nrm -rf x\n", "SCRIPT"),
        (b"PK\x03\x04" + bytes(50), "ZIP"),
        (b"%PDF-1.7\n", "PDF"),
    ],
)
def test_what_could_run_is_named_for_what_it_is(data, kind):
    assert read(data).type == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (jpeg(behind=b"PK\x03\x04" + bytes(60) + b"PK\x05\x06" + bytes(18)), "ZIP"),
        (jpeg(draw.segment(0xFE, b"<script>alert(1)</script>")), "HTML"),
        (jpeg(draw.segment(0xFE, b"%PDF-1.4 obj")), "PDF"),
        (jpeg(behind=b"<script>x()</script>"), "HTML"),
        (b"GIF89a/*" + bytes(30) + b"*/=1;PK\x05\x06" + bytes(18), "ZIP"),
        (draw.png(draw.png_chunk(b"tEXt", b"Comment\0<svg onload=x()>")), "SVG"),
    ],
)
def test_a_second_valid_reading_is_found(data, kind):
    assert raws(data)["File:Polyglot"] == kind


def test_what_follows_a_picture_is_named_with_its_place():
    movie = draw.movie(draw.mvhd(1))
    data = jpeg(behind=movie)

    [value] = [one for one in read(data).values if one.tag == "File:TrailingData"]

    assert (value.raw, data[value.offset :]) == ("MP4", movie)
    assert "File:TrailingData" not in raws(jpeg(behind=bytes(500)))


def test_a_picture_that_is_cut_off_behind_its_thumbnail_has_nothing_behind_its_end():
    thumbnail = b"\xff\xd8" + SCAN
    segment = b"\xff\xe2" + struct.pack(">H", 2 + 600) + thumbnail + bytes(range(1, 251)) * 2

    assert "File:TrailingData" not in raws(b"\xff\xd8" + segment[:200])


def test_lengths_of_recordings():
    wav = draw.riff(
        b"WAVE",
        (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)),
        (b"data", bytes(48000)),
    )
    avi = draw.riff(
        b"AVI ",
        (b"LIST", b"hdrl" + b"avih" + struct.pack("<I14I", 56, 40000, 0, 0, 0, 250, *[0] * 9)),
    )
    info = b"\x2a\xd7\xb1\x83\x0f\x42\x40" + b"\x44\x89\x88" + struct.pack(">d", 2500.0)
    mkv = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01" + b"\xff" * 7
    mkv += b"\x15\x49\xa9\x66" + bytes((0x80 | len(info),)) + info

    assert fraction(raws(wav)["RIFF:Duration"]) == 3
    assert fraction(raws(avi)["RIFF:Duration"]) == 10
    assert fraction(raws(mkv)["Matroska:Duration"]) == 2.5
    assert fraction(raws(fuzz.fragmented())["QuickTime:Duration"]) == 5
    extended = draw.box(
        b"moov",
        draw.mvhd(1, duration=0),
        draw.box(b"mvex", draw.box(b"mehd", struct.pack(">II", 0, 7000))),
    )
    assert (
        fraction(raws(draw.box(b"ftyp", b"isom", bytes(4)) + extended)["QuickTime:Duration"]) == 7
    )


def test_kinds_of_tracks_of_a_recording():
    def track(handler, codec):
        table = draw.box(
            b"stsd", struct.pack(">II", 0, 1), struct.pack(">I4s", 86, codec), bytes(78)
        )
        return draw.box(
            b"trak",
            draw.box(b"tkhd", bytes(76), struct.pack(">II", 1920 << 16, 1080 << 16)),
            draw.box(
                b"mdia",
                draw.box(b"hdlr", bytes(8), handler, bytes(12)),
                draw.box(b"minf", draw.box(b"stbl", table)),
            ),
        )

    seen = raws(draw.movie(draw.mvhd(1), track(b"vide", b"hvc1"), track(b"soun", b"mp4a")))

    assert (seen["QuickTime:VideoCodec"], seen["QuickTime:AudioCodec"]) == ("hvc1", "mp4a")
    assert seen["QuickTime:VideoSize"] == "1920 1080"


def test_a_raw_file_of_canon_keeps_each_directory_in_its_box():
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    parts = (
        draw.box(b"CMT1", draw.tiff([(0x0110, 2, b"EOS R\0")])),
        draw.box(b"CMT2", draw.tiff([(0x9003, 2, b"2026:05:04 09:02:03\0")])),
    )
    data = draw.box(b"ftyp", b"crx ", bytes(4)) + draw.box(
        b"moov", draw.box(b"uuid", uuid, *parts), draw.mvhd(1)
    )

    assert raws(data)["IFD0:Model"] == "EOS R"
    assert raws(data)["ExifIFD:DateTimeOriginal"] == "2026:05:04 09:02:03"


def test_the_place_of_the_embedded_thumbnail():
    head = b"II*\0" + struct.pack("<IHIH", 8, 0, 14, 2)
    entries = struct.pack("<HHII", 0x0201, 4, 1, 44) + struct.pack("<HHII", 0x0202, 4, 1, 6)
    data = jpeg(draw.app1(head + entries + bytes(4) + b"\xff\xd8tiny"))

    [value] = [one for one in read(data).values if one.tag == "IFD1:ThumbnailImage"]

    assert data[value.offset : value.offset + value.size] == b"\xff\xd8tiny"
