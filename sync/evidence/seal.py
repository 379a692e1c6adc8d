"""What a seal (定稿锁定) covers: what it lists, and every line before a journal head it names.

A device knows the digests of its own files and, of a fellow officer's device,
the journal head that was exchanged. Such a head fixes all lines before it, so
what they announced is sealed too (docs/protocol.md §4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, Mapping, Tuple

#: Says whether (device, epoch, seq) of the main chain holds the line with this digest.
IsHead = Callable[[str, str, int, str], bool]

#: The last sealed ``seq`` of each chain, by (device, epoch).
Reach = Dict[Tuple[str, str], int]


@dataclass(frozen=True)
class Seal:
    """The digests that a seal lists, and the heads (device, epoch, seq, digest) it names."""

    listed: FrozenSet[str]
    heads: Tuple[Tuple[str, str, int, str], ...]

    def reach(self, is_head: IsHead) -> Reach:
        """How far each chain is sealed; a head that no line answers to seals nothing."""
        reach = {}  # type: Reach
        for device, epoch, seq, digest in self.heads:
            if is_head(device, epoch, seq, digest):
                reach[device, epoch] = max(seq, reach.get((device, epoch), -1))
        return reach

    def covers(self, digest: str, *, device: str, epoch: str, seq: int, reach: Reach) -> bool:
        """Whether what the line at this place announced under ``digest`` is sealed."""
        return digest in self.listed or seq <= reach.get((device, epoch), -1)


def read_seal(act: Mapping[str, Any]) -> Seal:
    """The seal in an ``inspection.sealed`` act; entries of another form seal nothing."""
    listed = [
        digest
        for name in ("media", "revisions")
        for digest in act.get(name, ())
        if isinstance(digest, str)
    ]
    heads = []
    for head in act.get("heads", ()):
        if isinstance(head, dict):
            place = tuple(head.get(name) for name in ("device", "epoch", "seq", "head"))
            if [type(value) for value in place] == [str, str, int, str]:
                heads.append(place)
    return Seal(frozenset(listed), tuple(heads))  # type: ignore[arg-type]  # checked above
