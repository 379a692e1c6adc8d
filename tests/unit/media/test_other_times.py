"""A file that says when it was made is believed to say so, wherever in it that stands."""

import pytest

from media.facts import read_facts
from media.findings import Context, Finding, Hints, claims, compare
from media.findings.model import Named, Policy, TimeClaim
from media.findings.reading import Reading
from media.findings.timetext import camera_time, iso_seconds, loose_time, mail_time
from media.source import MemorySource
from tests.support import draw
from tests.support.scenarios import facts

NINE = 1777856523000  # 2026-05-04T09:02:03+08:00
HOUR, DAY = 3600_000, 86_400_000
XMP = b"http://ns.adobe.com/xap/1.0/\0"


def packet(written: str) -> bytes:
    return (
        b'<x:xmpmeta xmlns:e="http://ns.adobe.com/exif/1.0/"><e:DateTimeOriginal>'
        + written.encode()
        + b"</e:DateTimeOriginal></x:xmpmeta>"
    )


def png_xmp(written: str) -> bytes:
    head = b"XML:com.adobe.xmp\0\0\0\0\0"
    return draw.png(draw.png_chunk(b"iTXt", head + packet(written)))


def made(data: bytes) -> dict:
    return read_facts(MemorySource(data)).to_dict()


def judged(file: dict, **known) -> dict[str, Finding]:
    hints = Hints(site_zone_min=480)
    found = compare(claims(file, hints), Context(hints=hints, **known))
    return {one.code: one for one in found}


def outcome(found: dict[str, Finding], code: str) -> tuple[str, str] | None:
    one = found.get(code)
    return None if one is None else (one.severity, one.evidence["expected"]["reason"])


@pytest.mark.parametrize(
    ("data", "source", "zoned"),
    [
        (draw.riff(b"AVI ", (b"IDIT", b"MON MAY 04 09:02:03 2026\n\0")), "idit", False),
        (draw.riff(b"AVI ", (b"IDIT", b"2026:05:04 09:02:03\0")), "idit", False),
        (png_xmp("2026-05-04T09:02:03+08:00"), "xmp", True),
        (png_xmp("2026-05-04T09:02:03"), "xmp", False),
        (
            draw.png(draw.png_chunk(b"tEXt", b"Creation Time\0Mon, 04 May 2026 09:02:03 +0800")),
            "png",
            True,
        ),
        (draw.png(draw.png_chunk(b"tEXt", b"Creation Time\x002026:05:04 09:02:03")), "png", False),
        (
            draw.movie(
                draw.box(
                    b"udta",
                    draw.box(b"\xa9day", b"\0\x18\x15\xc7", b"2026-05-04T09:02:03+0800"),
                )
            ),
            "day",
            True,
        ),
    ],
)
def test_a_time_that_stands_elsewhere_is_a_claim_as_wide_as_it_is_uncertain(data, source, zoned):
    file = made(data)

    [claim] = [one for one in claims(file, Hints(site_zone_min=480)) if isinstance(one, TimeClaim)]

    assert claim.source == source
    if zoned:
        assert (claim.lo_ms, claim.hi_ms, claim.assumed) == (NINE, NINE + 999, ())
    else:
        assert (claim.lo_ms, claim.hi_ms) == (NINE - 6 * HOUR, NINE + 999 + 22 * HOUR)
        assert [(one.basis, one.lo_ms) for one in claim.assumed] == [("site zone", NINE)]
    assert not {"TIME_ABSENT", "TIME_INVALID"} & set(judged(file))


def test_the_year_of_a_piece_of_music_is_no_time_of_capture():
    day = draw.box(b"\xa9day", b"\0\x04\x15\xc7", b"2004")

    found = judged(made(draw.movie(draw.mvhd(0), draw.box(b"udta", day), brand=b"M4A ")))

    assert outcome(found, "TIME_ABSENT") == ("warn", "absent")


def test_what_editors_copy_from_exif_is_no_claim_of_its_own():
    photo = draw.bare_jpeg(
        draw.app1(draw.exif()), draw.segment(0xE1, XMP + packet("2020-01-02T03:04:05"))
    )

    sources = [one.source for one in claims(made(photo), Hints()) if isinstance(one, TimeClaim)]

    assert sources == ["exif"]


@pytest.mark.parametrize(
    ("written", "wall", "span", "zone"),
    [
        ("2026-05-04T09:02:03.5+08:00", "2026-05-04T09:02:03", 99, 480),
        ("2026-05-04T09:02Z", "2026-05-04T09:02:00", 59_999, 0),
        ("2026-05-04T09:02", "2026-05-04T09:02:00", 59_999, None),
        ("2026-05-04", "2026-05-04T00:00:00", DAY - 1, None),
        ("2026-02", "2026-02-01T00:00:00", 28 * DAY - 1, None),
        ("2025-12", "2025-12-01T00:00:00", 31 * DAY - 1, None),
        ("2024", "2024-01-01T00:00:00", 366 * DAY - 1, None),
        ("202", None, 0, None),
        ("2026-13-04", None, 0, None),
    ],
)
def test_a_short_iso_time_leaves_open_what_it_does_not_say(written, wall, span, zone):
    clock = loose_time(written)

    said = None if clock is None else iso_seconds(clock.wall_ms)
    assert said == wall
    assert clock is None or (clock.span_ms, clock.zone_min) == (span, zone)


