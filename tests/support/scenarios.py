"""Scenarios of what may be wrong with an item, each with the finding that must come of it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from media.findings import Context, Hints, claims, compare
from media.findings.distance import from_gcj02
from media.findings.model import (
    INFO,
    Bounds,
    ClockOffset,
    Content,
    Declared,
    Fix,
    KnownCamera,
    Named,
    Neighbour,
    Pixels,
    Policy,
    SameBytes,
    SameScene,
    Site,
    Window,
)
from media.findings.signs import READER_FAILED
from media.findings.timetext import iso_seconds, iso_time

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_ZONE_MIN = 480
#: Degrees of 1e-7 in a metre northward.
_METRE_E7 = 90
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Scenario:
    """One item: its facts, what they are compared with, and what must be found.

    ``expected`` is (code, severity, reason); None where no doubt may come of it. ``also``
    are the codes of further doubts that the same wrong raises; no other may come.
    """

    name: str
    facts: dict[str, Any]
    context: Context
    expected: tuple[str, str, str] | None
    also: frozenset[str] = frozenset()


def facts(kind: str = "JPEG", mime: str = "image/jpeg", **values: str) -> dict[str, Any]:
    """Facts as the reader gives them; ``IFD0__Make`` stands for the tag ``IFD0:Make``."""
    return {
        "bytes_read": 100,
        "faults": [],
        "limits_hit": [],
        "mime": mime,
        "reader_version": "liuhen-2",
        "size": 1000,
        "type": kind,
        "values": [
            {
                "tag": tag.replace("XMP_", "XMP-").replace("__", ":"),
                "raw": raw,
                "offset": 9,
                "size": 1,
            }
            for tag, raw in values.items()
        ],
    }


def complaint(scenario: Scenario) -> str:
    """What was found instead of what should have been; empty if all is well.

    A doubt about something that is not wrong counts as much as one that does not come.
    """
    context = scenario.context
    found = {
        (one.code, one.severity, one.evidence["expected"]["reason"])
        for one in compare(claims(scenario.facts, context.hints), context)
    }
    right = set() if scenario.expected is None else {scenario.expected}
    doubts = {one for one in found - right if one[1] != INFO and one[0] not in scenario.also}
    return "" if right <= found and not doubts else f"{sorted(found)}"


def scenarios(seed: int) -> Iterator[Scenario]:
    """Scenarios without end, each kind as often as the others."""
    rng = random.Random(seed)
    while True:
        for kind in _KINDS:
            yield kind(_Draw(rng))


class _Draw:
    """One innocent photo of a visit, from which a scenario differs in one respect."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.at = 1_750_000_000_000 + rng.randrange(3 * 365 * DAY)
        self.site = Site(
            lat_e7=rng.randrange(240_000_000, 410_000_000),
            lon_e7=rng.randrange(1_000_000_000, 1_200_000_000),
            radius_cm=rng.randrange(10_000, 50_000),
        )
        self.values = {
            "IFD0__Make": "示例",
            "IFD0__Model": "S1",
            "ExifIFD__DateTimeOriginal": exif_text(self.at),
            "ExifIFD__CreateDate": exif_text(self.at),
            "ExifIFD__OffsetTimeOriginal": "+08:00",
            "ExifIFD__MakerNote": "",
            "File__ImageSize": "4000 3000",
            "JPEG__QuantTables": "a" * 64,
        }
        self.kind, self.mime = "JPEG", "image/jpeg"
        self.limits: list[str] = []
        self.faults: list[dict[str, str]] = []
        self.context = Context(
            hints=Hints(
                capture_class="B",
                site_zone_min=_ZONE_MIN,
                declared=Declared(self.at, _ZONE_MIN),
                clock=ClockOffset(0, 50),
                bounds=Bounds(self.at - 1000, self.at + 1000),
            ),
            received_at_ms=self.at + rng.randrange(HOUR, DAY),
            window=Window(self.at - HOUR, self.at + HOUR),
            site=self.site,
            fix=Fix(self.site.lat_e7, self.site.lon_e7, 1000, self.at),
            announced=Content("ab" * 32, 1000),
            received=Content("ab" * 32, 1000),
            camera=KnownCamera(("示例",), ("S1",), (), ("a" * 64,), 9),
            named=Named("IMG_0100.jpg", "image/jpeg"),
        )

    def make(self, name: str, *expected: str, also: str = "", **changes: Any) -> Scenario:
        hints = {key: changes.pop(key) for key in list(changes) if key in Hints.__annotations__}
        context = replace(self.context, hints=replace(self.context.hints, **hints), **changes)
        found = (expected[0], expected[1], expected[2]) if expected else None
        made = facts(self.kind, self.mime, **self.values)
        made |= {"limits_hit": self.limits, "faults": self.faults}
        return Scenario(name, made, context, found, frozenset(also.split()))

    def become(self, kind: str, mime: str, name: str, **values: str) -> None:
        """Be another file of the same visit, which holds ``values`` alone."""
        self.kind, self.mime, self.values = kind, mime, values
        self.context = replace(self.context, named=Named(name, mime), camera=None)

    def taken(self, wall_ms: int, zone: str | None = "+08:00") -> None:
        """Have the camera say another time; ``wall_ms`` is UTC of the zone +08:00."""
        for tag in ("ExifIFD__DateTimeOriginal", "ExifIFD__CreateDate"):
            self.values[tag] = exif_text(wall_ms)
        if zone is None:
            del self.values["ExifIFD__OffsetTimeOriginal"]
        else:
            self.values["ExifIFD__OffsetTimeOriginal"] = zone

    def neighbour(self, relation: str, seconds: int, metres: int = 0) -> Neighbour:
        at = self.at + seconds * 1000 * (1 if relation == "next" else -1)
        return Neighbour(
            relation=relation,
            item="other",
            name="IMG_0099.jpg" if relation == "previous" else "IMG_0101.jpg",
            seq=7,
            lo_ms=at,
            hi_ms=at,
            camera_ms=at + _ZONE_MIN * MINUTE,
            camera_zone_min=_ZONE_MIN,
            lat_e7=self.site.lat_e7 + metres * _METRE_E7,
            lon_e7=self.site.lon_e7,
            accuracy_cm=1000,
            proven=True,
        )


