"""Marks that a file carries beside its EXIF: XMP, IPTC, structure, labels, lengths, C2PA."""

import struct
import zlib

import pytest

from media.facts import read_facts
from media.findings.reading import fraction
from media.source import MemorySource
from tests.support import draw, fuzz

XMP = b"http://ns.adobe.com/xap/1.0/\0"
LABEL = b'{"Label":"1","ContentProducer":"0","ProduceID":"x"}'
NAMED = '{"AIGC": ' + LABEL.decode() + "}"
WIDE = b"UNICODE\0"
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


@pytest.mark.parametrize(
    "written",
    [
        b"<Iptc4xmpExt:DigitalSourceType rdf:resource='http://x/trainedAlgorithmicMedia'/>",
        b'<Iptc4xmpExt:DigitalSourceType r:resource = "http://x/trainedAlgorithmicMedia"/>',
        b"<Iptc4xmpExt:DigitalSourceType>http://x/&#x74;rainedAlgorithmicMedia"
        b"</Iptc4xmpExt:DigitalSourceType>",
        b"<Iptc4xmpExt:DigitalSourceType><![CDATA[http://x/trainedAlgorithmicMedia]]>"
        b"</Iptc4xmpExt:DigitalSourceType>",
        b"<Iptc4xmpExt:DigitalSourceType><rdf:Bag>\n<rdf:li>http://x/trainedAlgorithmicMedia</rdf:li>"
        b"</rdf:Bag></Iptc4xmpExt:DigitalSourceType>",
    ],
)
def test_a_property_of_xmp_is_read_in_every_way_that_xml_has_to_write_it(written):
    seen = raws(jpeg(draw.segment(0xE1, XMP + packet(written))))

    assert seen["XMP-iptcExt:DigitalSourceType"] == "http://x/trainedAlgorithmicMedia"


def test_an_empty_property_of_xmp_does_not_take_what_stands_behind_it():
    seen = raws(
        jpeg(draw.segment(0xE1, XMP + packet(b"<xap:CreatorTool/><xap:Label>x</xap:Label>")))
    )

    assert "XMP-xmp:CreatorTool" not in seen


def test_prefixes_of_other_namespaces_do_not_hide_a_property():
    others = b"".join(b' xmlns:p%d="http://example.com/"' % i for i in range(1000))

    seen = raws(jpeg(draw.segment(0xE1, XMP + packet(b"", others + b" xap:CreateDate='2026'"))))

    assert seen["XMP-xmp:CreateDate"] == "2026"


def test_neither_an_empty_packet_of_xmp_nor_another_value_hides_a_second_one():
    source = b"<Iptc4xmpExt:DigitalSourceType>http://x/%s</Iptc4xmpExt:DigitalSourceType>"
    packets = (b"<x:xmpmeta/>", packet(source % b"digitalCapture"), packet(source % b"trained"))

    facts = read(jpeg(*[draw.segment(0xE1, XMP + data) for data in packets]))

    tag = "XMP-iptcExt:DigitalSourceType"
    found = [value.raw for value in facts.values if value.tag == tag]
    assert found == ["http://x/digitalCapture", "http://x/trained"]


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


def test_a_date_of_iptc_is_found_behind_a_long_text():
    long = b"\x1c\x02\x78\x80\x04" + struct.pack(">I", 300) + bytes(300)
    record = long + b"\x1c\x02\x37\0\x0820260504"
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(record)) + record

    seen = raws(jpeg(draw.segment(0xED, b"Photoshop 3.0\0" + resource)))

    assert seen["IPTC:DateCreated"] == "20260504"


