"""Which findings (核查提示) stand now: those of the newest whole run of the rules over each item.

What failed since adds to them (``standing``). Older runs stay in the tables and in the ledger.
A DIGEST_MISMATCH never passes: other bytes did arrive under that name, whatever came later.
That the store has lost or changed an original (FIXITY_LOST) stands as long as it is so.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from media.findings import RULE_VERSION
from server.models.inspections import EvidenceItem, Finding
from server.models.uploads import ObjectFixity
from server.operations.standing import standing_runs

#: Worst first.
SEVERITIES = ("fail", "warn", "undecided", "info")
_LASTING = "DIGEST_MISMATCH"
#: What is found about a visit as a whole is computed when it is shown and kept nowhere: its rules
#: are those of the program that shows it, and this names them (docs/evidence.md §6).
VISIT_RULES_VERSION = "visit-1"


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """One finding; ``evidence`` has ``tag``, ``raw``, ``offset`` and ``expected``."""

    code: str
    severity: str
    rule_version: str
    evidence: dict[str, Any]
    found_at_ms: int
    ledger_index: int


def standing(item_ids: Sequence[str] | Select[str]) -> ColumnElement[bool]:
    """The condition on ``Finding`` that keeps the standing ones of ``item_ids``."""
    return Finding.item_id.in_(item_ids) & or_(
        Finding.check_id.in_(standing_runs(item_ids)), Finding.code == _LASTING
    )


def doubts_of(session: Session, item_ids: Sequence[str]) -> dict[str, tuple[Doubt, ...]]:
    """The standing findings by item, worst first."""
    found: dict[str, dict[tuple[str, str], Doubt]] = {}
    for row in session.scalars(select(Finding).where(standing(item_ids)).order_by(Finding.id)):
        doubt = Doubt(
            code=row.code,
            severity=row.severity,
            rule_version=row.rule_version,
            evidence=json.loads(row.evidence),
            found_at_ms=row.found_at_ms,
            ledger_index=row.ledger_index,
        )
        found.setdefault(row.item_id, {}).setdefault((row.code, row.evidence), doubt)
    for item_id, lost in _lost(session, item_ids):
        found.setdefault(item_id, {})[lost.code, ""] = lost
    return {
        item_id: tuple(sorted(doubts.values(), key=lambda doubt: rank(doubt.severity)))
        for item_id, doubts in found.items()
    }


def _lost(session: Session, item_ids: Sequence[str]) -> Iterator[tuple[str, Doubt]]:
    """Items whose original was not whole when it was last read."""
    rows = session.execute(
        select(EvidenceItem.id, ObjectFixity)
        .join(ObjectFixity, ObjectFixity.sha256 == EvidenceItem.sha256)
        .where(EvidenceItem.id.in_(item_ids), ObjectFixity.outcome != "whole")
    )
    for item_id, row in rows:
        yield (
            item_id,
            Doubt(
                code="FIXITY_LOST",
                severity="fail",
                rule_version=RULE_VERSION,
                evidence={
                    "tag": "store:object",
                    "raw": row.found_sha256 or "",
                    "offset": -1,
                    "expected": {"reason": row.outcome, "sha256": row.sha256},
                },
                found_at_ms=row.checked_at_ms,
                ledger_index=row.ledger_index,
            ),
        )


def rank(severity: str) -> int:
    """The place of a severity among :data:`SEVERITIES`; unknown ones come first."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1
