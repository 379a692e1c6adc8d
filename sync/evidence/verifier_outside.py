"""Step 10: what stands outside the package, the signature beside it first."""

from __future__ import annotations

import os

from .errors import SyncError
from .note import open_note
from .package import sidecar_text
from .verifier_claims import Book, first_line
from .verifier_ledger import Trust
from .verifier_source import FolderSource, Source


def check_outside(book: Book, source: Source, trust: Trust) -> None:
    """Step 10: the signature beside the package; what this package does not yet carry."""
    _check_sidecar(book, source, trust)
    book.not_checked("outside.time_stamps")
    book.not_checked("outside.witnesses")


def _check_sidecar(book: Book, source: Source, trust: Trust) -> None:
    path = source.path + ".sig"
    name = os.path.basename(path)
    if isinstance(source, FolderSource) or not os.path.isfile(path):
        book.not_checked("outside.no_sidecar", file=name)
        return
    try:
        with open(path, "rb") as file:
            note = file.read(1 << 16).decode("utf-8")
        text, _ = open_note(note, trust.ledger_keys)
        sha256, size = source.whole()
    except (OSError, UnicodeDecodeError, SyncError) as error:
        book.failed("outside.sidecar_bad", file=name, reason=first_line(error))
        return
    if text == sidecar_text(sha256=sha256, size=size):
        book.passed("outside.sidecar", file=name)
    else:
        book.failed("outside.sidecar_other", file=name)
