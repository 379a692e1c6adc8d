"""The rules about clocks inside a file: what is no time, was never set, or was changed later."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from .forms import ANYTHING, calls_medium, form_of, is_medium
from .model import (
    FAIL,
    INFO,
    WARN,
    Claim,
    Context,
    Finding,
    FormatClaim,
    SignClaim,
    TextClaim,
    TimeClaim,
    finding,
)
from .reading import DURATION_TAGS, fraction, text
from .signs import FAILED_TAG
from .times import captures, time_finding
from .timetext import Clock, days_from_civil, exif_wall, iso_time, zone_minutes

_HOUR_MS = 3600000
_DAY_MS = 86400000
_QUARTER_MS = 900000
#: No recording is longer; what says so says nothing.
_LONGEST_S = 1e6
#: How far apart two times of one file may be that mean the same moment.
_SAME_MS = 2000
#: On the first hours of these years clocks begin that nobody has set.
_DEFAULT_YEARS = (1970, 1980, 1990, *range(2000, 2021))
_DEFAULT_REACH_MS = 2 * _HOUR_MS

#: Formats in which few devices write when, though there is a place for it.
_TIME_OPTIONAL = ("WAV",)
_ORIGINAL = "ExifIFD:DateTimeOriginal"
_ZONE = "ExifIFD:OffsetTimeOriginal"


def time_missing(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_ABSENT: the file itself says when it was made, where its format has a place for that.

    A time that is there and cannot be read is ``TIME_INVALID``; of a file that our reader
    failed on nothing is known. A bureau may require a time of photos and recordings only.
    """
    form = form_of(claims)
    if form is None or form.unreadable_tag or _unread(claims):
        return []
    if any(claim.offset >= 0 for claim in captures(claims)):
        return []
    severity, reason = _without_time(form, context)
    required = context.policy.time_required and reason not in ("timeless", "document")
    if required and (context.named is None or is_medium(form, context)):
        severity = FAIL
    called = "" if context.named is None else context.named.media_type
    return [finding("TIME_ABSENT", severity, reason, "type", form.type or called, -1)]


def _without_time(form: FormatClaim, context: Context) -> Tuple[str, str]:
    """What the absence of a time says in a file of this form."""
    if calls_medium(form.mime):
        if form.timeless:
            return INFO, "timeless"
        return (INFO, "optional") if form.type in _TIME_OPTIONAL else (WARN, "absent")
    called = ANYTHING if context.named is None else context.named.media_type
    if calls_medium(called) or (not form.type and called == ANYTHING):
        return WARN, "unknown_format"
    return INFO, "document"


def _unread(claims: Tuple[Claim, ...]) -> bool:
    return any(isinstance(claim, SignClaim) and claim.tag == FAILED_TAG for claim in claims)


