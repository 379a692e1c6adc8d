"""Turns the raw values of facts into numbers and dates, without adding any assumption.

A value that does not parse is absent here; its raw text stays in the facts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

#: Formats that have no place for a time of capture; its absence there is no sign of anything.
TIMELESS = frozenset(("MP3", "AMR", "AAC", "FLAC", "OGG", "OPUS", "GIF", "PDF"))

#: Where a container says how long it plays, in seconds as a fraction.
DURATION_TAGS = ("QuickTime:Duration", "RIFF:Duration", "Matroska:Duration")

_DAY_MS = 86400000
_EPOCH_1904_S = 2082844800
_MATROSKA_EPOCH_MS = 978307200000

_EXIF_TIME = re.compile(r"(\d{4})[:\-/.](\d\d?)[:\-/.](\d\d?)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d+))?")
_ISO_TIME = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d):?(\d\d)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?$"
)
_BEXT_TIME = re.compile(
    r"(\d{4})[:\-/._ ](\d\d)[:\-/._ ](\d\d)(\d\d)[:\-/._ ](\d\d)[:\-/._ ](\d\d)"
)
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)$")
_GPS_DATE = re.compile(r"(\d{4})[:\-/.](\d\d?)[:\-/.](\d\d?)")
_ISO6709 = re.compile(r"([+-]\d{1,7}(?:\.\d{0,15})?)([+-]\d{1,7}(?:\.\d{0,15})?)")
_PLAIN_DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?$")
#: What XMP and QuickTime allow beside a full date and time: no seconds, a day, month or year.
_SHORT_ISO_TIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?$"
)
_YEAR = re.compile(r"[0-9]{4}$")
#: As C writes it: ``Mon May 04 09:02:03 2026``.
_C_TIME = re.compile(
    r"[A-Za-z]{3} ([A-Za-z]{3}) +([0-9]{1,2}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([0-9]{4})$"
)
#: As some cameras write it: ``2001/ 1/27  1:42PM``.
_SPACED_TIME = re.compile(
    r"([0-9]{4})[/\-] ?([0-9]{1,2})[/\-] ?([0-9]{1,2}) +([0-9]{1,2}):([0-9]{2}) ?([AP]M)?$"
)
#: As mail writes it (RFC 1123), which PNG recommends: ``Mon, 04 May 2026 09:02:03 +0800``.
_MAIL_TIME = re.compile(
    r"(?:[A-Za-z]{3}, +)?([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?(?: +(GMT|UTC?|Z|[+-][0-9]{4}))?$"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MINUTE_MS = 60000
_DIGITS = re.compile(r"[0-9]+$")


@dataclass(frozen=True)
class Stored:
    """One value as the facts hold it."""

    tag: str
    raw: str
    offset: int


@dataclass(frozen=True)
class Clock:
    """A wall time read from a file.

    ``wall_ms`` counts as if the time were UTC; ``span_ms`` is how much longer the text leaves
    open (999 when it ends at the second). ``zone_min`` is minutes east of UTC if the file says.
    ``fraction`` is what the text itself holds after the second.
    """

    wall_ms: int
    span_ms: int
    zone_min: Optional[int]
    fraction: str = ""

    @property
    def utc_ms(self) -> Optional[int]:
        """The first millisecond meant, if the file names its zone."""
        return None if self.zone_min is None else self.wall_ms - self.zone_min * 60000

    def iso(self) -> str:
        """ISO 8601 as far as the text itself goes, local and without zone."""
        return iso_seconds(self.wall_ms) + (self.fraction and "." + self.fraction)


@dataclass(frozen=True)
class Place:
    """A position in degrees north and east; ``error_cm`` only where the file states one."""

    lat: float
    lon: float
    error_cm: Optional[int]

    def on_earth(self) -> bool:
        """Whether this can be a fix: in range, and not the 0, 0 of a receiver without one."""
        return abs(self.lat) <= 90 and abs(self.lon) <= 180 and (self.lat != 0 or self.lon != 0)


def days_from_civil(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar (no library clock involved)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def iso_seconds(wall_ms: int) -> str:
    """``2026-05-04T09:02:03`` for milliseconds since 1970-01-01T00:00:00."""
    days, rest = divmod(wall_ms // 1000, 86400)
    days += 719468
    era = days // 146097
    of_era = days - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + (3 if shifted < 10 else -9)
    year = year_of_era + era * 400 + (month <= 2)
    return "%04d-%02d-%02dT%02d:%02d:%02d" % (
        year,
        month,
        day,
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
    )


def wall_ms(fields: List[int]) -> Optional[int]:
    """Milliseconds of year, month, day, hour, minute, second; None if there is no such time."""
    year, month, day, hour, minute, second = fields
    if not (1 <= month <= 12 and year > 0 and hour < 24 and minute < 60 and second <= 60):
        return None
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not 1 <= day <= lengths[month - 1]:
        return None
    days = days_from_civil(year, month, day)
    return days * _DAY_MS + (hour * 3600 + minute * 60 + second) * 1000


def exif_wall(raw: str) -> Optional[int]:
    """Milliseconds of an EXIF date and time as if it were UTC; None if it is none."""
    found = _EXIF_TIME.match(raw.strip())
    return None if found is None else wall_ms([int(group) for group in found.groups()[:6]])


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
        found = None if stored is None else _EXIF_TIME.match(stored.raw.strip())
        if found is None:
            return None
        wall = wall_ms([int(group) for group in found.groups()[:6]])
        if wall is None:
            return None
        own = found.group(7)
        first, span = _subsecond(own or self.text(self.exif(subsec)))
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


def zone_minutes(written: Optional[str]) -> Optional[int]:
    """``+08:00`` as 480; ``Z`` as 0; None for anything else or beyond 15 hours."""
    if written == "Z":
        return 0
    found = None if written is None else _ZONE.match(written)
    if found is None:
        return None
    minutes = int(found.group(2)) * 60 + int(found.group(3))
    if minutes > 900 or int(found.group(3)) > 59:
        return None
    return -minutes if found.group(1) == "-" else minutes


def iso_time(raw: str) -> Optional[Clock]:
    """An ISO 8601 date and time, with or without zone."""
    found = _ISO_TIME.match(raw.strip())
    if found is None:
        return None
    wall = wall_ms([int(group) for group in found.groups()[:6]])
    if wall is None:
        return None
    first, span = _subsecond(found.group(7))
    return Clock(wall_ms=wall + first, span_ms=span, zone_min=zone_minutes(found.group(8)))


def loose_time(raw: str) -> Optional[Clock]:
    """As ``iso_time``, also without seconds, or a day, month or year alone.

    ``span_ms`` is what stays open.
    """
    full = iso_time(raw)
    found = None if full is not None else _SHORT_ISO_TIME.match(raw.strip())
    if found is None:
        return full
    year, month, day, hour, minute = found.groups()[:5]
    wall = wall_ms([int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), 0])
    if wall is None:
        return None
    span = _DAY_MS if hour is None else _MINUTE_MS
    if day is None:
        years, months = (1, 0) if month is None else divmod(int(month), 12)
        first_after = days_from_civil(int(year) + years, months + 1, 1)
        span = first_after * _DAY_MS - wall
    return Clock(wall, span - 1, zone_minutes(found.group(6)))


def camera_time(written: str) -> Optional[Clock]:
    """A local time as the cameras' AVI files have it, in one of three forms."""
    wall = exif_wall(written)
    if wall is not None:
        return Clock(wall, 999, None)
    found = _C_TIME.match(written)
    if found is not None:
        month, day, hour, minute, second, year = found.groups()
        return _named_month(year, month, [day, hour, minute, second], None)
    found = _SPACED_TIME.match(written)
    if found is None:
        return None
    fields = [int(group) for group in found.groups()[:5]]
    if found.group(6):
        if not 1 <= fields[3] <= 12:
            return None
        fields[3] = fields[3] % 12 + (12 if found.group(6) == "PM" else 0)
    wall = wall_ms([*fields, 0])
    return None if wall is None else Clock(wall, _MINUTE_MS - 1, None)


