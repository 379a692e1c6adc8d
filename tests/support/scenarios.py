"""Scenarios of what may be wrong with an item, each with the finding that must come of it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from media.findings import Context, Hints
from media.findings.distance import from_gcj02
from media.findings.model import (
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
from media.findings.reading import iso_seconds

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
_ZONE_MIN = 480
#: Degrees of 1e-7 in a metre northward.
_METRE_E7 = 90


@dataclass(frozen=True)
class Scenario:
    """One item: its facts, what they are compared with, and what must be found.

    ``expected`` is (code, severity, reason); None where no doubt may come of it.
    """

    name: str
    facts: dict[str, Any]
    context: Context
    expected: tuple[str, str, str] | None


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
        self.context = Context(
            hints=Hints(
                capture_class="B",
                site_zone_min=_ZONE_MIN,
                declared=Declared(self.at, _ZONE_MIN),
                clock=ClockOffset(0, 50),
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

    def make(self, name: str, *expected: str, **changes: Any) -> Scenario:
        hints = {key: changes.pop(key) for key in list(changes) if key in Hints.__annotations__}
        context = replace(self.context, hints=replace(self.context.hints, **hints), **changes)
        found = (expected[0], expected[1], expected[2]) if expected else None
        return Scenario(name, facts(**self.values), context, found)

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
            lat_e7=self.site.lat_e7 + metres * _METRE_E7,
            lon_e7=self.site.lon_e7,
            accuracy_cm=1000,
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
        "window", "TIME_OUTSIDE_WINDOW", "fail", "outside", received_at_ms=draw.at + 30 * HOUR
    )


def _zone_missing(draw: _Draw) -> Scenario:
    draw.taken(draw.at, None)
    return draw.make("zone missing", "ZONE_MISSING", "info", "missing")


def _assumed_zone(draw: _Draw) -> Scenario:
    """Outside in the zone of site and device, but another zone might put it inside."""
    draw.taken(draw.at - 5 * HOUR, None)
    return draw.make("assumed zone", "TIME_OUTSIDE_WINDOW", "warn", "assumed_zone")


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
    return draw.make("after receipt", "TIME_AFTER_RECEIPT", "fail", "after", window=None)


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


def _clock_reset(draw: _Draw) -> Scenario:
    year = draw.rng.choice((1970, 1980, 2000, 2010, 2015))
    draw.values["ExifIFD__DateTimeOriginal"] = f"{year}:01:01 00:{draw.rng.randrange(60):02}:07"
    return draw.make("clock reset", "CLOCK_DEFAULT", "warn", "year_start", window=None)


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
        (("WAV", "audio/wav", "optional"), ("AMR", "audio/amr", "timeless"))
    )
    draw.values, strict = {}, draw.rng.random() < 0.5
    severity = "fail" if strict and reason == "optional" else "info"
    made = draw.make(
        "sound without time",
        "TIME_ABSENT",
        severity,
        reason,
        policy=Policy(strict),
        named=Named(f"memo.{kind.lower()}", mime),
    )
    return replace(made, facts={**made.facts, "type": kind, "mime": mime})


def _no_date(draw: _Draw) -> Scenario:
    draw.values["ExifIFD__DateTimeOriginal"] = draw.rng.choice(
        ("0000:00:00 00:00:00", "2026:02:30 10:00:00", "    :  :     :  :  ")
    )
    return draw.make("no date", "TIME_INVALID", "warn", "unreadable")


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
    return draw.make("datum", "GPS_DATUM", "info", "datum", fix=shifted, site=near)


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


def _out_of_order(draw: _Draw) -> Scenario:
    side = draw.rng.choice(("previous", "next"))
    other = draw.neighbour(side, 20)
    shift = 10 * MINUTE if side == "previous" else -10 * MINUTE
    wrong = replace(other, camera_ms=(other.camera_ms or 0) + shift)
    return draw.make("out of order", "ORDER", "warn", "camera_" + side, neighbours=(wrong,))


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


def _resized(draw: _Draw) -> Scenario:
    draw.values |= {"ExifIFD__ExifImageWidth": "8000", "ExifIFD__ExifImageHeight": "6000"}
    draw.values["APP14__Adobe"] = ""
    return draw.make("resized", "RESAVED", "warn", "traces")


def _stripped(draw: _Draw) -> Scenario:
    draw.values = {"File__ImageSize": "1440 1080", "JFIF__JFIFVersion": "1.1"}
    return draw.make("stripped", "STRIPPED", "warn", "messenger")


def _screenshot(draw: _Draw) -> Scenario:
    draw.values = {"PNG__ImageSize": draw.rng.choice(("1080 2400", "2532 1170", "750 1334"))}
    made = draw.make("screenshot", "SCREENSHOT", "warn", "size", named=None)
    return replace(made, facts={**made.facts, "type": "PNG", "mime": "image/png"})


def _screenshot_named(draw: _Draw) -> Scenario:
    draw.values = {"File__ImageSize": "900 900"}
    name = draw.rng.choice(("Screenshot_2026.jpg", "截屏01.jpg"))
    return draw.make(
        "screenshot by name", "SCREENSHOT", "warn", "name", named=Named(name, "image/jpeg")
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
    draw.values["AIGC__Label"] = '{"Label":"3"}'
    return draw.make("perhaps generated", "AI_LABEL", "warn", "perhaps_generated")


def _label_unreadable(draw: _Draw) -> Scenario:
    draw.values["AIGC__Label"] = '{"Label'
    return draw.make("label unreadable", "AI_LABEL", "warn", "unreadable_label")


def _credentials(draw: _Draw) -> Scenario:
    draw.values["JPEG__JUMBF"] = ""
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
    draw.values = {}
    made = draw.make("page", "TYPE_MISMATCH", "warn", "runs")
    return replace(made, facts={**made.facts, "type": "HTML", "mime": "text/html"})


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


def _alike(draw: _Draw) -> Scenario:
    bits = draw.rng.randrange(7)
    return draw.make(
        "alike", "REUSED_SCENE", "warn", "alike", scenes=(SameScene("x", "y", "c" * 64, bits),)
    )


def _unlike(draw: _Draw) -> Scenario:
    return draw.make("unlike", scenes=(SameScene("x", "y", "c" * 64, 7),))


def _cut_short(draw: _Draw) -> Scenario:
    container = draw.rng.choice(("QuickTime", "RIFF", "Matroska"))
    draw.values = {
        "Keys__com.apple.quicktime.creationdate": iso_seconds(draw.at + _ZONE_MIN * MINUTE)
        + "+0800",
        f"{container}__Duration": "60000/1000",
    }
    made = draw.make(
        "cut short",
        "DURATION",
        "warn",
        "container",
        pixels=Pixels(duration_ms=30_000),
        named=Named("a.mp4", "video/mp4"),
    )
    return replace(made, facts={**made.facts, "type": "MP4", "mime": "video/mp4"})


_KINDS: tuple[Callable[[_Draw], Scenario], ...] = (
    _innocent,
    _outside,
    _zone_missing,
    _assumed_zone,
    _zone_undecided,
    _other_zone,
    _after_receipt,
    _clock_ahead,
    _clock_reset,
    _no_time,
    _sound_without_time,
    _no_date,
    _invalid_beside,
    _edited,
    _edited_iptc,
    _off_site,
    _datum,
    _null_position,
    _empty_position,
    _no_position,
    _broken_position,
    _fast,
    _impossible,
    _out_of_order,
    _counter_back,
    _other_device,
    _other_tables,
    _varying_tables,
    _resaved,
    _resized,
    _stripped,
    _screenshot,
    _screenshot_named,
    _thumbnail,
    _generated,
    _perhaps_generated,
    _label_unreadable,
    _credentials,
    _misnamed,
    _mistyped,
    _page,
    _two_files,
    _behind,
    _runs_behind,
    _reused,
    _alike,
    _unlike,
    _cut_short,
)
