"""Keeping the store: what nobody needs, what no row names, and what changed.

Nothing here deletes evidence: what goes are tails of uploads and parts that no
upload needs (docs/operations.md).
"""

from server.operations.storekeeping.fixity import rehash
from server.operations.storekeeping.reports import REHASH, SWEEP, Doubt, Report, keep_failure
from server.operations.storekeeping.sweep import sweep
from server.operations.storekeeping.telling import sentence, summary
from server.operations.storekeeping.view import StoreView, has_run, read_store

__all__ = [
    "REHASH",
    "SWEEP",
    "Doubt",
    "Report",
    "StoreView",
    "has_run",
    "keep_failure",
    "read_store",
    "rehash",
    "sentence",
    "summary",
    "sweep",
]
