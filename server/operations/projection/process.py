"""The process of an inspection: steps, gaps with their reason, recordings, recorders' clocks."""

from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem
from server.models.process import ExplainedGap, ProcessStep, RecorderClock, Recording
from server.operations.projection.act import Act, NotShown, is_uuid
from server.operations.projection.items import Items
from server.operations.projection.lookup import Lookup
from sync.evidence import acts

FRAME_UNCONFIRMED = "projection.frame_unconfirmed"

#: The longest step, reason or serial that a column holds; the signed line keeps it whole.
_MAX_WORD, _MAX_SERIAL, _MAX_TEXT = 32, 64, 4000


class Process:
    """Projects what is said of the course of an inspection (docs/protocol.md §4.1)."""

    def __init__(self, session: Session, lookup: Lookup, items: Items) -> None:
        self._session = session
        self._lookup = lookup
        self._items = items

    def captured(self, act: Act) -> None:
        """The step that ``media.captured`` says its file shows, if it names one."""
        if act.text("step"):
            self._add_step(act, act.uuid("inspection"), act.uuid("item"))

    def mark(self, act: Act) -> str:
        """Project ``step.marked``."""
        inspection = self._lookup.inspection(act)
        self._add_step(act, inspection.id, _uuid_or_none(act, "item"))
        return inspection.id

    def _add_step(self, act: Act, inspection_id: str, item_id: str | None) -> None:
        self._session.add(
            ProcessStep(
                line_digest=act.digest,
                inspection_id=inspection_id,
                step=act.text("step", _MAX_WORD),
                item_id=item_id,
                officer_id=act.uuid("officer"),
                device_id=act.header.device,
                at_ms=act.header.t.wall_ms,
                text=act.text("text", _MAX_TEXT),
                position=act.position,
            )
        )

    def explain(self, act: Act) -> str:
        """Project ``gap.explained``: the reason is kept as written, also one without a word."""
        inspection = self._lookup.inspection(act)
        from_ms, to_ms = act.body["from_ms"], act.body["to_ms"]
        nameless = act.body["reason"] == "other" and not act.text("text").strip()
        if to_ms < from_ms or nameless:
            raise NotShown("projection.malformed_act")
        self._session.add(
            ExplainedGap(
                line_digest=act.digest,
                inspection_id=inspection.id,
                from_ms=from_ms,
                to_ms=to_ms,
                reason=act.text("reason", _MAX_WORD),
                text=act.text("text", _MAX_TEXT),
                officer_id=act.uuid("officer"),
                device_id=act.header.device,
                position=act.position,
            )
        )
        return inspection.id

    def start(self, act: Act) -> str:
        """Project ``recording.started``."""
        inspection = self._lookup.inspection(act)
        recording_id = act.uuid("recording")
        if self._session.get(Recording, recording_id) is not None:
            raise NotShown("projection.repeated_id")
        self._session.add(
            Recording(
                id=recording_id,
                inspection_id=inspection.id,
                device_id=act.header.device,
                officer_id=act.uuid("officer"),
                started_line=act.digest,
                started_at_ms=act.header.t.wall_ms,
                reason="",
            )
        )
        self._session.flush()
        return inspection.id

    def stop(self, act: Act) -> str:
        """Project ``recording.stopped``; the first one counts, and only from the same device."""
        inspection = self._lookup.inspection(act)
        row = self._session.get(Recording, act.uuid("recording"))
        if row is None or (row.inspection_id, row.device_id) != (inspection.id, act.header.device):
            raise NotShown("projection.unknown_item")
        if row.stopped_line is not None:
            raise NotShown("projection.repeated_id")
        row.stopped_line = act.digest
        row.stopped_at_ms = act.header.t.wall_ms
        row.reason = act.text("reason", _MAX_WORD)
        row.item_id = _uuid_or_none(act, "item")
        return inspection.id

    def compare_recorder(self, act: Act) -> str | None:
        """Project ``recorder.compared``: one more point of a recorder's clock history.

        One that was read from a frame counts once a reviewer has looked at the frame.
        """
        body = act.body
        recorder = act.text("recorder", _MAX_SERIAL)
        known = body["method"] in acts.COMPARISON_METHODS
        if body["error_ms"] < 0 or not known or not recorder:
            raise NotShown("projection.malformed_act")
        inspection_id = self._seen(act, recorder) if body["method"] == acts.FRAME else None
        self._session.add(
            RecorderClock(
                line_digest=act.digest,
                organization_id=self._lookup.organization_id,
                recorder=recorder,
                method=body["method"],
                offset_ms=body["offset_ms"],
                error_ms=body["error_ms"],
                recorder_ms=body["recorder_ms"],
                item_id=_uuid_or_none(act, "item"),
                officer_id=act.uuid("officer"),
                device_id=act.header.device,
                position=act.position,
            )
        )
        self._items.check_imported(recorder, act.header.t.wall_ms)
        return inspection_id

    def _seen(self, act: Act, recorder: str) -> str | None:
        """The inspection of the film whose frame shows the time, once a reviewer has seen it."""
        body = act.body
        shown_ms, frame_ms = body.get("shown_ms"), body.get("frame_ms")
        if type(shown_ms) is not int or type(frame_ms) is not int or "item" not in body:
            raise NotShown("projection.incomplete_act")
        item = self._session.get(EvidenceItem, act.uuid("item"))
        if item is not None and item.organization_id != self._lookup.organization_id:
            item = None
        case = item.inspection_id if item else None
        other = item is not None and item.recorder not in ("", recorder)
        if frame_ms < 0 or body["offset_ms"] != shown_ms - body["recorder_ms"] or other:
            raise NotShown("projection.malformed_act", case)
        if not act.seen:
            raise NotShown(FRAME_UNCONFIRMED, case)
        if item is None or item.state in ("captured", "discarded"):
            raise NotShown("projection.unknown_item", case)
        return case


def _uuid_or_none(act: Act, name: str) -> str | None:
    value = act.body.get(name)
    return str(value) if is_uuid(value) else None
