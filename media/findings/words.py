"""What the catalogue's sentences about findings need: their keys and their values.

The sentences stand in the catalogue's area ``findings`` in Chinese and English; this
module only turns numbers into text (times in one stated zone, seconds, degrees).
"""

from __future__ import annotations

from typing import Any, Dict

from .model import Finding
from .timetext import iso_seconds

_DURATIONS = frozenset(
    (
        "tolerance_ms",
        "offset_ms",
        "error_ms",
        "difference_ms",
        "written_ms",
        "decoded_ms",
        "longest_ms",
    )
)
_OPEN_END = "—"
_RAW_LIMIT = 80
#: Where a screen shows no other zone: Asia/Shanghai, in minutes east of UTC.
SHOWN_ZONE_MIN = 480


def title_key(code: str) -> str:
    """Catalogue key of the name of a finding."""
    return "findings." + code + ".title"


def sentence_key(finding: Finding) -> str:
    """Catalogue key of the sentence that says what was compared and what came out."""
    return "findings.%s.%s" % (finding.code, finding.evidence["expected"]["reason"])


def placeholders(finding: Finding, zone_min: int = SHOWN_ZONE_MIN) -> Dict[str, str]:
    """The values for ``sentence_key``'s text.

    A time ``x_ms`` becomes ``{x}``, to the second with its zone; a duration ``x_ms`` becomes
    ``{x}`` in seconds; ``x_e7`` becomes ``{x}`` in degrees; the rest keep their names.
    """
    evidence = finding.evidence
    raw = evidence["raw"]
    if len(raw) > _RAW_LIMIT:
        raw = raw[:_RAW_LIMIT] + "…"
    values = {"tag": evidence["tag"], "raw": raw, "open": _OPEN_END, "close": _OPEN_END}
    for name, value in evidence["expected"].items():
        if name in _DURATIONS:
            values[name[:-3]] = seconds(value)
        elif name.endswith("_ms"):
            values[name[:-3]] = moment(value, zone_min)
        elif name.endswith("_e7"):
            values[name[:-3]] = degrees(value)
        else:
            values[name] = _plain(value)
    return values


def moment(at_ms: int, zone_min: int = SHOWN_ZONE_MIN) -> str:
    """A time as ``2026-05-04 09:02:03 +08:00``."""
    sign, minutes = ("-", -zone_min) if zone_min < 0 else ("+", zone_min)
    wall = iso_seconds(at_ms + zone_min * 60000).replace("T", " ")
    return "%s %s%02d:%02d" % (wall, sign, minutes // 60, minutes % 60)


def seconds(duration_ms: int) -> str:
    """A duration in seconds, with a fraction only below ten."""
    if abs(duration_ms) < 10000 and duration_ms % 1000:
        return "%.1f" % (duration_ms / 1000)
    return str(int(duration_ms / 1000))


def degrees(value_e7: int) -> str:
    """1e-7 degrees as decimal degrees."""
    whole, rest = divmod(abs(value_e7), 10000000)
    return "%s%d.%07d" % ("-" if value_e7 < 0 else "", whole, rest)


def _plain(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
