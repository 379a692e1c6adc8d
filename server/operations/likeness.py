"""Finding pictures that look alike among all of an organisation's (docs/evidence.md §6)."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from media.findings.model import SameScene
from media.findings.others import ALIKE_BITS
from server.models.inspections import EvidenceItem
from server.models.traits import MediaTrait
from server.operations.holding import held
from server.operations.media_others import of_organization

_ALL_BITS = (1 << 64) - 1
_QUARTER_BITS = 16
_QUARTERS = (MediaTrait.quarter0, MediaTrait.quarter1, MediaTrait.quarter2, MediaTrait.quarter3)
#: A picture with contents sets 32 bits; one that is nearly flat looks like every other.
_FEWEST_SET = 24
#: So many of the nearest are named.
MOST = 10
#: So many pictures that share nearly a quarter are looked at; 1,000 of a million do.
_CANDIDATES = 20_000
#: Of so many it is asked whose they are.
_NEAREST = 1000


def scenes(session: Session, item: EvidenceItem, likeness: int) -> tuple[SameScene, ...]:
    """Items of other inspections whose pictures differ in few bits, the nearest first.

    Two numbers that differ in at most 6 bits agree in one of their quarters but for
    at most one bit: only such candidates are compared, by the quarters' indexes.
    """
    if item.inspection_id is None or item.state == "discarded":
        return ()
    if likeness.bit_count() < _FEWEST_SET:
        return ()
    candidates = session.execute(
        select(MediaTrait.sha256, MediaTrait.likeness)
        .where(
            or_(
                *(
                    quarter.in_(_within_one_bit(part))
                    for quarter, part in zip(_QUARTERS, quarters(likeness), strict=True)
                )
            )
        )
        .limit(_CANDIDATES)
    )
    near = {
        sha256: distance
        for sha256, other in candidates
        if other is not None
        and sha256 != item.sha256
        and (distance := ((other ^ likeness) & _ALL_BITS).bit_count()) <= ALIKE_BITS
    }
    nearest = sorted(near, key=lambda sha256: (near[sha256], sha256))[:_NEAREST]
    if not nearest:
        return ()
    rows = session.execute(
        select(EvidenceItem.id, EvidenceItem.inspection_id, EvidenceItem.sha256).where(
            EvidenceItem.sha256.in_(nearest),
            of_organization(item.organization_id),
            EvidenceItem.inspection_id != item.inspection_id,
            EvidenceItem.state != "discarded",
            held(EvidenceItem.sha256, EvidenceItem.organization_id),
        )
    )
    found = [
        SameScene(
            item=row.id,
            inspection=row.inspection_id,
            sha256=row.sha256,
            distance=near[row.sha256],
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda scene: (scene.distance, scene.item))[:MOST])


def quarters(likeness: int) -> tuple[int, ...]:
    """The four parts of 16 bits, from the highest."""
    mask = (1 << _QUARTER_BITS) - 1
    return tuple(likeness >> _QUARTER_BITS * (3 - n) & mask for n in range(4))


def _within_one_bit(part: int) -> list[int]:
    return [part, *(part ^ 1 << bit for bit in range(_QUARTER_BITS))]
