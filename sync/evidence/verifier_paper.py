"""Step 10: a journal's head that stands on a paper, such as the sheet that the party signed.

The paper needs no key and no trust in anybody: its holder types the short code, or gives what
the QR code says, and learns whether the enclosed journals still hold that very line.
"""

from __future__ import annotations

import re
from typing import Optional, Sequence, Tuple

from .verifier_chain import Chain
from .verifier_claims import Book
from .verifier_journal import Journal

#: Crockford's alphabet; what people confuse is read as what was meant (docs/protocol.md §4.1).
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CONFUSED = str.maketrans({"O": "0", "I": "1", "L": "1"})
_CODE_LENGTH = 20
_DIGITS = _CODE_LENGTH * 5 // 4
_SLIPS = 2
_SHORT = re.compile(r"\A\s*([0-9]{1,15})\s*-(.*)\Z", re.DOTALL)
_FULL = re.compile(
    r"\A\s*LIUHEN-HEAD/1:([0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})"
    r":([0-9A-F]{32}):([0-9]{1,15}):([0-9A-F]{64})\s*\Z"
)


def check_papers(book: Book, journal: Journal, papers: Sequence[str]) -> None:
    """Say of each of ``papers``, scanned or typed, whether an enclosed journal has its line."""
    for said in papers:
        shown = said.strip()[:200]
        full = _FULL.match(said.upper())
        short = _typed(said)
        if full is not None:
            device, epoch, seq, digest = (part.lower() for part in full.groups())
            _check_scanned(book, journal, shown, (device, epoch, int(seq)), digest)
        elif short is not None:
            _check_typed(book, journal, shown, *short)
        else:
            book.not_checked("outside.paper_unreadable", paper=shown)


def _typed(said: str) -> Optional[Tuple[int, str]]:
    """The line's number and the 20 characters of a typed head; None if it is none."""
    match = _SHORT.match(said)
    if match is None:
        return None
    code = re.sub(r"[\s-]", "", match.group(2)).upper().translate(_CONFUSED)
    if len(code) != _CODE_LENGTH or any(letter not in _ALPHABET for letter in code):
        return None
    return int(match.group(1)), code


def _check_scanned(
    book: Book, journal: Journal, shown: str, place: Tuple[str, str, int], digest: str
) -> None:
    device, epoch, seq = place
    for chain in journal.chains.values():
        line = chain.lines.get(seq)
        same = (chain.name.device, chain.name.epoch) == (device, epoch)
        if same and line is not None and line.digest == digest:
            book.passed("outside.paper", paper=shown, **chain.place(seq))
            return
    book.failed("outside.paper_other", paper=shown)


def _check_typed(book: Book, journal: Journal, shown: str, seq: int, code: str) -> None:
    near: Optional[Chain] = None
    for chain in journal.chains.values():
        line = chain.lines.get(seq)
        wrong = _CODE_LENGTH if line is None else _differences(_code_of(line.digest), code)
        if wrong == 0:
            book.passed("outside.paper", paper=shown, **chain.place(seq))
            return
        if wrong <= _SLIPS:
            near = chain
    if near is not None:
        book.not_checked("outside.paper_near", paper=shown, **near.place(seq))
    else:
        book.failed("outside.paper_other", paper=shown)


def _differences(one: str, other: str) -> int:
    return sum(a != b for a, b in zip(one, other))


def _code_of(digest: str) -> str:
    """The first 100 bits of a digest, five to a character."""
    bits = int(digest[:_DIGITS], 16)
    return "".join(_ALPHABET[bits >> 5 * place & 31] for place in range(_CODE_LENGTH - 1, -1, -1))