@pytest.mark.parametrize("kind", [b"zTXt", b"tEXt"])
def test_xmp_and_iptc_profiles_that_older_tools_put_into_png_text_are_read(kind):
    def profile(name, data):
        text = b"\n%s\n  %d\n%s\n" % (name, len(data), data.hex().encode())
        packed = b"\0" + zlib.compress(text) if kind == b"zTXt" else text
        return draw.png_chunk(kind, b"Raw profile type " + name + b"\0" + packed)

    resources = fuzz.PHOTOSHOP.removeprefix(b"Photoshop 3.0\0")
    for parts in (
        (profile(b"iptc", resources), profile(b"xmp", packet(b"", b"xap:CreateDate='2026'"))),
        (
            profile(b"8bim", resources),
            profile(b"APP1", XMP + packet(b"", b"xap:CreateDate='2026'")),
        ),
        (
            profile(b"iptc", b"\x1c\x02\x37\0\x0820260504"),
            profile(b"xmp", packet(b"", b"xap:CreateDate='2026'")),
        ),
    ):
        seen = raws(draw.png(*parts))

        assert (seen["IPTC:DateCreated"], seen["XMP-xmp:CreateDate"]) == ("20260504", "2026")


@pytest.mark.parametrize(
    "data",
    [
        draw.png(draw.png_chunk(b"tEXt", b"AIGC\0" + LABEL)),
        draw.png(draw.png_chunk(b"zTXt", b"AIGC\0\0" + zlib.compress(LABEL))),
        draw.png(draw.png_chunk(b"iTXt", b"AIGC\0\1\0\0\0" + zlib.compress(LABEL))),
        jpeg(draw.segment(0xFE, b'{"AIGC": ' + LABEL + b"}")),
        jpeg(draw.app1(draw.tiff([(0x010E, 2, b"AIGC" + LABEL + b"\0")]))),
        jpeg(draw.app1(draw.tiff([], exif=[(0x9286, 7, b"ASCII\0\0\0" + LABEL)]))),
        jpeg(draw.segment(0xFE, b"caption " + LABEL)),
        jpeg(draw.segment(0xFE, b'{"AIGC": "' + LABEL.replace(b'"', b'\\"') + b'"}')),
        jpeg(draw.segment(0xFE, b"made with AIGC; AIGC:" + LABEL)),
        jpeg(draw.app1(draw.tiff([], exif=[(0x9286, 7, WIDE + NAMED.encode("utf-16-le"))]))),
        jpeg(draw.app1(draw.tiff([], exif=[(0x9286, 7, WIDE + NAMED.encode("utf-16-be"))]))),
        jpeg(draw.app1(draw.tiff([], exif=[(0x9286, 7, b"ASCII\0\0\0" + LABEL + bytes(9000))]))),
        b"ID3\x04\0\0\0\0\2\0TXXX"
        + bytes((0, 0, 1, 0, 0, 0))
        + b"\1"
        + "AIGC\0".encode("utf-16")
        + LABEL.decode().encode("utf-16")
        + bytes(199),
        b"ID3\x04\0\0\0\0\1\0TXXX" + bytes((0, 0, 0, 60, 0, 0)) + b"\0AIGC\0" + LABEL + bytes(99),
        draw.riff(b"WAVE", (b"AIGC", LABEL)),
        draw.movie(draw.mvhd(1), draw.box(b"udta", draw.box(b"AIGC", LABEL))),
        draw.movie(draw.mvhd(1), draw.apple_meta({"AIGC": LABEL.decode()})),
    ],
)
def test_a_label_of_generated_content_is_found_wherever_it_stands(data):
    assert raws(data)["AIGC:Label"] == LABEL.decode()


def test_a_label_says_where_its_bytes_stand():
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        text = ("名" + NAMED).encode(encoding)
        data = jpeg(draw.segment(0xFE, text))

        [value] = [one for one in read(data).values if one.tag == "AIGC:Label"]

        stored = data[value.offset : value.offset + value.size]
        assert stored.decode(encoding) == LABEL.decode()


