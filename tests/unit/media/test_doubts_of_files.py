"""What nobody read, what a file says of its making, and what it is called."""

import json
import random
from dataclasses import replace

import pytest

from media.facts import read_facts
from media.findings import Context, Finding, Hints, claims, compare, to_json, verdict
from media.findings.claims import COMPARED_TAGS
from media.findings.model import (
    Bounds,
    ClockOffset,
    Declared,
    Named,
    Neighbour,
    Pixels,
    Policy,
    SameBytes,
    SecondReading,
    Site,
    Window,
)
from media.findings.rules import RULES
from media.findings.signs import READER_FAILED, SIGN_TAGS
from media.source import MemorySource
from tests.support import draw
from tests.support.scenarios import facts

NINE = 1777856523000  # 2026-05-04T09:02:03+08:00
MINUTE, HOUR = 60_000, 3600_000
PHOTO = {
    "IFD0__Make": "示例",
    "ExifIFD__DateTimeOriginal": "2026:05:04 09:02:03",
    "ExifIFD__OffsetTimeOriginal": "+08:00",
}
NAMED = Named("a.jpg", "image/jpeg")


def judged(file: dict, hints: Hints | None = None, **known) -> dict[str, Finding]:
    hints = hints or Hints()
    found = compare(claims(file, hints), Context(hints=hints, **{"named": NAMED, **known}))
    return {one.code: one for one in found}


def made(data: bytes) -> dict:
    return read_facts(MemorySource(data)).to_dict()


def outcome(found: dict[str, Finding], code: str) -> tuple[str, str] | None:
    one = found.get(code)
    return None if one is None else (one.severity, one.evidence["expected"]["reason"])


# Reading


def test_what_is_hidden_behind_a_bound_of_the_reader_is_not_passed_over():
    hidden = draw.bare_jpeg(*[draw.segment(0xE5, b"")] * 512, draw.app1(draw.exif()))

    found = judged(made(hidden))

    assert outcome(found, "READ_INCOMPLETE") == ("warn", "limit")
    assert found["READ_INCOMPLETE"].evidence["expected"]["limits"] == ["segments"]


def test_a_block_that_is_cut_is_named_with_its_place():
    found = judged(made(draw.bare_jpeg(draw.app1(draw.exif()[:40]))))

    assert outcome(found, "READ_INCOMPLETE") == ("warn", "broken")
    assert "at byte" in found["READ_INCOMPLETE"].evidence["raw"]


@pytest.mark.parametrize(
    ("limits", "values", "expected"),
    [
        (["ifd_repeated"], PHOTO, ("info", "repeated")),
        (["ifd_repeated", "entries"], PHOTO, ("warn", "limit")),
        (["boxes"], {"QuickTime__CreateDate": "3860701323"}, ("info", "fragments")),
        (["boxes"], {}, ("warn", "limit")),
        (
            ["reads"],
            {"QuickTime__CreateDate": "3860701323", "QuickTime__Duration": "1/1"},
            ("warn", "limit"),
        ),
        (["boxes", "depth"], {"QuickTime__CreateDate": "3860701323"}, ("warn", "limit")),
    ],
)
def test_a_bound_behind_which_nothing_is_lost_is_only_noted(limits, values, expected):
    file = facts(**values) | {"limits_hit": limits}

    assert outcome(judged(file), "READ_INCOMPLETE") == expected


def test_a_second_exif_block_that_other_programs_may_show_is_told_with_its_place():
    decoys = draw.exif(taken="2026:05:04 09:00:20"), draw.exif(taken="2020:05:04 09:00:20")

    found = judged(made(draw.bare_jpeg(*map(draw.app1, decoys))))

    assert outcome(found, "READ_INCOMPLETE") == ("warn", "second_exif")
    assert found["READ_INCOMPLETE"].evidence["offset"] > len(decoys[0])


def test_a_directory_of_a_cr3_that_stands_there_twice_is_not_called_harmless():
    twice = facts("CR3", "image/x-canon-cr3", **PHOTO) | {"limits_hit": ["ifd_repeated"]}

    assert outcome(judged(twice), "READ_INCOMPLETE") == ("warn", "limit")


