"""Finding in the ledger what proves between which two moments a line was written."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Select, exists, func, select
from sqlalchemy.orm import Session

from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent
from server.models.stamps import TimeStamp
from sync.evidence.interval import Interval, OutsideStamp, line_interval
from sync.evidence.line import Anchor, parse_header

#: How the header of a line with an anchor begins: canonical members are sorted.
_ANCHORED = b'{"anchor":'


def interval_of(session: Session, line: JournalLine) -> Interval:
    """The proven interval of ``line`` (docs/evidence.md §6)."""
    anchor = newest_anchor(session, line)
    stamps = select(LedgerEvent.index.label("place"), LedgerEvent.at_ms).where(
        LedgerEvent.generation == line.generation, own_stamps()
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
        outside=list(_outside_stamps(session, line, anchor.size if anchor else 0)),
    )


def own_stamps() -> ColumnElement[bool]:
    """Whether an event is a ``stamp`` of the server's own clock, or of a witness by it."""
    taken_in = exists().where(
        TimeStamp.generation == LedgerEvent.generation,
        TimeStamp.ledger_index == LedgerEvent.index,
    )
    return (LedgerEvent.kind == "stamp") & ~taken_in


def _outside_stamps(
    session: Session, line: JournalLine, anchor_size: int
) -> Iterator[OutsideStamp]:
    """Of the stamps by outside authorities the two that decide."""
    earliest = TimeStamp.gen_time_ms - TimeStamp.margin_ms
    latest = TimeStamp.gen_time_ms + TimeStamp.margin_ms
    inside = bounds(line.generation).where(TimeStamp.ledger_index < anchor_size)
    over = bounds(line.generation).where(TimeStamp.covers_size > line.ledger_index)
    for query in (
        inside.order_by(earliest.desc(), TimeStamp.ledger_index),
        over.order_by(latest, TimeStamp.ledger_index),
    ):
        yield from outside_stamps(session, query.limit(1))


def first_stamps(generation: int) -> ColumnElement[bool]:
    """Whether a stamp is of a checkpoint of ``generation`` in itself and no renewal.

    Renewals prove no time anew.
    """
    return (
        (TimeStamp.generation == generation)
        & (TimeStamp.covers_generation == generation)
        & (TimeStamp.renews == "")
    )


def bounds(generation: int) -> Select[int, int | None, int, int]:
    """What the first stamps of ``generation`` say of times, by their leaves."""
    return select(
        TimeStamp.ledger_index, TimeStamp.covers_size, TimeStamp.gen_time_ms, TimeStamp.margin_ms
    ).where(first_stamps(generation))


def outside_stamps(
    session: Session, query: Select[int, int | None, int, int]
) -> Iterator[OutsideStamp]:
    """The rows of :func:`bounds`, narrowed or not, as what they bound."""
    for index, covers, time_ms, margin_ms in session.execute(query):
        yield OutsideStamp(index, covers or 0, time_ms - margin_ms, time_ms + margin_ms)


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
