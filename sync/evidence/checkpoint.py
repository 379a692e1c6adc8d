"""C2SP ``tlog-checkpoint``: the text that the ledger's signed notes carry.

Implements https://c2sp.org/tlog-checkpoint: origin, tree size, base64 root
hash, then optional extension lines.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Iterable, List, Tuple

from .merkle import HASH_BYTES
from .note import NoteMalformed, VerifierKey, open_note, parse_note

_SIZE = re.compile(r"\A(?:0|[1-9][0-9]{0,18})\Z")


@dataclass(frozen=True)
class Checkpoint:
    """The state of a ledger: its name, its number of leaves, its 32-byte root."""

    origin: str
    size: int
    root: bytes
    extensions: Tuple[str, ...] = ()


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The note text, ending in a newline.

    Raises:
        NoteMalformed: if the values cannot be spoken in this format.
    """
    root = base64.b64encode(checkpoint.root).decode("ascii")
    rows = [checkpoint.origin, str(checkpoint.size), root, *checkpoint.extensions]
    text = "\n".join(rows) + "\n"
    if parse_checkpoint(text) != checkpoint:
        raise NoteMalformed("not a checkpoint")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse a note's text.

    Raises:
        NoteMalformed: if it is not a checkpoint.
    """
    rows = text.split("\n")
    if len(rows) < 4 or rows[-1] or not all(rows[:-1]):
        raise NoteMalformed("a checkpoint has at least three lines, none empty")
    origin, size, encoded = rows[:3]
    if not _SIZE.match(size):
        raise NoteMalformed("a tree size is a decimal number")
    try:
        root = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteMalformed("a root that is not base64") from error
    if len(root) != HASH_BYTES or base64.b64encode(root).decode("ascii") != encoded:
        raise NoteMalformed("a root of 32 bytes")
    return Checkpoint(origin, int(size), root, tuple(rows[3:-1]))


def open_checkpoint(note: str, keys: Iterable[VerifierKey]) -> Tuple[Checkpoint, List[VerifierKey]]:
    """The checkpoint in a signed note, and which of ``keys`` signed it.

    A key speaks for the ledger whose name it bears: who knows the keys of several
    bureaus believes none of them about another's ledger.

    Raises:
        NoteMalformed: if it is no note, or holds no checkpoint.
        NoteForged: if a signature in a known key's name does not verify.
        NoteUnsigned: if no key of that ledger signed it.
    """
    checkpoint = parse_checkpoint(parse_note(note).text)
    _, signers = open_note(note, [key for key in keys if key.name == checkpoint.origin])
    return checkpoint, signers
