"""The time stamps that a package encloses: those that bound its items, and the newest of each.

A stamp of the package itself cannot be in it; it stands beside the ZIP.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.stamps import TimeStamp
from server.operations.export.moment import Moment
from server.operations.export.proofs import pages_of, read_events
from server.operations.export.spool import Spool
from server.operations.intervals import first_stamps
from sync.evidence import canonical
from sync.evidence.interval import Interval
from sync.evidence.package import PackageFile
from sync.evidence.stamp_event import StampEvent, read_stamp_event, stamped_text


@dataclass(frozen=True, kw_only=True)
class EnclosedStamp:
    """One stamp with its event's place, the bytes that were stamped, and the roots in PEM."""

    index: int
    event: StampEvent
    answer: bytes
    data: bytes
    roots: str


def read_stamps(
    session: Session, moment: Moment, intervals: Iterable[Interval]
) -> tuple[EnclosedStamp, ...]:
    """The stamps to enclose, in ledger order."""
    rows = {row.sha256: row for row in _wanted(session, moment, intervals)}
    last = list(rows.values())
    while last:
        # The renewals of what is enclosed come along, each vouching for the one before.
        last = _renewals(session, moment, [row.sha256 for row in last])
        rows |= {row.sha256: row for row in last}
    by_index = {row.ledger_index: row for row in rows.values()}
    found = []
    for stored in read_events(session, moment, by_index):
        event = read_stamp_event(canonical.loads(stored.event))
        if event is None or event.checkpoint is None:
            continue
        row = by_index[stored.index]
        found.append(
            EnclosedStamp(
                index=stored.index,
                event=event,
                answer=row.answer,
                data=_renewed(rows[row.renews]) if row.renews else stamped_text(event.checkpoint),
                roots=row.roots,
            )
        )
    return tuple(found)


def stamp_files(stamps: Sequence[EnclosedStamp], spool: Spool) -> Iterator[PackageFile]:
    """For each stamp its answer, what was stamped, and the certificates that were trusted."""
    for stamp in stamps:
        yield spool.write(f"{stamp.event.stem}.data", [stamp.data])
        yield spool.write(f"{stamp.event.stem}.pem", [stamp.roots.encode()])
        yield spool.write(f"{stamp.event.stem}.tsr", [stamp.answer])


def _wanted(session: Session, moment: Moment, intervals: Iterable[Interval]) -> Iterator[TimeStamp]:
    indexes = set()
    for interval in intervals:
        if interval.outside is not None:
            indexes |= {interval.outside.not_before_index, interval.outside.not_after_index}
    known = first_stamps(moment.generation) & (TimeStamp.ledger_index < moment.size)
    before = select(TimeStamp).where(known)
    authorities = select(TimeStamp.authority).where(known).distinct()
    for authority in session.scalars(authorities.order_by(TimeStamp.authority)):
        newest = before.where(TimeStamp.authority == authority)
        newest = newest.order_by(TimeStamp.ledger_index.desc()).limit(1)
        yield from session.scalars(newest)
    for page in pages_of(sorted(index for index in indexes if index is not None)):
        yield from session.scalars(before.where(TimeStamp.ledger_index.in_(page)))


def _renewals(session: Session, moment: Moment, digests: Sequence[str]) -> list[TimeStamp]:
    found: list[TimeStamp] = []
    for page in pages_of(digests):
        found += session.scalars(
            select(TimeStamp).where(
                TimeStamp.generation == moment.generation,
                TimeStamp.ledger_index < moment.size,
                TimeStamp.renews.in_(page),
            )
        )
    return found


def _renewed(older: TimeStamp) -> bytes:
    return bytes.fromhex(older.imprint) + older.answer