@pytest.mark.parametrize(
    "text",
    [
        '{"Camera":"S1","Label":"1"}',
        '{"Label":"factory gate 1"}',
        '{"Label":"1","ProduceID":"7"}',
        '{"Note":"no AIGC here","Label":"1"}',
        "Label 1, AIGC none",
        '{"AIGC": {"Kind": "none"}}',
    ],
)
def test_other_json_with_a_member_called_label_is_no_label(text):
    for data in (text.encode(), text.encode("utf-16-le")):
        assert "AIGC:Label" not in raws(jpeg(draw.segment(0xFE, data)))
        assert "AIGC:Label" not in raws(draw.riff(b"WAVE", (b"LIST", b"INFOICMT" + data)))


def test_a_label_with_braces_in_its_texts_stays_whole():
    label = b'{"Label":"1","ProduceID":"}","ContentProducer":"{"}'

    assert raws(jpeg(draw.segment(0xFE, b"AIGC" + label)))["AIGC:Label"] == label.decode()


def test_an_innocuous_label_does_not_hide_a_second_one():
    first = LABEL.replace(b'"1"', b'"2"')

    facts = read(jpeg(draw.segment(0xFE, b"AIGC" + first), draw.segment(0xFE, b"AIGC" + LABEL)))

    found = [value.raw for value in facts.values if value.tag == "AIGC:Label"]
    assert found == [first.decode(), LABEL.decode()]


def test_a_label_in_xmp_is_json_again():
    packed = LABEL.replace(b'"', b"&quot;")
    seen = raws(jpeg(draw.segment(0xE1, XMP + packet(b"<TC260:AIGC>" + packed + b"</TC260:AIGC>"))))

    assert seen["XMP-TC260:AIGC"] == LABEL.decode()


C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
CREDENTIALS = draw.box(b"uuid", C2PA_UUID, bytes(4), b"manifest\0", bytes(40))


