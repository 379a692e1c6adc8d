"""What flows down to devices: the newest version of each document, in ledger order (§4.4)."""

from server.operations.feed.compaction import compact
from server.operations.feed.digests import Digest, read_digest, repair_buckets
from server.operations.feed.documents import (
    Put,
    inspection_scope,
    officer_scope,
    organization_scope,
    publish,
    put_document,
    remove_document,
    task_scope,
)
from server.operations.feed.reading import PAGE, Page, read_page

__all__ = [
    "PAGE",
    "Digest",
    "Page",
    "Put",
    "compact",
    "inspection_scope",
    "officer_scope",
    "organization_scope",
    "publish",
    "put_document",
    "read_digest",
    "read_page",
    "remove_document",
    "repair_buckets",
    "task_scope",
]
