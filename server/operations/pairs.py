"""The files of other cases that an item's findings name, to be looked at beside it."""

from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from server.models.inspections import Derivative, EvidenceItem, Inspection
from server.operations.doubts import doubts_of
from server.operations.holding import held

_REUSE = ("REUSED_BYTES", "REUSED_SCENE")


@dataclass(frozen=True, kw_only=True)
class Partner:
    """What a page shows of the other item of a finding."""

    id: str
    title: str
    inspection_id: str | None
    inspection_title: str
    has_thumbnail: bool


def partners_of(session: Session, item: EvidenceItem) -> dict[str, Partner]:
    """The items of the same organisation that hold this file or picture again, by id."""
    doubts = doubts_of(session, [item.id]).get(item.id, ())
    named = {doubt.evidence["expected"]["item"] for doubt in doubts if doubt.code in _REUSE}
    drawn = exists().where(
        Derivative.source_sha256 == EvidenceItem.sha256,
        Derivative.purpose == "thumbnail",
        held(EvidenceItem.sha256, EvidenceItem.organization_id),
    )
    rows = session.execute(
        select(EvidenceItem, Inspection.title, drawn)
        .outerjoin(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .where(
            EvidenceItem.id.in_(named),
            EvidenceItem.organization_id == item.organization_id,
        )
    )
    return {
        other.id: Partner(
            id=other.id,
            title=other.title or other.name,
            inspection_id=other.inspection_id,
            inspection_title=title or "",
            has_thumbnail=has_thumbnail,
        )
        for other, title, has_thumbnail in rows
    }
