"""A fork proof: two checkpoints of one ledger that one append-only tree cannot have given.

Whoever holds it shows, offline and to anyone, that the holder of the ledger's
key signed two histories (docs/evidence.md §5). A failing consistency proof alone
shows nothing, since the fault may be the proof's; so one of three things is asked:

- *roots*: both checkpoints have one size and different roots;
- *start*: the larger tree, by a consistency proof that holds, begins with another
  root than the smaller checkpoint says;
- *leaf*: both trees, by inclusion proofs that hold, have different leaves in one place.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from . import merkle
from .checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from .errors import SyncError
from .merkle import ProofInvalid
from .note import VerifierKey, parse_note

FORMAT = "liuhen/fork/v1"
MAX_BYTES = 1 << 18
_HASH = re.compile(r"\A[0-9a-f]{64}\Z")

Path = Tuple[bytes, ...]
#: The 32-byte entry of a leaf and its inclusion path.
Included = Tuple[bytes, Path]


class ForkMalformed(SyncError):
    """A file is not a fork proof of this version."""

    code = "fork.malformed"


class ForkUnproved(SyncError):
    """What is shown as a fork proof proves none."""

    code = "fork.unproved"


@dataclass(frozen=True)
class OtherStart:
    """The larger tree begins with ``root`` at the smaller checkpoint's size, by ``path``."""

    root: bytes
    path: Path


@dataclass(frozen=True)
class OtherLeaf:
    """What stands at ``index`` in the tree of the first note and in that of the second."""

    index: int
    first: Included
    second: Included


@dataclass(frozen=True)
class ForkProof:
    """Two signed checkpoints, and what shows that they contradict each other."""

    first: str
    second: str
    start: Optional[OtherStart] = None
    leaf: Optional[OtherLeaf] = None


@dataclass(frozen=True)
class Fork:
    """What a proof proves: sizes of both checkpoints, and ``roots``, ``start`` or ``leaf``."""

    origin: str
    first_size: int
    second_size: int
    basis: str


def check_fork(proof: ForkProof, keys: Iterable[VerifierKey]) -> Fork:
    """What ``proof`` proves about the ledger whose keys are ``keys``.

    Raises:
        ForkUnproved: if it proves no fork.
        NoteMalformed, NoteForged, NoteUnsigned: if a note is not signed by one of ``keys``.
    """
    known = tuple(keys)
    first, second = _opened(proof.first, known), _opened(proof.second, known)
    if first.origin != second.origin:
        raise ForkUnproved("checkpoints of two ledgers")
    try:
        basis = _contradiction(proof, first, second)
    except ProofInvalid as error:
        raise ForkUnproved(str(error)) from error
    return Fork(first.origin, first.size, second.size, basis)


def _opened(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    return open_checkpoint(note, keys)[0]


def _contradiction(proof: ForkProof, first: Checkpoint, second: Checkpoint) -> str:
    if first.size == second.size:
        if first.root == second.root:
            raise ForkUnproved("one checkpoint twice")
        return "roots"
    if proof.start is not None:
        small, large = sorted((first, second), key=lambda checkpoint: checkpoint.size)
        merkle.verify_consistency(
            first=small.size,
            second=large.size,
            first_root=proof.start.root,
            second_root=large.root,
            path=proof.start.path,
        )
        if proof.start.root == small.root:
            raise ForkUnproved("the larger tree begins with the smaller")
        return "start"
    if proof.leaf is None:
        raise ForkUnproved("nothing that shows the contradiction")
    for checkpoint, (entry, path) in ((first, proof.leaf.first), (second, proof.leaf.second)):
        merkle.verify_inclusion(
            merkle.leaf_hash(entry),
            index=proof.leaf.index,
            size=checkpoint.size,
            path=path,
            root=checkpoint.root,
        )
    if proof.leaf.first[0] == proof.leaf.second[0]:
        raise ForkUnproved("one leaf twice")
    return "leaf"


def find_fork(
    first: str,
    second: str,
    *,
    first_leaves: Mapping[int, Included],
    second_leaves: Mapping[int, Included],
) -> Optional[ForkProof]:
    """A proof from two notes and the leaves that are known under each; None if nothing shows one.

    Nothing is checked: what is found goes to :func:`check_fork`.

    Raises:
        NoteMalformed: if a note holds no checkpoint.
    """
    one, other = (parse_checkpoint(parse_note(note).text) for note in (first, second))
    if one.origin != other.origin:
        return None
    if one.size == other.size:
        return ForkProof(first, second) if one.root != other.root else None
    for index in sorted(set(first_leaves) & set(second_leaves)):
        if first_leaves[index][0] != second_leaves[index][0]:
            leaf = OtherLeaf(index, first_leaves[index], second_leaves[index])
            return ForkProof(first, second, leaf=leaf)
    return None


def format_fork(proof: ForkProof) -> str:
    """The file, which people can read: JSON, one value a line."""
    value: Dict[str, Any] = {"format": FORMAT, "first": proof.first, "second": proof.second}
    if proof.start is not None:
        value["start"] = {"root": proof.start.root.hex(), "path": _hex(proof.start.path)}
    if proof.leaf is not None:
        value["leaf"] = {
            "index": proof.leaf.index,
            "first": _included(proof.leaf.first),
            "second": _included(proof.leaf.second),
        }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def parse_fork(data: bytes) -> ForkProof:
    """Parse a fork proof file; further members are left to whoever put them in.

    Raises:
        ForkMalformed.
    """
    if len(data) > MAX_BYTES:
        raise ForkMalformed("longer than %d bytes" % MAX_BYTES)
    try:
        value = json.loads(data.decode("utf-8"))
        if not isinstance(value, dict) or value["format"] != FORMAT:
            raise ForkMalformed("of another format")
        start, leaf = value.get("start"), value.get("leaf")
        return ForkProof(
            _text(value["first"]),
            _text(value["second"]),
            start=None if start is None else OtherStart(_hash(start["root"]), _path(start)),
            leaf=None if leaf is None else _leaf(leaf),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ForkMalformed("a member is missing or of another form") from error


def _leaf(value: Mapping[str, Any]) -> OtherLeaf:
    index = value["index"]
    if type(index) is not int or index < 0:
        raise ValueError("index")
    first, second = value["first"], value["second"]
    return OtherLeaf(
        index,
        (_hash(first["entry"]), _path(first)),
        (_hash(second["entry"]), _path(second)),
    )


def _included(included: Included) -> Dict[str, Any]:
    return {"entry": included[0].hex(), "path": _hex(included[1])}


def _hex(path: Path) -> Sequence[str]:
    return [node.hex() for node in path]


def _path(value: Mapping[str, Any]) -> Path:
    path = value["path"]
    if not isinstance(path, list) or len(path) > 64:
        raise ValueError("path")
    return tuple(_hash(node) for node in path)


def _hash(value: object) -> bytes:
    if not isinstance(value, str) or not _HASH.match(value):
        raise ValueError("not a digest")
    return bytes.fromhex(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")
    return value
