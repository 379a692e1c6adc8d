"""Redacted copies: each stands for a withheld original, as an event of the ledger says."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from . import canonical
from .errors import SyncError
from .package import DERIVATIONS
from .records import WITHHELD, CaseIndex
from .verifier_bag import Files
from .verifier_claims import Book, first_line
from .verifier_ledger import Ledger
from .verifier_source import Measured, Source, read

#: Why an original is withheld whose redacted copy is enclosed.
REDACTED = "redacted"

_PREFIX = "data/derived/"
_MADE = ("regions", "reason", "recipe", "made_with")


def check_copies(
    book: Book, source: Source, files: Files, index: CaseIndex, ledger: Ledger
) -> None:
    """Every copy is of an item that is withheld for it; every such item has its copy."""
    told = _derivations(book, source, files, index)
    if told is None:
        return
    items = {item.item: item for item in index.items}
    listed = {DERIVATIONS}
    mark = book.mark
    for row in told:
        file = files.get(str(row.get("file")))
        item = items.get(str(row.get("item")))
        listed.add(str(row.get("file")))
        values = {"file": str(row.get("file")), "item": str(row.get("item"))}
        if item is None or (item.disposition, item.reason) != (WITHHELD, REDACTED):
            book.failed("case.copy_of_nothing", **values)
        elif not isinstance(file, Measured) or file.sha256 != row.get("sha256"):
            book.failed("case.copy_altered", **values)
        elif row.get("source") != item.sha256 or not _is_told(row, ledger):
            book.failed("case.copy_without_event", **values)
    covered = {str(row.get("item")) for row in told}
    for item in index.items:
        if item.reason == REDACTED and item.item not in covered:
            book.failed("case.copy_missing", file=DERIVATIONS, item=item.item)
    for name in files:
        if name.startswith(_PREFIX) and name not in listed:
            book.failed("case.copy_unlisted", file=name)
    book.conclude(mark, "case.copies", count=len(told))


def _derivations(
    book: Book, source: Source, files: Files, index: CaseIndex
) -> Optional[List[Mapping[str, Any]]]:
    """What is listed; None where the package is not a redacted one, or the list is unreadable."""
    if DERIVATIONS not in files:
        redacted = any(item.reason == REDACTED for item in index.items)
        return [] if redacted or any(name.startswith(_PREFIX) for name in files) else None
    try:
        rows = canonical.loads(read(source, DERIVATIONS))["derivations"]
    except (SyncError, KeyError, TypeError) as error:
        book.failed("case.copies_unreadable", file=DERIVATIONS, reason=first_line(error))
        return None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _is_told(row: Mapping[str, Any], ledger: Ledger) -> bool:
    """Whether its event says what was covered in which file, why, by whom and when, as it does."""
    index = row.get("ledger_index")
    event = ledger.events.get(index) if type(index) is int else None
    if event is None or event.kind != "derive":
        return False
    subject, snapshot = event.body["subject"], event.body["snapshot"]
    return (
        all(subject.get(name) == row.get(name) for name in ("item", "source", "sha256"))
        and all(snapshot.get(name) == row.get(name) for name in _MADE)
        and (event.body["actor"].get("person"), event.at_ms)
        == (row.get("made_by"), row.get("made_at_ms"))
    )
