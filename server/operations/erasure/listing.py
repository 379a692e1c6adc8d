"""What may be erased: the units whose term has ended, and all that belongs to one of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem, EvidencePackage, Inspection
from server.models.journal import JournalLine, JournalPart, LineOutcome, same_line
from server.models.process import ProcessStep, RecorderClock
from server.models.uploads import MediaObject
from server.operations.erased import ERASED, is_erased
from server.operations.erasure.holds import held_inspections
from server.operations.erasure.terms import Terms

Unit = Literal["inspection", "recordings"]
INSPECTION: Unit = "inspection"
RECORDINGS: Unit = "recordings"

#: A reviewer's word that somebody relies on a recording, or may come to.
_RELIED_ON = ("accepted", "questioned")
_PAGE = 500

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Expired:
    """One unit whose term has ended; ``held`` if a legal hold keeps it all the same."""

    unit: Unit
    inspection_id: str
    title: str
    since_ms: int
    ended_ms: int
    items: int
    held: bool


@dataclass(frozen=True, kw_only=True)
class ListedItem:
    item: str
    sha256: str
    size: int
    title: str


@dataclass(frozen=True, kw_only=True)
class Listed:
    """All that an order would erase. ``bytes`` are those of originals that are here.

    ``shared`` of the items have bytes that another item has too: these stay.
    """

    unit: Unit
    items: tuple[ListedItem, ...]
    lines: int
    packages: int
    bytes: int
    shared: int

    def to_json(self) -> dict[str, Any]:
        """As the order keeps it: digests and numbers, no text."""
        return {
            "items": [
                {"item": one.item, "sha256": one.sha256, "size": one.size} for one in self.items
            ],
            "lines": self.lines,
            "packages": self.packages,
            "bytes": self.bytes,
            "shared": self.shared,
        }


def case_began_ms(session: Session, inspection: Inspection) -> int:
    """Since when its term runs: the bureau's clock when the seal came in, else the opening."""
    line = inspection.sealed_line or inspection.opened_line
    received = session.scalar(
        select(func.max(JournalLine.received_at_ms)).where(JournalLine.digest == line)
    )
    return int(received) if received is not None else inspection.opened_at_ms


