"""Everything that was quarantined (待核), waiting or decided: the list and its counts.

Nothing that was received is ever invisible: what cannot be shown where it
belongs is shown here, and each inspection says how much of it there is.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Select,
    String,
    Subquery,
    and_,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import Session

from server.failures import Invalid
from server.models.base import table_of
from server.models.devices import Device
from server.models.inspections import EvidenceItem
from server.models.journal import (
    JournalLine,
    LineOutcome,
    QuarantineDecision,
    QuarantinedLine,
    same_line,
)
from server.models.uploads import QuarantinedMedia, UnsafeMedia
from server.operations.access import Actor
from server.operations.cards import device_cards
from server.operations.holding import held
from server.operations.quarantine import (
    BYTES,
    KEPT,
    KINDS,
    LINE,
    MEDIA,
)
from server.operations.serving import RELEASED, UNSAFE, let_through
from sync.wire import Projection

PAGE = 100
WAITING = "waiting"
STATES = (WAITING, RELEASED, KEPT)

_MISMATCH = "media.digest_mismatch"
_UNSAFE = "media.unsafe"
#: Spelt out, not bound: PostgreSQL groups by the same expression only if it can see that it is.
_STATE = func.coalesce(QuarantineDecision.decision, literal_column(f"'{WAITING}'"))


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What the list is narrowed to; empty members do not narrow it. ``before`` pages on."""

    state: str = ""
    kind: str = ""
    code: str = ""
    inspection: str = ""
    before: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that could not be shown or taken: a line, refused bytes, or a medium.

    ``code`` is the reason it was quarantined for, also where it was released.
    """

    kind: str
    subject: str
    code: str
    state: str
    device: str
    epoch: str
    seq: int | None
    digest: str
    inspection_id: str | None
    received_at_ms: int


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A page of the list, newest first; ``before`` asks for the next, empty at the end."""

    rows: tuple[Row, ...]
    before: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many lines of an inspection wait, were kept back, or were released."""

    waiting: int
    kept: int
    released: int


def list_quarantine(session: Session, actor: Actor, which: Filter) -> Listing:
    """The actor's organisation's quarantine, newest first.

    Raises:
        Invalid: for a filter that cannot be.
    """
    if which.state not in ("", *STATES) or which.kind not in ("", *KINDS):
        raise Invalid("filter", "unknown state or kind")
    entries = entries_of(actor.organization_id)
    place = (entries.c.received_at_ms, entries.c.kind, entries.c.subject)
    query = select(entries).order_by(*(column.desc() for column in place)).limit(PAGE + 1)
    for column, value in (
        (entries.c.state, which.state),
        (entries.c.kind, which.kind),
        (entries.c.code, which.code),
        (entries.c.inspection_id, which.inspection),
    ):
        if value:
            query = query.where(column == value)
    if which.before:
        query = query.where(tuple_(*place) < tuple_(*_read_place(which.before)))
    found = session.execute(query).all()
    rows = rows_of(session, found[:PAGE])
    last = rows[-1] if len(found) > PAGE else None
    return Listing(
        rows=rows, before=f"{last.received_at_ms}.{last.kind}.{last.subject}" if last else ""
    )


def count_lines(session: Session, inspection_id: str) -> Counts:
    """How many lines of the inspection wait, were kept, and were released."""
    newest = _newest_decision(LINE, JournalLine.digest)
    rows = session.execute(
        select(_STATE, func.count())
        .select_from(LineOutcome)
        .join(JournalLine, same_line(JournalLine, LineOutcome))
        .outerjoin(
            QuarantineDecision,
            and_(QuarantineDecision.id == newest, _holds(LineOutcome.released)),
        )
        .where(LineOutcome.inspection_id == inspection_id, _is_quarantined())
        .group_by(_STATE)
    )
    states: dict[str, int] = {row[0]: row[1] for row in rows}
    return Counts(
        waiting=states.get(WAITING, 0),
        kept=states.get(KEPT, 0),
        released=states.get(RELEASED, 0),
    )


def released_lines(session: Session, inspection_id: str) -> frozenset[str]:
    """The digests of the inspection's lines that a reviewer has let through."""
    return frozenset(
        session.scalars(
            select(JournalLine.digest)
            .join(LineOutcome, same_line(JournalLine, LineOutcome))
            .where(LineOutcome.inspection_id == inspection_id, LineOutcome.released)
        )
    )


def codes_in_use(session: Session, actor: Actor) -> tuple[str, ...]:
    """The reasons that the list can be narrowed to."""
    entries = entries_of(actor.organization_id)
    return tuple(session.scalars(select(entries.c.code).distinct().order_by(entries.c.code)))


