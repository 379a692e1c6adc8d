"""Turns facts into claims: every time an interval in UTC, and on what it rests.

The interval of a claim holds without assumptions. A local time without a zone is
anywhere within 14 hours; what it would mean in the zone of the site or of the device
stands beside it as an assumed reading, on which no hard fail may rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from .formats import format_claim
from .model import (
    IN_APP,
    RULE_VERSION,
    SYSTEM_CAMERA,
    Assumed,
    Claim,
    ClockOffset,
    Hints,
    PlaceClaim,
    SignClaim,
    TextClaim,
    TimeClaim,
)
from .reading import Place, Reading, Stored
from .signs import FAR_TAG, shortfalls, signs
from .timetext import Clock

#: The easternmost and westernmost zones are 14 and 12 hours from UTC; 14 covers both.
ZONE_SPAN_MS = 14 * 3600000
_QUARTER_MS = 900000
_ZONE_MATCH_MS = 120000
#: A comparison of a recorder's clock speaks of what that clock says within so long of it.
RECORDER_REACH_MS = 7 * 86400000
#: How the software tag of our own camera begins.
OWN_SOFTWARE = "Liuhen"

COMPARED_TAGS = (
    "IFD0:Make",
    "IFD0:Model",
    "IFD0:Software",
    "IFD0:ModifyDate",
    "ExifIFD:DateTimeOriginal",
    "ExifIFD:CreateDate",
    "ExifIFD:OffsetTimeOriginal",
    "ExifIFD:SubSecTimeOriginal",
    "GPS:GPSDateStamp",
    "GPS:GPSTimeStamp",
    "GPS:GPSLatitude",
    "GPS:GPSLongitude",
)


def claims(
    facts: Mapping[str, Any], hints: Hints, version: str = RULE_VERSION
) -> Tuple[Claim, ...]:
    """All claims of a file and of the line that announced it, in a fixed order.

    Implements docs/evidence.md §6.

    Args:
        facts: the plain form of ``media.facts`` (``Facts.to_dict``).
        version: of the rules that will compare them; version 2 knew no traces and fewer places
            for a time, and corrected recordings by the clock of a recorder alone.
    """
    reading = Reading(facts)
    own = _own(reading, hints)
    newer = version != "2"
    times = _times(reading, hints, own, newer)
    far: List[SignClaim] = []
    recorder = None if hints.capture_class in (IN_APP, SYSTEM_CAMERA) else hints.recorder
    if newer and recorder is not None:
        bare = _times(reading, replace(hints, recorder=None), own, newer)
        far = _far(bare, recorder.recorder_ms)
        # The clock may have been set since: what is far from the comparison stays as it is.
        unmoved = {sign.raw for sign in far}
        times = [b if b.tag in unmoved else t for t, b in zip(times, bare)]
    found: List[Claim] = [*times]
    found.extend(_places(reading, own))
    found.append(format_claim(reading, found, newer))
    for tag in COMPARED_TAGS:
        stored = reading.stored(tag)
        if stored is not None:
            found.append(TextClaim(tag=tag, raw=stored.raw, offset=stored.offset))
    if newer:
        found.extend(signs(reading))
        found.extend(shortfalls(facts))
        found.extend(far)
    return tuple(found)


def _times(reading: Reading, hints: Hints, own: bool, newer: bool) -> List[TimeClaim]:
    writer = _writer(hints) if newer else hints.recorder
    times = [
        signed_time(hints),
        _exif(reading, hints, own),
        _gps(reading, own),
        _keys(reading, hints, writer) if newer else _keys_2(reading),
        _movie(reading, hints, writer),
        _bext(reading, hints, writer),
        _matroska(reading, hints, writer, local=newer),
    ]
    if newer:
        times.extend(_further_times(reading, hints, writer))
    return [claim for claim in times if claim is not None]


def _far(bare: Sequence[TimeClaim], at_ms: Optional[int]) -> List[SignClaim]:
    """The times, as the recorder's own clock has them, that its comparison at ``at_ms``, by the
    same clock, says nothing of."""
    return [
        SignClaim(tag=FAR_TAG, raw=claim.tag, offset=claim.offset)
        for claim in bare
        if claim.role == "capture" and claim.offset >= 0
        if at_ms is None or abs(likeliest_ms(claim) - at_ms) > RECORDER_REACH_MS
    ]


def likeliest_ms(claim: TimeClaim) -> int:
    """The reading in the zone of the site, where a file does not name its own."""
    local = [assumed.lo_ms for assumed in claim.assumed if assumed.basis == "site zone"]
    return local[0] if local else (claim.lo_ms + claim.hi_ms) // 2


def _writer(hints: Hints) -> Optional[ClockOffset]:
    """How far the clock is ahead that wrote the file's times, as far as it was compared."""
    own_clock = hints.capture_class in (IN_APP, SYSTEM_CAMERA)
    return hints.clock if own_clock else hints.recorder


def _own(reading: Reading, hints: Hints) -> bool:
    software = reading.text(reading.image("Software")) or ""
    return hints.capture_class == IN_APP and software.startswith(OWN_SOFTWARE)


