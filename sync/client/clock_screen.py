"""A screen to be filmed: the true time in large digits, and this journal's head as a QR code.

Whoever films it with a recorder can read from one frame how far that recorder's clock is off,
and the head says that the frame is not older than that line (docs/evidence.md §6).
"""

import io
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import segno

from sync import shortcode
from sync.client.processwork import OwnClock
from sync.evidence.line import DeviceTime
from sync.shortcode import FullHead

#: Five rows of three cells for each character.
_FONT = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": ("  #", "  #", "  #", "  #", "  #"),
    "2": ("###", "  #", "###", "#  ", "###"),
    "3": ("###", "  #", "###", "  #", "###"),
    "4": ("# #", "# #", "###", "  #", "  #"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "6": ("###", "#  ", "###", "# #", "###"),
    "7": ("###", "  #", "  #", "  #", "  #"),
    "8": ("###", "# #", "###", "# #", "###"),
    "9": ("###", "# #", "###", "  #", "###"),
    ":": (" ", "#", " ", "#", " "),
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The true time as one picture shows it: ``shown_ms`` is that whole second in UTC."""

    shown_ms: int
    day: str
    clock: str
    zone: str

    @property
    def text(self) -> str:
        return f"{self.day} {self.zone}\n\n{large(self.clock)}"


def draw(now: DeviceTime, own: OwnClock) -> Shown:
    """The true time at ``now`` of the device's clock, in the zone of the device."""
    shown_ms = (now.wall_ms + own.offset_ms) // 1000 * 1000
    local = datetime.fromtimestamp(shown_ms / 1000, UTC) + timedelta(minutes=now.tz_min)
    sign, minutes = ("-", -now.tz_min) if now.tz_min < 0 else ("+", now.tz_min)
    return Shown(
        shown_ms=shown_ms,
        day=f"{local:%Y-%m-%d}",
        clock=f"{local:%H:%M:%S}",
        zone=f"{sign}{minutes // 60:02d}:{minutes % 60:02d}",
    )


def head_picture(head: FullHead) -> str:
    """A journal's head as a QR code and, beneath it, as its short code."""
    picture = io.StringIO()
    code = segno.make(shortcode.spell_full(head), error="m", micro=False)
    code.terminal(out=picture, compact=True)
    return f"{picture.getvalue()}\n{shortcode.spell(head.seq, head.head)}"


def large(clock: str) -> str:
    """``09:02:03`` in blocks, each cell two characters wide, so that they come out square."""
    rows = (" ".join(_FONT[sign][row] for sign in clock).rstrip() for row in range(5))
    return "\n".join("".join("██" if cell == "#" else "  " for cell in row) for row in rows)


def until_next_second(now: DeviceTime, own: OwnClock) -> float:
    """How many seconds the picture stays true."""
    return (1000 - (now.wall_ms + own.offset_ms) % 1000) / 1000
