"""RFC 6962 Merkle trees: hashing, appending, and the two proofs.

A tree is known by its *complete subtrees*: the node at (level, position) covers
the 2^level leaves from position·2^level on, and never changes once it exists.
Verifying follows RFC 9162 §2.1.3.2 and §2.1.4.2, with the traps of empty trees
and hashes of other lengths closed.
"""

from __future__ import annotations

import hashlib
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from .errors import SyncError

#: Returns the 32-byte hash of the complete subtree at (level, position).
GetNode = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


class ProofInvalid(SyncError):
    """A Merkle proof does not lead to the root that it should."""

    code = "ledger.proof_invalid"


def leaf_hash(entry: bytes) -> bytes:
    # Leaves and nodes are hashed under different prefixes, so that one can
    # never be passed off as the other (RFC 6962 §2.1).
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The right edge of a growing tree: all that appending needs.

    Args:
        size: number of leaves so far.
        edge: hashes of the complete subtrees that cover them, largest first.
    """

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        if len(edge) != bin(size).count("1"):
            raise ValueError("a tree of %d leaves has another edge" % size)
        self.size = size
        self.edge = list(edge)

    def append(self, leaf: bytes) -> List[Tuple[int, int, bytes]]:
        """Append one leaf hash; return the new complete nodes as (level, position, hash)."""
        position, level, node = self.size, 0, leaf
        nodes = [(level, position, node)]
        while position & 1:
            node = node_hash(self.edge.pop(), node)
            level, position = level + 1, position >> 1
            nodes.append((level, position, node))
        self.edge.append(node)
        self.size += 1
        return nodes

    def root(self) -> bytes:
        return _fold(self.edge)


def root(size: int, get_node: GetNode) -> bytes:
    """The root of the first ``size`` leaves."""
    return _fold([get_node(level, position) for level, position in _cover(0, size)])


def inclusion_proof(size: int, index: int, get_node: GetNode) -> List[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves (RFC 6962 §2.1.1).

    Raises:
        ValueError: if there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("no leaf %d in a tree of %d" % (index, size))
    start, end = 0, size
    path = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, get_node))
            end = middle
        else:
            path.append(_range_root(start, middle, get_node))
            start = middle
    return path[::-1]


def path_ranges(size: int, index: int) -> List[Tuple[int, int]]:
    """Which leaves, from and to (exclusive), each hash of an audit path covers."""
    start, end = 0, size
    ranges = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def known_root(size: int, nodes: Mapping[Tuple[int, int], bytes]) -> Optional[bytes]:
    """The root of the first ``size`` leaves, if it follows from the subtrees in ``nodes``."""

    def find(level: int, position: int) -> Optional[bytes]:
        node = nodes.get((level, position))
        if node is None and level:
            left = find(level - 1, 2 * position)
            right = find(level - 1, 2 * position + 1) if left is not None else None
            node = node_hash(left, right) if left is not None and right is not None else None
        return node

    edge = [find(level, position) for level, position in _cover(0, size)]
    known = [node for node in edge if node is not None]
    return _fold(known) if len(known) == len(edge) else None


def consistency_proof(first: int, second: int, get_node: GetNode) -> List[bytes]:
    """The proof that the tree of ``second`` leaves begins with that of ``first`` (§2.1.2).

    Empty when ``first`` is 0 or equals ``second``.

    Raises:
        ValueError: if ``first`` is larger.
    """
    if not 0 <= first <= second:
        raise ValueError("a tree of %d leaves does not begin with %d" % (second, first))
    if first in (0, second):
        return []
    start, end, known = 0, second, True
    path = []
    while end != first:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(_range_root(middle, end, get_node))
            end = middle
        else:
            path.append(_range_root(start, middle, get_node))
            start, known = middle, False
    if not known:
        path.append(_range_root(start, end, get_node))
    return path[::-1]


def root_from_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that ``path`` leads to from the leaf hash ``leaf``.

    Raises:
        ProofInvalid: if the path cannot be one for this leaf of a tree of ``size``.
    """
    _check_hashes([leaf, *path])
    if not 0 <= index < size:
        raise ProofInvalid("no leaf %d in a tree of %d" % (index, size))
    node, last = leaf, size - 1
    for sibling in path:
        if not last:
            raise ProofInvalid("the path is too long")
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise ProofInvalid("the path is too short")
    return node


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf hash ``leaf`` is leaf ``index`` of the tree.

    Raises:
        ProofInvalid.
    """
    if root_from_inclusion(leaf, index=index, size=size, path=path) != root:
        raise ProofInvalid("the path leads to another root")


class InclusionChecker:
    """Checks many inclusion proofs under one root; what they share is hashed only once.

    A node that an earlier proof has led to the root needs no second way up, if the
    rest of the path is the same to the byte: so it judges as :func:`verify_inclusion`.
    """

    def __init__(self, size: int, root: bytes) -> None:
        self._size = size
        self._root = root
        #: (level, position) of a proved node: its hash, and the path from there on.
        self._proved: Dict[Tuple[int, int], Tuple[bytes, Tuple[bytes, ...]]] = {}

    def check(self, leaf: bytes, *, index: int, path: Tuple[bytes, ...]) -> None:
        """Check that the leaf hash ``leaf`` is leaf ``index`` of the tree.

        Raises:
            ProofInvalid.
        """
        if len(leaf) != HASH_BYTES or not 0 <= index < self._size:
            verify_inclusion(leaf, index=index, size=self._size, path=path, root=self._root)
        proved, sha256 = self._proved, hashlib.sha256
        node, position, last, level = leaf, index, self._size - 1, 0
        walked: List[Tuple[Tuple[int, int], bytes, int]] = []
        for used, sibling in enumerate(path):
            known = proved.get((level, position))
            if known is not None and known[0] == node and known[1] == path[used:]:
                break
            if not last or len(sibling) != HASH_BYTES:
                raise ProofInvalid("a path of another length, or of no hashes")
            walked.append(((level, position), node, used))
            if position & 1 or position == last:
                node = sha256(b"\x01" + sibling + node).digest()
                while position and not position & 1:
                    position, last, level = position >> 1, last >> 1, level + 1
            else:
                node = sha256(b"\x01" + node + sibling).digest()
            position, last, level = position >> 1, last >> 1, level + 1
        else:
            if last:
                raise ProofInvalid("the path is too short")
            if node != self._root:
                raise ProofInvalid("the path leads to another root")
        # No other proof comes by this leaf, so it is not worth remembering.
        for place, proved_node, used in walked[1:]:
            proved[place] = (proved_node, path[used:])


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, path: Sequence[bytes]
) -> None:
    """Check that the tree of ``second`` leaves begins with that of ``first``.

    Every tree begins with the empty one, whose root must then be the empty root.

    Raises:
        ProofInvalid.
    """
    if not 0 <= first <= second:
        raise ProofInvalid("the tree has shrunk")
    if first == 0 and first_root != EMPTY_ROOT:
        raise ProofInvalid("not the root of the empty tree")
    if path and first in (0, second):
        raise ProofInvalid("the path is too long")
    if first == second:
        if first_root != second_root:
            raise ProofInvalid("two roots for one tree")
        return
    _check_hashes([first_root, second_root, *path])
    if first == 0:
        return
    got_first, got_second = _walk_consistency(first, second, first_root, list(path))
    if got_first != first_root:
        raise ProofInvalid("the path leads to another first root")
    if got_second != second_root:
        raise ProofInvalid("the path leads to another second root")


def start_of_path(*, first: int, second: int, root: bytes, path: Sequence[bytes]) -> bytes:
    """With what root of ``first`` leaves the tree with this ``root`` begins, as ``path`` has it.

    Not for sizes that are powers of two: there the path leaves that root to the reader.

    Raises:
        ProofInvalid: if ``path`` does not lead to ``root``.
    """
    _check_hashes([root, *path])
    if not 0 < first < second or first & (first - 1) == 0:
        raise ProofInvalid("a path without its start")
    start, end = _walk_consistency(first, second, b"", list(path))
    if end != root:
        raise ProofInvalid("the path leads to another second root")
    return start


def _walk_consistency(
    first: int, second: int, first_root: bytes, path: List[bytes]
) -> Tuple[bytes, bytes]:
    # A first tree that is one complete subtree is itself the start of the path.
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise ProofInvalid("the path is too short")
    index, last = first - 1, second - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if not last:
            raise ProofInvalid("the path is too long")
        if index & 1 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise ProofInvalid("the path is too short")
    return old, new


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise ProofInvalid("a hash that is not 32 bytes")


def _split(size: int) -> int:
    """The largest power of two below ``size`` (≥ 2)."""
    return 1 << ((size - 1).bit_length() - 1)


def _cover(start: int, end: int) -> List[Tuple[int, int]]:
    """The complete subtrees that cover [start, end), largest first; ``start`` must align."""
    cover = []
    while start < end:
        level = (end - start).bit_length() - 1
        cover.append((level, start >> level))
        start += 1 << level
    return cover


def _range_root(start: int, end: int, get_node: GetNode) -> bytes:
    return _fold([get_node(level, position) for level, position in _cover(start, end)])


def _fold(edge: Sequence[bytes]) -> bytes:
    """Join subtrees, largest first, into one root."""
    if not edge:
        return EMPTY_ROOT
    node = edge[-1]
    for left in reversed(edge[:-1]):
        node = node_hash(left, node)
    return node
