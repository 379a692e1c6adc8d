"""What the page shows of the audits: the last run, the walk that it belongs to, every doubt."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from server.operations.ledger_audit.reports import newest_rows

#: Slices that are looked through: of a ledger of 100 million leaves, at 2^18 each.
_SLICES = 500


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """The newest slices since the last whole walk began, summed up.

    ``report`` is the newest slice's, with the doubts of all of them.
    """

    ended_at_ms: int
    ledger_index: int | None
    report: Mapping[str, Any]
    #: When a walk last came to the end of the ledger; None if none has.
    whole_at_ms: int | None
    #: Why the last run was broken off, as an error's code.
    failed: str


def read_audit(session: Session) -> AuditView | None:
    """The state of the audits; None before the first."""
    rows = newest_rows(session, _SLICES)
    if not rows:
        return None
    reports = [(row, json.loads(row.report)) for row in rows]
    walked = [one for one in reports if not one[1]["failed"]]
    failed = reports[0][1]["failed"]
    if not walked:
        return AuditView(
            ended_at_ms=rows[0].ended_at_ms,
            ledger_index=rows[0].ledger_index,
            report=reports[0][1],
            whole_at_ms=None,
            failed=failed,
        )
    row, newest = walked[0]
    whole = next((one for one in walked if one[1]["whole"]), None)
    # Those of the walk under way, and of the last whole one, whose doubts still stand.
    ends = [number for number, one in enumerate(walked) if one[1]["whole"]]
    until = ends[1] if len(ends) > 1 else len(walked)
    shown = [report for _, report in walked[:until]]
    return AuditView(
        ended_at_ms=row.ended_at_ms,
        ledger_index=row.ledger_index,
        report={
            **newest,
            "doubts": _once(doubt for report in shown for doubt in report["doubts"]),
            "doubt_kinds": dict(sum((Counter(r["doubt_kinds"]) for r in shown), Counter())),
            "doubt_count": sum(report["doubt_count"] for report in shown),
        },
        whole_at_ms=whole[0].ended_at_ms if whole else None,
        failed=failed,
    )


def _once(doubts: Any) -> list[Mapping[str, Any]]:
    kept = {json.dumps(doubt, sort_keys=True): doubt for doubt in doubts}
    return list(kept.values())