def exif_text(utc_ms: int) -> str:
    """What a camera in +08:00 writes."""
    return iso_seconds(utc_ms + _ZONE_MIN * MINUTE).replace("-", ":").replace("T", " ")


def _innocent(draw: _Draw) -> Scenario:
    near = tuple(draw.neighbour(side, draw.rng.randrange(5, 600)) for side in ("previous", "next"))
    return draw.make("innocent", neighbours=near, pixels=Pixels(4000, 3000, 3))


def _outside(draw: _Draw) -> Scenario:
    draw.taken(draw.at + draw.rng.choice((-1, 1)) * draw.rng.randrange(3 * HOUR, 20 * HOUR))
    return draw.make(
        "window",
        "TIME_OUTSIDE_WINDOW",
        "fail",
        "outside",
        also="CLOCK_OFFSET",
        received_at_ms=draw.at + 30 * HOUR,
    )


def _outside_uncompared(draw: _Draw) -> Scenario:
    """A file from a recorder's card whose clock nobody compared, or only at another time."""
    long_ago = draw.at - draw.rng.randrange(9, 90) * DAY
    draw.taken(draw.at + draw.rng.choice((-1, 1)) * draw.rng.randrange(3 * HOUR, 20 * HOUR))
    return draw.make(
        "window by an unknown clock",
        "TIME_OUTSIDE_WINDOW",
        "warn",
        "uncompared",
        received_at_ms=draw.at + 30 * HOUR,
        capture_class="C",
        recorder=draw.rng.choice((None, ClockOffset(0, 1000, long_ago))),
    )


def _outside_by_recorder(draw: _Draw) -> Scenario:
    """The same, whose recorder's clock was compared and explains nothing."""
    draw.taken(draw.at + draw.rng.choice((-1, 1)) * draw.rng.randrange(3 * HOUR, 20 * HOUR))
    return draw.make(
        "window by a known clock",
        "TIME_OUTSIDE_WINDOW",
        "fail",
        "outside",
        received_at_ms=draw.at + 30 * HOUR,
        capture_class="C",
        recorder=ClockOffset(draw.rng.randrange(-MINUTE, MINUTE), 1000, draw.at),
    )


def _before_proof(draw: _Draw) -> Scenario:
    """An app whose clock nobody compared writes a time before its chain allows it."""
    compared = draw.rng.random() < 0.5
    severity, reason = ("fail", "before_proof") if compared else ("warn", "before_proof_uncompared")
    draw.taken(draw.at - 30 * MINUTE)
    return draw.make(
        "before its proof",
        "TIME_OUTSIDE_WINDOW",
        severity,
        reason,
        also="CLOCK_OFFSET",
        capture_class="A",
        not_before_ms=draw.at - MINUTE,
        bounds=draw.context.hints.bounds if compared else None,
    )


def _zone_missing(draw: _Draw) -> Scenario:
    draw.taken(draw.at, None)
    return draw.make("zone missing", "ZONE_MISSING", "info", "missing")


def _assumed_zone(draw: _Draw) -> Scenario:
    """Outside in the zone of site and device, but another zone might put it inside."""
    draw.taken(draw.at - 5 * HOUR, None)
    return draw.make(
        "assumed zone", "TIME_OUTSIDE_WINDOW", "warn", "assumed_zone", also="CLOCK_OFFSET"
    )


def _zone_undecided(draw: _Draw) -> Scenario:
    draw.taken(draw.at, None)
    return draw.make(
        "no zone known",
        "TIME_OUTSIDE_WINDOW",
        "undecided",
        "zone_unknown",
        site_zone_min=None,
        capture_class="C",
    )


