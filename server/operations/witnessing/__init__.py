"""Having the ledger witnessed by others, and keeping what they say (docs/evidence.md §5)."""

from server.operations.witnessing.cosignatures import (
    Exposure,
    Witnessed,
    confirmed_size,
    cosigned_note,
    exposure,
    newest_witnessed,
    with_cosignatures,
)
from server.operations.witnessing.files import (
    Unmatched,
    read_cosigned,
    submission_for,
)
from server.operations.witnessing.page import submission_page
from server.operations.witnessing.submitting import Reply, submit_to_witnesses

__all__ = [
    "Exposure",
    "Reply",
    "Unmatched",
    "Witnessed",
    "confirmed_size",
    "cosigned_note",
    "exposure",
    "newest_witnessed",
    "read_cosigned",
    "submission_for",
    "submission_page",
    "submit_to_witnesses",
    "with_cosignatures",
]
