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
#: No ledger changes its key more often; whoever makes a package must not keep its reader waiting.
MAX_ENDORSEMENTS = 100


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
    left = list(endorsements[:MAX_ENDORSEMENTS])
    # It grows while it is walked: each key that is reached may lead on.
    for key in reached:
        for note in list(left):
            named = _endorsed(note, key)
            if named is None:
                continue
            left.remove(note)
            if named not in reached:
                reached.append(named)
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


def _endorsed(note: str, key: VerifierKey) -> Optional[VerifierKey]:
    """The key that ``note`` names, if ``key`` signed it."""
    try:
        signed = parse_note(note)
        named = named_key(signed)
        names = {name for name, _ in signed.signatures}
        open_note(note, [VerifierKey(name, key.public_key) for name in names])
    except SyncError:
        return None
    return named
