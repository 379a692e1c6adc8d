"""The rules about time: every one compares intervals and names what it expected."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional, Tuple

from .model import (
    FAIL,
    IN_APP,
    INFO,
    SYSTEM_CAMERA,
    UNDECIDED,
    WARN,
    Claim,
    Context,
    Finding,
    FormatClaim,
    SignClaim,
    TimeClaim,
)
from .signs import FAR_TAG

_HOUR_MS = 3600000
_QUARTER_MS = 900000


def captures(claims: Tuple[Claim, ...]) -> List[TimeClaim]:
    """The claims about the moment of capture (not of a fix, nor of an import)."""
    return [claim for claim in claims if isinstance(claim, TimeClaim) and claim.role == "capture"]


def time_finding(
    code: str, severity: str, claim: TimeClaim, reason: str, **expected: object
) -> Finding:
    """A finding about ``claim``, with its interval beside what was expected."""
    said = {"claimed_lo_ms": claim.lo_ms, "claimed_hi_ms": claim.hi_ms, "basis": claim.basis}
    return Finding(
        code=code,
        severity=severity,
        evidence={
            "tag": claim.tag,
            "raw": claim.raw,
            "offset": claim.offset,
            "expected": dict(said, reason=reason, **expected),
        },
    )


def time_after_receipt(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_AFTER_RECEIPT: nothing is captured after the server already holds it."""
    found = _after_receipt(claims, context)
    return [_as_far_as_compared(claims, context, claim, doubt) for claim, doubt in found]


