"""When recordings may be sent, as the server says in hello: hours of the day in China."""

from collections.abc import Sequence
from dataclasses import dataclass

#: China keeps one time and no daylight saving.
_ZONE_MS = 8 * 3_600_000
_DAY_MS = 86_400_000
_MINUTE_MS = 60_000


@dataclass(frozen=True, kw_only=True)
class SendWindow:
    """From one ``HH:MM`` to another, over midnight if the second is earlier; 0 kbit/s: no bound."""

    begin: str
    end: str
    kbit_s: int

    def holds(self, at_ms: int) -> bool:
        """Whether a moment of the server's clock lies in it."""
        now = (at_ms + _ZONE_MS) % _DAY_MS // _MINUTE_MS
        begin, end = _minutes(self.begin), _minutes(self.end)
        return begin <= now < end if begin < end else now >= begin or now < end


@dataclass(frozen=True)
class Allowance:
    """What is allowed for recordings now; ``kbit_s`` 0 is no bound."""

    send: bool
    kbit_s: int = 0


def allowance(windows: Sequence[SendWindow], at_ms: int) -> Allowance:
    """Without windows recordings may always be sent; of several the widest counts."""
    if not windows:
        return Allowance(send=True)
    open_now = [window.kbit_s for window in windows if window.holds(at_ms)]
    if not open_now:
        return Allowance(send=False)
    return Allowance(send=True, kbit_s=0 if 0 in open_now else max(open_now))


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