def _other_zone(draw: _Draw) -> Scenario:
    draw.taken(draw.at + HOUR, "+09:00")
    return draw.make("other zone", "ZONE_DST", "warn", "other")


def _after_receipt(draw: _Draw) -> Scenario:
    draw.taken(draw.at + 30 * DAY)
    return draw.make(
        "after receipt", "TIME_AFTER_RECEIPT", "fail", "after", also="CLOCK_OFFSET", window=None
    )


def _after_receipt_uncompared(draw: _Draw) -> Scenario:
    """A device that never compared its clock signs a time that has not come yet."""
    ahead = draw.rng.randrange(2 * DAY, 40 * DAY)
    draw.taken(draw.at + ahead)
    return draw.make(
        "after receipt by an unknown clock",
        "TIME_AFTER_RECEIPT",
        "warn",
        "uncompared",
        window=None,
        clock=None,
        bounds=None,
        declared=Declared(draw.at + ahead, _ZONE_MIN),
    )


def _clock_ahead(draw: _Draw) -> Scenario:
    offset = draw.rng.randrange(3, 60) * MINUTE
    draw.taken(draw.at + offset)
    return draw.make(
        "clock ahead",
        "CLOCK_OFFSET",
        "warn",
        "measured",
        clock=ClockOffset(offset, 50),
        declared=Declared(draw.at + offset, _ZONE_MIN),
    )


