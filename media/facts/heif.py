"""Finds the EXIF item of an ISO-BMFF picture (HEIC, HEIF, AVIF) and reads it."""

from media.errors import Limit, Malformed, Truncated
from media.facts.block import FileBlock
from media.facts.boxes import Box, Boxes
from media.facts.model import Collector
from media.facts.tiff import read_tiff
from media.source import Window

_TABLE_LIMIT_BYTES = 64 * 1024
_EXTENT_LIMIT = 64


def read_heif(window: Window, into: Collector) -> None:
    """Collect the EXIF of the picture, which may stand anywhere in the file.

    Raises:
        Truncated, Malformed: where the box structure ends too early or contradicts itself.
        LimitReached: after 4,096 boxes, or when the read budget is spent.
    """
    boxes = Boxes(window, into)
    for box in boxes.top():
        if box.kind == b"meta":
            _pictures(boxes, box)
            return


def _pictures(boxes: Boxes, meta: Box) -> None:
    exif: int | None = None
    locations: Box | None = None
    inline: Box | None = None
    for box in boxes.children(meta, skip=4):
        if box.kind == b"iinf":
            exif = _exif_item(boxes, box)
        elif box.kind == b"iloc":
            locations = box
        elif box.kind == b"idat":
            inline = box
    if exif is None or locations is None:
        return
    pieces = _Locations(boxes, locations, inline).of(exif)
    if not pieces:
        raise Malformed("EXIF item without a place", offset=locations.start)
    block = FileBlock(boxes.window, pieces)
    head = block.read(0, 4)
    if len(head) < 4:
        raise Truncated(offset=pieces[0][0], wanted=4, got=len(head))
    read_tiff(block.after(4 + int.from_bytes(head, "big")), boxes.into)


def _exif_item(boxes: Boxes, iinf: Box) -> int | None:
    version = boxes.content(iinf, 1)[:1]
    for box in boxes.children(iinf, skip=6 if version == b"\0" else 8):
        if box.kind != b"infe":
            continue
        data = boxes.content(box, 16)
        wide = 4 if data[:1] == b"\x03" else 2
        if data[:1] in (b"\x02", b"\x03") and data[6 + wide : 10 + wide] == b"Exif":
            return int.from_bytes(data[4 : 4 + wide], "big")
    return None


class _Locations:
    """Parses ``iloc``, whose fields have widths that the file chooses."""

    def __init__(self, boxes: Boxes, box: Box, inline: Box | None) -> None:
        if box.size > _TABLE_LIMIT_BYTES:
            boxes.into.hit(Limit.BLOCK_SIZE)
        self._boxes = boxes
        self._box = box
        self._inline = inline
        self._data = boxes.content(box, _TABLE_LIMIT_BYTES)
        self._at = 4
        self._version = self._data[0] if self._data else 0

    def of(self, wanted: int) -> list[tuple[int, int]]:
        """The (offset in the file, length) of every extent of item ``wanted``."""
        widths = self._number(2)
        offset_width, length_width = widths >> 12, widths >> 8 & 15
        base_width = widths >> 4 & 15
        index_width = widths & 15 if self._version in (1, 2) else 0
        item_width = 4 if self._version == 2 else 2
        for _ in range(self._number(item_width)):
            item = self._number(item_width)
            method = self._number(2) & 15 if self._version in (1, 2) else 0
            self._number(2)
            base = self._number(base_width)
            extents = self._number(2)
            if extents > _EXTENT_LIMIT:
                self._boxes.into.hit(Limit.ENTRIES)
            pieces: list[tuple[int, int]] = []
            for i in range(extents):
                self._number(index_width)
                start = base + self._number(offset_width)
                length = self._number(length_width)
                if item == wanted and i < _EXTENT_LIMIT:
                    pieces.append(self._piece(method, start, length))
            if item == wanted:
                return pieces
        return []

    def _piece(self, method: int, start: int, length: int) -> tuple[int, int]:
        if method == 1 and self._inline is not None:
            return self._inline.start + start, length or self._inline.size
        return start, length or self._boxes.window.size - start

    def _number(self, width: int) -> int:
        data = self._data[self._at : self._at + width]
        if len(data) < width:
            raise Truncated(offset=self._box.start + self._at, wanted=width, got=len(data))
        self._at += width
        return int.from_bytes(data, "big")
