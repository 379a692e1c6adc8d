"""Keeping the store: what nobody needs, what no row names, and what changed.

Nothing here deletes evidence: what goes are tails of uploads and parts that no
upload needs (docs/operations.md).
"""

from server.operations.storekeeping.fixity import rehash
from server.operations.storekeeping.reports import Doubt, Report
from server.operations.storekeeping.sweep import sweep
from server.operations.storekeeping.view import StoreView, read_store

__all__ = ["Doubt", "Report", "StoreView", "read_store", "rehash", "sweep"]
