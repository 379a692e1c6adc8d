"""Findings (核查提示) about an inspection as a whole: who confirmed it, the other's journal,
the course of the visit and its records.

They are computed when they are shown, since any later line may settle them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings.model import FAIL, INFO, WARN
from server.models.base import place_of
from server.models.inspections import Inspection, InspectionOfficer, OfficerSession
from server.models.journal import JournalLine
from server.operations import frames
from server.operations.cards import device_cards, officer_cards
from server.operations.coverage import Visit, read_visit
from server.operations.doubts import VISIT_RULES_VERSION, Doubt, rank
from server.operations.frames import Frame
from server.operations.paper_doubts import paper_doubts
from server.operations.peers import (
    Contradicts,
    Covers,
    LinesMissing,
    PeerCheck,
    PeerView,
    Unmatched,
    Upto,
    before,
    read_peers,
)
from server.operations.process_doubts import course_doubts, whole_doubt
from server.operations.projection import act_of_digest
from server.operations.sheets import sheet_doubts
from sync import shortcode
from sync.evidence import acts


@dataclass(frozen=True)
class InspectionDoubts:
    """Findings about an inspection as a whole, how many devices wrote its lines, its course.

    ``frames`` are the comparisons of recorders' clocks that were read from its films.
    """

    doubts: tuple[Doubt, ...]
    devices: int
    visit: Visit
    frames: tuple[Frame, ...]


def inspection_doubts(
    session: Session, inspection: Inspection, upto: Upto | None = None
) -> InspectionDoubts:
    """What is doubtful about the inspection, as of now or of an earlier size of the ledger."""
    peers = read_peers(session, inspection, upto)
    named = {*peers.devices, *(check.about for check in peers.checks if check.about)}
    names = {card.device_id: card.name for card in device_cards(session, named).values()}
    visit = read_visit(session, inspection, upto)
    seen = tuple(frames.frames_of(session, inspection, upto))
    doubts = (
        *_of_peers(peers, names),
        *_of_officers(session, inspection, upto, alone=len(peers.devices) < 2),
        *course_doubts(session, visit, upto),
        *paper_doubts(session, visit, upto),
        *_of_frames(seen),
        *sheet_doubts(session, inspection, upto),
    )
    worst_first = tuple(sorted(doubts, key=lambda doubt: rank(doubt.severity)))
    return InspectionDoubts(worst_first, len(peers.devices), visit, seen)


def _of_frames(seen: Sequence[Frame]) -> Iterator[Doubt]:
    """Comparisons from frames that nobody has confirmed, or whose head fits no journal."""
    for frame in seen:
        reasons = [(frames.PENDING, INFO)] if frame.state == frames.PENDING else []
        if frame.head_check in (frames.UNKNOWN, frames.CONTRADICTS, frames.ELSEWHEN):
            reasons.append((f"head_{frame.head_check}", WARN))
        elif frame.head_check == frames.UNCOMPARED:
            reasons.append((f"head_{frame.head_check}", INFO))
        for reason, severity in reasons:
            yield whole_doubt(
                "RECORDER_CLOCK",
                severity,
                reason,
                "journal:" + acts.RECORDER_COMPARED,
                raw=frame.head,
                name=frame.name,
                recorder=frame.recorder,
                at_ms=frame.shown_ms,
                offset_ms=frame.offset_ms,
            )


def _of_peers(peers: PeerView, names: Mapping[str, str]) -> Iterator[Doubt]:
    for check in peers.checks:
        doubt = _of_check(check, names)
        if doubt is not None:
            yield doubt
    for observer, other in peers.unseen:
        yield _doubt(
            "PEER_HEAD_MISSING", WARN, "none", observer=names[observer], device=names[other]
        )


def _of_check(check: PeerCheck, names: Mapping[str, str]) -> Doubt | None:
    noted = check.noted
    range_: dict[str, Any] = {}
    match check.outcome:
        case Covers():
            return None
        case LinesMissing(_, _, first, last):
            code, severity, reason = "PEER_LINES_MISSING", FAIL, "lines"
            range_ = {"first": first, "last": last}
        case Unmatched():
            code, severity, reason = "PEER_LINES_MISSING", WARN, "unmatched"
        case Contradicts():
            code, severity, reason = "PEER_HEAD_CONTRADICTS", FAIL, "digest"
        case _:
            assert_never(check.outcome)
    return _doubt(
        code,
        severity,
        reason,
        raw=spelled(noted.seq, noted.head, noted.code),
        position=noted.position,
        observer=names.get(noted.observer_id, noted.observer_id),
        device=names.get(check.about or "", check.about or "—"),
        seq=noted.seq,
        **range_,
    )


def spelled(seq: int, head: str | None, code: str | None) -> str:
    """A noted head as people compare it, scanned or typed."""
    return f"{seq}-{shortcode.grouped(code)}" if code else shortcode.spell(seq, head or "0" * 64)


def _of_officers(
    session: Session, inspection: Inspection, upto: Upto | None, *, alone: bool
) -> Iterator[Doubt]:
    """Officers who did not confirm the opening or the seal on the device where it was written.

    Where one device served both (``alone``), both confirm on it; where each has a
    device of their own, each confirms on theirs.
    """
    listed = session.scalars(
        select(InspectionOfficer.officer_id).where(InspectionOfficer.inspection_id == inspection.id)
    ).all()
    cards = officer_cards(session, listed)
    for digest, reason in (
        (inspection.opened_line, "opening"),
        (inspection.sealed_line, "sealing"),
    ):
        line = _line(session, digest, upto)
        if line is None:
            continue
        needed = set(listed) if alone else _named(session, line)
        for officer in sorted(needed - confirmed_at(session, line)):
            if officer in cards:
                name = cards[officer].name
                yield _doubt("OFFICER_UNCONFIRMED", WARN, reason, officer=name, seq=line.seq)


def _named(session: Session, line: JournalLine) -> set[str]:
    """The officers in whose name a line of several devices' inspection speaks."""
    act = act_of_digest(session, line.digest) or {}
    officers = act.get("officers", ()) if act.get("type") == "inspection.sealed" else ()
    return {officer for officer in (*officers, act.get("officer")) if isinstance(officer, str)}


def confirmed_at(session: Session, line: JournalLine) -> set[str]:
    """The officers with an open session on the line's device when it was written."""
    return set(
        session.scalars(
            select(OfficerSession.officer_id).where(
                OfficerSession.device_id == line.device_id,
                OfficerSession.epoch == line.epoch,
                OfficerSession.opened_seq < line.seq,
                OfficerSession.closed_seq.is_(None) | (OfficerSession.closed_seq >= line.seq),
            )
        )
    )


def _line(session: Session, digest: str | None, upto: Upto | None) -> JournalLine | None:
    if digest is None:
        return None
    return session.scalars(
        select(JournalLine).where(JournalLine.digest == digest, before(upto))
    ).first()


def _doubt(
    code: str, severity: str, reason: str, *, raw: str = "", position: int = 0, **expected: Any
) -> Doubt:
    tag = "journal:session.opened" if code == "OFFICER_UNCONFIRMED" else "journal:peer.head"
    return Doubt(
        code=code,
        severity=severity,
        rule_version=VISIT_RULES_VERSION,
        evidence={
            "tag": tag,
            "raw": raw,
            "offset": -1,
            "expected": {"reason": reason, **expected},
        },
        found_at_ms=0,
        ledger_index=place_of(position)[1],
    )
