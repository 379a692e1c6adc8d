"""Signed sheets against the journals: what a party signed on paper fixes the chain.

A sheet shows the head of a journal. Whoever signs it holds that head, so that no line before
it can be changed or left out later (docs/evidence.md §6). The paper comes back as an item
whose line says which head is printed on it.
"""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from media.findings.model import FAIL, INFO, WARN
from server.models.inspections import EvidenceItem, Inspection, RecordRevision
from server.models.journal import MAIN
from server.models.sheets import PrintedSheet, SheetScan
from server.operations.doubts import Doubt
from server.operations.peers import Contradicts, Covers, Upto, compare_head
from server.operations.process_doubts import whole_doubt
from sync import shortcode
from sync.evidence import acts
from sync.shortcode import FullHead, Mistyped

_CODE = "SHEET_HEAD"
_PRINTED = "journal:" + acts.SHEET_PRINTED
_SCANNED = "journal:" + acts.MEDIA_CAPTURED


def sheet_doubts(session: Session, inspection: Inspection, upto: Upto | None) -> Iterator[Doubt]:
    """What is doubtful about the sheets of a visit and about the scans that came back."""
    known = PrintedSheet.position < upto.position if upto else true()
    sheets = session.scalars(
        select(PrintedSheet)
        .where(PrintedSheet.inspection_id == inspection.id, known)
        .order_by(PrintedSheet.position)
    ).all()
    scans = _scans(session, inspection, upto)
    for sheet in sheets:
        yield from _of_sheet(session, inspection, sheet, upto)
        if inspection.sealed_line and not any(_shows(said, sheet) for _, said in scans):
            yield _told("unsigned", INFO, sheet)
    for item, said in scans:
        yield from _of_scan(session, inspection, item, said, sheets, upto)


def _scans(
    session: Session, inspection: Inspection, upto: Upto | None
) -> Sequence[tuple[EvidenceItem, str]]:
    """The items that show a signed sheet, and the head that stands on each."""
    rows = session.execute(
        select(EvidenceItem, SheetScan.said)
        .join(SheetScan, SheetScan.item_id == EvidenceItem.id)
        .where(
            SheetScan.inspection_id == inspection.id,
            EvidenceItem.state != "discarded",
            SheetScan.position < upto.position if upto else true(),
        )
        .order_by(SheetScan.position)
    )
    return [(item, said) for item, said in rows]


def _of_sheet(
    session: Session, inspection: Inspection, sheet: PrintedSheet, upto: Upto | None
) -> Iterator[Doubt]:
    outcome = compare_head(session, inspection.organization_id, _head(sheet), upto)
    if isinstance(outcome, Contradicts):
        yield _told("contradicts", FAIL, sheet)
    elif not isinstance(outcome, Covers):
        yield _told("unknown", WARN, sheet)
    yield from _of_items(session, inspection, sheet)
    changed = _changed(session, sheet, upto)
    if changed:
        yield _told("changed", WARN, sheet, count=changed)


def _of_items(session: Session, inspection: Inspection, sheet: PrintedSheet) -> Iterator[Doubt]:
    """Items that are other files than the paper says, and those that it leaves out."""
    listed: dict[str, str] = dict(json.loads(sheet.items))
    before = (
        (EvidenceItem.device_id == sheet.device_id)
        & (EvidenceItem.epoch == sheet.epoch)
        & (EvidenceItem.branch == MAIN)
        & (EvidenceItem.seq <= sheet.seq)
        & (EvidenceItem.state != "discarded")
    )
    rows = session.execute(
        select(EvidenceItem, before).where(EvidenceItem.inspection_id == inspection.id)
    ).all()
    for item, _ in rows:
        if listed.get(item.id, item.sha256) != item.sha256:
            yield _told("item_differs", FAIL, sheet, name=item.title or item.name or item.id)
    omitted = sum(bool(stood) and item.id not in listed for item, stood in rows)
    if omitted:
        yield _told("omitted", WARN, sheet, count=omitted)


def _changed(session: Session, sheet: PrintedSheet, upto: Upto | None) -> int:
    """How many revisions of the printed records are not on the paper."""
    printed = set(json.loads(sheet.revisions))
    limit = RecordRevision.position < upto.position if upto else true()
    rows = session.execute(
        select(RecordRevision.record_id, RecordRevision.line_digest).where(
            RecordRevision.inspection_id == sheet.inspection_id, limit
        )
    ).all()
    records = {record for record, digest in rows if digest in printed}
    return sum(record in records and digest not in printed for record, digest in rows)


def _of_scan(
    session: Session,
    inspection: Inspection,
    item: EvidenceItem,
    said: str,
    sheets: Sequence[PrintedSheet],
    upto: Upto | None,
) -> Iterator[Doubt]:
    """Compare the head on the paper with the journals, and with the sheets that were printed."""
    name = item.title or item.name or item.id
    try:
        head = shortcode.parse(said)
    except Mistyped:
        yield _scanned("unreadable", WARN, said, name)
        return
    if any(_shows(said, sheet) for sheet in sheets):
        # The sheet's own line has been compared.
        return
    outcome = compare_head(session, inspection.organization_id, head, upto)
    if isinstance(outcome, Covers):
        yield _scanned("no_sheet", INFO, said, name)
    elif isinstance(outcome, Contradicts) or any(sheet.seq == head.seq for sheet in sheets):
        yield _scanned("scan_contradicts", FAIL, said, name)
    else:
        yield _scanned("scan_unknown", WARN, said, name)


def _shows(said: str, sheet: PrintedSheet) -> bool:
    """Whether the paper shows the head of ``sheet``."""
    try:
        return shortcode.shows(said, _head(sheet))
    except Mistyped:
        return False


def _head(sheet: PrintedSheet) -> FullHead:
    return FullHead(sheet.device_id, sheet.epoch, sheet.seq, sheet.head)


def _told(reason: str, severity: str, sheet: PrintedSheet, **expected: object) -> Doubt:
    spelled = shortcode.spell(sheet.seq, sheet.head)
    return whole_doubt(
        _CODE, severity, reason, _PRINTED, raw=spelled, at_ms=sheet.printed_at_ms, **expected
    )


def _scanned(reason: str, severity: str, said: str, name: str) -> Doubt:
    return whole_doubt(_CODE, severity, reason, _SCANNED, raw=said, name=name)
