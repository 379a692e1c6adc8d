"""Going on after a refused or forked line: a new epoch that names it and says again what was lost.

A line can only be sent in its place, so whatever was signed behind a refused
one has no way to the server. Its act is signed again in the new epoch with the
old line's bytes beside it, so that the first signing time stays provable.
"""

import base64
from typing import Any

from sync.client.journal import Journal
from sync.client.outbox import LOST, REFUSED, RESTATED, STRANDED, KeptLine, Outbox
from sync.client.pushing import RefusedAt
from sync.client.sessions import Session, Sessions
from sync.evidence import acts
from sync.evidence.errors import LineTooLong, SyncError
from sync.evidence.line import Line, parse_line
from sync.wire import Journal as Place

#: Acts that only make sense where they stood; sessions are carried over on their own.
_BOUND_TO_PLACE = frozenset(
    {
        acts.EPOCH_OPENED,
        acts.SESSION_OPENED,
        acts.SESSION_CLOSED,
        acts.CLOCK_COMPARED,
        acts.ANCHOR_SEEN,
    }
)


class Recovery:
    """Every step is durable and may be repeated after a crash."""

    def __init__(self, outbox: Outbox, journal: Journal, sessions: Sessions) -> None:
        self._outbox = outbox
        self._journal = journal
        self._sessions = sessions

    def mark(self, epoch: str, refused: RefusedAt) -> None:
        """Note that ``refused`` and the lines after it have no place at the server."""
        with self._outbox.transaction() as db:
            db.execute(
                "UPDATE line SET state = ?, journal = ?, code = ? WHERE epoch = ? AND seq = ?",
                (REFUSED, Place.REFUSED.value, refused.code, epoch, refused.seq),
            )
            db.execute(
                "UPDATE line SET state = ? WHERE epoch = ? AND seq > ?",
                (STRANDED, epoch, refused.seq),
            )

    def go_on(self) -> bool:
        """Leave a broken epoch and restate what is stranded; whether anything was written."""
        left = self._leave_broken_epoch()
        waiting = list(self._outbox.lines("state IN (?, ?)", (REFUSED, STRANDED)))
        guests: list[Session] = []
        for kept in waiting:
            self._restate(kept, guests)
        for session in guests:
            self._sessions.close(session.officer)
        return left or bool(waiting)

    def leave_for_new_generation(self) -> None:
        """Go on in an epoch of its own, so that the chains to come lie in one generation whole."""
        head = self._outbox.head()
        before = {"epoch": head.epoch, "seq": head.next_seq - 1, "head": head.digest}
        self._journal.open_epoch("restored", {"before": before})
        self._sessions.carry_over(head.epoch)

    def _leave_broken_epoch(self) -> bool:
        epoch = self._outbox.head().epoch
        broken = list(
            self._outbox.lines(
                "line.epoch = ? AND journal IN (?, ?)",
                (epoch, Place.REFUSED.value, Place.FORKED.value),
            )
        )
        if not broken:
            return False
        first = broken[0]
        reason = "refused" if first.journal == Place.REFUSED.value else "forked"
        more: dict[str, Any] = {
            reason: [{"seq": x.seq, "digest": x.digest, "code": x.code} for x in broken[:100]]
        }
        before = self._outbox.digest_at(epoch, first.seq - 1)
        if before is not None:
            more["before"] = {"epoch": epoch, "seq": first.seq - 1, "head": before}
        self._journal.open_epoch(reason, more)
        self._sessions.carry_over(epoch)
        return True

    def _restate(self, kept: KeptLine, guests: list[Session]) -> None:
        if kept.kind in _BOUND_TO_PLACE:
            self._settle(kept, RESTATED)
            return
        act, apart = _said(kept)
        # What was said again once and refused once more would be refused for ever.
        if not act or "restates" in act:
            self._settle(kept, LOST)
            return
        self._admit(act.get("officer"), kept.epoch, guests)
        old = {"epoch": kept.epoch, "seq": kept.seq, "digest": kept.digest}
        whole = {**old, "line_b64": base64.b64encode(kept.raw).decode("ascii")}
        act = self._referring(act)
        for restates in (whole, old):
            try:
                self._write({**act, "restates": restates}, apart, kept)
            except LineTooLong:
                continue
            return
        self._settle(kept, LOST)

    def _write(self, act: dict[str, Any], apart: dict[str, Any], kept: KeptLine) -> None:
        act.pop("salt", None)
        line: Line = self._journal.append(act, apart=apart)
        with self._outbox.transaction() as db:
            db.execute(
                "UPDATE line SET state = ?, restated_by = ? WHERE digest = ?",
                (RESTATED, line.digest, kept.digest),
            )

    def _settle(self, kept: KeptLine, state: str) -> None:
        with self._outbox.transaction() as db:
            db.execute("UPDATE line SET state = ? WHERE digest = ?", (state, kept.digest))

    def _referring(self, act: dict[str, Any]) -> dict[str, Any]:
        """``act`` with restated lines named by the lines that stand for them now."""
        named = dict(
            self._outbox.db.execute(
                "SELECT digest, restated_by FROM line WHERE restated_by <> ''"
            ).fetchall()
        )
        lists = {
            name: [named.get(digest, digest) for digest in act[name]]
            for name in ("base", "revisions")
            if isinstance(act.get(name), list)
        }
        return {**act, **lists}

    def _admit(self, officer: object, epoch: str, guests: list[Session]) -> None:
        """See that the act's officer has a session in this epoch, if only for the restating."""
        if not isinstance(officer, str) or self._sessions.find(officer) is not None:
            return
        row = self._outbox.db.execute(
            "SELECT id, officer, method, certificate_no FROM session"
            " WHERE officer = ? AND epoch = ? ORDER BY opened DESC LIMIT 1",
            (officer, epoch),
        ).fetchone()
        if row is not None:
            guests.append(self._sessions.continue_from(Session(*row), epoch))


def _said(kept: KeptLine) -> tuple[dict[str, Any], dict[str, Any]]:
    """The act of a line and the fields in parts of their own; empty if it is unreadable."""
    try:
        line = parse_line(kept.raw, limit=len(kept.raw))
        act = dict(line.act or {})
        if act.get("type") != acts.RECORD_SAVED:
            return act, {}
        fields = acts.record_fields(line.parts)
    except SyncError:
        return {}, {}
    return act, {name: value for name, value in fields.items() if name not in act["fields"]}
