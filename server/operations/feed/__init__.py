"""What flows down to devices: the newest version of each document, in ledger order (§4.4)."""

from server.operations.feed.documents import (
    Put,
    organization_scope,
    publish,
    put_document,
    remove_document,
)
from server.operations.feed.reading import PAGE, Page, read_page

__all__ = [
    "PAGE",
    "Page",
    "Put",
    "organization_scope",
    "publish",
    "put_document",
    "read_page",
    "remove_document",
]