def test_a_file_of_no_known_format_is_not_called_broken():
    assert "READ_INCOMPLETE" not in judged(made(b"plain text"), named=Named("a", "text/plain"))


def test_a_file_that_our_reader_fails_on_is_said_to_be_unchecked_and_nothing_else():
    file = facts("", "") | {"faults": [{"code": READER_FAILED, "detail": "ValueError"}]}

    found = judged(file, policy=Policy(time_required=True))

    assert {code: outcome(found, code) for code in found} == {
        "CHECK_FAILED": ("undecided", "reader")
    }
    assert verdict(tuple(found.values())) == "explainable"


# Labels


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ('{"Label":"1"}', ("fail", "generated")),
        ('{"Label":1}', ("fail", "generated")),
        ('{"Label":"2"}', ("warn", "perhaps_generated")),
        ('{"Label":"3"}', ("warn", "perhaps_generated")),
        ('{"Label":"factory gate 1"}', ("info", "unknown_label")),
        ('{"Label":"11"}', ("info", "unknown_label")),
        ('{"Label":true}', ("info", "unknown_label")),
        ('{"Camera":"S1"}', ("info", "unknown_label")),
        ('["1"]', ("info", "unknown_label")),
        ('{"Label', ("warn", "unreadable_label")),
    ],
)
def test_only_what_the_standard_defines_says_that_a_machine_made_it(label, expected):
    assert outcome(judged(facts(**PHOTO, AIGC__Label=label)), "AI_LABEL") == expected


@pytest.mark.parametrize(
    ("tag", "harmless", "label"),
    [
        ("AIGC:Label", '{"Label":"9"}', '{"Label":"1"}'),
        ("XMP-TC260:AIGC", '{"Label":"3"}', '{"Label":"1"}'),
        ("XMP-iptcExt:DigitalSourceType", "digitalCapture", "trainedAlgorithmicMedia"),
    ],
)
def test_a_harmless_label_hides_no_other_behind_it(tag, harmless, label):
    file = facts(**PHOTO)
    file["values"] += [
        {"tag": tag, "raw": raw, "offset": 9, "size": 1} for raw in (harmless, label)
    ]

    found = compare(claims(file, Hints()), Context(hints=Hints()))

    assert "fail" in {one.severity for one in found if one.code == "AI_LABEL"}


C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@pytest.mark.parametrize(
    "data",
    [
        draw.bare_jpeg(draw.segment(0xEB, b"JP\0\1\0\0\0\1" + b"\0\0\0\x0cjumb" + bytes(8))),
        draw.png(draw.png_chunk(b"caBX", b"\0\0\0\x0cjumb" + bytes(8))),
        draw.riff(b"WEBP", (b"C2PA", b"\0\0\0\x0cjumb" + bytes(8))),
        draw.box(b"ftyp", b"heic", bytes(4), b"mif1heic")
        + draw.box(b"uuid", C2PA, bytes(20))
        + draw.box(b"meta", bytes(4)),
        draw.movie(draw.mvhd(3860701323), before=draw.box(b"uuid", C2PA, bytes(20))),
    ],
    ids=["jpeg", "png", "webp", "heif", "mp4"],
)
def test_credentials_are_told_of_in_every_container(data):
    assert outcome(judged(made(data)), "AI_LABEL") == ("info", "c2pa")


# Readers


@pytest.mark.parametrize(
    ("tag", "ours", "theirs", "same"),
    [
        ("GPS:GPSLatitude", "22/1 30/1 0/0", "22 30 0/0", True),
        ("GPS:GPSTimeStamp", "1/1 2/1 345/100", "1 2 69/20", True),
        ("GPS:GPSTimeStamp", "1/1 2/1 0/0", "1 2 0/0", True),
        ("GPS:GPSLatitude", "22/1 30/1 0/0", "22 31 0/0", False),
        ("GPS:GPSLatitude", "22/1 30/1", "22 30 0/0", False),
        ("IFD0:Make", "示例", "示例", True),
        ("IFD0:Make", "示例", "另一", False),
        ("IFD0:Make", "M\xfcller", "b'M\\xfcller'", True),
        ("IFD0:Make", "M\xfcller", "b'M\\xf6ller'", False),
        ("IFD0:Make", "Drawn  ", "Drawn", True),
        ("ExifIFD:DateTimeOriginal", "2026:05:04 09:02:03", "2020:05:04 09:02:03\xff", False),
    ],
)
def test_two_readings_are_equal_by_what_they_mean_and_not_by_chance(tag, ours, theirs, same):
    file = facts(**{tag.replace(":", "__"): ours})

    found = judged(file, second=SecondReading("exifread 3", ((tag, theirs),)))

    assert (outcome(found, "READERS_DISAGREE") is None) == same


