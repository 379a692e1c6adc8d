"""The rules about place: distances on the ground, the Chinese datum, and unusable positions."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Tuple

from .distance import from_gcj02, metres_between
from .model import (
    FAIL,
    INFO,
    WARN,
    Claim,
    Context,
    Finding,
    PlaceClaim,
    SignClaim,
    Site,
    TextClaim,
    finding,
)
from .reading import fraction

#: Names of WGS-84 in letters and digits, and of CGCS2000, which lies within centimetres of it.
_SAME_AS_WGS84 = ("WGS84", "WGS1984", "CGCS2000")
#: Taken where a receiver does not say how far it may be off.
ASSUMED_ERROR_CM = 10000


def places(claims: Tuple[Claim, ...], context: Context) -> List[PlaceClaim]:
    """Every position of the item: the one that the device signed, then those of the file."""
    found = [claim for claim in claims if isinstance(claim, PlaceClaim)]
    if context.fix is not None:
        fix = context.fix
        found.insert(
            0,
            PlaceClaim(
                source="device",
                lat_e7=fix.lat_e7,
                lon_e7=fix.lon_e7,
                error_cm=-1 if fix.accuracy_cm is None else fix.accuracy_cm,
                tag="journal:pos",
                raw="%d %d" % (fix.lat_e7, fix.lon_e7),
                offset=-1,
            ),
        )
    return found


def gps_off_site_2(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """GPS_OFF_SITE of version 2, which reported a shifted datum under the same code."""
    if context.site is None:
        return []
    found = [_off_site(place, context.site) for place in places(claims, context)]
    return [finding for finding in found if finding is not None]


def _off_site(place: PlaceClaim, site: Site) -> Optional[Finding]:
    error_cm = ASSUMED_ERROR_CM if place.error_cm < 0 else place.error_cm
    allowed_m = (site.radius_cm + error_cm) // 100
    distance = metres_between(place.lat_e7, place.lon_e7, site.lat_e7, site.lon_e7)
    if distance <= allowed_m:
        return None
    # A map that answers in the shifted Chinese datum explains some hundred metres.
    lat, lon = from_gcj02(place.lat_e7, place.lon_e7)
    shifted = metres_between(lat, lon, site.lat_e7, site.lon_e7)
    fits = shifted <= allowed_m
    evidence = {
        "tag": place.tag,
        "raw": place.raw,
        "offset": place.offset,
        "expected": {
            "reason": "datum" if fits else "distance",
            "distance_m": distance,
            "distance_if_gcj02_m": shifted,
            "radius_m": site.radius_cm // 100,
            "error_m": error_cm // 100,
            "lat_e7": place.lat_e7,
            "lon_e7": place.lon_e7,
            "site_lat_e7": site.lat_e7,
            "site_lon_e7": site.lon_e7,
        },
    }
    return Finding("GPS_OFF_SITE", INFO if fits else WARN, evidence)


def gps_off_site(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """GPS_OFF_SITE: each position lies at the inspected place, as far as it is accurate.

    A warning, since indoor and cached fixes are common; it fails where the bureau requires it.
    A position that says it is WGS-84 is not excused by the Chinese datum.
    """
    severity = FAIL if context.policy.place_required else WARN
    return [
        replace(found, severity=severity)
        for found in _away(claims, context)
        if found.severity == WARN
    ]


def gps_datum(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """GPS_DATUM: a position off the site fits it once read in the Chinese datum GCJ-02.

    Only where nothing says that it is WGS-84; both distances are stated.
    """
    return [
        replace(found, code="GPS_DATUM")
        for found in _away(claims, context)
        if found.severity == INFO
    ]


def _away(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """Positions away from the site: INFO where GCJ-02 may explain it, else WARN."""
    if context.site is None:
        return []
    found: List[Finding] = []
    for place in places(claims, context):
        doubt = _off_site(place, context.site)
        datum = _declared_datum(place, claims)
        if doubt is not None and doubt.severity == INFO and datum:
            said = dict(doubt.evidence["expected"], reason="declared", datum=datum)
            doubt = replace(doubt, severity=WARN, evidence=dict(doubt.evidence, expected=said))
        if doubt is not None:
            found.append(doubt)
    return found


def _declared_datum(place: PlaceClaim, claims: Tuple[Claim, ...]) -> str:
    """The datum that a position is stated in, if that is WGS-84 or is one with it on the ground.

    A device signs WGS-84 (docs/protocol.md §4.1); a picture may name its datum.
    """
    if place.source == "device":
        return "WGS-84"
    if place.source == "exif":
        for claim in claims:
            if isinstance(claim, SignClaim) and claim.tag == "GPS:GPSMapDatum":
                name = "".join(c for c in claim.raw.upper() if c.isalnum())
                return claim.raw.strip() if name in _SAME_AS_WGS84 else ""
    return ""


def gps_unusable(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """GPS_NULL and GPS_RANGE: a position is written that cannot be one.

    A place for it that was left empty says no more than none, and is a note only.
    """
    if any(isinstance(claim, PlaceClaim) and claim.source == "exif" for claim in claims):
        return []
    raws = {
        claim.tag: claim
        for claim in claims
        if isinstance(claim, TextClaim) and claim.tag in ("GPS:GPSLatitude", "GPS:GPSLongitude")
    }
    if not raws:
        return []
    first = raws[sorted(raws)[0]]
    parts = [part for claim in raws.values() for part in claim.raw.split()]
    numbers = [fraction(part) for part in parts]
    severity = WARN
    if all(part == "0/0" for part in parts):
        code, reason, severity = "GPS_NULL", "empty", INFO
    elif None in numbers:
        code, reason = "GPS_RANGE", "denominator"
    elif any(numbers):
        code, reason = "GPS_RANGE", "range"
    else:
        code, reason = "GPS_NULL", "zero"
    return [finding(code, severity, reason, first.tag, first.raw, first.offset)]
