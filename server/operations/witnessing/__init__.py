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
from server.operations.witnessing.view import SeenLines, seen_at, seen_lines

__all__ = [
    "Exposure",
    "Reply",
    "SeenLines",
    "Unmatched",
    "Witnessed",
    "confirmed_size",
    "cosigned_note",
    "exposure",
    "newest_witnessed",
    "read_cosigned",
    "seen_at",
    "seen_lines",
    "submission_for",
    "submission_page",
    "submit_to_witnesses",
    "with_cosignatures",
]
