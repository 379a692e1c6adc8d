"""What pages say of witnesses: of the ledger as a whole, of one line, of one inspection."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.journal import JournalLine, LineOutcome, same_line
from server.operations.witnessing.cosignatures import quorum_size
from sync.evidence.policy import Policy


@dataclass(frozen=True, kw_only=True)
class SeenLines:
    """Of an inspection's ``lines``, how many a quorum of witnesses has not seen."""

    lines: int
    unseen: int


def seen_at(
    session: Session, policy: Policy | None, *, generation: int, index: int
) -> tuple[int, int] | None:
    """Size and time in seconds of what a quorum cosigned, if that holds leaf ``index``."""
    if policy is None:
        return None
    size, time_s = quorum_size(session, policy, generation)
    return (size, time_s) if time_s is not None and index < size else None


def seen_lines(session: Session, policy: Policy | None, inspection_id: str) -> SeenLines:
    """How much of an inspection's journal a quorum of witnesses has seen."""
    mine = select(JournalLine.generation, JournalLine.ledger_index).join(
        LineOutcome, same_line(JournalLine, LineOutcome)
    )
    mine = mine.where(LineOutcome.inspection_id == inspection_id)
    lines = mine.subquery()
    unseen = total = 0
    for generation, count in session.execute(
        select(lines.c.generation, func.count()).group_by(lines.c.generation)
    ).all():
        size = quorum_size(session, policy, generation)[0] if policy else 0
        total += count
        unseen += (
            session.scalar(
                select(func.count())
                .select_from(lines)
                .where(lines.c.generation == generation, lines.c.ledger_index >= size)
            )
            or 0
        )
    return SeenLines(lines=total, unseen=unseen)
