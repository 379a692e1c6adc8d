"""Auditing the ledger: rebuilding its tree from the stored events, and asking the outside.

What an administrator changed past the program is found here and named by row, leaf,
node or object (docs/evidence.md §5).
"""

from collections.abc import Iterator
from dataclasses import replace

from media.store import StoreUnavailable
from server.db import reading, transaction
from server.operations.ledger_audit.outside import Compared, compare_outside
from server.operations.ledger_audit.reports import (
    Doubt,
    Report,
    Resumed,
    after,
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


def audit(parts: Services, *, most: int | None = None, anew: bool = False) -> Iterator[Report]:
    """Look at ``most`` leaves (None: at all that are there), each slice with a report of its own.

    A run goes on where the last one ended, unless it is to begin ``anew``, and ends with
    the ledger. The next slice is read when its report is asked for.

    Raises:
        StoreUnavailable: at the end, if the store did not say what it holds: the
            checkpoints in it are still to be compared.
    """
    began_ms, left = parts.now_ms(), most
    with reading() as session:
        at = resume_at(session)
    packages_after = at.packages_after
    if anew:
        at = Resumed()
    away: StoreUnavailable | None = None
    outside = Compared(count=0, packages_after=packages_after, doubts=())
    try:
        outside = compare_outside(parts, packages=_PACKAGES, packages_after=packages_after)
    except StoreUnavailable as error:
        away = error
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
            packages_after=outside.packages_after,
            outside=outside.count,
            doubts=(*outside.doubts, *report.doubts),
            done=report.whole or left == 0,
        )
        with transaction() as session:
            keep_report(session, report, now_ms=max(began_ms, parts.now_ms()))
        yield report
        if report.done:
            break
        at = after(report)
        outside = Compared(count=0, packages_after=outside.packages_after, doubts=())
    if away is not None:
        raise away
