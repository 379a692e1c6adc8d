"""Which key takes over the ledger from which: each new one is named by the one before it.

The old key signs a note that names its successor. So whoever knows any key that the
ledger ever had comes to the present one without asking anybody (docs/evidence.md §5).
"""

from __future__ import annotations

from typing import Iterable, List, Optional, Sequence

from . import canonical
from .errors import SyncError
from .note import SignedNote, VerifierKey, open_note, parse_note, parse_verifier_key

_FIRST = "liuhen/ledger-key/v1"


def endorsement_text(key: VerifierKey) -> str:
    """What the old key signs to name ``key`` as the next one."""
    return "%s\n%s\n" % (_FIRST, key)


def named_key(signed: SignedNote) -> VerifierKey:
    """The key that an endorsement names, whoever signed it.

    Raises:
        SyncError: if it is none.
    """
    rows = signed.text.split("\n")
    if len(rows) != 3 or rows[0] != _FIRST or rows[2]:
        raise SyncError("no endorsement of a ledger's key")
    return parse_verifier_key(rows[1])


def successors(known: Iterable[VerifierKey], endorsements: Sequence[str]) -> List[VerifierKey]:
    """The keys to which ``endorsements`` lead from ``known``, those known first.

    What does not hold leads nowhere. A key counts under every name: the bureau goes on
    with the same keys when its ledger gets a new one.
    """
    reached = list(known)
    left = list(endorsements)
    moved = True
    while moved:
        moved = False
        for note in list(left):
            key = _endorsed(note, reached)
            if key is None:
                continue
            left.remove(note)
            moved = True
            if key not in reached:
                reached.append(key)
    return reached


def succession_line(note: str) -> bytes:
    """One line of ``proofs/ledger-keys.ndjson``, without the newline."""
    return canonical.dumps({"note": note})


def read_succession(lines: Iterable[bytes]) -> List[str]:
    """The endorsements in ``proofs/ledger-keys.ndjson``; what is none of them is left out."""
    notes = []
    for line in lines:
        try:
            found = canonical.loads(line)
        except SyncError:
            continue
        if isinstance(found, dict) and isinstance(found.get("note"), str):
            notes.append(found["note"])
    return notes


def _endorsed(note: str, reached: Sequence[VerifierKey]) -> Optional[VerifierKey]:
    """The key that ``note`` names, if one of ``reached`` signed it."""
    try:
        signed = parse_note(note)
        key = named_key(signed)
        names = {name for name, _ in signed.signatures}
        open_note(note, [VerifierKey(name, one.public_key) for name in names for one in reached])
    except SyncError:
        return None
    return key
