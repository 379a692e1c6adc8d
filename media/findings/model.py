"""The values that findings are made of: claims, what they are compared with, and findings.

All times are milliseconds UTC since 1970, all positions WGS-84 in 1e-7 degrees, all
lengths centimetres, all integers, so that a re-run gives the same bytes everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Tuple, Union

#: Version of the rules in this package; a change of any outcome raises it.
RULE_VERSION = "3"

#: How far two clocks may differ before it is worth a finding (docs/protocol.md §10).
TOLERANCE_MS = 120000

FAIL, WARN, INFO, UNDECIDED = "fail", "warn", "info", "undecided"

#: Capture classes (docs/evidence.md §6): taken in the app, by the system camera opened from
#: the app, imported, and files without metadata.
IN_APP, SYSTEM_CAMERA, IMPORTED, NO_METADATA = "A", "B", "C", "N"


@dataclass(frozen=True)
class Assumed:
    """What a time would mean under an assumption, named by ``basis``."""

    basis: str
    lo_ms: int
    hi_ms: int


@dataclass(frozen=True)
class TimeClaim:
    """A time that a source states.

    ``lo_ms``–``hi_ms`` holds without any assumption; ``assumed`` are narrower readings that
    rest on one (a zone, a standard that cameras ignore). ``role`` is what the time is of:
    ``capture``, ``fix`` (a position fix, which may be older) or ``import``. ``own`` marks what
    our own camera wrote: agreement only, never corroboration (本系统写入，不作独立佐证).
    ``offset`` is where in the file the raw value stands, -1 if it is not from the file.
    """

    source: str
    role: str
    basis: str
    lo_ms: int
    hi_ms: int
    tag: str
    raw: str
    offset: int
    assumed: Tuple[Assumed, ...] = ()
    own: bool = False


@dataclass(frozen=True)
class PlaceClaim:
    """A position that a source states; ``error_cm`` is -1 where the source gives none."""

    source: str
    lat_e7: int
    lon_e7: int
    error_cm: int
    tag: str
    raw: str
    offset: int
    own: bool = False


@dataclass(frozen=True)
class TextClaim:
    """A value as our reader saw it, kept for comparison with the second reader."""

    tag: str
    raw: str
    offset: int


@dataclass(frozen=True)
class FormatClaim:
    """What kind of file this is, and the capture time in it that could not be read, if any."""

    type: str
    mime: str
    timeless: bool
    unreadable_tag: str = ""
    unreadable_raw: str = ""
    unreadable_offset: int = -1


@dataclass(frozen=True)
class SignClaim:
    """A trace of how a file was made that is neither a time nor a place, as it stands there."""

    tag: str
    raw: str
    offset: int


Claim = Union[TimeClaim, PlaceClaim, TextClaim, FormatClaim, SignClaim]


@dataclass(frozen=True)
class ClockOffset:
    """A measured clock: ``offset_ms`` = device minus server (positive: the device is ahead).

    ``recorder_ms`` is when a recorder's clock was compared, by that clock; None for a device's
    clock, and where nobody noted it.
    """

    offset_ms: int
    error_ms: int
    recorder_ms: Optional[int] = None


@dataclass(frozen=True)
class Declared:
    """What the signed line says about the moment: the device's wall clock and its zone."""

    wall_ms: int
    tz_min: int


@dataclass(frozen=True)
class Bounds:
    """Between which moments of the server's clock a line was written, whatever its device's
    wall clock said (docs/evidence.md §6)."""

    lo_ms: int
    hi_ms: int


@dataclass(frozen=True)
class Hints:
    """What is known beside the file when its values become claims.

    ``clock`` is the comparison of the device's clock that is nearest in time, ``bounds`` what
    all comparisons prove of the line, ``recorder`` the comparison of the clock of the recorder
    that an imported file came from; None where none was made.
    """

    capture_class: str = IMPORTED
    site_zone_min: Optional[int] = None
    declared: Optional[Declared] = None
    clock: Optional[ClockOffset] = None
    bounds: Optional[Bounds] = None
    recorder: Optional[ClockOffset] = None


@dataclass(frozen=True)
class Window:
    """Opening and closing of the inspection; None while that end is open."""

    open_ms: Optional[int]
    close_ms: Optional[int]


@dataclass(frozen=True)
class Site:
    """Where the inspected place is, and how far it reaches."""

    lat_e7: int
    lon_e7: int
    radius_cm: int


