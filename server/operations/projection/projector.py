"""From journal lines to what the screens show: inspections, records and evidence items.

Every line is in the journal before this looks at it. What cannot be shown yet
or at all is quarantined (待核) with its reason, never dropped, and never costs
another line its place (docs/protocol.md §4.2).
"""

from collections.abc import Callable, Collection
from dataclasses import replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from server.models.base import position_of
from server.models.inspections import Inspection
from server.models.journal import MAIN, JournalLine, JournalPart, LineOutcome
from server.models.ledger import LedgerHead
from server.operations.outcomes import mark_changed
from server.operations.projection.act import Act, NotShown, Outcome, header_of, is_uuid
from server.operations.projection.contacts import compare_clock, note_peer, note_wiped
from server.operations.projection.items import Items
from server.operations.projection.lookup import Lookup
from server.operations.projection.process import FRAME_UNCONFIRMED, Process
from server.operations.projection.records import Records
from server.operations.projection.sealing import mark_outside, touched_by
from server.operations.projection.sessions import OfficerSessions
from server.operations.projection.sheets import Sheets
from server.operations.projection.visits import TOO_LATE, Visits
from server.operations.projection.waiting import WaitingLines
from server.operations.visit_documents import visits_changed
from sync.evidence import acts, canonical
from sync.evidence.line import Line
from sync.wire import Projection

#: Reasons that a later line can remove; their lines are tried again when it comes.
_WAITING = frozenset({"projection.unknown_inspection", "projection.unknown_item"})

#: Reasons that an entry in the bureau's directory can remove: tried again at the next push.
_UNKNOWN = frozenset(
    {
        "projection.unknown_officer",
        "projection.unknown_task",
        "projection.unknown_entity",
        "projection.unknown_template",
    }
)
_NO_SESSION = "projection.no_officer_session"