# Names


@pytest.mark.parametrize(
    ("kind", "mime", "name", "called"),
    [
        ("M4A", "audio/mp4", "a.m4a", "audio/x-m4a"),
        ("MP3", "audio/mpeg", "a.mp3", "audio/mp3"),
        ("M4V", "video/x-m4v", "a.mp4", "video/mp4"),
        ("WEBM", "video/webm", "a.webm", "audio/webm;codecs=opus"),
        ("WAV", "audio/x-wav", "a.wav", "audio/vnd.wave"),
        ("OPUS", "audio/ogg", "a.opus", "audio/opus"),
        ("JPEG", "image/jpeg", "a.jpg", "IMAGE/JPG"),
        ("DNG", "image/x-adobe-dng", "a.dng", "image/dng"),
        ("JPEG", "image/jpeg", "a.jpg", "application/octet-stream"),
        ("ZIP", "application/zip", "a.ofd", "application/ofd"),
        ("OLE", "application/octet-stream", "a.doc", "application/msword"),
        ("XML", "text/xml", "a.xml", "application/xml"),
    ],
)
def test_the_usual_names_of_a_kind_of_file_are_no_mismatch(kind, mime, name, called):
    assert "TYPE_MISMATCH" not in judged(facts(kind, mime), named=Named(name, called))


@pytest.mark.parametrize(
    ("kind", "mime", "name", "called"),
    [
        ("ZIP", "application/zip", "a", "image/jpeg"),
        ("ZIP", "application/zip", "a.pdf", "application/pdf"),
        ("PDF", "application/pdf", "a.txt", "text/plain"),
        ("MP4", "video/mp4", "a.jpg", "image/jpeg"),
        ("PNG", "image/png", "a.png", "image/jpeg"),
    ],
)
def test_a_file_that_is_not_what_it_is_called_is_still_told(kind, mime, name, called):
    found = judged(facts(kind, mime), named=Named(name, called))

    assert found["TYPE_MISMATCH"].severity == "info"


@pytest.mark.parametrize(
    ("kind", "size", "code"),
    [
        ("PNG", "1080 2400", "SCREENSHOT"),
        ("JPEG", "1080 2400", "SCREENSHOT"),
        ("JPEG", "2532 1170", "SCREENSHOT"),
        ("JPEG", "1080 1920", "SCREENSHOT"),
        ("JPEG", "1920 1080", None),
        ("JPEG", "1080 1440", "STRIPPED"),
        ("JPEG", "720 1280", "STRIPPED"),
        ("JPEG", "4000 3000", None),
    ],
)
def test_a_picture_without_a_camera_in_the_size_of_a_screen_is_told_once(kind, size, code):
    tag = "PNG__ImageSize" if kind == "PNG" else "File__ImageSize"
    file = facts(kind, f"image/{kind.lower()}", **{tag: size})

    found = judged(file, named=Named("a", f"image/{kind.lower()}"))

    assert set(found) - {"TIME_ABSENT"} == ({code} if code else set())


# Others


@pytest.mark.parametrize(
    ("file", "called", "case", "expected"),
    [
        (facts(**PHOTO), "image/jpeg", "", ("fail", "same")),
        (facts("MP4", "video/mp4"), "video/mp4", "", ("fail", "same")),
        (facts("", ""), "audio/amr", "", ("fail", "same")),
        (facts("", ""), "Audio/AMR", "", ("fail", "same")),
        (facts(**PHOTO), "application/octet-stream", "", ("fail", "same")),
        (facts(**PHOTO), "image/jpeg", "3", ("warn", "same_case")),
        (facts("PDF", "application/pdf"), "application/pdf", "", ("info", "document")),
        (facts("PDF", "application/pdf"), "application/pdf", "3", ("info", "document")),
    ],
)
def test_one_photo_is_of_one_case_and_a_paper_may_be_of_any(file, called, case, expected):
    other = SameBytes("item", "inspection", NINE, same_case=bool(case), case=case)

    found = judged(file, named=Named("a", called), reuse=(other,))

    assert outcome(found, "REUSED_BYTES") == expected


