"""Step 10: what stands outside the package, the signature beside it first."""

from __future__ import annotations

import os
from typing import Optional, Sequence, Set

from .errors import SyncError
from .note import open_note
from .package import sidecar_text
from .policy import Policy
from .verifier_claims import Book, first_line
from .verifier_journal import Journal
from .verifier_ledger import Ledger, Trust
from .verifier_source import FolderSource, Source
from .verifier_stamps import check_stamps
from .verifier_witness import check_witnesses


def check_outside(
    book: Book,
    source: Source,
    trust: Trust,
    ledger: Ledger,
    journal: Journal,
    policy: Optional[Policy],
    tsa_roots: Sequence[str],
) -> Set[int]:
    """Step 10: what others than the bureau say, and the signature beside the package.

    Returns the ledger indexes of the outside time stamps that hold by ``tsa_roots``.
    """
    _check_sidecar(book, source, trust)
    stamped = check_stamps(book, source, trust, ledger, journal, tsa_roots)
    check_witnesses(book, source, trust, policy)
    return stamped


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
