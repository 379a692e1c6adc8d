"""Finding in the ledger what proves between which two moments a line was written."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent
from sync.evidence.interval import Interval, line_interval
from sync.evidence.line import Anchor, parse_header

#: How the header of a line with an anchor begins: canonical members are sorted.
_ANCHORED = b'{"anchor":'


def interval_of(session: Session, line: JournalLine) -> Interval:
    """The proven interval of ``line`` (docs/evidence.md §6)."""
    anchor = newest_anchor(session, line)
    stamps = select(LedgerEvent.index.label("place"), LedgerEvent.at_ms).where(
        LedgerEvent.generation == line.generation, LedgerEvent.kind == "stamp"
    )
    before = (
        anchor
        and session.execute(
            stamps.where(LedgerEvent.index < anchor.size)
            .order_by(LedgerEvent.index.desc())
            .limit(1)
        ).first()
    )
    after = session.execute(
        stamps.where(LedgerEvent.index > line.ledger_index).order_by(LedgerEvent.index).limit(1)
    ).first()
    return line_interval(
        anchor_size=anchor.size if anchor else None,
        ingest_index=line.ledger_index,
        ingest_at_ms=line.received_at_ms,
        stamps=[(row.place, row.at_ms) for row in (before, after) if row],
    )


def newest_anchor(session: Session, line: JournalLine) -> Anchor | None:
    """The newest checkpoint embedded in this line or an earlier one of its chain."""
    own = parse_header(line.header).anchor
    if own is not None:
        return own
    earlier = session.scalars(
        select(JournalLine.header)
        .where(
            JournalLine.device_id == line.device_id,
            JournalLine.epoch == line.epoch,
            JournalLine.branch == line.branch,
            JournalLine.seq < line.seq,
            func.substr(JournalLine.header, 1, len(_ANCHORED)) == _ANCHORED,
        )
        .order_by(JournalLine.seq.desc())
        .limit(1)
    ).first()
    return parse_header(earlier).anchor if earlier else None
