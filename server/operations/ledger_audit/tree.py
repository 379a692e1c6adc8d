"""Rebuilding the tree from what is stored, leaf by leaf, and naming what does not fit.

A pure function of its inputs. Every stored hash is compared with what follows from
below it; where the two differ, the hash above tells which one the tree was built on,
so that a changed row is told from a changed neighbour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync.evidence import merkle

#: Level and position of a complete subtree.
Place = tuple[int, int]


@dataclass(frozen=True)
class Misfit:
    """A place of the tree and what is wrong with it; ``kind`` is one of

    - ``event``: the event is not the one behind its leaf;
    - ``leaf``, ``node``: the stored hash is not the one that the tree was built on;
    - ``leaf_missing``, ``node_missing``: it is not stored any more;
    - ``below``: what stands under this node fits together, but the tree was built on others.
    """

    kind: str
    level: int
    position: int


@dataclass(frozen=True)
class _Tip:
    level: int
    position: int
    #: As it stands in the table; None if it is not there.
    stored: bytes | None
    #: As it follows from what stands below; None if that is not there.
    computed: bytes | None

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """What this subtree's hash may be, the stored one first."""
        return tuple(dict.fromkeys(one for one in (self.stored, self.computed) if one is not None))


class TreeCheck:
    """Walks the leaves in order; only the right edge is kept in memory.

    Args:
        start: how many leaves come before; they are taken as they are stored.
        edge: the stored hashes of the subtrees that cover them, largest first.
    """

    def __init__(self, start: int, edge: Sequence[bytes | None]) -> None:
        self.size = start
        self._tips = [
            _Tip(level, position, node, None)
            for (level, position), node in zip(cover(start), edge, strict=True)
        ]

    def add(
        self, stored: bytes | None, computed: bytes | None, nodes: Mapping[Place, bytes]
    ) -> list[Misfit]:
        """Take the next leaf; ``nodes`` are the stored ones that it completes, among others.

        ``computed`` is the leaf's hash as its event has it; None where that was erased.
        """
        misfits: list[Misfit] = []
        tip = _Tip(0, self.size, stored, computed)
        while tip.position & 1:
            left = self._tips.pop()
            above = nodes.get((tip.level + 1, tip.position >> 1))
            pair = _pair_under(above, left, tip)
            for child, chosen in zip((left, tip), pair or (None, None), strict=True):
                misfits += _judge(child, chosen)
            follows = merkle.node_hash(*pair) if pair else _computed(left, tip)
            tip = _Tip(tip.level + 1, tip.position >> 1, above, follows)
        self._tips.append(tip)
        self.size += 1
        return misfits

    def leads_to(self, root: bytes) -> bool:
        """Whether ``root`` is that of the leaves so far, as stored or as follows from below."""
        for choice in (0, -1):
            edge = [tip.hashes[choice] for tip in self._tips if tip.hashes]
            whole = len(edge) == len(self._tips)
            if whole and merkle.CompactRange(self.size, edge).root() == root:
                return True
        return False

    def settle(self, edge: Sequence[bytes] = ()) -> list[Misfit]:
        """Name what nothing above has decided; ``edge`` is the right edge where it is known."""
        known = edge if len(edge) == len(self._tips) else [None] * len(self._tips)
        return [
            misfit
            for tip, above in zip(self._tips, known, strict=True)
            for misfit in _judge(tip, above if above in tip.hashes else None)
        ]


def cover(size: int) -> list[Place]:
    """The complete subtrees of a tree of ``size`` leaves, largest first."""
    places, start = [], 0
    while start < size:
        level = (size - start).bit_length() - 1
        places.append((level, start >> level))
        start += 1 << level
    return places


def leaves_of(misfit: Misfit) -> tuple[int, int]:
    """The first and the last leaf under the place."""
    first = misfit.position << misfit.level
    return first, first + (1 << misfit.level) - 1


def _pair_under(above: bytes | None, left: _Tip, right: _Tip) -> tuple[bytes, bytes] | None:
    """Those hashes of both that the node ``above`` was built on."""
    for one in left.hashes:
        for other in right.hashes:
            if merkle.node_hash(one, other) == above:
                return one, other
    return None


def _computed(left: _Tip, right: _Tip) -> bytes | None:
    if left.hashes and right.hashes:
        return merkle.node_hash(left.hashes[0], right.hashes[0])
    return None


def _judge(tip: _Tip, chosen: bytes | None) -> list[Misfit]:
    """What is wrong with ``tip``, given which of its hashes the tree was built on, if known."""
    name = "node" if tip.level else "leaf"
    if tip.stored is None:
        kind = f"{name}_missing"
    elif tip.computed is None or tip.stored == tip.computed:
        return []
    elif chosen == tip.computed:
        kind = name
    elif chosen == tip.stored:
        kind = "below" if tip.level else "event"
    else:
        kind = name if tip.level else "event"
    return [Misfit(kind, tip.level, tip.position)]