@pytest.mark.parametrize(
    ("written", "wall"),
    [
        ("Mon Mar 10 15:04:43 2003", "2003-03-10T15:04:43"),
        ("MON MAR  3 15:04:43 2003", "2003-03-03T15:04:43"),
        ("2005:08:17 11:42:43", "2005-08-17T11:42:43"),
        ("2001/ 1/27  1:42PM", "2001-01-27T13:42:00"),
        ("2001/ 1/27 12:42AM", "2001-01-27T00:42:00"),
        ("2005-11-28 09:19", "2005-11-28T09:19:00"),
        ("2001/ 1/27 13:42PM", None),
        ("Mon Foo 10 15:04:43 2003", None),
        ("2001/13/27  1:42PM", None),
        ("", None),
    ],
)
def test_the_dates_of_cameras_avi_files_are_read_in_each_form(written, wall):
    clock = camera_time(written)

    assert (None if clock is None else iso_seconds(clock.wall_ms)) == wall


def test_a_time_as_mail_writes_it_may_lack_its_zone_or_its_seconds():
    assert mail_time("Mon, 04 May 2026 01:02:03 GMT").utc_ms == NINE
    assert mail_time("4 May 2026 09:02:03").zone_min is None
    assert mail_time("04 May 2026 09:02 +0800").span_ms == 59_999
    assert mail_time("31 Feb 2026 09:02:03") is None


@pytest.mark.parametrize("digits", ["²", "①", "٣", "2²"])
def test_a_fraction_of_other_digits_is_none_and_stops_nobody(digits):
    photo = draw.photo(draw.exif(zone="+08:00", subsec=digits))

    [claim] = [one for one in claims(made(photo), Hints()) if isinstance(one, TimeClaim)]

    assert (claim.lo_ms, claim.hi_ms) == (NINE, NINE + 999)


def test_a_movie_header_that_was_left_empty_is_absence_and_no_clock_never_set():
    rewritten = draw.movie(draw.mvhd(0))
    unset = draw.movie(draw.mvhd(2**32 - 1, version=1), brand=b"qt  ")

    assert outcome(judged(made(rewritten)), "TIME_ABSENT") == ("warn", "absent")
    assert "TIME_INVALID" not in judged(made(rewritten))
    assert Reading(made(unset)).movie_time() is not None


@pytest.mark.parametrize(
    ("kind", "mime", "called"),
    [
        (
            "ZIP",
            "application/zip",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        ("OLE", "application/octet-stream", "application/msword"),
        ("XML", "text/xml", "application/xml"),
        ("PDF", "application/pdf", "application/pdf"),
        ("ZIP", "application/zip", "application/octet-stream"),
        ("", "", "text/plain"),
    ],
)
def test_a_paper_has_no_time_of_capture_and_needs_none(kind, mime, called):
    found = judged(
        facts(kind, mime), named=Named("paper", called), policy=Policy(time_required=True)
    )

    assert outcome(found, "TIME_ABSENT") == ("info", "document")
    assert "TYPE_MISMATCH" not in found


@pytest.mark.parametrize(
    ("kind", "mime", "called", "expected"),
    [
        ("ZIP", "application/zip", "image/jpeg", ("fail", "unknown_format")),
        ("PDF", "application/pdf", "image/jpeg", ("fail", "unknown_format")),
        ("", "", "video/mp4", ("fail", "unknown_format")),
        ("", "", "application/octet-stream", ("warn", "unknown_format")),
        ("JPEG", "image/jpeg", "application/octet-stream", ("fail", "absent")),
        ("PSD", "application/vnd.adobe.photoshop", "image/x-photoshop", ("fail", "absent")),
    ],
)
def test_a_photo_without_a_time_is_one_by_its_content_or_by_what_it_is_called(
    kind, mime, called, expected
):
    found = judged(facts(kind, mime), named=Named("a", called), policy=Policy(time_required=True))

    assert outcome(found, "TIME_ABSENT") == expected


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20260504", "090203+0000", None),
        ("20260504", "090203+0800", None),
        ("20260504", "010203+0000", None),
        ("20260504", "090203", None),
        ("20260504", "080203+0000", ("warn", "differs")),
        ("20260505", "090203+0000", ("warn", "differs")),
    ],
)
def test_a_caption_with_the_cameras_wall_time_was_not_edited_whatever_zone_it_names(
    date, time, expected
):
    file = facts(
        ExifIFD__DateTimeOriginal="2026:05:04 09:02:03",
        ExifIFD__OffsetTimeOriginal="+08:00",
        IPTC__DateCreated=date,
        IPTC__TimeCreated=time,
    )

    assert outcome(judged(file), "EDITED_TIME") == expected
