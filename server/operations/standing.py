"""Which runs of the rules speak for an item: the newest whole one, and failed ones after it.

A run in which a part of this program failed compared less than it should: it adds
to what was found before, and takes none of it away (docs/evidence.md §7).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, case, exists, func, select
from sqlalchemy.orm import Session

from media import findings
from server.models.inspections import Finding, ItemCheck

#: The finding of a run in which our own reader or rules failed.
FAILED = "CHECK_FAILED"


@dataclass(frozen=True, kw_only=True)
class StandingCheck:
    """What the standing runs over an item amount to; all but ``verdict`` is of the whole one."""

    verdict: str
    rule_version: str
    claims: str
    checked_at_ms: int


def standing_runs(items: Collection[str] | Select[str]) -> Select[int]:
    """The identifiers of the runs that speak for ``items``.

    Of an item without a whole run it is the newest that failed.
    """
    failed = exists().where(Finding.check_id == ItemCheck.id, Finding.code == FAILED)
    newest = func.max(ItemCheck.id)
    first = (
        select(
            ItemCheck.item_id,
            func.coalesce(func.max(case((~failed, ItemCheck.id))), newest).label("check_id"),
        )
        .where(ItemCheck.item_id.in_(items))
        .group_by(ItemCheck.item_id)
        .subquery()
    )
    return (
        select(ItemCheck.id)
        .join(first, first.c.item_id == ItemCheck.item_id)
        .where(ItemCheck.id >= first.c.check_id)
    )


def standing_checks(session: Session, items: Sequence[str]) -> dict[str, StandingCheck]:
    """What the standing runs over each of ``items`` amount to, by item."""
    runs: dict[str, list[ItemCheck]] = {}
    for row in session.scalars(
        select(ItemCheck).where(ItemCheck.id.in_(standing_runs(items))).order_by(ItemCheck.id)
    ):
        runs.setdefault(row.item_id, []).append(row)
    return {
        item: StandingCheck(
            verdict=findings.worst(row.verdict for row in rows),
            rule_version=rows[0].rule_version,
            claims=rows[0].claims,
            checked_at_ms=rows[0].checked_at_ms,
        )
        for item, rows in runs.items()
    }
