"""What a ledger hands to a witness: a checkpoint, and the proof that it only grew.

Implements the body of ``add-checkpoint`` of https://c2sp.org/tlog-witness, which
is also the file that travels to a witness without a network.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sync.errors import SyncError
from sync.evidence.merkle import HASH_BYTES

MAX_PATH = 63
#: A note with a hundred signatures and the longest proof stay below it.
MAX_BYTES = 1 << 16
PATH = "/add-checkpoint"
#: What a witness answers 409 with: its size, and nothing else.
SIZE_TYPE = "text/x.tlog.size"

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n?")


class SubmissionMalformed(SyncError):
    """What was handed to a witness is not the body of ``add-checkpoint``."""

    code = "witness.malformed"


@dataclass(frozen=True)
class Submission:
    """``path`` proves that the checkpoint in ``note`` begins with the tree of ``old_size``."""

    old_size: int
    path: tuple[bytes, ...]
    note: str


def format_submission(submission: Submission) -> bytes:
    """The bytes that :func:`parse_submission` reads back."""
    rows = [f"old {submission.old_size}", *(_base64(node) for node in submission.path), ""]
    return ("\n".join(rows) + "\n" + submission.note).encode()


def parse_submission(data: bytes) -> Submission:
    """Parse a body or file; the note in it is still to be read.

    Raises:
        SubmissionMalformed.
    """
    if len(data) > MAX_BYTES:
        raise SubmissionMalformed(f"longer than {MAX_BYTES} bytes")
    try:
        head, separator, note = data.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError as error:
        raise SubmissionMalformed("not UTF-8") from error
    first, *nodes = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not separator:
        raise SubmissionMalformed("an old size, a proof, an empty line and a checkpoint")
    if len(nodes) > MAX_PATH:
        raise SubmissionMalformed(f"more than {MAX_PATH} hashes")
    return Submission(int(old[1]), tuple(_node(node) for node in nodes), note)


def parse_size(data: bytes) -> int:
    """The size in a witness's 409.

    Raises:
        SubmissionMalformed.
    """
    match = _SIZE.fullmatch(data[:64].decode("ascii", "replace"))
    if match is None:
        raise SubmissionMalformed("a conflict that names no size")
    return int(match[1])


def signature_lines(note: str) -> Sequence[str]:
    """The signature lines in a witness's answer or file, each ending in a newline."""
    return [f"{row}\n" for row in note.split("\n") if row.startswith("\u2014 ")]


def _node(text: str) -> bytes:
    try:
        node = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SubmissionMalformed("a hash that is not base64") from error
    if len(node) != HASH_BYTES or _base64(node) != text:
        raise SubmissionMalformed("a hash of 32 bytes in base64")
    return node


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
