"""Resumable uploads: bytes of announced media into the store (docs/protocol.md §7)."""

from server.operations.uploads.assembling import finish_file, finish_files, put_together
from server.operations.uploads.bodies import Body, NoBody
from server.operations.uploads.committing import finish_interrupted_commits
from server.operations.uploads.desk import Desk, Leftover, UploadState
from server.operations.uploads.heart import Heart
from server.operations.uploads.leftovers import (
    collect_leftovers,
    due_uploads,
    expire_uploads,
    find_leftovers,
)
from server.operations.uploads.offers import (
    Lacking,
    announced,
    begin,
    check_appendable,
    lacking,
    look,
    terminate,
)
from server.operations.uploads.opening import open_desk
from server.operations.uploads.receiving import receive
from server.operations.uploads.settling import after_stored, on_mismatch

__all__ = [
    "Body",
    "Desk",
    "Heart",
    "Lacking",
    "Leftover",
    "NoBody",
    "UploadState",
    "after_stored",
    "announced",
    "begin",
    "check_appendable",
    "collect_leftovers",
    "due_uploads",
    "expire_uploads",
    "find_leftovers",
    "finish_file",
    "finish_files",
    "finish_interrupted_commits",
    "lacking",
    "look",
    "on_mismatch",
    "open_desk",
    "put_together",
    "receive",
    "terminate",
]
