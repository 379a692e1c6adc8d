"""Marking what stands outside an inspection's seal."""

from sqlalchemy import bindparam, select, union
from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem, Inspection, RecordRevision
from server.models.journal import MAIN, JournalLine, LineOutcome, same_line
from server.operations.projection.act import act_of_digest
from sync.evidence.line import Header
from sync.evidence.seal import read_seal

# Every push asks this; built once, since building a statement costs more than running it.
_TOUCHED = union(
    *(
        select(table.inspection_id).where(
            table.device_id == bindparam("device"),
            table.epoch == bindparam("of"),
            table.outside_seal,
        )
        for table in (EvidenceItem, RecordRevision)
    )
)


def mark_outside(session: Session, inspection: Inspection) -> set[str]:
    """Say of every item and revision of a sealed inspection whether the seal covers it.

    Returns the records of which a revision is now marked otherwise.
    """
    if inspection.sealed_line is None:
        return set()
    act = act_of_digest(session, inspection.sealed_line)
    if act is None:
        # The seal's text was lawfully erased; what it covered was marked before.
        return set()
    seal = read_seal(act)
    reach = seal.reach(lambda *head: is_head(session, *head))
    # A head reaches along the main chain only; a branch shares its places, not its lines.
    forked = _forked(session, inspection)
    for item in session.scalars(
        select(EvidenceItem).where(EvidenceItem.inspection_id == inspection.id)
    ):
        item.outside_seal = not seal.covers(
            item.sha256,
            device=item.device_id,
            epoch=item.epoch,
            seq=item.seq,
            reach={} if item.line_digest in forked else reach,
        )
    records = set()
    for revision in session.scalars(
        select(RecordRevision).where(RecordRevision.inspection_id == inspection.id)
    ):
        outside = not seal.covers(
            revision.line_digest,
            device=revision.device_id,
            epoch=revision.epoch,
            seq=revision.seq,
            reach={} if revision.line_digest in forked else reach,
        )
        if revision.outside_seal != outside:
            revision.outside_seal = outside
            records.add(revision.record_id)
    # What merges the records reads these marks by statements of its own.
    session.flush()
    return records


def _forked(session: Session, inspection: Inspection) -> frozenset[str]:
    """The digests of the inspection's lines that lie on branches; shown are only released ones."""
    return frozenset(
        session.scalars(
            select(JournalLine.digest)
            .join(
                LineOutcome,
                same_line(LineOutcome, JournalLine),
            )
            .where(LineOutcome.inspection_id == inspection.id, LineOutcome.released)
            .where(JournalLine.branch != MAIN)
        )
    )


def seals_line(session: Session, inspection: Inspection, header: Header) -> bool:
    """Whether the line was written before the seal: a head that the seal names covers it."""
    return header.seq <= seal_reach(session, inspection).get((header.device, header.epoch), -1)


def seal_reach(session: Session, inspection: Inspection) -> dict[tuple[str, str], int]:
    """Up to which line of each device's epoch the seal reaches, by the heads that are here."""
    act = act_of_digest(session, inspection.sealed_line or "")
    return read_seal(act).reach(lambda *head: is_head(session, *head)) if act else {}


def is_head(session: Session, device: str, epoch: str, seq: int, digest: str) -> bool:
    """Whether the main chain holds this line at this place."""
    if "\0" in device + epoch:
        # A seal may name anything; PostgreSQL would not even compare this.
        return False
    line = session.get(JournalLine, (device, epoch, MAIN, seq))
    return line is not None and line.digest == digest


def touched_by(session: Session, device: str, epoch: str) -> list[Inspection]:
    """Sealed inspections with something of this chain still marked as outside."""
    found = session.scalars(_TOUCHED, {"device": device, "of": epoch})
    ids = sorted(inspection_id for inspection_id in found if inspection_id is not None)
    return [session.get_one(Inspection, inspection_id) for inspection_id in ids]
