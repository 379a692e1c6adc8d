"""Checking stored media: read the facts, compare them with all that is known, keep the doubts.

The reading is done without a transaction; its results are added in one, beside
whatever an older run or rule version had found (docs/evidence.md §6, §7).
"""

from server.operations.media_checks.arriving import item_bytes_arrived, item_bytes_differed
from server.operations.media_checks.rounds import Rounds, check_waiting_items

__all__ = ["Rounds", "check_waiting_items", "item_bytes_arrived", "item_bytes_differed"]