def time_invalid(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_INVALID: what stands in the place of a time of capture is one."""
    for claim in claims:
        if isinstance(claim, FormatClaim) and claim.unreadable_tag:
            severity = FAIL if context.policy.time_required else WARN
            return [
                finding(
                    "TIME_INVALID",
                    severity,
                    "unreadable",
                    claim.unreadable_tag,
                    claim.unreadable_raw,
                    claim.unreadable_offset,
                )
            ]
    original = texts_of(claims).get(_ORIGINAL)
    if original is None or exif_wall(original.raw) is not None:
        return []
    return [finding("TIME_INVALID", WARN, "beside", original.tag, original.raw, original.offset)]


def clock_default(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """CLOCK_DEFAULT: the time is not the one from which a clock that was never set counts."""
    for claim in captures(claims):
        if claim.offset < 0:
            continue
        wall = _wall(claim)
        for year in _DEFAULT_YEARS:
            start = days_from_civil(year, 1, 1) * _DAY_MS
            if abs(wall - start) <= _DEFAULT_REACH_MS:
                return [time_finding("CLOCK_DEFAULT", WARN, claim, "year_start", year=year)]
    return []


def _wall(claim: TimeClaim) -> int:
    """What the file itself wrote as a wall time; of a number the middle of its interval."""
    written, zoned = exif_wall(claim.raw), iso_time(claim.raw)
    if written is not None:
        return written
    return (claim.lo_ms + claim.hi_ms) // 2 if zoned is None else zoned.wall_ms


def zone_unclear(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """ZONE_MISSING and ZONE_DST: the camera names its zone, and it is that of the site."""
    camera = [claim for claim in captures(claims) if claim.source == "exif"]
    if not camera:
        return []
    taken = camera[0]
    if taken.basis == "local":
        return [time_finding("ZONE_MISSING", INFO, taken, "missing")]
    site, written = context.hints.site_zone_min, texts_of(claims).get(_ZONE)
    zone = None if written is None else zone_minutes(text(written.raw))
    if written is None or zone is None or site in (None, zone):
        return []
    return [
        finding(
            "ZONE_DST", WARN, "other", written.tag, written.raw, written.offset, site_zone_min=site
        )
    ]


def edited_time(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """EDITED_TIME: all times that the file gives for its making are one.

    Whoever changes them all alike is not noticed by this.
    """
    texts = texts_of(claims)
    original = texts.get(_ORIGINAL)
    taken = None if original is None else exif_wall(original.raw)
    if original is None or taken is None:
        return []
    zone = zone_minutes(text(texts[_ZONE].raw)) if _ZONE in texts else None
    apart: Dict[str, int] = {}
    for tag, clock in _other_times(claims, texts):
        difference = abs(clock.wall_ms - taken)
        if difference <= _SAME_MS and tag.startswith("IPTC:"):
            # Its writers put +0000 behind the camera's wall time, whatever the zone was.
            continue
        if clock.zone_min is not None and zone is not None:
            difference = abs(clock.wall_ms - taken - (clock.zone_min - zone) * 60000)
        elif clock.zone_min is not None and _quarters(difference):
            # Another zone explains it, and the camera does not name its own.
            continue
        if difference > _SAME_MS:
            apart[tag] = difference
    if not apart:
        return []
    first = sorted(apart)[0]
    return [
        finding(
            "EDITED_TIME",
            WARN,
            "differs",
            original.tag,
            original.raw,
            original.offset,
            other=first,
            value=_raw(claims, first),
            difference_ms=apart[first],
            tags=sorted(apart),
        )
    ]


def _quarters(difference_ms: int) -> bool:
    """Whether two times are whole quarters of an hour apart, as zones are."""
    rest = difference_ms % _QUARTER_MS
    return min(rest, _QUARTER_MS - rest) <= _SAME_MS


def _other_times(claims: Tuple[Claim, ...], texts: Dict[str, TextClaim]) -> List[Tuple[str, Clock]]:
    """Every further time of making that the file gives, by its tag."""
    found: List[Tuple[str, Optional[Clock]]] = []
    for tag in ("IFD0:ModifyDate", "ExifIFD:CreateDate"):
        if tag in texts:
            wall = exif_wall(texts[tag].raw)
            found.append((tag, None if wall is None else Clock(wall, 999, None)))
    signs = {claim.tag: claim.raw for claim in claims if isinstance(claim, SignClaim)}
    for tag in (
        "XMP-exif:DateTimeOriginal",
        "XMP-photoshop:DateCreated",
        "XMP-xmp:CreateDate",
        "XMP-xmp:ModifyDate",
    ):
        if tag in signs:
            found.append((tag, iso_time(signs[tag])))
    for date, time in (
        ("IPTC:DateCreated", "IPTC:TimeCreated"),
        ("IPTC:DigitalCreationDate", "IPTC:DigitalCreationTime"),
    ):
        if date in signs and time in signs:
            found.append((date, iso_time(signs[date] + "T" + signs[time])))
    return [(tag, clock) for tag, clock in found if clock is not None]


def duration(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """DURATION: the container's length is that of what is in it, within 2 s or a twentieth."""
    decoded = None if context.pixels is None else context.pixels.duration_ms
    for claim in claims:
        if not isinstance(claim, SignClaim) or claim.tag not in DURATION_TAGS or not decoded:
            continue
        seconds = fraction(claim.raw)
        if seconds is None or not 0 < seconds < _LONGEST_S:
            continue
        written = int(seconds * 1000 + 0.5)
        if abs(written - decoded) > max(_SAME_MS, decoded // 20):
            return [
                finding(
                    "DURATION",
                    WARN,
                    "container",
                    claim.tag,
                    claim.raw,
                    claim.offset,
                    written_ms=written,
                    decoded_ms=decoded,
                )
            ]
    return []


def texts_of(claims: Tuple[Claim, ...]) -> Dict[str, TextClaim]:
    """The values that both readers read, by tag."""
    return {claim.tag: claim for claim in claims if isinstance(claim, TextClaim)}


def _raw(claims: Tuple[Claim, ...], tag: str) -> str:
    for claim in claims:
        if isinstance(claim, (TextClaim, SignClaim)) and claim.tag == tag:
            return claim.raw
    return ""
