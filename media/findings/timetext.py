"""Dates and times as files write them: text to a wall clock, without any assumption."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

_DAY_MS = 86400000
EXIF_TIME = re.compile(r"(\d{4})[:\-/.](\d\d?)[:\-/.](\d\d?)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d+))?")
_ISO_TIME = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d):?(\d\d)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?$"
)
_ZONE = re.compile(r"([+-])(\d\d):?(\d\d)$")
#: What XMP and QuickTime allow beside a full date and time: no seconds, a day, month or year.
_SHORT_ISO_TIME = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})\s*(Z|[+-][0-9]{2}:?[0-9]{2})?)?)?)?$"
)
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
    found = EXIF_TIME.match(raw.strip())
    return None if found is None else wall_ms([int(group) for group in found.groups()[:6]])


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
    first, span = subsecond(found.group(7))
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


def subsecond(digits: Optional[str]) -> Tuple[int, int]:
    """First millisecond and what stays open for the digits after the second."""
    # Not str.isdigit: it holds "²" to be a digit too, which float then does not read.
    if digits is None or _DIGITS.match(digits) is None:
        return 0, 999
    first = int(float("0." + digits) * 1000 + 1e-6)
    return first, max(0, 10 ** max(0, 3 - len(digits)) - 1)
