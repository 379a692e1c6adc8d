"""The sheet to sign as the console prints it: records, items and the heads of the journals."""

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings.words import moment
from server.models.inspections import EvidenceItem, Inspection, InspectionOfficer
from server.models.journal import MAIN, JournalHead, JournalLine, LineOutcome, same_line
from server.operations.access import Actor
from server.operations.cards import device_cards, officer_cards
from server.operations.inspection_view import owned_inspection
from server.operations.record_view import read_writings
from sync import sheet
from sync.shortcode import FullHead
from sync.wire import Projection


def sheet_of(session: Session, actor: Actor, inspection_id: str, *, now_ms: int) -> sheet.Sheet:
    """What the paper says of an inspection as it stands here.

    Raises:
        NotFound: if the inspection is not the actor's organisation's.
    """
    inspection = owned_inspection(session, actor, inspection_id)
    listed = session.scalars(
        select(InspectionOfficer.officer_id).where(InspectionOfficer.inspection_id == inspection.id)
    ).all()
    items = session.scalars(
        select(EvidenceItem)
        .where(EvidenceItem.inspection_id == inspection.id, EvidenceItem.state != "discarded")
        .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
    )
    return sheet.Sheet(
        inspection=inspection.id,
        title=inspection.title or inspection.id,
        printed=moment(now_ms),
        officers=[
            f"{card.name} ({card.certificate_no})"
            for card in officer_cards(session, listed).values()
        ],
        records=[
            sheet.SheetRecord(
                title=record.title,
                fields=[
                    sheet.SheetField(label=row.label, value=row.values[0].words)
                    for row in record.fields
                    if row.values
                ],
            )
            for record in read_writings(session, inspection).records
        ],
        items=[
            sheet.SheetItem(title=item.title or item.name or item.id, sha256=item.sha256)
            for item in items
        ],
        heads=list(_heads(session, inspection)),
    )


def _heads(session: Session, inspection: Inspection) -> Iterator[sheet.SheetHead]:
    """Where the journals stand here that have lines of the inspection."""
    chains = (
        select(JournalLine.device_id, JournalLine.epoch)
        .distinct()
        .join(LineOutcome, same_line(LineOutcome, JournalLine))
        .where(
            LineOutcome.inspection_id == inspection.id,
            LineOutcome.projection != Projection.QUARANTINED.value,
            JournalLine.branch == MAIN,
        )
        .subquery()
    )
    rows = session.scalars(
        select(JournalHead)
        .join(
            chains,
            (JournalHead.device_id == chains.c.device_id) & (JournalHead.epoch == chains.c.epoch),
        )
        .where(JournalHead.branch == MAIN)
        .order_by(JournalHead.device_id, JournalHead.epoch)
    ).all()
    cards = device_cards(session, {row.device_id for row in rows})
    for row in rows:
        head = FullHead(row.device_id, row.epoch, row.next_seq - 1, row.digest)
        yield sheet.SheetHead(device=cards[row.device_id].name, head=head)
