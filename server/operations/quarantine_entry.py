"""One thing in quarantine (待核) with its raw content and what was decided on it."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import JournalLine, JournalPart, QuarantineDecision, QuarantinedLine
from server.models.uploads import QuarantinedMedia, UnsafeMedia
from server.operations.access import Actor
from server.operations.cards import person_names
from server.operations.frames import Frame, is_frame, read_frame
from server.operations.quarantine import is_releasable, may_decide
from server.operations.quarantine_view import Row, entries_of, rows_of
from server.operations.serving import (
    RELEASED,
    Danger,
    Serving,
    dangers,
    newest_facts,
    serving_of,
)
from sync.evidence import canonical
from sync.evidence.line import parse_header

#: Refused bytes may be as large as a push; a page shows their beginning.
_SHOWN_BYTES = 65_536


@dataclass(frozen=True, kw_only=True)
class DecisionRow:
    person: str
    decision: str
    reason: str
    decided_at_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing in quarantine with its raw content; of refused bytes the beginning.

    ``device_ms`` is the device's clock in the line. ``recognised`` is what was seen in an unsafe
    file, ``dangers`` where, ``found_type`` and ``reader`` what it is itself and to whom.
    ``frame`` is what a reviewer looks at where a line reads a recorder's clock from a film,
    ``film`` how that is served.
    ``releasable`` and ``independent`` say whether this actor may release it.
    """

    row: Row
    inspection: str
    act_type: str
    texts: tuple[str, ...]
    size: int
    cut: bool
    found_sha256: str
    recognised: str
    device_ms: int | None
    ledger_index: int | None
    after_revocation: bool
    releasable: bool
    independent: bool
    decisions: tuple[DecisionRow, ...]
    dangers: tuple[Danger, ...] = ()
    found_type: str = ""
    reader: str = ""
    frame: Frame | None = None
    film: Serving | None = None


def read_entry(session: Session, actor: Actor, kind: str, subject: str) -> Entry:
    """One thing in quarantine.

    Raises:
        NotFound: if there is no such thing in the actor's organisation.
    """
    entries = entries_of(actor.organization_id)
    found = session.execute(
        select(entries).where(entries.c.kind == kind, entries.c.subject == subject)
    ).all()
    if not found:
        raise NotFound("quarantined", subject)
    (row,) = rows_of(session, found)
    inspection = session.get(Inspection, row.inspection_id) if row.inspection_id else None
    common: dict[str, Any] = {
        "row": row,
        "inspection": inspection.title if inspection else "",
        "releasable": row.state != RELEASED and is_releasable(session, kind, subject),
        "independent": may_decide(session, actor, kind, subject),
        "decisions": _decisions(session, kind, subject),
    }
    match kind:
        case "line":
            return _line(session, actor, subject, common)
        case "bytes":
            return _bytes(session, subject, common)
        case "unsafe":
            return _unsafe(session, subject, common)
        case _:
            return _medium(session, subject, common)


def _line(session: Session, actor: Actor, digest: str, common: dict[str, Any]) -> Entry:
    line = session.scalars(select(JournalLine).where(JournalLine.digest == digest)).one()
    parts = session.scalars(
        select(JournalPart.body)
        .where(
            JournalPart.device_id == line.device_id,
            JournalPart.epoch == line.epoch,
            JournalPart.branch == line.branch,
            JournalPart.seq == line.seq,
        )
        .order_by(JournalPart.number)
    ).all()
    act = canonical.loads(parts[0]) if parts else {}
    frame = read_frame(session, actor.organization_id, digest, act) if is_frame(act) else None
    film = serving_of(session, frame.item) if frame and frame.item and frame.is_here else None
    return Entry(
        **common,
        act_type=str(act.get("type", "")),
        frame=frame,
        film=film,
        texts=tuple(body.decode() for body in (line.header, *parts)),
        size=sum(len(body) for body in parts),
        cut=False,
        found_sha256="",
        recognised="",
        device_ms=parse_header(line.header).t.wall_ms,
        ledger_index=line.ledger_index,
        after_revocation=line.after_revocation,
    )


def _bytes(session: Session, subject: str, common: dict[str, Any]) -> Entry:
    row = session.get_one(QuarantinedLine, int(subject))
    return Entry(
        **common,
        act_type="",
        texts=(row.raw[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"),),
        size=len(row.raw),
        cut=len(row.raw) > _SHOWN_BYTES,
        found_sha256=row.sha256,
        recognised="",
        device_ms=None,
        ledger_index=row.ledger_index,
        after_revocation=False,
    )


def _medium(session: Session, subject: str, common: dict[str, Any]) -> Entry:
    row = session.get_one(QuarantinedMedia, subject)
    return Entry(
        **common,
        act_type="",
        texts=(),
        size=row.size,
        cut=False,
        found_sha256=row.found_sha256,
        recognised="",
        device_ms=None,
        ledger_index=None,
        after_revocation=False,
    )


def _unsafe(session: Session, subject: str, common: dict[str, Any]) -> Entry:
    item = session.get_one(EvidenceItem, subject)
    row = session.get_one(UnsafeMedia, item.sha256)
    facts = newest_facts(session, item.sha256)
    return Entry(
        **common,
        dangers=dangers(facts.facts, item.media_type, item.name) if facts else (),
        found_type=json.loads(facts.facts)["type"] or "" if facts else "",
        reader=facts.reader_version if facts else "",
        act_type="",
        texts=(),
        size=item.size,
        cut=False,
        found_sha256="",
        recognised=row.code,
        device_ms=item.captured_at_ms,
        ledger_index=row.ledger_index,
        after_revocation=False,
    )


def _decisions(session: Session, kind: str, subject: str) -> tuple[DecisionRow, ...]:
    rows = session.scalars(
        select(QuarantineDecision)
        .where(QuarantineDecision.kind == kind, QuarantineDecision.subject == subject)
        .order_by(QuarantineDecision.id)
    ).all()
    names = person_names(session, (row.person_id for row in rows))
    return tuple(
        DecisionRow(
            person=names.get(row.person_id, ""),
            decision=row.decision,
            reason=row.reason,
            decided_at_ms=row.decided_at_ms,
            ledger_index=row.ledger_index,
        )
        for row in rows
    )
