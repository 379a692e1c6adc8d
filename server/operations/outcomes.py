"""What became of a device's lines after the push was answered (docs/protocol.md §4.2)."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server.failures import Invalid
from server.models.base import position_of
from server.models.journal import (
    MAIN,
    IngestReceipt,
    JournalHead,
    JournalLine,
    LineOutcome,
    QuarantineDecision,
    QuarantinedLine,
    same_line,
)
from server.models.ledger import LedgerHead
from sync.evidence.line import GENESIS
from sync.wire import Journal, LineResult, Projection

PAGE = 500
_CURSOR = re.compile(r"1\.(\d{1,16})\.([0-9a-f]{0,32})\.([0-9a-f]{0,64})\.(\d{1,16})")


@dataclass(frozen=True, kw_only=True)
class Change:
    """The present fate of one line that was told otherwise before.

    ``decision`` is ``released`` or ``kept`` where a reviewer has decided, and
    ``reason`` is then their word; both are empty otherwise.
    """

    epoch: str
    branch: str
    seq: int
    digest: str
    projection: Projection
    code: str
    decision: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Changes:
    """A page of changes; ``cursor`` asks for what follows them, now or later."""

    outcomes: tuple[Change, ...]
    cursor: str
    more: bool


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a main chain stands, and what a lost answer would have told from ``since`` on.

    ``next_since`` asks for the rest where there is more than fits into one answer.
    """

    next_seq: int
    head: str
    receipts: tuple[str, ...]
    results: tuple[LineResult, ...]
    next_since: int | None


def mark_changed(session: Session, row: LineOutcome) -> None:
    """Note that a stored outcome now differs from what its device was told.

    Call it in a transaction that has appended to the ledger: the newest leaf is
    its place in the order of changes, and no other transaction has that leaf.
    """
    generation, size = session.execute(
        select(LedgerHead.generation, LedgerHead.size)
        .order_by(LedgerHead.generation.desc())
        .limit(1)
    ).one()
    row.changed = position_of(generation, size - 1)


def read_changes(session: Session, device_id: str, *, since: str, limit: int = PAGE) -> Changes:
    """The changes of fate of the device's lines after the cursor ``since``, oldest first.

    Raises:
        Invalid: if ``since`` is no cursor that was given here.
    """
    place = (LineOutcome.changed, LineOutcome.epoch, LineOutcome.branch, LineOutcome.seq)
    rows = session.execute(
        select(LineOutcome, JournalLine.digest)
        .join(
            JournalLine,
            same_line(JournalLine, LineOutcome),
        )
        .where(
            LineOutcome.device_id == device_id,
            LineOutcome.changed.is_not(None),
            tuple_(*place) > tuple_(*_read_cursor(since)),
        )
        .order_by(*place)
        .limit(limit + 1)
    ).all()
    page = rows[:limit]
    decisions = newest_decisions(session, "line", [digest for _, digest in page])
    return Changes(
        outcomes=tuple(_change(row, digest, decisions.get(digest)) for row, digest in page),
        cursor=_write_cursor(page[-1][0]) if page else since,
        more=len(rows) > limit,
    )


def newest_decisions(
    session: Session, kind: str, subjects: Sequence[str]
) -> dict[str, QuarantineDecision]:
    """The newest decision on each of ``subjects`` that has one; at most a page of them."""
    rows = session.scalars(
        select(QuarantineDecision)
        .where(QuarantineDecision.kind == kind, QuarantineDecision.subject.in_(subjects))
        .order_by(QuarantineDecision.id)
    )
    return {row.subject: row for row in rows}


def read_standing(session: Session, device_id: str, epoch: str, *, since: int | None) -> Standing:
    """Where the main chain of ``epoch`` stands; from line ``since`` on also what is known of it."""
    head = session.get(JournalHead, (device_id, epoch, MAIN))
    receipts: Sequence[IngestReceipt] = ()
    results: tuple[LineResult, ...] = ()
    following: int | None = None
    if since is not None:
        receipts, following = _receipts(session, device_id, epoch, since)
        results, following = _results(session, device_id, epoch, since, following)
        results += _refused(session, device_id, epoch)
    return Standing(
        next_seq=head.next_seq if head else 0,
        head=head.digest if head else GENESIS,
        receipts=tuple(row.note for row in receipts),
        results=results,
        next_since=following,
    )


def _receipts(
    session: Session, device_id: str, epoch: str, since: int
) -> tuple[Sequence[IngestReceipt], int | None]:
    rows = session.scalars(
        select(IngestReceipt)
        .where(
            IngestReceipt.device_id == device_id,
            IngestReceipt.epoch == epoch,
            IngestReceipt.last_seq >= since,
        )
        .order_by(IngestReceipt.first_seq, IngestReceipt.branch)
        .limit(PAGE + 1)
    ).all()
    # The next page begins behind this one, also where many branches begin at one place.
    following = max(rows[PAGE].first_seq, since + 1) if len(rows) > PAGE else None
    return rows[:PAGE], following


def _results(
    session: Session, device_id: str, epoch: str, since: int, before: int | None
) -> tuple[tuple[LineResult, ...], int | None]:
    """A page of the results that are not plainly accepted and applied, and where the next begins.

    ``before`` is where the receipts' next page begins, if they have one.
    """
    query = (
        select(LineOutcome, JournalLine.digest)
        .join(
            JournalLine,
            same_line(JournalLine, LineOutcome),
        )
        .where(
            LineOutcome.device_id == device_id,
            LineOutcome.epoch == epoch,
            LineOutcome.seq >= since,
            (LineOutcome.branch != MAIN) | (LineOutcome.projection != Projection.APPLIED.value),
        )
        .order_by(LineOutcome.seq, LineOutcome.branch)
    )
    if before is not None:
        query = query.where(LineOutcome.seq < before)
    rows = session.execute(query.limit(PAGE + 1)).all()
    if len(rows) > PAGE:
        before = max(rows[PAGE][0].seq, since + 1)
    results = tuple(
        LineResult(
            seq=row.seq,
            digest=digest,
            journal=Journal.FORKED if row.branch else Journal.ACCEPTED,
            projection=Projection(row.projection),
            code=row.code,
        )
        for row, digest in rows[:PAGE]
    )
    return results, before


def _refused(session: Session, device_id: str, epoch: str) -> tuple[LineResult, ...]:
    rows = session.scalars(
        select(QuarantinedLine)
        .where(QuarantinedLine.device_id == device_id, QuarantinedLine.epoch == epoch)
        .order_by(QuarantinedLine.id.desc())
        .limit(PAGE)
    )
    return tuple(
        LineResult(
            seq=-1,
            digest=row.sha256,
            journal=Journal.REFUSED,
            projection=Projection.NONE,
            code=row.code,
        )
        for row in rows
    )


def _change(row: LineOutcome, digest: str, decision: QuarantineDecision | None) -> Change:
    return Change(
        epoch=row.epoch,
        branch=row.branch,
        seq=row.seq,
        digest=digest,
        projection=Projection(row.projection),
        code=row.code,
        decision=decision.decision if decision else "",
        reason=decision.reason if decision else "",
    )


def _write_cursor(row: LineOutcome) -> str:
    text = f"1.{row.changed}.{row.epoch}.{row.branch}.{row.seq}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[int, str, str, int]:
    if not cursor:
        return -1, "", "", -1
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), "-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise Invalid("since", "not a cursor") from error
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise Invalid("since", "not a cursor")
    return int(found[1]), found[2], found[3], int(found[4])
