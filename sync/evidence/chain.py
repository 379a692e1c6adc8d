"""Walking a chain of journal lines: places without holes, each line naming the one before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable

from .errors import ChainBroken, SequenceGap, WrongPlace
from .line import GENESIS, Line


@dataclass(frozen=True)
class Head:
    """Where a chain stands: the next free ``seq`` and the digest that its line must name."""

    device: str
    epoch: str
    next_seq: int = 0
    digest: str = GENESIS


def advance(head: Head, line: Line) -> Head:
    """Return the head after ``line``.

    Raises:
        WrongPlace: for a line of another device or epoch.
        SequenceGap: if its ``seq`` is not the next one.
        ChainBroken: if its ``prev`` is not the head's digest.
    """
    header = line.header
    if (header.device, header.epoch) != (head.device, head.epoch):
        raise WrongPlace(device=header.device, epoch=header.epoch, seq=header.seq)
    if header.seq != head.next_seq:
        raise SequenceGap(expected=head.next_seq, got=header.seq)
    if header.prev != head.digest:
        raise ChainBroken(seq=header.seq, expected=head.digest, got=header.prev)
    return Head(head.device, head.epoch, head.next_seq + 1, line.digest)


def verify_chain(lines: Iterable[Line], *, head: Head) -> Head:
    """Walk ``lines`` oldest first from ``head`` (docs/protocol.md §4.1).

    Raises:
        WrongPlace, SequenceGap, ChainBroken: at the first line out of place.
            Nothing after it has been looked at.
    """
    for line in lines:
        head = advance(head, line)
    return head
