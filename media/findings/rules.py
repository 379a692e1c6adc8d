"""The rules about place, readers and content, and the order in which all rules are run."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .distance import from_gcj02, metres_between
from .model import (
    FAIL,
    INFO,
    UNDECIDED,
    WARN,
    Claim,
    Context,
    Finding,
    PlaceClaim,
    Site,
    TextClaim,
)
from .reading import fraction
from .times import (
    clock_offset,
    gps_time_mismatch,
    time_absent,
    time_after_receipt,
    time_outside_window,
)

#: Taken where a receiver does not say how far it may be off.
ASSUMED_ERROR_CM = 10000

CONSISTENT, EXPLAINABLE, INCONSISTENT, ABSENT = (
    "consistent",
    "explainable",
    "inconsistent",
    "absent",
)


def compare(claims: Tuple[Claim, ...], context: Context) -> Tuple[Finding, ...]:
    """Every doubt that the rules raise, in the order of the rules and of the claims.

    Implements docs/evidence.md §6; the same claims and context give the same findings.
    """
    found: List[Finding] = []
    for rule in (
        digest_mismatch,
        time_after_receipt,
        time_outside_window,
        time_absent,
        clock_offset,
        gps_time_mismatch,
        gps_off_site,
        readers_disagree,
    ):
        found.extend(rule(claims, context))
    return tuple(found)


def verdict(findings: Sequence[Finding]) -> str:
    """What the findings of one item amount to (docs/evidence.md §6).

    ``inconsistent`` if any failed; else ``absent`` if the file carries no time; else
    ``explainable`` if something is doubtful or undecided; else ``consistent``.
    """
    if any(finding.severity == FAIL for finding in findings):
        return INCONSISTENT
    if any(finding.code == "TIME_ABSENT" for finding in findings):
        return ABSENT
    if any(finding.severity in (WARN, UNDECIDED) for finding in findings):
        return EXPLAINABLE
    return CONSISTENT


def to_json(items: Sequence[Any]) -> str:
    """Claims or findings as JSON, the same bytes for the same values."""
    plain = [dict(_plain(item), kind=type(item).__name__) for item in items]
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def findings_from(plain: Sequence[Mapping[str, Any]]) -> Tuple[Finding, ...]:
    """The findings of a parsed ``to_json``."""
    return tuple(
        Finding(
            code=item["code"],
            severity=item["severity"],
            evidence=dict(item["evidence"]),
            rule_version=item["rule_version"],
        )
        for item in plain
    )


def _plain(item: Any) -> Dict[str, Any]:
    return {
        name: [_plain(part) for part in value] if isinstance(value, tuple) else value
        for name, value in vars(item).items()
    }


def digest_mismatch(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """DIGEST_MISMATCH: the bytes received are the bytes that the signed line announced."""
    announced, received = context.announced, context.received
    if announced is None or received is None or announced == received:
        return []
    expected = {"reason": "bytes", "sha256": announced.sha256, "size": announced.size}
    evidence = {
        "tag": "sha256",
        "raw": received.sha256,
        "offset": -1,
        "expected": dict(expected, received_size=received.size),
    }
    return [Finding("DIGEST_MISMATCH", FAIL, evidence)]


def gps_off_site(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """GPS_OFF_SITE: each position lies at the inspected place, as far as it is accurate."""
    if context.site is None:
        return []
    places = [claim for claim in claims if isinstance(claim, PlaceClaim)]
    if context.fix is not None:
        fix = context.fix
        places.insert(
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
    found = [_off_site(place, context.site) for place in places]
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


def readers_disagree(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """READERS_DISAGREE: two readers written by different people saw the same values."""
    second = context.second
    if second is None:
        return []
    if second.failed:
        expected = {"reason": "failed", "reader": second.reader, "failure": second.failed}
        evidence = {"tag": "reader", "raw": "", "offset": -1, "expected": expected}
        return [Finding("READERS_DISAGREE", INFO, evidence)]
    ours = {claim.tag: claim for claim in claims if isinstance(claim, TextClaim)}
    theirs = dict(second.values)
    found = [
        _disagreement(
            WARN, "differs", ours[tag].raw, ours[tag].offset, tag, second.reader, theirs[tag]
        )
        for tag in sorted(set(ours) & set(theirs))
        if not _same(ours[tag].raw, theirs[tag])
    ]
    found.extend(
        _disagreement(WARN, "only_second", "", -1, tag, second.reader, theirs[tag])
        for tag in sorted(set(theirs) - set(ours))
        if theirs[tag].strip()
    )
    missed = sorted(tag for tag in set(ours) - set(theirs) if ours[tag].raw.strip())
    if missed:
        first = ours[missed[0]]
        found.append(
            _disagreement(
                INFO,
                "only_first",
                first.raw,
                first.offset,
                missed[0],
                second.reader,
                "",
                tags=missed,
            )
        )
    return found


def _disagreement(
    severity: str,
    reason: str,
    raw: str,
    offset: int,
    tag: str,
    reader: str,
    value: str,
    tags: Sequence[str] = (),
) -> Finding:
    expected: Dict[str, Any] = {"reason": reason, "reader": reader, "value": value}
    if tags:
        expected["tags"] = list(tags)
    evidence = {"tag": tag, "raw": raw, "offset": offset, "expected": expected}
    return Finding("READERS_DISAGREE", severity, evidence)


def _same(ours: str, theirs: str) -> bool:
    """Whether two readings mean one value: padding aside, and fractions by their value."""
    if ours.strip() == theirs.strip():
        return True
    if not theirs.isascii() or not ours.isascii():
        # The readers decode text beyond ASCII differently; that says nothing about the file.
        return True
    left, right = (
        [fraction(part) for part in ours.split()],
        [fraction(part) for part in theirs.split()],
    )
    return len(left) == len(right) > 0 and None not in left and left == right