@pytest.mark.parametrize(
    ("relation", "camera_ms", "zone", "expected"),
    [
        ("previous", NINE + 9 * HOUR - 5 * MINUTE, 540, None),
        ("previous", NINE + 9 * HOUR + 5 * MINUTE, 540, ("warn", "camera_previous")),
        ("previous", NINE + 9 * HOUR - 5 * MINUTE, None, ("warn", "camera_previous")),
        ("next", NINE + 7 * HOUR + 5 * MINUTE, 420, None),
        ("next", NINE + 7 * HOUR - 5 * MINUTE, 420, ("warn", "camera_next")),
        ("next", NINE + 9 * HOUR - 5 * MINUTE, 540, ("warn", "camera_next")),
    ],
)
def test_photos_that_name_their_zones_are_put_in_order_by_utc(relation, camera_ms, zone, expected):
    other = Neighbour(relation, "o", "n", 1, NINE, NINE, camera_ms=camera_ms, camera_zone_min=zone)

    found = judged(facts(**PHOTO), Hints("B"), neighbours=(other,))

    assert outcome(found, "ORDER") == expected


# Whatever a file says

_FRAGMENTS = (
    *("2026:05:04 09:02:03", "0000:00:00", "9999:12:31 23:59:60", "+08:00", "Z", "T", "N", "S"),
    *("²", "½", "①", "٣", "9", "12", "1/0", "0/0", "9999999999/1", "-1/3", "nan", "inf", "1e9"),
    *('{"Label":', '"1"', "}", "[", " ", ".", "-", "\x85", "\u2028", "+22.5431+114.0579/"),
    *("22/1 32/1 1/1", "1" * 4200, "{" * 3000, "1" * 4400 + "/1"),
)
_NUMBERS = {"QuickTime:CreateDate", "Matroska:DateTimeOriginal", "File:ImageSize", "PNG:ImageSize"}
_TAGS = sorted(
    {
        *COMPARED_TAGS,
        *SIGN_TAGS,
        "GPS:GPSHPositioningError",
        "ExifIFD:SubSecTime",
        "Keys:com.apple.quicktime.creationdate",
        "Keys:com.apple.quicktime.location.ISO6709",
        "UserData:GPSCoordinates",
        "UserData:ContentCreateDate",
        "RIFF:DateTimeOriginal",
        "RIFF:DigitizationDate",
        "PNG:CreationTime",
    }
    - _NUMBERS
)


def test_whatever_a_file_says_the_rules_come_to_an_end():
    rng = random.Random(3)
    for _ in range(1500):
        said = {
            tag: "".join(rng.choice(_FRAGMENTS) for _ in range(rng.randint(1, 3)))[:4096]
            for tag in rng.sample(_TAGS, 8)
        }
        file = facts(rng.choice(("JPEG", "MP4", "PNG", "WAV", "AVI")))
        file["values"] = [
            {"tag": tag, "raw": raw, "offset": 9, "size": 1} for tag, raw in said.items()
        ]
        hints = Hints(rng.choice("ABC"), 480, Declared(NINE, 480), ClockOffset(0, 1))
        hints = replace(hints, bounds=rng.choice((None, Bounds(NINE, NINE))))
        seen = tuple(sorted((tag, rng.choice(_FRAGMENTS)) for tag in COMPARED_TAGS[:5]))
        context = Context(
            hints=hints,
            received_at_ms=NINE,
            window=Window(NINE, None),
            site=Site(225431000, 1140579000, 1000),
            pixels=Pixels(duration_ms=5000),
            second=SecondReading("x", seen),
            named=NAMED,
        )

        for version in RULES:
            stated = claims(file, hints, version)
            json.loads(to_json(stated))
            json.loads(to_json(compare(stated, context, version)))
