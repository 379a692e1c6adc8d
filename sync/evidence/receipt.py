"""The server's signed receipt (入库凭证) for a contiguous range of lines: its note text.

The signature around it is a C2SP signed note (``note.py``) by the receipt key.
A device frees nothing before it has checked one (docs/protocol.md §4.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import LineMalformed

_TITLE = "liuhen/receipt/v1"
_MAIN_BRANCH = "-"
_FIELDS = (
    "origin",
    "generation",
    "device",
    "epoch",
    "branch",
    "first_seq",
    "last_seq",
    "last_digest",
    "first_index",
    "server_ms",
    "clock",
)
_NUMBER = re.compile(r"\A(?:0|[1-9][0-9]{0,15})\Z")
_NUMBERS = frozenset(("generation", "first_seq", "last_seq", "first_index", "server_ms"))


@dataclass(frozen=True)
class Receipt:
    """What the server confirms: these lines, at these places of its ledger, at this time.

    ``branch`` is empty on the main chain, else the digest of the first divergent
    line. ``clock`` says whether the server's own clock was ``synchronised``,
    ``unsynchronised`` or ``unknown`` when it signed.
    """

    origin: str
    generation: int
    device: str
    epoch: str
    branch: str
    first_seq: int
    last_seq: int
    last_digest: str
    first_index: int
    server_ms: int
    clock: str

    def to_text(self) -> str:
        """The note text, ending in a newline."""
        rows = [_TITLE]
        for name in _FIELDS:
            value = getattr(self, name)
            if name == "branch" and not value:
                value = _MAIN_BRANCH
            rows.append("%s %s" % (name, value))
        return "\n".join(rows) + "\n"


def parse_receipt(text: str) -> Receipt:
    """Parse the text of a receipt note.

    Raises:
        LineMalformed: if a row is missing, added, reordered or of another form.
    """
    rows = text.split("\n")
    if len(rows) != len(_FIELDS) + 2 or rows[0] != _TITLE or rows[-1]:
        raise LineMalformed("receipt", "not a receipt of this version")
    values = {}
    for name, row in zip(_FIELDS, rows[1:]):
        label, _, value = row.partition(" ")
        if label != name or not value:
            raise LineMalformed("receipt." + name, "missing")
        if name in _NUMBERS and not _NUMBER.match(value):
            raise LineMalformed("receipt." + name, "a whole number")
        values[name] = int(value) if name in _NUMBERS else value
    if values["branch"] == _MAIN_BRANCH:
        values["branch"] = ""
    return Receipt(**values)  # type: ignore[arg-type]  # checked field by field above
