"""C2SP ``tlog-proof``: one leaf, its way to the root and the checkpoint, in one text file.

Implements https://c2sp.org/tlog-proof. The entry itself is not part of the format; ours
travels in the ``extra`` line, which nothing authenticates but the proof over it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Tuple

from .errors import SyncError
from .merkle import HASH_BYTES

SUFFIX = ".tlog-proof"
_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"\Aindex (0|[1-9][0-9]{0,18})\Z")


class ProofMalformed(SyncError):
    """A text is not a C2SP tlog-proof."""

    code = "ledger.proof_malformed"


@dataclass(frozen=True)
class TlogProof:
    """The proof of leaf ``index``; ``checkpoint`` is the signed note, verbatim."""

    index: int
    path: Tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""


def format_proof(proof: TlogProof) -> str:
    """The text of the file."""
    rows = [_FIRST]
    if proof.extra:
        rows.append("extra " + _to_base64(proof.extra))
    rows.append("index %d" % proof.index)
    rows.extend(_to_base64(node) for node in proof.path)
    return "\n".join(rows) + "\n\n" + proof.checkpoint


def parse_proof(text: str) -> TlogProof:
    """Take the text apart; neither the path nor the checkpoint is looked at.

    Raises:
        ProofMalformed.
    """
    head, separator, checkpoint = text.partition("\n\n")
    rows = head.split("\n")
    if rows.pop(0) != _FIRST or not separator or not rows:
        raise ProofMalformed("not %s" % _FIRST)
    extra = b""
    if rows[0].startswith("extra "):
        extra = _from_base64(rows.pop(0)[len("extra ") :])
    index = _INDEX.match(rows.pop(0)) if rows else None
    if index is None:
        raise ProofMalformed("no index")
    path = tuple(_from_base64(row) for row in rows)
    if any(len(node) != HASH_BYTES for node in path):
        raise ProofMalformed("a hash that is not 32 bytes")
    return TlogProof(int(index.group(1)), path, checkpoint, extra)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProofMalformed("not base64") from error
    if _to_base64(data) != text:
        raise ProofMalformed("not base64")
    return data
