"""The rules that compare an item with others: its neighbours, its device, the same bytes."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Tuple

from .clocks import texts_of
from .distance import metres_between
from .forms import form_of, is_medium
from .model import (
    FAIL,
    IN_APP,
    INFO,
    SYSTEM_CAMERA,
    WARN,
    Claim,
    Context,
    Finding,
    KnownCamera,
    Neighbour,
    PlaceClaim,
    SameBytes,
    SignClaim,
    TimeClaim,
    finding,
)
from .places import ASSUMED_ERROR_CM, places
from .reading import text
from .times import captures
from .timetext import exif_wall, zone_minutes

#: Beyond this no vehicle on the ground goes; beyond the other no aeroplane.
FAST_KMH, IMPOSSIBLE_KMH = 150, 1000
#: How well both positions must be known before their distance can be a contradiction.
_GOOD_FIX_CM = 10000
#: Within so many bits of 64 two pictures are called alike.
ALIKE_BITS = 6
#: So many photos of a device must have used one set of tables before another one is a doubt.
_TABLES_SETTLED = 3
_BURST_MS = 2000
_ZONE = "ExifIFD:OffsetTimeOriginal"
_COUNTER = re.compile(r"^(.*?)([0-9]{3,8})(\.[A-Za-z0-9]{2,5})?$")


def reused_bytes(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """REUSED_BYTES: no other inspection holds the same photo or recording.

    Inspections that name one case may share a file, but that they are of one case is their
    officers' word. A paper may be used anywhere.
    """
    form = form_of(claims)
    medium = is_medium(form, context) if form is not None else True
    return [_reused(other, medium, context) for other in context.reuse]


def _reused(other: SameBytes, medium: bool, context: Context) -> Finding:
    severity, reason = FAIL, "same"
    case: Dict[str, str] = {}
    if not medium:
        severity, reason = INFO, "document"
    elif other.same_case:
        severity, reason, case = WARN, "same_case", {"case": other.case}
    return finding(
        "REUSED_BYTES",
        severity,
        reason,
        "sha256",
        "" if context.announced is None else context.announced.sha256,
        -1,
        item=other.item,
        inspection=other.inspection,
        announced_at_ms=other.announced_at_ms,
        **case,
    )


def reused_scene(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """REUSED_SCENE: no other inspection shows the same picture; both are named, to be looked at."""
    return [
        finding(
            "REUSED_SCENE",
            WARN,
            "alike",
            "sha256",
            other.sha256,
            -1,
            item=other.item,
            inspection=other.inspection,
            bits=other.distance,
        )
        for other in context.scenes
        if other.distance <= ALIKE_BITS
    ]


def speed_impossible(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """SPEED_IMPOSSIBLE: from the neighbouring capture to this one somebody could have come.

    The least distance that both errors leave is divided by the longest time that both
    intervals allow.
    """
    here, now = _device_place(claims, context), _device_time(claims)
    if here is None or now is None:
        return []
    found: List[Finding] = []
    for other in context.neighbours:
        if other.lat_e7 is None or other.lon_e7 is None:
            continue
        errors = _error_cm(here.error_cm) + _error_cm(other.accuracy_cm)
        metres = metres_between(here.lat_e7, here.lon_e7, other.lat_e7, other.lon_e7)
        least = metres - errors // 100
        longest_ms = max(now.hi_ms - other.lo_ms, other.hi_ms - now.lo_ms, 1000)
        kmh = least * 3600 // longest_ms
        if kmh <= FAST_KMH:
            continue
        good = _good(here.error_cm) and _good(other.accuracy_cm)
        # Two readings of a clock that somebody may have set in between prove no speed.
        proven = context.hints.bounds is not None and other.proven
        found.append(
            finding(
                "SPEED_IMPOSSIBLE",
                FAIL if kmh > IMPOSSIBLE_KMH and good and proven else WARN,
                other.relation,
                here.tag,
                here.raw,
                here.offset,
                item=other.item,
                distance_m=metres,
                error_m=errors // 100,
                longest_ms=longest_ms,
                kmh=kmh,
            )
        )
    return found


def _device_place(claims: Tuple[Claim, ...], context: Context) -> Optional[PlaceClaim]:
    for place in places(claims, context):
        if place.source == "device":
            return place
    return None


def _device_time(claims: Tuple[Claim, ...]) -> Optional[TimeClaim]:
    for claim in captures(claims):
        if claim.source == "device":
            return claim
    return None


def _error_cm(error_cm: Optional[int]) -> int:
    return ASSUMED_ERROR_CM if error_cm is None or error_cm < 0 else error_cm


def _good(error_cm: Optional[int]) -> bool:
    return error_cm is not None and 0 <= error_cm <= _GOOD_FIX_CM


def order(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """ORDER: the camera's clock and its counter run in the order of the journal.

    Only for what the device took itself: imported files come in any order.
    """
    if context.hints.capture_class not in (IN_APP, SYSTEM_CAMERA):
        return []
    found: List[Finding] = []
    texts = texts_of(claims)
    original, written = texts.get("ExifIFD:DateTimeOriginal"), texts.get(_ZONE)
    taken = None if original is None else exif_wall(original.raw)
    zone = None if written is None else zone_minutes(text(written.raw))
    for other in context.neighbours:
        if original is not None and taken is not None and other.camera_ms is not None:
            later = taken - other.camera_ms
            if zone is not None and other.camera_zone_min is not None:
                # Both name their zones: an officer may cross into another one.
                later -= (zone - other.camera_zone_min) * 60000
            later = later if other.relation == "next" else -later
            if later > _BURST_MS:
                found.append(
                    finding(
                        "ORDER",
                        WARN,
                        "camera_" + other.relation,
                        original.tag,
                        original.raw,
                        original.offset,
                        item=other.item,
                        difference_ms=later,
                    )
                )
        found.extend(_counter(context, other))
    return found


def _counter(context: Context, other: Neighbour) -> List[Finding]:
    if context.named is None or context.hints.capture_class != SYSTEM_CAMERA:
        return []
    mine, theirs = _COUNTER.match(context.named.name), _COUNTER.match(other.name)
    if mine is None or theirs is None or mine.group(1) != theirs.group(1):
        return []
    if len(mine.group(2)) != len(theirs.group(2)):
        return []
    ahead = int(mine.group(2)) - int(theirs.group(2))
    backwards = ahead < 0 if other.relation == "previous" else ahead > 0
    # A counter that begins again is no doubt.
    if not backwards or abs(ahead) > 10 ** len(mine.group(2)) // 2:
        return []
    return [
        finding(
            "ORDER",
            WARN,
            "counter_" + other.relation,
            "name",
            context.named.name,
            -1,
            item=other.item,
            value=other.name,
        )
    ]


def device_mismatch(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """DEVICE_MISMATCH: the camera is the one that this device's earlier photos came from."""
    camera = context.camera
    if camera is None or not camera.photos or not _taken_by_device(claims, context):
        return []
    texts = texts_of(claims)
    signs = {claim.tag: claim for claim in claims if isinstance(claim, SignClaim)}
    for tag, known in (
        ("IFD0:Make", camera.makes),
        ("IFD0:Model", camera.models),
        ("ExifIFD:BodySerialNumber", camera.serials),
    ):
        claim = texts.get(tag) or signs.get(tag)
        if claim is not None and claim.raw.strip() and known and claim.raw.strip() not in known:
            return [
                finding(
                    "DEVICE_MISMATCH",
                    WARN,
                    "other_camera",
                    tag,
                    claim.raw,
                    claim.offset,
                    known=sorted(known),
                    photos=camera.photos,
                )
            ]
    return []


def quant_table(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """QUANT_TABLE: the picture was packed as this device packs its pictures."""
    camera = context.camera
    if camera is None or not camera.quant_tables or not _taken_by_device(claims, context):
        return []
    for claim in claims:
        if isinstance(claim, SignClaim) and claim.tag == "JPEG:QuantTables":
            if claim.raw in camera.quant_tables:
                return []
            severity = _table_severity(camera)
            return [
                finding(
                    "QUANT_TABLE",
                    severity,
                    "others" if severity == WARN else "varies",
                    claim.tag,
                    claim.raw,
                    claim.offset,
                    photos=camera.photos,
                    tables=len(camera.quant_tables),
                )
            ]
    return []


def _table_severity(camera: KnownCamera) -> str:
    """A device that never varied its tables makes another one a doubt."""
    settled = camera.photos >= _TABLES_SETTLED and len(camera.quant_tables) == 1
    return WARN if settled else INFO


def _taken_by_device(claims: Tuple[Claim, ...], context: Context) -> bool:
    """By its camera, and not written by our own program."""
    if context.hints.capture_class not in (IN_APP, SYSTEM_CAMERA):
        return False
    return not any(isinstance(claim, TimeClaim) and claim.own for claim in claims)
