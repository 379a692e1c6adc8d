"""Telling the other item: what a check finds between two items is found at both."""

import json
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from media.findings import model
from server.models.inspections import EvidenceItem, Finding, ItemCheck
from server.operations import likeness, media_others
from server.operations.standing import standing_runs

#: So many partners of one kind a check names at most; who names as many learns of no more.
_MOST = {"REUSED_BYTES": media_others.MOST, "REUSED_SCENE": likeness.MOST}


def wake_partners(session: Session, item: EvidenceItem, found: Sequence[model.Finding]) -> None:
    """Have those checked again whom ``found`` names and whose own standing checks lack ``item``.

    What is compared between two items is the same from either side, so that a
    comparison without a doubt need not be made twice, and two that name each other rest.
    """
    named = {
        (finding.code, finding.evidence["expected"]["item"])
        for finding in found
        if "item" in finding.evidence["expected"]
    }
    if not named:
        return
    others = {other for _, other in named}
    checked = session.scalars(
        select(ItemCheck.item_id).where(ItemCheck.item_id.in_(others)).distinct()
    ).all()
    answers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for row in session.scalars(select(Finding).where(Finding.check_id.in_(standing_runs(others)))):
        partner = json.loads(row.evidence)["expected"].get("item", "")
        answers[row.code, row.item_id].add(partner)
    wanted = {
        other
        for code, other in named
        if other in checked
        and item.id not in answers[code, other]
        and (code not in _MOST or len(answers[code, other]) < _MOST[code])
    }
    session.execute(
        update(EvidenceItem).where(EvidenceItem.id.in_(wanted)).values(check_wanted=True)
    )
