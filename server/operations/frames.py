"""Recorders' clocks as a frame of a film shows them: what a line says, and what speaks for it.

Somebody films a screen with the true time and a journal's head, and later reads both from the
film. That is a claim until a reviewer has looked at the frame (docs/evidence.md §6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from server.models.base import place_of
from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import (
    MAIN,
    JournalLine,
    LineOutcome,
    QuarantineDecision,
    same_line,
)
from server.models.process import RecorderClock
from server.operations.clocks import nearest_comparison
from server.operations.peers import Contradicts, Covers, Upto, before, compare_head
from server.operations.projection import act_of_digest, is_uuid
from server.operations.projection.process import FRAME_UNCONFIRMED
from sync import shortcode
from sync.evidence import acts
from sync.evidence.line import parse_header

#: What became of the head that a frame shows. ``none``: none was read from it; ``uncompared``:
#: a line that is here, of a device whose clock nobody has compared.
NO_HEAD, HOLDS, UNKNOWN, CONTRADICTS, ELSEWHEN, UNCOMPARED = (
    "none",
    "holds",
    "unknown",
    "contradicts",
    "elsewhen",
    "uncompared",
)
#: A device's clock, and who reads a screen from a film, are wrong by less than this.
_TOLERANCE_MS = 120_000
#: Comparisons from frames that a page looks at; two or three are usual.
_LIMIT = 100
PENDING, CONFIRMED, REFUSED = "pending", "confirmed", "refused"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a line says of a frame, whether a reviewer has confirmed it, and the film it is in.

    ``item`` is None where no such file of the organisation is known. ``is_here`` says whether
    the film has arrived and was not discarded, so that somebody can look.
    """

    line_digest: str
    item: EvidenceItem | None
    is_here: bool
    recorder: str
    frame_ms: int
    shown_ms: int
    recorder_ms: int
    offset_ms: int
    error_ms: int
    head: str
    head_check: str
    state: str

    @property
    def name(self) -> str:
        return (self.item.title or self.item.name or self.item.id) if self.item else "—"


def is_frame(act: dict[str, Any]) -> bool:
    """Whether an act is a comparison that somebody read from a frame, with all it needs."""
    return (
        act.get("type") == acts.RECORDER_COMPARED
        and act.get("method") == acts.FRAME
        and not acts.missing_fields(act)
        and type(act.get("frame_ms")) is int
        and type(act.get("shown_ms")) is int
    )


def film_of(session: Session, organization_id: str, act: dict[str, Any]) -> EvidenceItem | None:
    """The film of a comparison for which :func:`is_frame` holds, if the organisation knows it."""
    named = act.get("item")
    item = session.get(EvidenceItem, named) if is_uuid(named) else None
    return item if item is not None and item.organization_id == organization_id else None


def read_frame(
    session: Session,
    organization_id: str,
    line_digest: str,
    act: dict[str, Any],
    upto: Upto | None = None,
) -> Frame:
    """What speaks for a comparison for which :func:`is_frame` holds."""
    item = film_of(session, organization_id, act)
    head = act.get("head")
    head = head if isinstance(head, str) else ""
    return Frame(
        line_digest=line_digest,
        item=item,
        is_here=item is not None and item.state not in ("captured", "discarded"),
        recorder=act["recorder"],
        frame_ms=act["frame_ms"],
        shown_ms=act["shown_ms"],
        recorder_ms=act["recorder_ms"],
        offset_ms=act["offset_ms"],
        error_ms=act["error_ms"],
        head=head,
        head_check=_head_check(session, organization_id, head, act["shown_ms"], upto),
        state=_state(session, line_digest, upto),
    )


def frames_of(
    session: Session, inspection: Inspection, upto: Upto | None = None
) -> Sequence[Frame]:
    """The comparisons from frames of the inspection's films, oldest first."""
    digests = session.scalars(
        select(JournalLine.digest)
        .join(LineOutcome, same_line(LineOutcome, JournalLine))
        .where(
            LineOutcome.inspection_id == inspection.id,
            (LineOutcome.code == FRAME_UNCONFIRMED)
            | exists().where(
                RecorderClock.line_digest == JournalLine.digest,
                RecorderClock.method == acts.FRAME,
            ),
            before(upto),
        )
        .order_by(JournalLine.generation, JournalLine.ledger_index)
        .limit(_LIMIT)
    ).all()
    told = [(digest, act_of_digest(session, digest) or {}) for digest in digests]
    return [
        read_frame(session, inspection.organization_id, digest, act, upto)
        for digest, act in told
        if is_frame(act)
    ]


def _state(session: Session, line_digest: str, upto: Upto | None) -> str:
    row = session.get(RecorderClock, line_digest)
    if row is not None and (upto is None or row.position < upto.position):
        return CONFIRMED
    words = session.scalars(
        select(QuarantineDecision).where(
            QuarantineDecision.kind == "line",
            QuarantineDecision.subject == line_digest,
            QuarantineDecision.decision == "kept",
            QuarantineDecision.code == FRAME_UNCONFIRMED,
        )
    )
    for word in words:
        if upto is None or (word.generation, word.ledger_index) < place_of(upto.position):
            return REFUSED
    return PENDING


def _head_check(
    session: Session, organization_id: str, said: str, shown_ms: int, upto: Upto | None
) -> str:
    """Whether the head that a frame shows was that of a known journal at the time it shows."""
    if not said:
        return NO_HEAD
    try:
        head = shortcode.parse(said)
    except shortcode.Mistyped:
        return UNKNOWN
    match compare_head(session, organization_id, head, upto):
        case Covers(device, epoch):
            return _at_the_time(session, (device, epoch, head.seq), shown_ms, upto)
        case Contradicts():
            return CONTRADICTS
        case _:
            return UNKNOWN


def _at_the_time(
    session: Session, place: tuple[str, str, int], shown_ms: int, upto: Upto | None
) -> str:
    """Whether a line was written before ``shown_ms`` and none that is here in between."""
    device, epoch, seq = place
    compared = nearest_comparison(session, device, shown_ms)
    if compared is None:
        return UNCOMPARED

    def at_ms(number: int) -> int | None:
        header = session.scalar(
            select(JournalLine.header).where(
                JournalLine.device_id == device,
                JournalLine.epoch == epoch,
                JournalLine.branch == MAIN,
                JournalLine.seq == number,
                before(upto),
            )
        )
        return parse_header(header).t.wall_ms + compared.offset_ms if header else None

    written, following = at_ms(seq), at_ms(seq + 1)
    early = written is not None and written > shown_ms + _TOLERANCE_MS
    late = following is not None and following < shown_ms - _TOLERANCE_MS
    return ELSEWHEN if early or late else HOLDS
