"""What kind of file this is, and what stands in it where a time of capture should."""

from __future__ import annotations

from typing import Optional, Sequence

from .model import Claim, FormatClaim, TimeClaim
from .reading import TIMELESS, Reading, Stored

_TIME_TAGS = (
    "ExifIFD:DateTimeOriginal",
    "IFD0:DateTimeOriginal",
    "Keys:com.apple.quicktime.creationdate",
    "QuickTime:CreateDate",
    "RIFF:DateTimeOriginal",
    "Matroska:DateTimeOriginal",
)
#: Where version 3 looks too. ``©day`` is not among them: music keeps a year there.
_MORE_TIME_TAGS = (
    "RIFF:DigitizationDate",
    "XMP-exif:DateTimeOriginal",
    "PNG:CreationTime",
)
#: ``mvhd`` of most programs that rewrite recordings: left out, not badly set.
_NO_MOVIE_TIME = ("QuickTime:CreateDate", "0")


def format_claim(reading: Reading, found: Sequence[Claim], newer: bool) -> FormatClaim:
    """The kind of file, and the time in it that is not among the claims ``found``."""
    kind, mime = reading.type or "", reading.mime or ""
    readable = any(
        isinstance(claim, TimeClaim) and claim.offset >= 0 and claim.role == "capture"
        for claim in found
    )
    unread = None if readable else _unread(reading, newer)
    if unread is None:
        return FormatClaim(type=kind, mime=mime, timeless=kind in TIMELESS)
    return FormatClaim(
        type=kind,
        mime=mime,
        timeless=False,
        unreadable_tag=unread.tag,
        unreadable_raw=unread.raw,
        unreadable_offset=unread.offset,
    )


def _unread(reading: Reading, newer: bool) -> Optional[Stored]:
    """What stands in the place of a time of capture, where none of them could be read."""
    if not newer:
        return reading.stored(*_TIME_TAGS)
    for tag in (*_TIME_TAGS, *_MORE_TIME_TAGS):
        stored = reading.stored(tag)
        if stored is not None and (stored.tag, stored.raw) != _NO_MOVIE_TIME:
            return stored
    return None
