"""Auditing the ledger: rebuilding its tree from the stored events, and asking the outside.

What an administrator changed past the program is found here and named by row, leaf,
node or object (docs/evidence.md §5).
"""

from collections.abc import Iterator
from dataclasses import replace

from server.db import reading, transaction
from server.operations.ledger_audit.outside import Compared, compare_outside
from server.operations.ledger_audit.reports import (
    Doubt,
    Report,
    has_run,
    keep_failure,
    keep_report,
    resume_at,
    sentence,
    summary,
)
from server.operations.ledger_audit.view import AuditView, read_audit
from server.operations.ledger_audit.walk import walk_slice
from server.services import Services

__all__ = [
    "AuditView",
    "Doubt",
    "Report",
    "audit",
    "has_run",
    "keep_failure",
    "keep_report",
    "read_audit",
    "sentence",
    "summary",
]

#: What one report covers: a run that is killed loses no more than this.
_SLICE_LEAVES = 1 << 18
#: Packages whose checkpoints are compared in one run; a round over all goes on from there.
_PACKAGES = 500


def audit(parts: Services, *, most: int | None = None) -> Iterator[Report]:
    """Look at ``most`` leaves (None: at all that are there), each slice with a report of its own.

    A run goes on where the last one ended, and ends with the ledger: the next begins
    anew. The next slice is read when its report is asked for.

    Raises:
        StoreUnavailable: if the store does not answer; then nothing is reported.
    """
    began_ms = parts.now_ms()
    left = most
    with reading() as session:
        at = resume_at(session)
    outside: Compared | None = compare_outside(
        parts, packages=_PACKAGES, packages_after=at.packages_after
    )
    while True:
        with reading() as session:
            slice_leaves = _SLICE_LEAVES if left is None else min(left, _SLICE_LEAVES)
            report = walk_slice(
                session, parts.ledger_keys, at, most=slice_leaves, began_ms=began_ms
            )
        if left is not None:
            left -= report.leaves
        report = replace(
            report,
            packages_after=outside.packages_after if outside else report.packages_after,
            outside=outside.count if outside else 0,
            doubts=(*(outside.doubts if outside else ()), *report.doubts),
            done=report.whole or left == 0,
        )
        outside = None
        with transaction() as session:
            keep_report(session, report, now_ms=max(began_ms, parts.now_ms()))
        yield report
        if report.done:
            return
        with reading() as session:
            at = resume_at(session)