def time_after_receipt_2(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_AFTER_RECEIPT of version 2, which failed by clocks that nobody had compared."""
    return [doubt for _, doubt in _after_receipt(claims, context)]


def _after_receipt(claims: Tuple[Claim, ...], context: Context) -> List[Tuple[TimeClaim, Finding]]:
    if context.received_at_ms is None:
        return []
    received, late = context.received_at_ms, context.received_at_ms + context.tolerance_ms
    found: List[Tuple[TimeClaim, Finding]] = []
    for claim in captures(claims):
        if claim.lo_ms > late:
            severity, reason = FAIL, "after"
        elif claim.lo_ms > received:
            severity, reason = WARN, "within_tolerance"
        elif claim.assumed and all(assumed.lo_ms > late for assumed in claim.assumed):
            severity, reason = WARN, _assumption(claim)
        else:
            continue
        doubt = time_finding(
            "TIME_AFTER_RECEIPT",
            severity,
            claim,
            reason,
            received_at_ms=received,
            tolerance_ms=context.tolerance_ms,
        )
        found.append((claim, doubt))
    return found


def _as_far_as_compared(
    claims: Tuple[Claim, ...], context: Context, claim: TimeClaim, doubt: Finding
) -> Finding:
    """``doubt`` about ``claim``, no failure where nobody compared the clock that it rests on.

    A failure contradicts what the server knows, and of such a clock it knows nothing.
    """
    reason = doubt.evidence["expected"]["reason"]
    if doubt.severity == FAIL and not _compared(claims, context, claim):
        return _with_reason(doubt, WARN, _UNCOMPARED.get(reason, "uncompared"))
    if reason == "assumed_zone" and claim.source in ("movie", "matroska"):
        return _with_reason(doubt, doubt.severity, "utc_or_local")
    return doubt


#: What a failure is called that no comparison of clocks bears out, where that is not "uncompared".
_UNCOMPARED = {"before_proof": "before_proof_uncompared"}


def _with_reason(doubt: Finding, severity: str, reason: str) -> Finding:
    expected = dict(doubt.evidence["expected"], reason=reason)
    return replace(doubt, severity=severity, evidence=dict(doubt.evidence, expected=expected))


def _compared(claims: Tuple[Claim, ...], context: Context, claim: TimeClaim) -> bool:
    """Whether comparisons with the server's clock speak of the clock that ``claim`` rests on.

    Of a device's those that prove when the line was written, and none of them shows that
    somebody set the clock in between; of a recorder's the one that corrects this time.
    """
    hints = context.hints
    if claim.source == "device":
        return hints.bounds is not None
    if hints.capture_class not in (IN_APP, SYSTEM_CAMERA):
        return hints.recorder is not None and not _far(claims, claim)
    known = hints.bounds is not None and hints.clock is not None
    return known and not _clock_set(claims, context)


def _far(claims: Tuple[Claim, ...], claim: TimeClaim) -> bool:
    """Whether the recorder's clock was compared too long before or after ``claim``."""
    return any(
        isinstance(sign, SignClaim) and sign.tag == FAR_TAG and sign.raw == claim.tag
        for sign in claims
    )


def time_outside_window(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_OUTSIDE_WINDOW: the capture lies in the inspection, and after what its chain proves.

    The proven lower end counts for what was taken in the app alone: a file of another
    class may be older than the line that announces it.
    """
    found = _outside_window(claims, context)
    return [_as_far_as_compared(claims, context, claim, doubt) for claim, doubt in found]


def time_outside_window_2(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_OUTSIDE_WINDOW of version 2, which failed by clocks that nobody had compared."""
    return [doubt for _, doubt in _outside_window(claims, context)]


def _outside_window(claims: Tuple[Claim, ...], context: Context) -> List[Tuple[TimeClaim, Finding]]:
    found: List[Tuple[TimeClaim, Finding]] = []
    for claim in captures(claims):
        if context.window is not None:
            window = context.window
            outcome = _outside(claim, window.open_ms, window.close_ms, context.tolerance_ms)
            if outcome is not None:
                doubt = time_finding(
                    "TIME_OUTSIDE_WINDOW",
                    outcome[0],
                    claim,
                    outcome[1],
                    tolerance_ms=context.tolerance_ms,
                    **_ends(window.open_ms, window.close_ms),
                )
                found.append((claim, doubt))
        proven = context.not_before_ms
        if (
            proven is not None
            and context.hints.capture_class == IN_APP
            and claim.hi_ms < proven - context.tolerance_ms
        ):
            doubt = time_finding(
                "TIME_OUTSIDE_WINDOW",
                FAIL,
                claim,
                "before_proof",
                not_before_ms=proven,
                tolerance_ms=context.tolerance_ms,
            )
            found.append((claim, doubt))
    return found


def _ends(open_ms: Optional[int], close_ms: Optional[int]) -> Dict[str, int]:
    ends = {"open_ms": open_ms, "close_ms": close_ms}
    return {name: value for name, value in ends.items() if value is not None}


def _outside(
    claim: TimeClaim, open_ms: Optional[int], close_ms: Optional[int], tolerance_ms: int
) -> Optional[Tuple[str, str]]:
    """Severity and reason, or None if the claim fits between the two ends."""
    earliest = None if open_ms is None else open_ms - tolerance_ms
    latest = None if close_ms is None else close_ms + tolerance_ms

    def apart(lo: int, hi: int) -> bool:
        return (earliest is not None and hi < earliest) or (latest is not None and lo > latest)

    def within(lo: int, hi: int) -> bool:
        return (earliest is None or lo >= earliest) and (latest is None or hi <= latest)

    if apart(claim.lo_ms, claim.hi_ms):
        return FAIL, "outside"
    if within(claim.lo_ms, claim.hi_ms):
        return None
    if claim.assumed:
        if all(apart(assumed.lo_ms, assumed.hi_ms) for assumed in claim.assumed):
            return WARN, _assumption(claim)
        return None
    if claim.basis == "local":
        return UNDECIDED, "zone_unknown"
    return WARN, "partly"


def _assumption(claim: TimeClaim) -> str:
    """On what the readings of ``claim`` rest: a zone, or a wall clock that nobody set."""
    return "device_clock" if claim.source == "device" else "assumed_zone"


def _clock_reading(claim: TimeClaim) -> Tuple[int, int]:
    """What the device's wall clock said, corrected as measured; its interval may be wider."""
    if claim.assumed:
        return claim.assumed[0].lo_ms, claim.assumed[0].hi_ms
    return claim.lo_ms, claim.hi_ms


def time_absent(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TIME_ABSENT: the file itself says when it was made, where its format has a place for that."""
    if any(claim.offset >= 0 for claim in captures(claims)):
        return []
    for claim in claims:
        if isinstance(claim, FormatClaim):
            reason = "timeless" if claim.timeless else "absent"
            if claim.unreadable_tag:
                reason = "unreadable"
            elif not claim.type:
                reason = "unknown_format"
            evidence = {
                "tag": claim.unreadable_tag or "type",
                "raw": claim.unreadable_raw if claim.unreadable_tag else claim.type,
                "offset": claim.unreadable_offset,
                "expected": {"reason": reason},
            }
            return [Finding("TIME_ABSENT", INFO if claim.timeless else WARN, evidence)]
    return []


def clock_offset(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """CLOCK_OFFSET: the device's clock agrees with ours, and its camera with its own clock."""
    hints, found = context.hints, []
    if hints.clock is not None:
        clock = hints.clock
        if abs(clock.offset_ms) - clock.error_ms > context.tolerance_ms:
            evidence = {
                "tag": "journal:clock.compared",
                "raw": str(clock.offset_ms),
                "offset": -1,
                "expected": {
                    "reason": "measured",
                    "offset_ms": clock.offset_ms,
                    "error_ms": clock.error_ms,
                    "tolerance_ms": context.tolerance_ms,
                },
            }
            found.append(Finding("CLOCK_OFFSET", WARN, evidence))
    found.extend(_clock_set(claims, context))
    if hints.capture_class not in (IN_APP, SYSTEM_CAMERA):
        return found
    device = [claim for claim in captures(claims) if claim.source == "device"]
    camera = [claim for claim in captures(claims) if claim.source == "exif"]
    if device and camera:
        outcome = _two_clocks(camera[0], device[0], context.tolerance_ms)
        if outcome is not None:
            found.append(
                time_finding(
                    "CLOCK_OFFSET",
                    outcome[0],
                    camera[0],
                    outcome[1],
                    device_lo_ms=_clock_reading(device[0])[0],
                    device_hi_ms=_clock_reading(device[0])[1],
                    tolerance_ms=context.tolerance_ms,
                )
            )
    return found


def _clock_set(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """The wall clock, corrected as last measured, lies outside what all comparisons prove."""
    for claim in claims:
        if isinstance(claim, TimeClaim) and claim.source == "device" and claim.assumed:
            lo, hi = _clock_reading(claim)
            if apart_ms(lo, hi, claim.lo_ms, claim.hi_ms) > context.tolerance_ms:
                return [
                    time_finding(
                        "CLOCK_OFFSET", WARN, claim, "clock_set", device_lo_ms=lo, device_hi_ms=hi
                    )
                ]
    return []


def _two_clocks(
    camera: TimeClaim, device: TimeClaim, tolerance_ms: int
) -> Optional[Tuple[str, str]]:
    lo, hi = _clock_reading(device)
    if apart_ms(camera.lo_ms, camera.hi_ms, lo, hi) > tolerance_ms:
        return WARN, "camera"
    readings = [apart_ms(assumed.lo_ms, assumed.hi_ms, lo, hi) for assumed in camera.assumed]
    if readings and min(readings) > tolerance_ms:
        return UNDECIDED, "camera_zone"
    return None


def gps_time_mismatch(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """GPS_TIME_MISMATCH: the camera's clock agrees with the time that its GPS received.

    A difference is explained by an old fix more often than by a wrong clock. It fails only
    where the signed time sides with the GPS against a camera that names its zone.
    """
    camera = [claim for claim in captures(claims) if claim.source == "exif"]
    fixes = [claim for claim in claims if isinstance(claim, TimeClaim) and claim.source == "gps"]
    if not camera or not fixes:
        return []
    taken, fix = camera[0], fixes[0]
    outcome = _against_fix(claims, taken, fix, context)
    if outcome is None:
        return []
    severity, reason, apart = outcome
    return [
        time_finding(
            "GPS_TIME_MISMATCH",
            severity,
            taken,
            reason,
            gps_ms=fix.lo_ms,
            gps_raw=fix.raw,
            difference_ms=apart,
            tolerance_ms=context.tolerance_ms,
        )
    ]


def _against_fix(
    claims: Tuple[Claim, ...], taken: TimeClaim, fix: TimeClaim, context: Context
) -> Optional[Tuple[str, str, int]]:
    tolerance = context.tolerance_ms
    apart = apart_ms(taken.lo_ms, taken.hi_ms, fix.lo_ms, fix.hi_ms)
    if taken.basis == "offset":
        if apart <= tolerance:
            return None
        signed = context.hints.capture_class in (IN_APP, SYSTEM_CAMERA) and any(
            claim.source == "device"
            and claim.hi_ms - claim.lo_ms <= 2 * tolerance
            and apart_ms(claim.lo_ms, claim.hi_ms, fix.lo_ms, fix.hi_ms) <= tolerance
            for claim in captures(claims)
        )
        if signed and apart > _HOUR_MS and not fix.own:
            return FAIL, "signed_time_sides_with_gps", apart
        return WARN, "offset", apart
    if apart > tolerance:
        return WARN, "no_zone_fits", apart
    # Without a zone only what is left over a multiple of 15 minutes can be judged.
    middle = (taken.lo_ms + taken.hi_ms) // 2
    rest = (middle - fix.lo_ms) % _QUARTER_MS
    rest = min(rest, _QUARTER_MS - rest)
    if rest > tolerance:
        return WARN, "minutes", rest
    known = [assumed for assumed in taken.assumed if assumed.basis != "zone by GPS"]
    nearest = [apart_ms(assumed.lo_ms, assumed.hi_ms, fix.lo_ms, fix.hi_ms) for assumed in known]
    if nearest and min(nearest) > tolerance:
        return INFO, "other_zone", min(nearest)
    return None


def apart_ms(lo_a: int, hi_a: int, lo_b: int, hi_b: int) -> int:
    """Milliseconds between two intervals, 0 where they meet."""
    return max(0, lo_a - hi_b, lo_b - hi_a)
