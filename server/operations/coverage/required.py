"""Which steps of an inspection must be on record, since when, and where a record states them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SITE_RECORD = "site_inspection_record"


@dataclass(frozen=True)
class Required:
    """A step, and the fields of the site record of which any one, filled in, states it."""

    step: str
    stated_by: tuple[str, ...]


#: By the day (Asia/Shanghai) from which they are asked for; the newest not after a visit's
#: opening counts. 行政处罚法 of 2021, in force since 15 July 2021: article 47 asks for a record
#: of the whole process, articles 44 and 55 for certificates and rights.
REQUIRED: tuple[tuple[str, tuple[Required, ...]], ...] = (
    (
        "2021-07-15",
        (
            Required("arrival", ("started_at",)),
            Required("certificates_shown", ("certificates_shown",)),
            Required("rights_told", ("recusal_told", "duty_told")),
            Required("inspected", ("findings",)),
            Required("signed", ("party_signature",)),
            Required("left", ("ended_at",)),
        ),
    ),
)


def required_on(day: str) -> tuple[Required, ...]:
    """What was asked for on an ISO day; nothing before the first version."""
    known = [steps for since, steps in REQUIRED if since <= day]
    return known[-1] if known else ()


def stated(step: Required, values: Mapping[str, Any]) -> bool:
    """Whether a site record states the step; a box that was left unticked states nothing."""
    return any(values.get(name) not in (None, "", False, []) for name in step.stated_by)