def signed_time(hints: Hints) -> Optional[TimeClaim]:
    """The signed wall clock, corrected as measured; of an imported file the time of import."""
    if hints.declared is None:
        return None
    lo, hi = _corrected(hints.declared.wall_ms, hints.declared.wall_ms, hints.clock)
    basis = "device clock" if hints.clock is None else "device clock corrected"
    assumed: Tuple[Assumed, ...] = ()
    if hints.bounds is not None:
        # Anybody can set a wall clock: what it said is a reading beside what is proven.
        assumed = (Assumed(basis=basis, lo_ms=lo, hi_ms=hi),)
        lo, hi, basis = hints.bounds.lo_ms, hints.bounds.hi_ms, "clock comparisons"
    return TimeClaim(
        source="device",
        role="capture" if hints.capture_class in (IN_APP, SYSTEM_CAMERA) else "import",
        basis=basis,
        lo_ms=lo,
        hi_ms=hi,
        tag="journal:t.wall_ms",
        raw=str(hints.declared.wall_ms),
        offset=-1,
        assumed=assumed,
    )


def _exif(reading: Reading, hints: Hints, own: bool) -> Optional[TimeClaim]:
    stored, clock = reading.exif("DateTimeOriginal"), reading.original_time()
    if stored is None or clock is None:
        return None
    return _wall_claim("exif", stored, clock, reading, hints, own=own, written_by=_writer(hints))


def _bext(reading: Reading, hints: Hints, writer: Optional[ClockOffset]) -> Optional[TimeClaim]:
    stored, clock = reading.stored("RIFF:DateTimeOriginal"), reading.riff_time()
    if stored is None or clock is None:
        return None
    return _wall_claim("bext", stored, clock, reading, hints, own=False, written_by=writer)


def _further_times(
    reading: Reading, hints: Hints, writer: Optional[ClockOffset]
) -> List[Optional[TimeClaim]]:
    """Times of making that stand beside the usual places; some only where those are empty."""
    found: List[Tuple[str, Optional[Stored], Optional[Clock]]] = [
        ("idit", reading.stored("RIFF:DigitizationDate"), reading.digitized_time())
    ]
    if reading.key_time() is None:
        found.append(("day", *reading.day_time()))
    if reading.original_time() is None:
        # Editors copy the one into the other: what they make of it is no second witness.
        found.append(("xmp", *reading.xmp_time()))
        found.append(("png", reading.stored("PNG:CreationTime"), reading.png_time()))
    return [
        _wall_claim(source, stored, clock, reading, hints, own=False, written_by=writer)
        for source, stored, clock in found
        if stored is not None and clock is not None
    ]


def _wall_claim(
    source: str,
    stored: Stored,
    clock: Clock,
    reading: Reading,
    hints: Hints,
    own: bool,
    written_by: Optional[ClockOffset],
) -> TimeClaim:
    """A wall time of the file: exact where it names its zone, else within 14 hours.

    ``written_by`` is how far the clock that wrote it is ahead, as far as it was compared.
    """
    first, last = _corrected(clock.wall_ms, clock.wall_ms + clock.span_ms, written_by)
    if clock.zone_min is not None:
        shift = clock.zone_min * 60000
        lo, hi, basis = first - shift, last - shift, "offset"
        assumed: Tuple[Assumed, ...] = ()
    else:
        lo, hi, basis = first - ZONE_SPAN_MS, last + ZONE_SPAN_MS, "local"
        assumed = tuple(
            Assumed(basis=name, lo_ms=first - zone * 60000, hi_ms=last - zone * 60000)
            for name, zone in _zones(reading, clock, hints)
        )
    return TimeClaim(
        source=source,
        role="capture",
        basis=basis,
        lo_ms=lo,
        hi_ms=hi,
        tag=stored.tag,
        raw=stored.raw,
        offset=stored.offset,
        assumed=assumed,
        own=own,
    )


