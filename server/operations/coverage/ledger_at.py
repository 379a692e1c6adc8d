"""What an earlier size of the ledger knew of files and items whose rows have gone on since."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.inspections import Inspection
from server.models.journal import JournalLine, LineOutcome, same_line
from server.models.ledger import LedgerEvent, LedgerSubject
from server.operations.peers import Upto, before
from server.operations.projection import act_of_digest
from sync.evidence import acts


def had_event(
    session: Session, kind: str, digests: Iterable[str], upto: Upto | None
) -> frozenset[str]:
    """The files of ``digests`` about which the ledger of ``upto`` held an event of that kind."""
    wanted = {f"media:{digest}": digest for digest in digests}
    if upto is None:
        return frozenset(wanted.values())
    found = session.scalars(
        select(LedgerSubject.about)
        .distinct()
        .join(
            LedgerEvent,
            (LedgerEvent.generation == LedgerSubject.generation)
            & (LedgerEvent.index == LedgerSubject.index),
        )
        .where(
            LedgerSubject.about.in_(wanted),
            LedgerEvent.kind == kind,
            (LedgerSubject.generation < upto.generation)
            | ((LedgerSubject.generation == upto.generation) & (LedgerSubject.index < upto.size)),
        )
    )
    return frozenset(wanted[about] for about in found)


def discarded_later(
    session: Session, inspection: Inspection, items: Sequence[str], upto: Upto | None
) -> frozenset[str]:
    """Those of ``items``, discarded by now, whose discarding the ledger of ``upto`` lacks."""
    if upto is None or not items:
        return frozenset()
    lines = session.scalars(
        select(JournalLine.digest)
        .join(LineOutcome, same_line(LineOutcome, JournalLine))
        .where(LineOutcome.inspection_id == inspection.id, ~before(upto))
    )
    told = (act_of_digest(session, digest) or {} for digest in lines)
    named = {act.get("item") for act in told if act.get("type") == acts.MEDIA_DISCARDED}
    return frozenset(item for item in items if item in named)