def entries_of(organization_id: str) -> Subquery:
    """All kinds as one table with the newest decision on each."""
    lines = (
        _columns(
            LINE,
            subject=JournalLine.digest,
            code=LineOutcome.code,
            place=(LineOutcome.device_id, LineOutcome.epoch, LineOutcome.seq),
            digest=JournalLine.digest,
            inspection=LineOutcome.inspection_id,
            received=JournalLine.received_at_ms,
        )
        .select_from(LineOutcome)
        .join(JournalLine, same_line(JournalLine, LineOutcome))
        .join(Device, Device.id == LineOutcome.device_id)
        .where(_is_quarantined())
    )
    refused = (
        _columns(
            BYTES,
            subject=cast(QuarantinedLine.id, String(64)),
            code=QuarantinedLine.code,
            place=(QuarantinedLine.device_id, QuarantinedLine.epoch, literal(-1)),
            digest=QuarantinedLine.sha256,
            inspection=null(),
            received=QuarantinedLine.received_at_ms,
        )
        .select_from(QuarantinedLine)
        .join(Device, Device.id == QuarantinedLine.device_id)
    )
    media = (
        _columns(
            MEDIA,
            subject=QuarantinedMedia.upload_id,
            code=literal(_MISMATCH),
            place=(QuarantinedMedia.device_id, literal(""), literal(-1)),
            digest=QuarantinedMedia.announced_sha256,
            inspection=null(),
            received=QuarantinedMedia.received_at_ms,
        )
        .select_from(QuarantinedMedia)
        .join(Device, Device.id == QuarantinedMedia.device_id)
    )
    unsafe = (
        _columns(
            UNSAFE,
            subject=EvidenceItem.id,
            code=literal(_UNSAFE),
            place=(EvidenceItem.device_id, EvidenceItem.epoch, EvidenceItem.seq),
            digest=EvidenceItem.sha256,
            inspection=EvidenceItem.inspection_id,
            received=UnsafeMedia.found_at_ms,
        )
        .select_from(UnsafeMedia)
        .join(EvidenceItem, EvidenceItem.sha256 == UnsafeMedia.sha256)
        .join(Device, Device.id == EvidenceItem.device_id)
        .where(held(EvidenceItem.sha256, EvidenceItem.organization_id))
    )
    subjects = (
        (lines, LINE, JournalLine.digest, _holds(LineOutcome.released)),
        (refused, BYTES, cast(QuarantinedLine.id, String(64)), true()),
        (media, MEDIA, QuarantinedMedia.upload_id, true()),
        (unsafe, UNSAFE, EvidenceItem.id, _holds(let_through(EvidenceItem.id))),
    )
    return union_all(
        *(
            query.outerjoin(
                QuarantineDecision,
                and_(QuarantineDecision.id == _newest_decision(kind, subject), holds),
            ).where(Device.organization_id == organization_id)
            for query, kind, subject, holds in subjects
        )
    ).subquery()


def _columns(
    kind: str,
    *,
    subject: Any,
    code: Any,
    place: tuple[Any, Any, Any],
    digest: Any,
    inspection: Any,
    received: Any,
) -> Select[Any]:
    device, epoch, seq = place
    return select(
        literal(kind).label("kind"),
        subject.label("subject"),
        func.coalesce(QuarantineDecision.code, code).label("code"),
        _STATE.label("state"),
        device.label("device_id"),
        epoch.label("epoch"),
        seq.label("seq"),
        digest.label("digest"),
        cast(inspection, String(36)).label("inspection_id"),
        received.label("received_at_ms"),
    )


def _newest_decision(kind: str, subject: Any) -> Any:
    decided = table_of(QuarantineDecision).alias()
    return (
        select(func.max(decided.c.id))
        .where(decided.c.kind == kind, decided.c.subject == subject)
        .scalar_subquery()
    )


def _holds(released: Any) -> Any:
    """Whether a decision still stands: a release only while the thing is let through by it."""
    return or_(QuarantineDecision.decision == KEPT, released)


def _is_quarantined() -> Any:
    return or_(LineOutcome.projection == Projection.QUARANTINED.value, LineOutcome.released)


def rows_of(session: Session, found: Any) -> tuple[Row, ...]:
    devices = device_cards(session, (row.device_id for row in found))
    return tuple(
        Row(
            kind=row.kind,
            subject=row.subject,
            code=row.code,
            state=row.state,
            device=devices[row.device_id].name,
            epoch=row.epoch,
            seq=None if row.seq < 0 else row.seq,
            digest=row.digest,
            inspection_id=row.inspection_id,
            received_at_ms=row.received_at_ms,
        )
        for row in found
    )


def _read_place(before: str) -> tuple[int, str, str]:
    received, _, rest = before.partition(".")
    kind, _, subject = rest.partition(".")
    if not (received.isascii() and received.isdecimal() and len(received) <= 16):
        raise Invalid("before", "not a place in the list")
    return int(received), kind[:8], subject[:64]