def mail_time(written: str) -> Optional[Clock]:
    """A time as mail writes it; its zone may be missing."""
    found = _MAIL_TIME.match(written)
    if found is None:
        return None
    day, month, year, hour, minute, second, zone = found.groups()
    zone_min = 0 if zone in ("GMT", "UT", "UTC") else zone_minutes(zone)
    clock = _named_month(year, month, [day, hour, minute, second or "0"], zone_min)
    if clock is not None and second is None:
        return Clock(clock.wall_ms, _MINUTE_MS - 1, zone_min)
    return clock


def _named_month(
    year: str, month: str, rest: List[str], zone_min: Optional[int]
) -> Optional[Clock]:
    if month.lower() not in _MONTHS:
        return None
    number = _MONTHS.index(month.lower()) + 1
    wall = wall_ms([int(year), number, *(int(part) for part in rest)])
    return None if wall is None else Clock(wall, 999, zone_min)


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


def _subsecond(digits: Optional[str]) -> Tuple[int, int]:
    """First millisecond and what stays open for the digits after the second."""
    # Not str.isdigit: it holds "²" to be a digit too, which float then does not read.
    if digits is None or _DIGITS.match(digits) is None:
        return 0, 999
    first = int(float("0." + digits) * 1000 + 1e-6)
    return first, max(0, 10 ** max(0, 3 - len(digits)) - 1)
