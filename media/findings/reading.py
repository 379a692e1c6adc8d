"""Turns the raw values of facts into numbers and dates, without adding any assumption.

A value that does not parse is absent here; its raw text stays in the facts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .timetext import (
    EXIF_TIME,
    Clock,
    camera_time,
    iso_time,
    loose_time,
    mail_time,
    subsecond,
    wall_ms,
    zone_minutes,
)

#: Formats that have no place for a time of capture; its absence there is no sign of anything.
TIMELESS = frozenset(("MP3", "AMR", "AAC", "FLAC", "OGG", "OPUS", "GIF", "PDF"))

#: Where a container says how long it plays, in seconds as a fraction.
DURATION_TAGS = ("QuickTime:Duration", "RIFF:Duration", "Matroska:Duration")

_EPOCH_1904_S = 2082844800
_MATROSKA_EPOCH_MS = 978307200000

_BEXT_TIME = re.compile(
    r"(\d{4})[:\-/._ ](\d\d)[:\-/._ ](\d\d)(\d\d)[:\-/._ ](\d\d)[:\-/._ ](\d\d)"
)
_GPS_DATE = re.compile(r"(\d{4})[:\-/.](\d\d?)[:\-/.](\d\d?)")
_ISO6709 = re.compile(r"([+-]\d{1,7}(?:\.\d{0,15})?)([+-]\d{1,7}(?:\.\d{0,15})?)")
_PLAIN_DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?$")
_YEAR = re.compile(r"[0-9]{4}$")


@dataclass(frozen=True)
class Stored:
    """One value as the facts hold it."""

    tag: str
    raw: str
    offset: int


@dataclass(frozen=True)
class Place:
    """A position in degrees north and east; ``error_cm`` only where the file states one."""

    lat: float
    lon: float
    error_cm: Optional[int]

    def on_earth(self) -> bool:
        """Whether this can be a fix: in range, and not the 0, 0 of a receiver without one."""
        return abs(self.lat) <= 90 and abs(self.lon) <= 180 and (self.lat != 0 or self.lon != 0)


def fraction(raw: str) -> Optional[float]:
    """``a/b`` or a plain number; None for a zero denominator or anything else."""
    top, slash, bottom = raw.partition("/")
    try:
        if slash:
            return None if int(bottom) == 0 else int(top) / int(bottom)
    except (ValueError, OverflowError):
        return None
    return float(raw) if _PLAIN_DECIMAL.match(raw) else None


def text(raw: str) -> Optional[str]:
    """Stored text without the padding that cameras write around it; None if nothing is left."""
    return raw.strip(" \t\r\n\0") or None


class Reading:
    """The values of one file's facts, parsed on demand; the first value of a tag counts.

    A file may hold further ones, which ``every`` gives.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """``facts`` is the plain form of ``media.facts`` (``Facts.to_dict``)."""
        self.type: Optional[str] = facts["type"] or None
        self.mime: Optional[str] = facts["mime"] or None
        self.size: int = facts["size"]
        self._values: Dict[str, List[Stored]] = {}
        for value in facts["values"]:
            stored = Stored(tag=value["tag"], raw=value["raw"], offset=value["offset"])
            self._values.setdefault(stored.tag, []).append(stored)

    def stored(self, *tags: str) -> Optional[Stored]:
        """The first of ``tags`` that the file holds."""
        for tag in tags:
            if tag in self._values:
                return self._values[tag][0]
        return None

    def every(self, tag: str) -> Tuple[Stored, ...]:
        """All values of ``tag``, in the order in which they were found."""
        return tuple(self._values.get(tag, ()))

    def tags(self) -> Tuple[str, ...]:
        """Every tag that the file holds, in the order in which they were found."""
        return tuple(self._values)

    def exif(self, name: str) -> Optional[Stored]:
        """An EXIF value from its own directory, else from the main one (TIFF/EP)."""
        return self.stored("ExifIFD:" + name, "IFD0:" + name)

    def image(self, name: str) -> Optional[Stored]:
        """A value of the main directory."""
        return self.stored("IFD0:" + name)

    def text(self, stored: Optional[Stored]) -> Optional[str]:
        return None if stored is None else text(stored.raw)

    def exif_time(self, name: str, subsec: str, offset: str) -> Optional[Clock]:
        """An EXIF date with its fraction and zone, each in a tag of its own."""
        stored = self.image(name) if name == "ModifyDate" else self.exif(name)
        found = None if stored is None else EXIF_TIME.match(stored.raw.strip())
        if found is None:
            return None
        wall = wall_ms([int(group) for group in found.groups()[:6]])
        if wall is None:
            return None
        own = found.group(7)
        first, span = subsecond(own or self.text(self.exif(subsec)))
        return Clock(wall + first, span, self.zone(offset), own or "")

    def zone(self, name: str) -> Optional[int]:
        """An EXIF offset (``+08:00``) in minutes east of UTC."""
        return zone_minutes(self.text(self.exif(name)))

    def original_time(self) -> Optional[Clock]:
        """When the picture was taken, as the camera wrote it."""
        return self.exif_time("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal")

    def gps_time(self) -> Optional[Clock]:
        """The UTC of the position fix (which may be older than the picture)."""
        date, time = self.stored("GPS:GPSDateStamp"), self.stored("GPS:GPSTimeStamp")
        if date is None or time is None:
            return None
        day = _GPS_DATE.match(date.raw.strip())
        parts = [fraction(part) for part in time.raw.split()]
        if day is None or len(parts) != 3:
            return None
        hour, minute, second = parts
        if hour is None or minute is None or second is None:
            return None
        if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second < 61):
            return None
        midnight = wall_ms([int(group) for group in day.groups()] + [0, 0, 0])
        if midnight is None:
            return None
        exact = hour * 3600000 + minute * 60000 + second * 1000
        span = 0 if second != int(second) else 999
        return Clock(wall_ms=midnight + int(exact + 0.5), span_ms=span, zone_min=0)

    def exif_place(self) -> Tuple[Optional[float], Optional[float]]:
        """Signed latitude and longitude, each None if it does not parse."""
        return (
            self._degrees("GPS:GPSLatitude", "GPS:GPSLatitudeRef", "S"),
            self._degrees("GPS:GPSLongitude", "GPS:GPSLongitudeRef", "W"),
        )

    def exif_error_cm(self) -> Optional[int]:
        """Horizontal error that the camera states for its fix."""
        stored = self.stored("GPS:GPSHPositioningError")
        metres = None if stored is None else fraction(stored.raw)
        return None if metres is None or not 0 <= metres < 1e7 else int(metres * 100 + 0.5)

    def movie_time(self) -> Optional[Clock]:
        """``mvhd`` creation time, UTC by its standard, local in many cameras: no zone given."""
        stored = self.stored("QuickTime:CreateDate")
        seconds = 0 if stored is None else int(stored.raw)
        if seconds == 0:
            return None
        # Some writers count from 1970 although the format counts from 1904.
        unix = seconds - _EPOCH_1904_S if seconds >= _EPOCH_1904_S else seconds
        return None if unix > 253402300799 else Clock(unix * 1000, 999, None)

    def movie_duration_ms(self) -> int:
        """Length of the recording; 0 if unknown."""
        stored = self.stored("QuickTime:Duration")
        seconds = None if stored is None else fraction(stored.raw)
        return 0 if seconds is None or seconds > 1e6 else int(seconds * 1000 + 0.5)

    def key_time(self) -> Optional[Clock]:
        """Apple's creation date: local time with its zone, at the start of the recording."""
        stored = self.stored("Keys:com.apple.quicktime.creationdate")
        return None if stored is None else iso_time(stored.raw)

    def riff_time(self) -> Optional[Clock]:
        """``bext`` origination of a WAV: local time without zone."""
        stored = self.stored("RIFF:DateTimeOriginal")
        found = None if stored is None else _BEXT_TIME.match(stored.raw)
        wall = None if found is None else wall_ms([int(group) for group in found.groups()])
        return None if wall is None else Clock(wall, 999, None)

    def matroska_time(self) -> Optional[Clock]:
        """``DateUTC``, which is UTC."""
        stored = self.stored("Matroska:DateTimeOriginal")
        if stored is None:
            return None
        ms = _MATROSKA_EPOCH_MS + int(stored.raw) // 1000000
        return Clock(ms, 0, 0) if 0 <= ms < 253402300800000 else None

    def digitized_time(self) -> Optional[Clock]:
        """``IDIT`` of an AVI: local time without zone, in the form that its camera likes."""
        stored = self.stored("RIFF:DigitizationDate")
        return None if stored is None else camera_time(text(stored.raw) or "")

    def day_time(self) -> Tuple[Optional[Stored], Optional[Clock]]:
        """``©day`` of a recording and the value it stands in; a year alone is none."""
        for tag in ("UserData:ContentCreateDate", "ItemList:ContentCreateDate"):
            stored = self.stored(tag)
            # Music keeps the year of its publication there.
            if stored is None or _YEAR.match(stored.raw.strip()):
                continue
            clock = loose_time(stored.raw)
            if clock is not None:
                return stored, clock
        return None, None

    def xmp_time(self) -> Tuple[Optional[Stored], Optional[Clock]]:
        """When the picture was taken as XMP says, and the property that says so."""
        for tag in ("XMP-exif:DateTimeOriginal", "XMP-photoshop:DateCreated"):
            stored = self.stored(tag)
            clock = None if stored is None else loose_time(stored.raw)
            if clock is not None:
                return stored, clock
        return None, None

    def png_time(self) -> Optional[Clock]:
        """``Creation Time`` of a PNG, which is free text that mostly follows some standard."""
        stored = self.stored("PNG:CreationTime")
        if stored is None:
            return None
        written = text(stored.raw) or ""
        return loose_time(written) or mail_time(written) or camera_time(written)

    def movie_place(self) -> Tuple[Optional[Stored], Optional[float], Optional[float]]:
        """Place of a recording (``©xyz``, ``loci`` or Apple's key) and the value it stands in."""
        for tag in ("Keys:com.apple.quicktime.location.ISO6709", "UserData:GPSCoordinates"):
            stored = self.stored(tag)
            found = None if stored is None else _ISO6709.match(stored.raw.strip())
            if found is not None:
                return stored, iso6709(found.group(1), 2), iso6709(found.group(2), 3)
        stored = self.stored("UserData:LocationInformation")
        if stored is not None:
            lat, lon = [fraction(part) for part in stored.raw.split()[:2]]
            return stored, lat, lon
        return None, None, None

    def _degrees(self, tag: str, ref_tag: str, negative: str) -> Optional[float]:
        stored = self.stored(tag)
        if stored is None:
            return None
        parts = [fraction(part) for part in stored.raw.split()[:3]]
        if not parts or parts[0] is None:
            return None
        value = 0.0
        for part, weight in zip(parts, (1, 60, 3600)):
            value += (part or 0.0) / weight
        ref = self.stored(ref_tag)
        return -value if ref is not None and ref.raw[:1].upper() == negative else value


def iso6709(written: str, degree_digits: int) -> Optional[float]:
    """One coordinate of ISO 6709: ±DD.D, ±DDMM.M or ±DDMMSS.S by its number of digits."""
    whole, _, rest = written[1:].partition(".")
    sign = -1.0 if written[0] == "-" else 1.0
    fine = "." + (rest or "0")
    if len(whole) == degree_digits + 2:
        value = int(whole[:-2]) + float(whole[-2:] + fine) / 60
    elif len(whole) == degree_digits + 4:
        value = int(whole[:-4]) + int(whole[-4:-2]) / 60 + float(whole[-2:] + fine) / 3600
    else:
        value = float(whole + fine)
    return sign * value
