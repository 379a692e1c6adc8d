"""Deadlines that officers carry with them (docs/protocol.md §4.4).

Only what counts in clock hours or names a day is computed; limits in working days
need the State Council's yearly calendar, which is not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

_HOUR_MS = 3_600_000
#: Asia/Shanghai, which has had no daylight saving since 1991.
_CHINA = timezone(timedelta(hours=8))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A limit in clock hours from the moment of its start event, in force from a day on."""

    code: str
    hours: int
    in_force_from: str
    source: str


#: Practice differs by place: these are defaults with where they come from.
RULES = (Rule(code="upload_media", hours=24, in_force_from="0001-01-01", source="广东 2021"),)


def due_after(code: str, starts_at_ms: int) -> tuple[int, str] | None:
    """When what started at ``starts_at_ms`` is due, and by which source; None without a rule.

    The rule in force on the day of the start event decides. A device's clock may
    claim any moment: one beyond the calendar has no deadline.
    """
    try:
        day = datetime.fromtimestamp(starts_at_ms / 1000, UTC).astimezone(_CHINA).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return None
    rules = [rule for rule in RULES if rule.code == code and rule.in_force_from <= day]
    if not rules:
        return None
    rule = max(rules, key=lambda rule: rule.in_force_from)
    return starts_at_ms + rule.hours * _HOUR_MS, rule.source


def end_of_day_ms(day: str) -> int:
    """The last millisecond of ``day`` (``YYYY-MM-DD``) in China."""
    midnight = datetime.combine(date.fromisoformat(day), time(), _CHINA) + timedelta(days=1)
    return int(midnight.timestamp() * 1000) - 1


def deadline(
    code: str, subject: Mapping[str, str], *, due_at_ms: int, **more: Any
) -> dict[str, Any]:
    """The document of a deadline; absent values are left out."""
    ((kind, identifier),) = subject.items()
    given = {name: value for name, value in more.items() if value is not None}
    return {
        "id": deadline_id(code, identifier),
        "code": code,
        "subject": {"kind": kind, "id": identifier},
        "due_at_ms": due_at_ms,
        **given,
    }


def deadline_id(code: str, identifier: str) -> str:
    """The id of the one deadline of that code that a task, inspection or officer has."""
    return f"{identifier}.{code}"
