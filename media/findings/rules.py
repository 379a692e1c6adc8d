"""Which rules each version runs, what their findings amount to, and the rules about content."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence, Tuple

from .clocks import clock_default, duration, edited_time, time_invalid, time_missing, zone_unclear
from .forms import polyglot, type_mismatch
from .model import (
    FAIL,
    INFO,
    RULE_VERSION,
    UNDECIDED,
    WARN,
    Claim,
    Context,
    Finding,
    TextClaim,
)
from .others import (
    device_mismatch,
    order,
    quant_table,
    reused_bytes,
    reused_scene,
    speed_impossible,
)
from .places import gps_datum, gps_off_site, gps_off_site_2, gps_unusable
from .reading import fraction
from .times import (
    clock_offset,
    gps_time_mismatch,
    time_absent,
    time_after_receipt,
    time_after_receipt_2,
    time_outside_window,
    time_outside_window_2,
)
from .traces import (
    ai_label,
    check_failed,
    read_incomplete,
    resaved,
    screenshot,
    stripped,
    thumb_mismatch,
)

Rule = Callable[[Tuple[Claim, ...], Context], List[Finding]]

CONSISTENT, EXPLAINABLE, INCONSISTENT, ABSENT = (
    "consistent",
    "explainable",
    "inconsistent",
    "absent",
)


#: What each version runs, in this order. A version that has judged evidence stays as it was:
#: a rule whose outcome must change gets a successor (docs/decisions/0016-rules-have-versions.md).
RULES: Dict[str, Tuple[Rule, ...]] = {}


def compare(
    claims: Tuple[Claim, ...], context: Context, version: str = RULE_VERSION
) -> Tuple[Finding, ...]:
    """Every doubt that the rules of ``version`` raise, in the order of the rules and claims.

    Implements docs/evidence.md §6; the same claims and context give the same findings.
    """
    found: List[Finding] = []
    for rule in RULES[version]:
        found.extend(rule(claims, context))
    return tuple(replace(finding, rule_version=version) for finding in found)


def verdict(findings: Sequence[Finding]) -> str:
    """What the findings of one item amount to (docs/evidence.md §6).

    ``inconsistent`` if any failed; else ``absent`` if the file carries no time; else
    ``explainable`` if something is doubtful or undecided; else ``consistent``.
    """
    if any(finding.severity == FAIL for finding in findings):
        return INCONSISTENT
    if any(_timeless(finding) for finding in findings):
        return ABSENT
    if any(finding.severity in (WARN, UNDECIDED) for finding in findings):
        return EXPLAINABLE
    return CONSISTENT


def worst(verdicts: Iterable[str]) -> str:
    """What several runs over one item amount to together; there must be one.

    That is the verdict of all their findings.
    """
    return min(verdicts, key=(INCONSISTENT, ABSENT, EXPLAINABLE, CONSISTENT).index)


def _timeless(finding: Finding) -> bool:
    """Whether it says that no time of capture can be read in the file."""
    unreadable = finding.evidence["expected"]["reason"] == "unreadable"
    return finding.code == "TIME_ABSENT" or (finding.code == "TIME_INVALID" and unreadable)


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


def readers_disagree(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """READERS_DISAGREE: two readers written by different people saw the same values."""
    return _disagreements(claims, context, _same)


def readers_disagree_2(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """READERS_DISAGREE of version 2, which took any text beyond ASCII for equal."""
    return _disagreements(claims, context, _same_2)


def _disagreements(
    claims: Tuple[Claim, ...], context: Context, same: Callable[[str, str], bool]
) -> List[Finding]:
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
        if not same(ours[tag].raw, theirs[tag])
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
    if ours.strip() == theirs.strip() or theirs in _spellings(ours):
        return True
    left, right = ours.split(), theirs.split()
    return len(left) == len(right) > 0 and all(map(_same_number, left, right))


def _spellings(ours: str) -> Tuple[str, ...]:
    """How exifread shows text that is no UTF-8: as Python writes bytes.

    We keep such text byte for byte, as Latin-1.
    """
    try:
        return (str(ours.encode("latin-1")),)
    except UnicodeEncodeError:
        return ()


def _same_number(ours: str, theirs: str) -> bool:
    """``22/1`` is ``22``; of what is no number only the text can be compared."""
    number = fraction(ours)
    return ours == theirs or (number is not None and number == fraction(theirs))


def _same_2(ours: str, theirs: str) -> bool:
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


RULES["2"] = (
    digest_mismatch,
    time_after_receipt_2,
    time_outside_window_2,
    time_absent,
    clock_offset,
    gps_time_mismatch,
    gps_off_site_2,
    readers_disagree_2,
)
RULES["3"] = (
    digest_mismatch,
    reused_bytes,
    time_after_receipt,
    time_outside_window,
    time_missing,
    time_invalid,
    clock_default,
    zone_unclear,
    clock_offset,
    gps_time_mismatch,
    edited_time,
    duration,
    gps_off_site,
    gps_datum,
    gps_unusable,
    speed_impossible,
    order,
    device_mismatch,
    resaved,
    quant_table,
    stripped,
    screenshot,
    thumb_mismatch,
    ai_label,
    type_mismatch,
    polyglot,
    reused_scene,
    read_incomplete,
    check_failed,
    readers_disagree,
)
