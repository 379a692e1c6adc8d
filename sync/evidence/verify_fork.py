"""``liuhen-verify --fork``: whether two checkpoints show that the ledger was forked.

Exit codes: 0 the fork is proved, 1 it is not, 2 there is nothing to check or no key.
"""

from __future__ import annotations

import sys
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from .errors import SyncError
from .fork import (
    ForkMalformed,
    ForkProof,
    ForkUnproved,
    Included,
    check_fork,
    find_fork,
    format_fork,
    parse_fork,
)
from .note import VerifierKey, parse_verifier_key
from .package import CHECKPOINT, INCLUSION, KEYS, PackageMalformed
from .record_reading import parse_inclusion, parse_keys
from .verifier_claims import first_line, shown
from .verifier_source import (
    EntryUnreadable,
    PackageUnusable,
    Source,
    open_source,
    read,
    read_lines,
)

Texts = Mapping[str, Mapping[str, str]]

PROVED, UNPROVED, UNUSABLE = 0, 1, 2


def judge_fork(
    path: str,
    against: Optional[str],
    keys: Sequence[VerifierKey],
    texts: Texts,
    lang: str,
    *,
    as_json: bool,
) -> int:
    """Judge the proof in the file ``path``, or the packages ``path`` and ``against``.

    Keys that are enclosed in a package are used where none was brought, and said so.
    With ``as_json`` a proof that holds is printed, to be kept and shown.
    """

    def say(name: str, **values: object) -> None:
        said = {name: shown(str(value)) for name, value in values.items()}
        sys.stderr.write(texts["verify.fork." + name][lang].format(**said) + "\n")

    try:
        proof, enclosed = _proof(path, against)
        if not (keys or enclosed):
            say("no_key")
            return UNUSABLE
        if proof is None:
            say("none_found")
            return UNPROVED
        fork = check_fork(proof, keys or enclosed)
    except ForkUnproved as error:
        say("unproved", reason=first_line(error))
        return UNPROVED
    except (ForkMalformed, PackageMalformed, PackageUnusable, EntryUnreadable, OSError) as error:
        say("unusable", reason=first_line(error))
        return UNUSABLE
    except SyncError as error:
        say("not_signed", reason=first_line(error))
        return UNPROVED
    say("proved", origin=fork.origin, first=fork.first_size, second=fork.second_size)
    say("basis_" + fork.basis)
    if not keys:
        say("as_enclosed", key=str(enclosed[0]))
    if as_json:
        sys.stdout.write(format_fork(proof))
    return PROVED


def _proof(path: str, against: Optional[str]) -> Tuple[Optional[ForkProof], List[VerifierKey]]:
    if against is None:
        with open(path, "rb") as file:
            return parse_fork(file.read(1 << 20)), []
    sides = [open_source(path), open_source(against)]
    notes = [read(side, CHECKPOINT).decode("utf-8", "replace") for side in sides]
    first, second = (_leaves(side) for side in sides)
    enclosed = [parse_verifier_key(parse_keys(read(sides[0], KEYS)).ledger)]
    proof = find_fork(notes[0], notes[1], first_leaves=first, second_leaves=second)
    return proof, enclosed


def _leaves(source: Source) -> Dict[int, Included]:
    leaves = {}
    for line in read_lines(source, INCLUSION):
        record = parse_inclusion(line)
        leaves[record.index] = (record.entry, tuple(record.path))
    return leaves
