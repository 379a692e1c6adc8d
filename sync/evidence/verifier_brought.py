"""Step 10, with ``--checkpoint``: states of the ledger that the user kept from elsewhere.

From an earlier package, an earlier visit, a printed sheet: the enclosed checkpoint
must have grown out of each, or each out of it. Whoever rewrote the ledger between
the two, even with its own key, is found out here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, Iterator, Optional, Sequence, Tuple

from . import merkle
from .checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from .errors import SyncError
from .note import VerifierKey, parse_note
from .package import CHECKPOINT, INCLUSION
from .record_reading import parse_inclusion
from .verifier_claims import Book, first_line
from .verifier_journal import Journal
from .verifier_ledger import Trust
from .verifier_source import EntryUnreadable, Source, open_source, read, read_lines

_MAX_NOTE_BYTES = 1 << 16
_TILE_LEAVES = 256

#: The hash of the complete subtree at (level, position), where it is known.
Nodes = Dict[Tuple[int, int], bytes]


@dataclass(frozen=True)
class Brought:
    """A checkpoint from outside; ``source`` is the package that it lies in, if in one."""

    name: str
    checkpoint: Checkpoint
    source: Optional[Source]


def check_brought(
    book: Book,
    source: Source,
    trust: Trust,
    journal: Journal,
    *,
    paths: Sequence[str],
    tiles: Optional[str],
) -> None:
    """Hold the enclosed checkpoint against those in ``paths``: notes, packages or folders.

    Args:
        tiles: a folder with the ledger's tiles (tlog-tiles), from which the root at
            every size follows; without it, only what the packages prove.
    """
    for path in paths:
        name = os.path.basename(path.rstrip("/\\"))
        try:
            brought = _open(name, path, trust)
        except (OSError, UnicodeDecodeError, SyncError) as error:
            book.failed("outside.checkpoint_bad", file=name, reason=first_line(error))
            continue
        if trust.checkpoint is None:
            book.not_checked("outside.checkpoint_unproved", file=name, size=brought.checkpoint.size)
        elif brought.checkpoint.origin != trust.checkpoint.origin:
            book.not_checked(
                "outside.checkpoint_elsewhere", file=name, origin=brought.checkpoint.origin
            )
        else:
            _compare(book, brought, trust.checkpoint, source, journal, tiles)


def _open(name: str, path: str, trust: Trust) -> Brought:
    source: Optional[Source] = None
    if os.path.isdir(path) or _is_zip(path):
        source = open_source(path)
        data = read(source, CHECKPOINT)
    else:
        with open(path, "rb") as file:
            data = file.read(_MAX_NOTE_BYTES)
    note = data.decode("utf-8")
    # A ledger that was restored goes on under another name with the same keys.
    origin = parse_checkpoint(parse_note(note).text).origin
    again = [VerifierKey(origin, key.public_key) for key in trust.ledger_keys]
    checkpoint, _ = open_checkpoint(note, [*trust.known_keys, *again])
    return Brought(name, checkpoint, source)


def _is_zip(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _compare(
    book: Book,
    brought: Brought,
    enclosed: Checkpoint,
    source: Source,
    journal: Journal,
    tiles: Optional[str],
) -> None:
    """Find the root that the larger tree has at the smaller one's size, and compare."""
    theirs = brought.checkpoint
    small, large = sorted((theirs, enclosed), key=lambda point: point.size)
    values = {"file": brought.name, "size": theirs.size, "enclosed": enclosed.size}
    root: Optional[bytes] = large.root if small.size == large.size else None
    if root is None and large is enclosed:
        # Every anchor in a journal has its proof; this may be one of them.
        roots = [text for size, text in journal.proved_anchors if size == small.size]
        root = bytes.fromhex(roots[0]) if roots else _root_by_proofs(source, large, small.size)
    elif root is None and brought.source is not None:
        root = _root_by_proofs(brought.source, large, small.size)
    if root is None and tiles is not None:
        root = _root_by_tiles(tiles, large, small.size)
    if root is None:
        book.not_checked("outside.checkpoint_unproved", file=brought.name, size=theirs.size)
    elif root == small.root:
        book.passed("outside.checkpoint_consistent", **values)
    else:
        book.failed("outside.checkpoint_forked", **values)


def _root_by_proofs(source: Source, large: Checkpoint, size: int) -> Optional[bytes]:
    """The root at ``size``, if the inclusion proofs of a package happen to tell it."""
    nodes: Nodes = {}
    try:
        for line in read_lines(source, INCLUSION):
            _learn(nodes, line, large)
    except EntryUnreadable:
        return None  # named by the ledger's step
    return merkle.known_root(size, nodes)


def _learn(nodes: Nodes, line: bytes, large: Checkpoint) -> None:
    """All complete subtrees that one proof vouches for, if it holds."""
    try:
        record = parse_inclusion(line)
        leaf = merkle.leaf_hash(record.entry)
        merkle.verify_inclusion(
            leaf, index=record.index, size=large.size, path=record.path, root=large.root
        )
    except SyncError:
        return  # named by the ledger's step
    nodes[0, record.index] = leaf
    ranges = merkle.path_ranges(large.size, record.index)
    for (start, end), sibling in zip(ranges, record.path):
        length = end - start
        if not length & (length - 1):
            nodes[length.bit_length() - 1, start // length] = sibling


def _root_by_tiles(folder: str, large: Checkpoint, size: int) -> Optional[bytes]:
    """The root at ``size`` from the ledger's tiles, if these give the larger root too."""
    tree = merkle.CompactRange()
    root: Optional[bytes] = tree.root() if size == 0 else None
    try:
        for leaf in _leaves(folder, large.size):
            tree.append(leaf)
            if tree.size == size:
                root = tree.root()
    except OSError:
        return None
    return root if (tree.size, tree.root()) == (large.size, large.root) else None


def _leaves(folder: str, size: int) -> Iterator[bytes]:
    for number in range((size + _TILE_LEAVES - 1) // _TILE_LEAVES):
        count = min(_TILE_LEAVES, size - number * _TILE_LEAVES)
        with open(_tile_path(folder, number, count), "rb") as file:
            data = file.read(_TILE_LEAVES * merkle.HASH_BYTES)
        for start in range(0, count * merkle.HASH_BYTES, merkle.HASH_BYTES):
            yield data[start : start + merkle.HASH_BYTES]


def _tile_path(folder: str, number: int, count: int) -> str:
    """A tile's file; of a partial one the fullest that is there, since it only grows."""
    groups = ["%03d" % (number % 1000)]
    while number >= 1000:
        number //= 1000
        groups.append("x%03d" % (number % 1000))
    path = os.path.join(folder, "tile", "0", *reversed(groups))
    if os.path.isfile(path):
        return path
    widths = [name for name in os.listdir(path + ".p") if name.isdigit() and int(name) >= count]
    return os.path.join(path + ".p", max(widths, key=int)) if widths else path
