"""When recordings may be sent, as an administrator writes it: ``18:00-07:00@4000,12:00-13:00``."""

import re
from dataclasses import dataclass

_HOURS = re.compile(
    r"(?P<begin>(?:[01]\d|2[0-3]):[0-5]\d)-(?P<end>(?:[01]\d|2[0-3]):[0-5]\d)(?:@(?P<kbit>\d{1,9}))?"
)


@dataclass(frozen=True, kw_only=True)
class Hours:
    """A time of day in China, over midnight if ``end`` is before ``begin``; 0 kbit/s: no bound."""

    begin: str
    end: str
    kbit_s: int


def read_hours(text: str) -> tuple[Hours, ...]:
    """Parse ``LIUHEN_RECORDING_HOURS``; nothing is always.

    Raises:
        ValueError: with the part that cannot be read.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _HOURS.fullmatch(part)
        if match is None or match["begin"] == match["end"]:
            raise ValueError(part)
        found.append(Hours(begin=match["begin"], end=match["end"], kbit_s=int(match["kbit"] or 0)))
    return tuple(found)