def _film_clock_ahead(draw: _Draw) -> Scenario:
    """A film of a phone whose clock was found to be ahead, in each container's way to say when."""
    offset = draw.rng.randrange(3, 60) * MINUTE
    written = draw.at + offset
    local = iso_seconds(written + _ZONE_MIN * MINUTE)
    kind, mime, tag, raw = draw.rng.choice(
        (
            ("MOV", "video/quicktime", "Keys__com.apple.quicktime.creationdate", local + "+0800"),
            ("MP4", "video/mp4", "QuickTime__CreateDate", str(written // 1000 + 2082844800)),
            (
                "MKV",
                "video/x-matroska",
                "Matroska__DateTimeOriginal",
                str((written - 978307200000) * 10**6),
            ),
            ("WAV", "audio/x-wav", "RIFF__DateTimeOriginal", local.replace("T", "")),
            ("AVI", "video/x-msvideo", "RIFF__DigitizationDate", local.replace("T", " ")),
            ("MOV", "video/quicktime", "UserData__ContentCreateDate", local + "+08:00"),
        )
    )
    draw.become(kind, mime, f"film.{kind.lower()}", **{tag: raw})
    return draw.make(
        "film, clock ahead",
        "CLOCK_OFFSET",
        "warn",
        "measured",
        clock=ClockOffset(offset, 50),
        declared=Declared(written, _ZONE_MIN),
        received_at_ms=draw.at + 90_000,
        window=Window(draw.at - MINUTE, draw.at + MINUTE),
    )


def _time_elsewhere(draw: _Draw) -> Scenario:
    """Files that say when they were made in another place than EXIF."""
    local = iso_seconds(draw.at + _ZONE_MIN * MINUTE)
    day, month = local[8:10], _MONTHS[int(local[5:7]) - 1]
    said_by_c = f"MON {month.upper()} {day} {local[11:19]} {local[:4]}\n"
    kind, mime, tag, raw = draw.rng.choice(
        (
            ("AVI", "video/x-msvideo", "RIFF__DigitizationDate", said_by_c),
            ("AVI", "video/x-msvideo", "RIFF__DigitizationDate", local.replace("T", " ")),
            ("PNG", "image/png", "XMP_exif__DateTimeOriginal", local + "+08:00"),
            ("PNG", "image/png", "XMP_exif__DateTimeOriginal", local),
            ("JPEG", "image/jpeg", "XMP_photoshop__DateCreated", local[:16]),
            ("PNG", "image/png", "PNG__CreationTime", f"{day} {month} {local[:4]} {local[11:]}"),
            ("MOV", "video/quicktime", "UserData__ContentCreateDate", local + "+0800"),
            ("MKV", "video/x-matroska", "Matroska__DateTimeOriginal", _since_2001(local)),
        )
    )
    ending = {"JPEG": "jpg"}.get(kind, kind.lower())
    draw.become(kind, mime, f"file.{ending}", **{tag: raw})
    return draw.make("time elsewhere", policy=Policy(time_required=True))


def _since_2001(local: str) -> str:
    """What a recorder writes into ``DateUTC`` that takes its local time for UTC."""
    clock = iso_time(local)
    assert clock is not None
    return str((clock.wall_ms - 978307200000) * 10**6)


def _film_outside(draw: _Draw) -> Scenario:
    """Neither as UTC nor as local time, both of which recorders write."""
    written = draw.at + draw.rng.choice((-3, -4, 3, 4)) * HOUR
    draw.become(
        "MP4",
        "video/mp4",
        "film.mp4",
        QuickTime__CreateDate=str(written // 1000 + 2082844800),
    )
    return draw.make("film outside", "TIME_OUTSIDE_WINDOW", "warn", "utc_or_local")


def _film_after_receipt(draw: _Draw) -> Scenario:
    written = draw.at + 2 * HOUR + _ZONE_MIN * MINUTE
    draw.become(
        "MKV",
        "video/x-matroska",
        "film.mkv",
        Matroska__DateTimeOriginal=str((written - 978307200000) * 10**6),
    )
    return draw.make(
        "film after receipt",
        "TIME_AFTER_RECEIPT",
        "warn",
        "utc_or_local",
        window=None,
        received_at_ms=draw.at + HOUR,
    )


def _clock_reset(draw: _Draw) -> Scenario:
    year = draw.rng.choice((1970, 1980, 2000, 2010, 2015))
    draw.values["ExifIFD__DateTimeOriginal"] = f"{year}:01:01 00:{draw.rng.randrange(60):02}:07"
    return draw.make(
        "clock reset",
        "CLOCK_DEFAULT",
        "warn",
        "year_start",
        also="CLOCK_OFFSET EDITED_TIME",
        window=None,
    )


def _no_time(draw: _Draw) -> Scenario:
    for tag in ("ExifIFD__DateTimeOriginal", "ExifIFD__CreateDate", "ExifIFD__OffsetTimeOriginal"):
        del draw.values[tag]
    strict = draw.rng.random() < 0.5
    return draw.make(
        "no time", "TIME_ABSENT", "fail" if strict else "warn", "absent", policy=Policy(strict)
    )


def _sound_without_time(draw: _Draw) -> Scenario:
    """A memo: of some formats nobody expects a time, others merely leave it out."""
    kind, mime, reason = draw.rng.choice(
        (("WAV", "audio/x-wav", "optional"), ("AMR", "audio/amr", "timeless"))
    )
    strict = draw.rng.random() < 0.5
    severity = "fail" if strict and reason == "optional" else "info"
    draw.become(kind, mime, f"memo.{kind.lower()}")
    return draw.make("sound without time", "TIME_ABSENT", severity, reason, policy=Policy(strict))


def _paper_without_time(draw: _Draw) -> Scenario:
    """A paper that belongs to the visit: nobody expects a time of capture, nor requires one."""
    kind, mime, called = draw.rng.choice(
        (
            ("ZIP", "application/zip", "application/vnd.openxmlformats-officedocument.wordprocess"),
            ("PDF", "application/pdf", "application/pdf"),
            ("XML", "text/xml", "application/xml"),
            ("OLE", "application/octet-stream", "application/msword"),
            ("", "", "text/plain"),
        )
    )
    draw.become(kind, mime, "paper")
    return draw.make(
        "paper",
        "TIME_ABSENT",
        "info",
        "document",
        policy=Policy(time_required=True),
        named=Named("paper", called),
    )


def _no_photo(draw: _Draw) -> Scenario:
    """What is called a photo and is a paper, or nothing known."""
    kind, mime = draw.rng.choice((("ZIP", "application/zip"), ("", "")))
    strict = draw.rng.random() < 0.5
    draw.become(kind, mime, "a.jpg")
    return draw.make(
        "no photo",
        "TIME_ABSENT",
        "fail" if strict else "warn",
        "unknown_format",
        policy=Policy(strict),
        named=Named("a.jpg", "image/jpeg"),
    )


def _film_without_time(draw: _Draw) -> Scenario:
    draw.become("MP4", "video/mp4", "film.mp4", QuickTime__CreateDate="0")
    return draw.make("film without time", "TIME_ABSENT", "warn", "absent")


def _called_otherwise(draw: _Draw) -> Scenario:
    """Names of one kind of file that are all in use."""
    tag = "XMP_exif__DateTimeOriginal"
    kind, mime, name, called = draw.rng.choice(
        (
            ("M4A", "audio/mp4", "a.m4a", "audio/x-m4a"),
            ("M4V", "video/x-m4v", "a.mp4", "video/mp4"),
            ("WEBM", "video/webm", "a.webm", "audio/webm;codecs=opus"),
            ("WAV", "audio/x-wav", "a.wav", "audio/wav"),
            ("JPEG", "image/jpeg", "a.jpg", "image/jpg"),
            ("JPEG", "image/jpeg", "a", "application/octet-stream"),
        )
    )
    draw.become(kind, mime, name, **{tag: iso_seconds(draw.at + _ZONE_MIN * MINUTE) + "+0800"})
    return draw.make("called otherwise", named=Named(name, called))


def _no_date(draw: _Draw) -> Scenario:
    draw.values["ExifIFD__DateTimeOriginal"] = draw.rng.choice(
        ("0000:00:00 00:00:00", "2026:02:30 10:00:00", "    :  :     :  :  ")
    )
    return draw.make("no date", "TIME_INVALID", "warn", "unreadable")


def _subsecond_of_no_digits(draw: _Draw) -> Scenario:
    draw.values["ExifIFD__SubSecTimeOriginal"] = draw.rng.choice(("²", "①", "٣", "1²", "", "x"))
    return draw.make("subsecond of no digits")


def _invalid_beside(draw: _Draw) -> Scenario:
    draw.values["ExifIFD__DateTimeOriginal"] = "2026:02:30 10:00:00"
    draw.values["Keys__com.apple.quicktime.creationdate"] = (
        iso_seconds(draw.at + _ZONE_MIN * MINUTE) + "+0800"
    )
    return draw.make("invalid beside another", "TIME_INVALID", "warn", "beside")


def _edited(draw: _Draw) -> Scenario:
    tag, text = draw.rng.choice(
        (
            ("IFD0__ModifyDate", exif_text(draw.at + 3 * DAY)),
            ("ExifIFD__CreateDate", exif_text(draw.at - HOUR)),
            ("XMP_xmp__ModifyDate", iso_seconds(draw.at + 5 * DAY) + "+08:00"),
            ("XMP_exif__DateTimeOriginal", iso_seconds(draw.at - DAY)),
        )
    )
    draw.values[tag] = text
    return draw.make("edited", "EDITED_TIME", "warn", "differs")


def _edited_iptc(draw: _Draw) -> Scenario:
    draw.values["IPTC__DateCreated"] = "20200102"
    draw.values["IPTC__TimeCreated"] = "030405+0800"
    return draw.make("edited caption", "EDITED_TIME", "warn", "differs")


def _caption_zone(draw: _Draw) -> Scenario:
    """Programs that write captions put +0000 behind the camera's time."""
    day, _, time = exif_text(draw.at).partition(" ")
    draw.values["IPTC__DateCreated"] = day.replace(":", "")
    draw.values["IPTC__TimeCreated"] = time.replace(":", "") + "+0000"
    return draw.make("caption's zone")


def _off_site(draw: _Draw) -> Scenario:
    strict = draw.rng.random() < 0.5
    away = draw.rng.randrange(5_000, 90_000) * _METRE_E7
    return draw.make(
        "off site",
        "GPS_OFF_SITE",
        "fail" if strict else "warn",
        "distance",
        fix=Fix(draw.site.lat_e7 + away, draw.site.lon_e7, 1000),
        policy=Policy(place_required=strict),
    )


def _datum(draw: _Draw) -> Scenario:
    lat, lon = from_gcj02(draw.site.lat_e7, draw.site.lon_e7)
    shifted = Fix(2 * draw.site.lat_e7 - lat, 2 * draw.site.lon_e7 - lon, 500)
    near = replace(draw.site, radius_cm=1_000)
    draw.values |= _degrees(shifted)
    draw.values["GPS__GPSMapDatum"] = draw.rng.choice(("", "GCJ-02"))
    return draw.make("datum", "GPS_DATUM", "info", "datum", fix=None, site=near)


def _datum_declared(draw: _Draw) -> Scenario:
    """As far off, but signed or said to be in WGS-84."""
    lat, lon = from_gcj02(draw.site.lat_e7, draw.site.lon_e7)
    shifted = Fix(2 * draw.site.lat_e7 - lat, 2 * draw.site.lon_e7 - lon, 500)
    signed, strict = draw.rng.random() < 0.5, draw.rng.random() < 0.5
    if not signed:
        draw.values |= _degrees(shifted)
        draw.values["GPS__GPSMapDatum"] = draw.rng.choice(("WGS-84", "WGS84 ", "wgs 84"))
    return draw.make(
        "datum declared",
        "GPS_OFF_SITE",
        "fail" if strict else "warn",
        "declared",
        fix=shifted if signed else None,
        site=replace(draw.site, radius_cm=1_000),
        policy=Policy(place_required=strict),
    )


def _degrees(fix: Fix) -> dict[str, str]:
    return {
        "GPS__GPSLatitude": f"{fix.lat_e7}/10000000 0/1 0/1",
        "GPS__GPSLatitudeRef": "N",
        "GPS__GPSLongitude": f"{fix.lon_e7}/10000000 0/1 0/1",
        "GPS__GPSLongitudeRef": "E",
        "GPS__GPSHPositioningError": "5/1",
    }


def _null_position(draw: _Draw) -> Scenario:
    draw.values["GPS__GPSLatitude"] = "0/1 0/1 0/1"
    draw.values["GPS__GPSLongitude"] = "0/1 0/1 0/1"
    return draw.make("null position", "GPS_NULL", "warn", "zero")


def _empty_position(draw: _Draw) -> Scenario:
    draw.values["GPS__GPSLatitude"] = draw.rng.choice(("", "0/0 0/0 0/0"))
    return draw.make("empty position", "GPS_NULL", "info", "empty")


def _no_position(draw: _Draw) -> Scenario:
    draw.values["GPS__GPSLatitude"] = "120/1 0/1 0/1"
    draw.values["GPS__GPSLongitude"] = "10/1 0/1 0/1"
    return draw.make("no position", "GPS_RANGE", "warn", "range")


def _broken_position(draw: _Draw) -> Scenario:
    draw.values["GPS__GPSLatitude"] = "12/0 0/0 0/0"
    draw.values["GPS__GPSLongitude"] = "10/0 0/0 0/0"
    return draw.make("broken position", "GPS_RANGE", "warn", "denominator")


def _fast(draw: _Draw) -> Scenario:
    side = draw.rng.choice(("previous", "next"))
    metres = draw.rng.randrange(20_000, 40_000)
    return draw.make(
        "fast", "SPEED_IMPOSSIBLE", "warn", side, neighbours=(draw.neighbour(side, 300, metres),)
    )


def _impossible(draw: _Draw) -> Scenario:
    side = draw.rng.choice(("previous", "next"))
    return draw.make(
        "impossible",
        "SPEED_IMPOSSIBLE",
        "fail",
        side,
        neighbours=(draw.neighbour(side, 60, 300_000),),
    )


def _impossible_uncompared(draw: _Draw) -> Scenario:
    """The same by a clock that somebody may have set in between."""
    side = draw.rng.choice(("previous", "next"))
    other = replace(draw.neighbour(side, 60, 300_000), proven=False)
    return draw.make(
        "impossible by an unknown clock", "SPEED_IMPOSSIBLE", "warn", side, neighbours=(other,)
    )


def _out_of_order(draw: _Draw) -> Scenario:
    side = draw.rng.choice(("previous", "next"))
    other = draw.neighbour(side, 20)
    shift = 10 * MINUTE if side == "previous" else -10 * MINUTE
    wrong = replace(other, camera_ms=(other.camera_ms or 0) + shift)
    return draw.make("out of order", "ORDER", "warn", "camera_" + side, neighbours=(wrong,))


def _across_zones(draw: _Draw) -> Scenario:
    """A camera that was put an hour forward on the way, and says so."""
    other = replace(
        draw.neighbour("previous", 300),
        camera_ms=draw.at - 5 * MINUTE + (_ZONE_MIN + 60) * MINUTE,
        camera_zone_min=_ZONE_MIN + 60,
    )
    return draw.make("across zones", neighbours=(other,))


def _counter_back(draw: _Draw) -> Scenario:
    side = draw.rng.choice(("previous", "next"))
    name = "IMG_0150.jpg" if side == "previous" else "IMG_0050.jpg"
    other = replace(draw.neighbour(side, 20), name=name)
    return draw.make("counter back", "ORDER", "warn", "counter_" + side, neighbours=(other,))


def _other_device(draw: _Draw) -> Scenario:
    draw.values["IFD0__Model"] = "另一型号"
    return draw.make("other device", "DEVICE_MISMATCH", "warn", "other_camera")


def _other_tables(draw: _Draw) -> Scenario:
    draw.values["JPEG__QuantTables"] = "b" * 64
    return draw.make("other tables", "QUANT_TABLE", "warn", "others")


def _varying_tables(draw: _Draw) -> Scenario:
    draw.values["JPEG__QuantTables"] = "b" * 64
    known = KnownCamera(("示例",), ("S1",), (), ("a" * 64, "c" * 64), 9)
    return draw.make("varying tables", "QUANT_TABLE", "info", "varies", camera=known)


def _resaved(draw: _Draw) -> Scenario:
    traces = {
        "JFIF__JFIFVersion": "1.1",
        "APP14__Adobe": "",
        "Photoshop__IRB": "",
        "IFD0__Software": "Adobe Photoshop 25.0",
        "File__EncodingProcess": "194",
        "XMP_xmpMM__History": "",
    }
    for tag in draw.rng.sample(sorted(traces), 2):
        draw.values[tag] = traces[tag]
    return draw.make("resaved", "RESAVED", "warn", "traces")


def _read_to_a_limit(draw: _Draw) -> Scenario:
    draw.limits = draw.rng.sample(
        ("budget", "segments", "block_size", "entries", "ifd_repeated", "value_size", "sub_ifds"), 2
    )
    return draw.make("read to a limit", "READ_INCOMPLETE", "warn", "limit")


def _limit_that_hides(draw: _Draw) -> Scenario:
    """Everything stands behind the bound: nothing is known, and that is said twice."""
    draw.become("JPEG", "image/jpeg", "a.jpg")
    draw.limits = ["segments"]
    return draw.make("a limit that hides", "READ_INCOMPLETE", "warn", "limit", also="TIME_ABSENT")


def _second_exif(draw: _Draw) -> Scenario:
    draw.values["File__SecondExif"] = ""
    return draw.make("second block", "READ_INCOMPLETE", "warn", "second_exif")


def _read_twice(draw: _Draw) -> Scenario:
    draw.limits = ["ifd_repeated"]
    return draw.make("read once only", "READ_INCOMPLETE", "info", "repeated")


def _fragments(draw: _Draw) -> Scenario:
    draw.become(
        "MP4",
        "video/mp4",
        "film.mp4",
        QuickTime__CreateDate=str(draw.at // 1000 + 2082844800),
    )
    draw.limits = [draw.rng.choice(("boxes", "reads"))]
    return draw.make("fragments", "READ_INCOMPLETE", "info", "fragments")


def _broken(draw: _Draw) -> Scenario:
    draw.faults = [
        {"code": "media.truncated", "detail": "at byte 12588 wanted 2, the file holds 0"},
        {"code": "media.malformed", "detail": "no JPEG marker at byte 20"},
    ]
    return draw.make("broken", "READ_INCOMPLETE", "warn", "broken")


def _reader_failed(draw: _Draw) -> Scenario:
    draw.become("", "", "a.jpg")
    draw.faults = [{"code": READER_FAILED, "detail": "ValueError"}]
    return draw.make(
        "reader failed",
        "CHECK_FAILED",
        "undecided",
        "reader",
        named=Named("a.jpg", "image/jpeg"),
        policy=Policy(time_required=True),
    )


def _resized(draw: _Draw) -> Scenario:
    draw.values |= {"ExifIFD__ExifImageWidth": "8000", "ExifIFD__ExifImageHeight": "6000"}
    draw.values["APP14__Adobe"] = ""
    return draw.make("resized", "RESAVED", "warn", "traces")


def _stripped(draw: _Draw) -> Scenario:
    draw.values = {"File__ImageSize": "1440 1080", "JFIF__JFIFVersion": "1.1"}
    return draw.make("stripped", "STRIPPED", "warn", "messenger", also="TIME_ABSENT")


def _screenshot(draw: _Draw) -> Scenario:
    kind, tag = draw.rng.choice((("PNG", "PNG__ImageSize"), ("JPEG", "File__ImageSize")))
    size = draw.rng.choice(("1080 2400", "2532 1170", "828 1792"))
    draw.become(kind, f"image/{kind.lower()}", "a", **{tag: size})
    return draw.make("screenshot", "SCREENSHOT", "warn", "size", also="TIME_ABSENT")


def _frame(draw: _Draw) -> Scenario:
    """A frame of a film on its side is no screenshot."""
    draw.become("JPEG", "image/jpeg", "a.jpg", File__ImageSize="1920 1080")
    return draw.make("frame", "TIME_ABSENT", "warn", "absent")


def _screenshot_named(draw: _Draw) -> Scenario:
    draw.values = {"File__ImageSize": "900 900"}
    name = draw.rng.choice(("Screenshot_2026.jpg", "截屏01.jpg"))
    return draw.make(
        "screenshot by name",
        "SCREENSHOT",
        "warn",
        "name",
        also="TIME_ABSENT",
        named=Named(name, "image/jpeg"),
    )


def _thumbnail(draw: _Draw) -> Scenario:
    return draw.make(
        "thumbnail",
        "THUMB_MISMATCH",
        "warn",
        "differs",
        pixels=Pixels(4000, 3000, draw.rng.randrange(13, 64)),
    )


def _generated(draw: _Draw) -> Scenario:
    tag, text = draw.rng.choice(
        (
            ("AIGC__Label", '{"Label":"1","ContentProducer":"示例"}'),
            ("XMP_TC260__AIGC", '{"Label":1}'),
            (
                "XMP_iptcExt__DigitalSourceType",
                "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
            ),
        )
    )
    draw.values[tag] = text
    return draw.make("generated", "AI_LABEL", "fail", "generated")


def _perhaps_generated(draw: _Draw) -> Scenario:
    draw.values["AIGC__Label"] = draw.rng.choice(('{"Label":"3"}', '{"Label": 2}'))
    return draw.make("perhaps generated", "AI_LABEL", "warn", "perhaps_generated")


def _label_unreadable(draw: _Draw) -> Scenario:
    draw.values["AIGC__Label"] = '{"Label'
    return draw.make("label unreadable", "AI_LABEL", "warn", "unreadable_label")


def _label_unknown(draw: _Draw) -> Scenario:
    draw.values["AIGC__Label"] = draw.rng.choice(
        ('{"Label":"factory gate 1"}', '{"Label":"9"}', '["Label"]', '{"Label":null}')
    )
    return draw.make("label unknown", "AI_LABEL", "info", "unknown_label")


def _credentials(draw: _Draw) -> Scenario:
    container = draw.rng.choice(("JPEG", "PNG", "HEIF", "RIFF", "QuickTime"))
    draw.values[f"{container}__JUMBF"] = ""
    return draw.make("credentials", "AI_LABEL", "info", "c2pa")


def _misnamed(draw: _Draw) -> Scenario:
    return draw.make(
        "misnamed", "TYPE_MISMATCH", "info", "name", named=Named("a.mp4", "image/jpeg")
    )


def _mistyped(draw: _Draw) -> Scenario:
    return draw.make(
        "mistyped", "TYPE_MISMATCH", "info", "media_type", named=Named("a", "video/mp4")
    )


def _page(draw: _Draw) -> Scenario:
    draw.become("HTML", "text/html", "a.jpg")
    return draw.make(
        "page",
        "TYPE_MISMATCH",
        "warn",
        "runs",
        also="TIME_ABSENT",
        named=Named("a.jpg", "image/jpeg"),
    )


def _two_files(draw: _Draw) -> Scenario:
    draw.values["File__Polyglot"] = draw.rng.choice(("HTML", "ZIP", "PDF"))
    return draw.make("two files", "POLYGLOT", "warn", "second")


def _behind(draw: _Draw) -> Scenario:
    draw.values["File__TrailingData"] = "MP4"
    return draw.make("behind", "POLYGLOT", "info", "behind")


def _runs_behind(draw: _Draw) -> Scenario:
    draw.values["File__TrailingData"] = "HTML"
    return draw.make("runs behind", "POLYGLOT", "warn", "runs_behind")


def _reused(draw: _Draw) -> Scenario:
    return draw.make(
        "reused", "REUSED_BYTES", "fail", "same", reuse=(SameBytes("x", "y", draw.at - DAY),)
    )


def _reused_in_case(draw: _Draw) -> Scenario:
    same = SameBytes("x", "y", draw.at - DAY, same_case=True, case="3")
    return draw.make("reused in one case", "REUSED_BYTES", "warn", "same_case", reuse=(same,))


def _reused_paper(draw: _Draw) -> Scenario:
    """A blank form."""
    draw.become("PDF", "application/pdf", "form.pdf")
    same = SameBytes("x", "y", draw.at - DAY)
    return draw.make("reused paper", "REUSED_BYTES", "info", "document", reuse=(same,))


def _alike(draw: _Draw) -> Scenario:
    bits = draw.rng.randrange(7)
    return draw.make(
        "alike", "REUSED_SCENE", "warn", "alike", scenes=(SameScene("x", "y", "c" * 64, bits),)
    )


def _unlike(draw: _Draw) -> Scenario:
    return draw.make("unlike", scenes=(SameScene("x", "y", "c" * 64, 7),))


def _cut_short(draw: _Draw) -> Scenario:
    container = draw.rng.choice(("QuickTime", "RIFF", "Matroska"))
    said = iso_seconds(draw.at + _ZONE_MIN * MINUTE) + "+0800"
    draw.become("MP4", "video/mp4", "a.mp4")
    draw.values["Keys__com.apple.quicktime.creationdate"] = said
    draw.values[f"{container}__Duration"] = "60000/1000"
    return draw.make(
        "cut short", "DURATION", "warn", "container", pixels=Pixels(duration_ms=30_000)
    )


_KINDS: tuple[Callable[[_Draw], Scenario], ...] = (
    _innocent,
    _outside,
    _outside_uncompared,
    _outside_by_recorder,
    _before_proof,
    _zone_missing,
    _assumed_zone,
    _zone_undecided,
    _other_zone,
    _after_receipt,
    _after_receipt_uncompared,
    _clock_ahead,
    _film_clock_ahead,
    _time_elsewhere,
    _film_outside,
    _film_after_receipt,
    _clock_reset,
    _no_time,
    _sound_without_time,
    _paper_without_time,
    _no_photo,
    _film_without_time,
    _called_otherwise,
    _no_date,
    _subsecond_of_no_digits,
    _invalid_beside,
    _edited,
    _edited_iptc,
    _caption_zone,
    _off_site,
    _datum,
    _datum_declared,
    _null_position,
    _empty_position,
    _no_position,
    _broken_position,
    _fast,
    _impossible,
    _impossible_uncompared,
    _out_of_order,
    _across_zones,
    _counter_back,
    _other_device,
    _other_tables,
    _varying_tables,
    _resaved,
    _read_to_a_limit,
    _limit_that_hides,
    _second_exif,
    _read_twice,
    _fragments,
    _broken,
    _reader_failed,
    _resized,
    _stripped,
    _screenshot,
    _frame,
    _screenshot_named,
    _thumbnail,
    _generated,
    _perhaps_generated,
    _label_unreadable,
    _label_unknown,
    _credentials,
    _misnamed,
    _mistyped,
    _page,
    _two_files,
    _behind,
    _runs_behind,
    _reused,
    _reused_in_case,
    _reused_paper,
    _alike,
    _unlike,
    _cut_short,
)