def _zones(reading: Reading, clock: Clock, hints: Hints) -> List[Tuple[str, int]]:
    """Zones that a local time may have been written in, each with where it is taken from."""
    zones: List[Tuple[str, int]] = []
    if hints.site_zone_min is not None:
        zones.append(("site zone", hints.site_zone_min))
    if hints.declared is not None and hints.capture_class in (IN_APP, SYSTEM_CAMERA):
        zones.append(("device zone", hints.declared.tz_min))
    fix = reading.gps_time()
    if fix is not None:
        quarters = (clock.wall_ms - fix.wall_ms + _QUARTER_MS // 2) // _QUARTER_MS
        rest = abs(clock.wall_ms - fix.wall_ms - quarters * _QUARTER_MS)
        if rest <= _ZONE_MATCH_MS and abs(quarters * _QUARTER_MS) <= ZONE_SPAN_MS:
            zones.append(("zone by GPS", quarters * 15))
    return zones


def _gps(reading: Reading, own: bool) -> Optional[TimeClaim]:
    stored, clock = reading.stored("GPS:GPSTimeStamp"), reading.gps_time()
    date = reading.stored("GPS:GPSDateStamp")
    if stored is None or date is None or clock is None:
        return None
    return TimeClaim(
        source="gps",
        role="fix",
        basis="gps",
        lo_ms=clock.wall_ms,
        hi_ms=clock.wall_ms + clock.span_ms,
        tag=stored.tag,
        raw=date.raw + " " + stored.raw,
        offset=stored.offset,
        own=own,
    )


def _keys(reading: Reading, hints: Hints, writer: Optional[ClockOffset]) -> Optional[TimeClaim]:
    """Apple's date: exact with its zone, as any local time where it names none."""
    stored, clock = reading.stored("Keys:com.apple.quicktime.creationdate"), reading.key_time()
    if stored is None or clock is None:
        return None
    claim = _wall_claim("keys", stored, clock, reading, hints, own=False, written_by=writer)
    return claim if clock.zone_min is None else replace(claim, basis="keys")


def _keys_2(reading: Reading) -> Optional[TimeClaim]:
    stored, clock = reading.stored("Keys:com.apple.quicktime.creationdate"), reading.key_time()
    if stored is None or clock is None or clock.utc_ms is None:
        return None
    return TimeClaim(
        source="keys",
        role="capture",
        basis="keys",
        lo_ms=clock.utc_ms,
        hi_ms=clock.utc_ms + clock.span_ms,
        tag=stored.tag,
        raw=stored.raw,
        offset=stored.offset,
    )


def _movie(reading: Reading, hints: Hints, writer: Optional[ClockOffset]) -> Optional[TimeClaim]:
    """``mvhd``: the standard says UTC, many recorders write local time.

    Phones write it when the recording stops, others when it starts: the capture is within
    one length of the recording on either side.
    """
    stored, clock = reading.stored("QuickTime:CreateDate"), reading.movie_time()
    if stored is None or clock is None:
        return None
    length = reading.movie_duration_ms()
    first, last = _corrected(clock.wall_ms, clock.wall_ms + clock.span_ms, writer)
    first, last = first - length, last + length
    return _wide("movie", "mvhd", stored, first, last, _utc_or_site(first, last, hints))


def _matroska(
    reading: Reading, hints: Hints, writer: Optional[ClockOffset], local: bool
) -> Optional[TimeClaim]:
    """``DateUTC``: UTC by its standard; ``local`` allows for recorders that ignore that too."""
    stored, clock = reading.stored("Matroska:DateTimeOriginal"), reading.matroska_time()
    if stored is None or clock is None:
        return None
    first, last = _corrected(clock.wall_ms, clock.wall_ms, writer)
    assumed = _utc_or_site(first, last, hints if local else None)
    return _wide("matroska", "DateUTC", stored, first, last, assumed)


def _utc_or_site(first: int, last: int, hints: Optional[Hints]) -> Tuple[Assumed, ...]:
    """What a time that should be UTC means if it is, and if its writer ignored the standard."""
    assumed = [Assumed(basis="UTC by standard", lo_ms=first, hi_ms=last)]
    if hints is not None and hints.site_zone_min is not None:
        shift = hints.site_zone_min * 60000
        assumed.append(Assumed(basis="site zone", lo_ms=first - shift, hi_ms=last - shift))
    return tuple(assumed)


def _wide(
    source: str,
    basis: str,
    stored: Stored,
    first: int,
    last: int,
    assumed: Tuple[Assumed, ...],
) -> TimeClaim:
    return TimeClaim(
        source=source,
        role="capture",
        basis=basis,
        lo_ms=first - ZONE_SPAN_MS,
        hi_ms=last + ZONE_SPAN_MS,
        tag=stored.tag,
        raw=stored.raw,
        offset=stored.offset,
        assumed=assumed,
    )


def _corrected(first: int, last: int, clock: Optional[ClockOffset]) -> Tuple[int, int]:
    """An interval of a clock in the server's time, as far as it was compared."""
    if clock is None:
        return first, last
    return first - clock.offset_ms - clock.error_ms, last - clock.offset_ms + clock.error_ms


def _places(reading: Reading, own: bool) -> List[PlaceClaim]:
    found: List[PlaceClaim] = []
    lat, lon = reading.exif_place()
    stored = reading.stored("GPS:GPSLatitude")
    if stored is not None and lat is not None and lon is not None:
        place = Place(lat=lat, lon=lon, error_cm=reading.exif_error_cm())
        _add_place(found, "exif", place, stored, own)
    key, lat, lon = reading.movie_place()
    if key is not None and lat is not None and lon is not None:
        _add_place(found, "movie", Place(lat=lat, lon=lon, error_cm=None), key, False)
    return found


def _add_place(
    found: List[PlaceClaim], source: str, place: Place, stored: Stored, own: bool
) -> None:
    if place.on_earth():
        found.append(
            PlaceClaim(
                source=source,
                lat_e7=round(place.lat * 1e7),
                lon_e7=round(place.lon * 1e7),
                error_cm=-1 if place.error_cm is None else place.error_cm,
                tag=stored.tag,
                raw=stored.raw,
                offset=stored.offset,
                own=own,
            )
        )
