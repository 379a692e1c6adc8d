"""The second manifest, by SM3 (GB/T 32905), where a package has one and Python can compute it."""

from __future__ import annotations

import hashlib
from typing import Collection

from . import bag
from .bag import BagMalformed
from .verifier_claims import Book, first_line
from .verifier_source import EntryUnreadable, Source, read


def check_sm3(book: Book, source: Source, payload: Collection[str]) -> None:
    """Every file under ``data/`` once more, by its other digest; nothing where none is claimed."""
    if bag.SM3_MANIFEST not in source.names:
        return
    try:
        listed = bag.parse_manifest(read(source, bag.SM3_MANIFEST), file=bag.SM3_MANIFEST)
    except (BagMalformed, EntryUnreadable) as error:
        book.failed("bag.malformed", file=bag.SM3_MANIFEST, reason=first_line(error))
        return
    mark = book.mark
    for name in sorted(set(payload) - set(listed)):
        book.failed("bag.extra", file=name, manifest=bag.SM3_MANIFEST)
    for name in sorted(set(listed) - set(payload)):
        book.failed("bag.missing", file=name, manifest=bag.SM3_MANIFEST)
    if not _is_known():
        book.not_checked("bag.sm3_unknown", file=bag.SM3_MANIFEST)
        return
    for name in sorted(set(listed) & set(payload)):
        digest = hashlib.new("sm3")
        try:
            for chunk in source.chunks(name):
                digest.update(chunk)
        except EntryUnreadable:
            # It has been named by the container's step.
            continue
        if digest.hexdigest() != listed[name]:
            book.failed("bag.digest", file=name, manifest=bag.SM3_MANIFEST)
    book.conclude(mark, "bag.exact", file=bag.SM3_MANIFEST, count=len(listed))


def _is_known() -> bool:
    """Whether this Python's OpenSSL has SM3: it is not among those that Python guarantees."""
    try:
        hashlib.new("sm3")
    except ValueError:
        return False
    return True