@pytest.mark.parametrize(
    ("data", "tag"),
    [
        (jpeg(draw.segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x30jumb" + bytes(40))), "JPEG:JUMBF"),
        (draw.png(draw.png_chunk(b"caBX", b"\0\0\0\x30jumb" + bytes(40))), "PNG:JUMBF"),
        (draw.riff(b"WEBP", (b"VP8X", bytes(10)), (b"C2PA", bytes(40))), "RIFF:JUMBF"),
        (draw.box(b"ftyp", b"heic", bytes(4)) + CREDENTIALS + draw.heic(b"")[24:], "HEIF:JUMBF"),
        (draw.heic(draw.exif()) + CREDENTIALS, "HEIF:JUMBF"),
        (draw.movie(draw.mvhd(1), before=CREDENTIALS), "QuickTime:JUMBF"),
        (draw.movie(draw.mvhd(1)) + CREDENTIALS, "QuickTime:JUMBF"),
        (draw.movie(draw.mvhd(1), front=True) + CREDENTIALS, "QuickTime:JUMBF"),
    ],
)
def test_the_presence_of_c2pa_is_told_in_every_format(data, tag):
    assert [value.tag for value in read(data).values if value.tag.endswith(":JUMBF")] == [tag]


def test_xmp_behind_the_movie_box_is_reached_and_fragments_are_not_walked_for_it():
    uuid = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
    xmp = draw.box(b"uuid", uuid, packet(b"", b'xap:ModifyDate="2026-05-04"'))
    fragment = draw.box(b"moof", bytes(8)) + draw.box(b"mdat", bytes(8000))
    movie = draw.movie(draw.mvhd(1), front=True)

    assert raws(movie + xmp)["XMP-xmp:ModifyDate"] == "2026-05-04"
    assert raws(movie + draw.box(b"udta", draw.box(b"XMP_", xmp[24:])))["QuickTime:Duration"]
    facts = read(movie + fragment * 2000)
    assert (facts.limits_hit, facts.faults) == ((), ())
    assert facts.bytes_read < 128 * 1024
    many = read(movie + draw.box(b"free") * 2000 + xmp)
    assert many.limits_hit == ("boxes",)


def test_xmp_in_the_user_data_of_a_quicktime_film_is_read():
    xmp = draw.box(b"XMP_", packet(b"", b'xap:ModifyDate="2026-05-04"'))

    assert raws(draw.movie(draw.mvhd(1), draw.box(b"udta", xmp)))["XMP-xmp:ModifyDate"]


def test_a_second_block_of_exif_is_told_of_and_the_first_one_counts():
    first, second = draw.exif(make="A"), draw.exif(make="B")
    for data in (
        jpeg(draw.app1(first), draw.app1(second)),
        draw.png(draw.png_chunk(b"eXIf", first), draw.png_chunk(b"eXIf", second)),
        draw.riff(b"WEBP", (b"VP8X", bytes(10)), (b"EXIF", first), (b"EXIF", second)),
    ):
        facts = read(data)

        [value] = [one for one in facts.values if one.tag == "File:SecondExif"]
        assert b"B\0" in data[value.offset : value.offset + value.size]
        assert [one.raw for one in facts.values if one.tag == "IFD0:Make"] == ["A"]


def test_one_block_of_exif_that_a_png_holds_as_a_chunk_and_as_text_is_one():
    block = draw.exif(make="A")

    def text(exif):
        profile = b"\nexif\n  %d\n%s\n" % (len(exif), (b"Exif\0\0" + exif).hex().encode())
        return draw.png_chunk(b"tEXt", b"Raw profile type exif\0" + profile)

    for parts in ((text(block), draw.png_chunk(b"eXIf", block)), (text(block), text(block))):
        assert "File:SecondExif" not in raws(draw.png(*parts))
    other = draw.png_chunk(b"eXIf", draw.exif(make="B"))
    assert "File:SecondExif" in raws(draw.png(text(block), other))


def test_compressed_text_of_a_png_that_names_its_language_is_read():
    head = b"XML:com.adobe.xmp\0\1\0zh-CN\0" + "元数据".encode() + b"\0"
    data = head + zlib.compress(packet(b"", b"xap:CreateDate='2026'"))

    facts = read(draw.png(draw.png_chunk(b"iTXt", data)))

    assert "XMP-xmp:CreateDate" in {value.tag for value in facts.values}
    assert facts.faults == ()


def test_the_rest_of_a_long_block_of_exif_is_no_second_one():
    assert "File:SecondExif" not in raws(jpeg(draw.app1(draw.exif()), draw.app1(bytes(100))))


def test_a_block_of_exif_that_is_none_does_not_hide_the_one_behind_it():
    seen = raws(jpeg(draw.app1(b"nothing of the kind"), draw.app1(draw.exif(make="B"))))

    assert seen["IFD0:Make"] == "B"
    assert "File:SecondExif" not in seen


def test_lengths_of_recordings():
    wav = draw.riff(
        b"WAVE",
        (b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)),
        (b"data", bytes(48000)),
    )

    assert fraction(raws(wav)["RIFF:Duration"]) == 3
    assert fraction(raws(draw.avi(250))["RIFF:Duration"]) == 10
    assert fraction(raws(draw.avi(250, whole=25_000))["RIFF:Duration"]) == 1000
    assert fraction(raws(draw.mkv(0))["Matroska:Duration"]) == 2.5
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


def test_the_place_of_the_embedded_thumbnail():
    head = b"II*\0" + struct.pack("<IHIH", 8, 0, 14, 2)
    entries = struct.pack("<HHII", 0x0201, 4, 1, 44) + struct.pack("<HHII", 0x0202, 4, 1, 6)
    data = jpeg(draw.app1(head + entries + bytes(4) + b"\xff\xd8tiny"))

    [value] = [one for one in read(data).values if one.tag == "IFD1:ThumbnailImage"]

    assert data[value.offset : value.offset + value.size] == b"\xff\xd8tiny"