def expired_units(
    session: Session, organization_id: str, terms: Terms, *, now_ms: int
) -> list[Expired]:
    """The units of an organisation whose term has ended, those that have waited longest first."""
    began = (
        select(Inspection.id, Inspection.title, func.max(JournalLine.received_at_ms).label("since"))
        .join(
            JournalLine,
            JournalLine.digest == func.coalesce(Inspection.sealed_line, Inspection.opened_line),
        )
        .where(Inspection.organization_id == organization_id, Inspection.state != ERASED)
        .group_by(Inspection.id, Inspection.title)
        .order_by("since")
    )
    whole = [
        (row.id, row.title, row.since, terms.case_ends_ms(row.since))
        for row in session.execute(began)
    ]
    ended = [row for row in whole if row[3] <= now_ms]
    gone = {row[0] for row in ended}
    films = session.execute(
        select(
            Inspection.id,
            Inspection.title,
            func.min(JournalLine.received_at_ms).label("since"),
            func.count().label("items"),
        )
        .select_from(EvidenceItem)
        .join(JournalLine, same_line(JournalLine, EvidenceItem))
        .join(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .where(
            Inspection.organization_id == organization_id,
            *_unneeded(terms.recordings_before_ms(now_ms)),
        )
        .group_by(Inspection.id, Inspection.title)
        .order_by("since")
    ).all()
    counts = _item_counts(session, gone)
    held = held_inspections(session)
    term_ms = now_ms - terms.recordings_before_ms(now_ms)
    return [
        *(
            Expired(
                unit=INSPECTION,
                inspection_id=identifier,
                title=title,
                since_ms=since,
                ended_ms=end,
                items=counts.get(identifier, 0),
                held=identifier in held,
            )
            for identifier, title, since, end in ended
        ),
        *(
            Expired(
                unit=RECORDINGS,
                inspection_id=identifier,
                title=title,
                since_ms=since,
                ended_ms=since + term_ms,
                items=items,
                held=identifier in held,
            )
            for identifier, title, since, items in films
            if identifier not in gone
        ),
    ]


def is_expired(
    session: Session, inspection: Inspection, unit: Unit, terms: Terms, *, now_ms: int
) -> bool:
    """Whether there is something of that unit whose term has ended."""
    if unit == INSPECTION:
        return terms.case_ends_ms(case_began_ms(session, inspection)) <= now_ms
    return bool(items_of(session, inspection.id, unit, terms, now_ms=now_ms))


def items_of(
    session: Session, inspection_id: str, unit: Unit, terms: Terms, *, now_ms: int
) -> list[EvidenceItem]:
    """The items that an order of that unit would erase now."""
    query = (
        select(EvidenceItem)
        .where(EvidenceItem.inspection_id == inspection_id)
        .order_by(EvidenceItem.id)
    )
    if unit == RECORDINGS:
        query = query.join(JournalLine, same_line(JournalLine, EvidenceItem)).where(
            *_unneeded(terms.recordings_before_ms(now_ms))
        )
    return list(session.scalars(query))


def list_unit(
    session: Session, inspection: Inspection, unit: Unit, terms: Terms, *, now_ms: int
) -> Listed:
    """What an order of that unit would erase now, in numbers and item by item."""
    items = items_of(session, inspection.id, unit, terms, now_ms=now_ms)
    digests = {item.sha256 for item in items}
    shared = living_elsewhere(session, digests, {item.id for item in items})
    here = 0
    for page in pages_of(sorted(digests - shared)):
        here += int(
            session.scalar(
                select(func.coalesce(func.sum(MediaObject.size), 0)).where(
                    MediaObject.sha256.in_(page), MediaObject.status == "stored"
                )
            )
            or 0
        )
    lines = 0
    if unit == INSPECTION:
        lines = int(
            session.scalar(
                select(func.count())
                .select_from(LineOutcome)
                .where(
                    LineOutcome.inspection_id == inspection.id,
                    select(JournalPart.seq).where(same_line(JournalPart, LineOutcome)).exists(),
                )
            )
            or 0
        )
    packages = session.scalar(
        select(func.count())
        .select_from(EvidencePackage)
        .where(EvidencePackage.inspection_id == inspection.id, EvidencePackage.key.is_not(None))
    )
    return Listed(
        unit=unit,
        items=tuple(
            ListedItem(
                item=item.id, sha256=item.sha256, size=item.size, title=item.title or item.name
            )
            for item in items
        ),
        lines=lines,
        packages=packages or 0,
        bytes=here,
        shared=sum(item.sha256 in shared for item in items),
    )


def living_elsewhere(session: Session, digests: Iterable[str], items: set[str]) -> set[str]:
    """Those of ``digests`` that an item beside ``items`` has too, and keeps."""
    found: set[str] = set()
    for page in pages_of(sorted(set(digests))):
        rows = session.execute(
            select(EvidenceItem.id, EvidenceItem.sha256).where(
                EvidenceItem.sha256.in_(page), ~is_erased(EvidenceItem.id)
            )
        )
        found.update(row.sha256 for row in rows if row.id not in items)
    return found


def pages_of(values: Sequence[T]) -> Iterator[list[T]]:
    """``values`` in pieces that fit into one statement."""
    for start in range(0, len(values), _PAGE):
        yield list(values[start : start + _PAGE])


def _unneeded(before_ms: int) -> list[ColumnElement[bool]]:
    """Recordings that came in before then, of which nothing was said and nothing hangs on them."""
    return [
        or_(EvidenceItem.media_type.like("audio/%"), EvidenceItem.media_type.like("video/%")),
        func.trim(EvidenceItem.fact_to_prove) == "",
        EvidenceItem.state.not_in(_RELIED_ON),
        JournalLine.received_at_ms < before_ms,
        ~is_erased(EvidenceItem.id),
        ~select(ProcessStep.line_digest).where(ProcessStep.item_id == EvidenceItem.id).exists(),
        ~select(RecorderClock.line_digest).where(RecorderClock.item_id == EvidenceItem.id).exists(),
    ]


def _item_counts(session: Session, inspections: set[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for page in pages_of(sorted(inspections)):
        rows = session.execute(
            select(EvidenceItem.inspection_id, func.count())
            .where(EvidenceItem.inspection_id.in_(page))
            .group_by(EvidenceItem.inspection_id)
        )
        counts.update({identifier: count for identifier, count in rows if identifier is not None})
    return counts
