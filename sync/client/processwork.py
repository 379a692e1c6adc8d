"""The course of an inspection on the device: its steps, its gaps, a recorder's clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sync.client.errors import ReasonMissing, RecorderTimeUnknown, UnknownItem
from sync.client.recordwork import Recordwork
from sync.client.results import Place, place_of
from sync.evidence import acts
from sync.evidence.line import parse_line

#: A file's name and a screen each show whole seconds.
FRAME_ERROR_MS = 2000


@dataclass(frozen=True, kw_only=True)
class OwnClock:
    """What the last comparison with the server adds to this device's clock, ± ``error_ms``.

    Without one, ``compared`` is false and nothing is added: nobody knows how far it is off.
    """

    offset_ms: int
    error_ms: int
    compared: bool


class Processwork(Recordwork):
    """What officers say of the course of a visit; each is one durable line."""

    def mark_step(
        self,
        inspection: str,
        step: str,
        *,
        item: str | None = None,
        text: str = "",
        officer: str | None = None,
    ) -> Place:
        """Record that a step was taken now; ``item`` is the photo or recording that shows it.

        Raises:
            UnknownInspection, NoSession.
            UnknownItem: if this device holds no such item.
        """
        more: dict[str, Any] = {"step": step}
        if item is not None:
            self._announced(item)
            more["item"] = item
        return self._say(acts.STEP_MARKED, inspection, officer, more | _text(text))

    def explain_gap(
        self,
        inspection: str,
        from_ms: int,
        to_ms: int,
        reason: str,
        *,
        text: str = "",
        officer: str | None = None,
    ) -> Place:
        """Record why nothing was recorded between two moments of the device's clock.

        Raises:
            UnknownInspection, NoSession.
            ReasonMissing: if the reason is ``other`` and ``text`` does not say which.
        """
        if not reason or (reason == "other" and not text.strip()):
            raise ReasonMissing
        more = {"from_ms": from_ms, "to_ms": to_ms, "reason": reason}
        return self._say(acts.GAP_EXPLAINED, inspection, officer, more | _text(text))

    def compare_docked(
        self,
        recorder: str,
        recorder_ms: int,
        *,
        now_ms: int,
        error_ms: int,
        officer: str | None = None,
    ) -> Place:
        """Record what a docked recorder's clock shows at ``now_ms`` of this device's clock.

        ``error_ms`` is of the reading; what is not known of this device's own clock is added.
        """
        own = self.own_clock()
        true_ms, error_ms = now_ms + own.offset_ms, error_ms + own.error_ms
        return self._compared(officer, recorder, acts.DOCKING, recorder_ms, true_ms, error_ms)

    def compare_frame(
        self,
        item: str,
        frame_ms: int,
        shown_ms: int,
        *,
        recorder_ms: int | None = None,
        head: str = "",
        error_ms: int = FRAME_ERROR_MS,
        officer: str | None = None,
    ) -> Place:
        """Record the time that a frame of an imported recording shows on a filmed screen.

        A reviewer looks at the frame before it counts. Without ``recorder_ms``, the recorder's
        own time in that frame, it is the time in the file's name and ``frame_ms`` on top.

        Raises:
            UnknownItem: if this device holds no such item.
            RecorderTimeUnknown: if neither the file's name nor the caller says serial and time.
        """
        act, tz_min = self._announced(item)
        source = act.get("source")
        source = source if isinstance(source, dict) else {}
        recorder, begun = source.get("recorder"), source.get("recorded_at")
        if recorder_ms is None and begun:
            wall = datetime.fromisoformat(f"{begun}+00:00").timestamp()
            recorder_ms = int(wall * 1000) - tz_min * 60_000 + frame_ms
        if not recorder or recorder_ms is None:
            raise RecorderTimeUnknown(item)
        more: dict[str, Any] = {"item": item, "frame_ms": frame_ms, "shown_ms": shown_ms}
        if head:
            more["head"] = head
        return self._compared(
            officer, recorder, acts.FRAME, recorder_ms, shown_ms, error_ms, **more
        )

    def _compared(
        self,
        officer: str | None,
        recorder: str,
        method: str,
        recorder_ms: int,
        true_ms: int,
        error_ms: int,
        **more: Any,
    ) -> Place:
        act = {
            "type": acts.RECORDER_COMPARED,
            "officer": self._sessions.acting(officer).officer,
            "recorder": recorder,
            "method": method,
            "recorder_ms": recorder_ms,
            "offset_ms": true_ms - recorder_ms,
            "error_ms": error_ms,
            **more,
        }
        return place_of(self._journal.append(act))

    def own_clock(self) -> OwnClock:
        """How far this device's clock is known to be off."""
        row = self._outbox.db.execute(
            "SELECT offset_ms, error_ms FROM clock ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return OwnClock(offset_ms=0, error_ms=0, compared=False)
        return OwnClock(offset_ms=int(row[0]), error_ms=int(row[1]), compared=True)

    def _announced(self, item: str) -> tuple[dict[str, Any], int]:
        """The act that announced ``item``, and the zone of its line."""
        row = self._outbox.db.execute(
            "SELECT raw FROM item JOIN line ON line.digest = item.line WHERE item.id = ?", (item,)
        ).fetchone()
        if row is None:
            raise UnknownItem(item)
        line = parse_line(row[0])
        return line.act or {}, line.header.t.tz_min


def _text(text: str) -> dict[str, str]:
    return {"text": text} if text.strip() else {}
