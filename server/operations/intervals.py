"""Between which two moments a line was written: what the ledger proves (docs/evidence.md §6)."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent
from sync.evidence.line import Anchor, parse_header


@dataclass(frozen=True, kw_only=True)
class Interval:
    """The proven bounds of one line, each with the ledger index that proves it.

    ``not_before`` is None where no line up to this one embeds a checkpoint.
    Both are the bureau's own clock until an outside authority stamps.
    """

    not_before_ms: int | None
    not_before_index: int | None
    not_after_ms: int
    not_after_index: int


def interval_of(session: Session, line: JournalLine) -> Interval:
    """The proven interval of ``line``."""
    anchor = newest_anchor(session, line)
    stamp = None
    if anchor is not None:
        stamp = session.execute(
            select(LedgerEvent.index.label("place"), LedgerEvent.at_ms)
            .where(
                LedgerEvent.generation == line.generation,
                LedgerEvent.kind == "stamp",
                LedgerEvent.index < anchor.size,
            )
            .order_by(LedgerEvent.index.desc())
            .limit(1)
        ).first()
    after = session.execute(
        select(LedgerEvent.index.label("place"), LedgerEvent.at_ms)
        .where(
            LedgerEvent.generation == line.generation,
            LedgerEvent.kind == "stamp",
            LedgerEvent.index > line.ledger_index,
        )
        .order_by(LedgerEvent.index)
        .limit(1)
    ).first()
    return Interval(
        not_before_ms=stamp.at_ms if stamp else None,
        not_before_index=stamp.place if stamp else None,
        not_after_ms=after.at_ms if after else line.received_at_ms,
        not_after_index=after.place if after else line.ledger_index,
    )


def newest_anchor(session: Session, line: JournalLine) -> Anchor | None:
    """The newest checkpoint embedded in this line or an earlier one of its chain."""
    own = parse_header(line.header).anchor
    if own is not None:
        return own
    earlier = session.execute(
        select(JournalLine.header)
        .where(
            JournalLine.device_id == line.device_id,
            JournalLine.epoch == line.epoch,
            JournalLine.branch == line.branch,
            JournalLine.seq < line.seq,
        )
        .order_by(JournalLine.seq.desc())
    ).scalars()
    return next((a for a in (parse_header(header).anchor for header in earlier) if a), None)