class Projector:
    """Projects the lines of one push; holds what it has looked up for that long."""

    def __init__(self, session: Session, organization_id: str, *, now_ms: int) -> None:
        self._session = session
        self._now_ms = now_ms
        self._lookup = Lookup(session, organization_id)
        self._sessions = OfficerSessions(session, organization_id)
        self._visits = Visits(session, self._lookup)
        self._items = Items(session, self._lookup, self._visits)
        self._records = Records(session, self._lookup)
        process = Process(session, self._lookup, self._items)
        sheets = Sheets(session, self._lookup)
        self._waiting = WaitingLines(session, self._lookup, self._sessions)
        self._chains: set[tuple[str, str]] = set()
        #: Whether all that has been projected has been judged by the seals.
        self._judged = False
        self._rules: dict[str, Callable[[Act], str | None]] = {
            acts.EPOCH_OPENED: self._nothing,
            acts.SESSION_OPENED: self._sessions.open,
            acts.SESSION_CLOSED: self._sessions.close,
            acts.INSPECTION_OPENED: self._visits.open,
            acts.INSPECTION_SEALED: self._seal,
            acts.RECORD_SAVED: self._records.save,
            acts.ADDENDUM_ADDED: self._records.add,
            acts.MEDIA_CAPTURED: lambda act: self._capture(act, process, sheets),
            acts.MEDIA_IMPORTED: lambda act: self._import(act, sheets),
            acts.MEDIA_DISCARDED: self._items.discard,
            acts.CLOCK_COMPARED: lambda act: compare_clock(session, act),
            acts.PEER_HEAD: lambda act: note_peer(session, act, now_ms),
            acts.DEVICE_WIPED: lambda act: note_wiped(session, act, now_ms),
            acts.STEP_MARKED: process.mark,
            acts.GAP_EXPLAINED: process.explain,
            acts.RECORDING_STARTED: process.start,
            acts.RECORDING_STOPPED: process.stop,
            acts.RECORDER_COMPARED: process.compare_recorder,
            acts.SHEET_PRINTED: sheets.print,
        }

    @property
    def wants_check(self) -> bool:
        """Whether anything came that makes the worker check media again."""
        return self._items.wants_check

    def apply(self, line: Line, *, branch: str, position: int) -> Outcome:
        """Project one line that is in the journal."""
        act = Act(
            header=line.header,
            digest=line.digest,
            branch=branch,
            position=position,
            body=line.act or {},
            parts=line.parts,
        )
        return self._outcome(act)

    def judge(self, shown: dict[str, Outcome]) -> None:
        """Correct ``shown``, outcomes by line digest, now that every line of the push is here."""
        if not self._records.touched:
            return
        self._records.write()
        self._judge_seals()
        for digest, (projection, code) in self._records.judge().items():
            known = shown.get(digest)
            if known is not None and (known.projection, known.code) != (projection, code):
                shown[digest] = replace(known, projection=projection, code=code)

    def finish(self) -> None:
        """Write what was gathered, and try again the lines that waited for what has come."""
        self._retry_chains(_UNKNOWN)
        # An officer who is known only now may have opened a session then.
        self._retry_chains({_NO_SESSION})
        # A line that falls into place may be what another one waited for.
        while self._visits.opened:
            opened, self._visits.opened = sorted(self._visits.opened), set()
            for inspection_id in opened:
                self._retry_where(
                    LineOutcome.inspection_id == inspection_id, LineOutcome.code.in_(_WAITING)
                )
        if self._items.announced:
            # A frame may have been read before its film was known, by whatever device.
            self._items.announced = False
            self._retry_where(
                LineOutcome.code == FRAME_UNCONFIRMED, LineOutcome.inspection_id.is_(None)
            )
        # So may the journal head up to which a seal reaches.
        self._retry_chains({TOO_LATE})
        self._records.write()
        self._judge_seals()
        self._records.judge()
        self._chains.clear()
        self._tell()

    def _tell(self) -> None:
        """Send what has changed down to the officers' devices."""
        self._session.flush()
        changed = (self._visits.changed, self._items.changed, self._records.added)
        if not any(changed):
            return
        position = self._newest_position()
        visits_changed(self._session, *changed, position=position, now_ms=self._now_ms)
        for told in changed:
            told.clear()

    def release(self, row: LineOutcome) -> None:
        """Show one line in spite of its reason; ``row.released`` is set."""
        self._retry(row)
        self.finish()

    def retry(self, code: str) -> None:
        """Try again all lines of the organisation that wait for one reason."""
        self._retry_where(LineOutcome.code == code)
        self.finish()

    def _judge_seals(self) -> None:
        """Judge what came after a seal, or with the head that the seal names."""
        if self._judged:
            return
        self._judged = True
        for device, epoch in sorted(self._chains):
            for inspection in touched_by(self._session, device, epoch):
                self._mark_outside(inspection)

    def _mark_outside(self, inspection: Inspection) -> None:
        for record in sorted(mark_outside(self._session, inspection)):
            self._records.touch(record, inspection.id)

    def _retry_chains(self, codes: Collection[str]) -> None:
        """Try again the lines of this push's own epochs that wait for one of ``codes``."""
        for device, epoch in sorted(self._chains):
            self._retry_where(
                LineOutcome.device_id == device,
                LineOutcome.epoch == epoch,
                LineOutcome.code.in_(codes),
            )

    def _retry_where(self, *which: ColumnElement[bool]) -> None:
        for place in self._waiting.ready(*which):
            self._retry(self._session.get_one(LineOutcome, place))

    def _retry(self, row: LineOutcome) -> None:
        place = (row.device_id, row.epoch, row.branch, row.seq)
        stored = self._session.get_one(JournalLine, place)
        parts = {
            part.number: part.body
            for part in self._session.execute(
                select(JournalPart.number, JournalPart.body).where(
                    JournalPart.device_id == row.device_id,
                    JournalPart.epoch == row.epoch,
                    JournalPart.branch == row.branch,
                    JournalPart.seq == row.seq,
                )
            )
        }
        if 0 not in parts:
            return
        outcome = self._outcome(
            Act(
                header=header_of(stored),
                digest=stored.digest,
                branch=stored.branch,
                position=self._newest_position(),
                body=canonical.loads(parts[0]),
                parts=parts,
                released=row.released,
                seen=row.released and row.code == FRAME_UNCONFIRMED,
            )
        )
        # What a rule has found says more than what the act claimed when it was kept back.
        row.inspection_id = outcome.inspection_id or row.inspection_id
        if (row.projection, row.code) != (outcome.projection.value, outcome.code):
            row.projection, row.code = outcome.projection.value, outcome.code
            mark_changed(self._session, row)

    def _newest_position(self) -> int:
        """Where a line that is shown late stands for readers of the feed, who passed its own."""
        generation, size = self._session.execute(
            select(LedgerHead.generation, LedgerHead.size)
            .order_by(LedgerHead.generation.desc())
            .limit(1)
        ).one()
        return position_of(generation, size - 1)

    def _outcome(self, act: Act) -> Outcome:
        self._chains.add((act.header.device, act.header.epoch))
        self._judged = False
        claimed = act.body.get("inspection")
        inspection_id = claimed if is_uuid(claimed) else None
        try:
            if act.branch != MAIN and not act.released:
                raise NotShown("projection.forked")
            if act.body["type"] not in acts.KNOWN:
                raise NotShown("projection.unknown_act")
            if acts.missing_fields(act.body):
                raise NotShown("projection.incomplete_act")
            officer = act.body.get("officer")
            named = officer is not None and act.body["type"] != acts.SESSION_OPENED
            if named and not act.released:
                self._sessions.need(act, officer)
            rule = self._rules.get(act.body["type"], self._keep)
            return Outcome(Projection.APPLIED, "", rule(act) or inspection_id)
        except NotShown as reason:
            touched = reason.inspection_id or inspection_id
            return Outcome(Projection.QUARANTINED, reason.code, touched)

    def _capture(self, act: Act, process: Process, sheets: Sheets) -> str | None:
        inspection_id = self._import(act, sheets)
        process.captured(act)
        return inspection_id

    def _import(self, act: Act, sheets: Sheets) -> str | None:
        inspection_id = self._items.announce(act)
        sheets.captured(act, inspection_id)
        return inspection_id

    def _nothing(self, _act: Act) -> None:
        return None

    def _keep(self, act: Act) -> None:
        """Acts that the chain keeps and the inspection's journal shows as they are."""
        if "inspection" in act.body:
            self._lookup.inspection(act)

    def _seal(self, act: Act) -> str:
        inspection = self._visits.seal(act)
        self._records.write()
        self._mark_outside(inspection)
        self._items.check_again(inspection)
        return inspection.id
