"""Walks the boxes of ISO-BMFF files, wherever they stand, within fixed bounds."""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from media.errors import Limit, LimitReached, Malformed, Truncated
from media.facts.model import Collector
from media.source import Window

BOX_LIMIT = 4096
DEPTH_LIMIT = 6
#: How many boxes are looked at behind the one with the metadata: editors put theirs there.
_MORE_LIMIT = 64
_HEAD = struct.Struct(">I4s")


class Box(NamedTuple):
    """One box: its four-byte kind and where its content begins and ends in the file."""

    kind: bytes
    start: int
    end: int
    depth: int

    @property
    def size(self) -> int:
        """Length of the content in bytes."""
        return self.end - self.start


class Boxes:
    """Opens boxes level by level and counts all of them against one bound."""

    def __init__(self, window: Window, into: Collector) -> None:
        self.window = window
        self.into = into
        self._left = BOX_LIMIT
        self._top_left = BOX_LIMIT
        #: Kinds of boxes that are not read a second time.
        self.read_once: set[bytes] = set()
        #: Units per second of the movie header, 0 before it was read.
        self.scale = 0

    def top(self) -> Iterator[Box]:
        """The boxes of the file itself."""
        for box in self._within(0, self.window.size, depth=0):
            if self._top_left == 0:
                raise LimitReached(Limit.BOXES, offset=box.start)
            if box.kind == b"moof" and self._top_left <= _MORE_LIMIT:
                return
            self._top_left -= 1
            yield box

    def few_more(self) -> None:
        """Say that what is wanted most was found, and only what may follow it is missing.

        Of a recording in fragments nothing is: what it says of itself stands before them.
        """
        self._top_left = min(self._top_left, _MORE_LIMIT)

    def guarded(self, read: "Callable[[Boxes, Box], None]", box: Box) -> None:
        """Read a box that, if it is broken, costs itself only."""
        try:
            read(self, box)
        except (Truncated, Malformed) as error:
            self.into.fault(error)

    def children(self, parent: Box, *, skip: int = 0) -> Iterator[Box]:
        """The boxes inside ``parent``, after ``skip`` bytes of fields of its own."""
        if parent.depth + 1 >= DEPTH_LIMIT:
            raise LimitReached(Limit.DEPTH, offset=parent.start)
        return self._within(parent.start + skip, parent.end, depth=parent.depth + 1)

    def content(self, box: Box, limit: int) -> bytes:
        """The first ``limit`` bytes inside ``box``, or all if it holds fewer."""
        return self.window.exactly(box.start, min(box.size, limit))

    def _within(self, at: int, end: int, *, depth: int) -> Iterator[Box]:
        while at + 8 <= end:
            if self._left == 0:
                raise LimitReached(Limit.BOXES, offset=at)
            self._left -= 1
            size, kind = _HEAD.unpack(self.window.exactly(at, 8))
            head = 8
            if size == 1:
                (size,) = struct.unpack(">Q", self.window.exactly(at + 8, 8))
                head = 16
            elif size == 0:
                if depth:
                    # QuickTime ends the list of user data with a zero.
                    return
                size = end - at
            if size < head:
                raise Malformed(f"box {kind!r} of size {size}", offset=at)
            if at + size > end:
                self.into.fault(Truncated(offset=at, wanted=size, got=end - at))
            yield Box(kind=kind, start=at + head, end=min(at + size, end), depth=depth)
            at += size