@dataclass(frozen=True)
class Fix:
    """A position that the device signed; ``accuracy_cm`` is None if it gave none.

    ``fix_at_ms`` is the fix's own time, None where the device does not tell.
    """

    lat_e7: int
    lon_e7: int
    accuracy_cm: Optional[int]
    fix_at_ms: Optional[int] = None


@dataclass(frozen=True)
class Content:
    """Digest and length of a file, as announced or as received."""

    sha256: str
    size: int


@dataclass(frozen=True)
class SecondReading:
    """What the second reader saw: values by tag, or why it saw nothing."""

    reader: str
    values: Tuple[Tuple[str, str], ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Neighbour:
    """The capture of the same device just before or after this one in its journal.

    ``relation`` is ``previous`` or ``next``; ``lo_ms``–``hi_ms`` is the signed time as
    corrected, which comparisons of clocks prove where it is ``proven``; ``camera_ms`` the EXIF
    time as a wall clock, and ``camera_zone_min`` the zone that it names, if any.
    """

    relation: str
    item: str
    name: str
    seq: int
    lo_ms: int
    hi_ms: int
    camera_ms: Optional[int] = None
    lat_e7: Optional[int] = None
    lon_e7: Optional[int] = None
    accuracy_cm: Optional[int] = None
    proven: bool = False
    camera_zone_min: Optional[int] = None


@dataclass(frozen=True)
class SameBytes:
    """Another inspection's item with the same digest; ``same_case`` if both name one ``case``."""

    item: str
    inspection: str
    announced_at_ms: int
    same_case: bool = False
    case: str = ""


@dataclass(frozen=True)
class SameScene:
    """Another item whose picture is alike: ``distance`` of 64 bits differ."""

    item: str
    inspection: str
    sha256: str
    distance: int


@dataclass(frozen=True)
class KnownCamera:
    """What earlier photos of the same device, taken by itself, said about its camera."""

    makes: Tuple[str, ...]
    models: Tuple[str, ...]
    serials: Tuple[str, ...]
    quant_tables: Tuple[str, ...]
    photos: int


@dataclass(frozen=True)
class Pixels:
    """What decoding gave: size of the picture as stored, length of the recording.

    ``thumbnail_distance`` is how many of 64 bits the embedded thumbnail differs from the
    picture by; None where there is none or it was not decoded.
    """

    width: Optional[int] = None
    height: Optional[int] = None
    thumbnail_distance: Optional[int] = None
    duration_ms: Optional[int] = None


@dataclass(frozen=True)
class Named:
    """What the line says the file is: its name and media type."""

    name: str
    media_type: str


@dataclass(frozen=True)
class Policy:
    """What a bureau has made stricter than the defaults."""

    time_required: bool = False
    place_required: bool = False


@dataclass(frozen=True)
class Context:
    """Everything that claims are compared with; what is None or empty is not compared."""

    hints: Hints
    received_at_ms: Optional[int] = None
    window: Optional[Window] = None
    not_before_ms: Optional[int] = None
    site: Optional[Site] = None
    fix: Optional[Fix] = None
    announced: Optional[Content] = None
    received: Optional[Content] = None
    second: Optional[SecondReading] = None
    tolerance_ms: int = TOLERANCE_MS
    neighbours: Tuple[Neighbour, ...] = ()
    reuse: Tuple[SameBytes, ...] = ()
    scenes: Tuple[SameScene, ...] = ()
    camera: Optional[KnownCamera] = None
    pixels: Optional[Pixels] = None
    named: Optional[Named] = None
    policy: Policy = Policy()


@dataclass(frozen=True)
class Finding:
    """A doubt about one item (核查提示), with all that is needed to follow it.

    ``evidence`` holds ``tag``, ``raw``, ``offset`` (-1 if not from the file) and ``expected``,
    whose ``reason`` names the comparison that was made.
    """

    code: str
    severity: str
    evidence: Dict[str, Any] = field(hash=False)
    rule_version: str = RULE_VERSION


def finding(
    code: str, severity: str, reason: str, tag: str, raw: str, offset: int, **expected: object
) -> Finding:
    """A finding about one value; ``offset`` is -1 where the value is not from the file."""
    said = {"tag": tag, "raw": raw, "offset": offset, "expected": dict(expected, reason=reason)}
    return Finding(code=code, severity=severity, evidence=said)
