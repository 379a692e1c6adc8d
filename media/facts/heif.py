"""Finds the EXIF and XMP items of an ISO-BMFF picture (HEIC, HEIF, AVIF) and reads them."""

import struct

from media.errors import Limit, Malformed, Truncated
from media.facts.block import FileBlock
from media.facts.boxes import Box, Boxes
from media.facts.model import Collector
from media.facts.movie import C2PA_UUID
from media.facts.tiff import read_tiff
from media.facts.xmp import read_xmp
from media.source import Window

_TABLE_LIMIT_BYTES = 64 * 1024
_EXTENT_LIMIT = 64


def read_heif(window: Window, into: Collector) -> None:
    """Collect EXIF, XMP and size of the picture; its metadata may stand anywhere in the file.

    Raises:
        Truncated, Malformed: where the box structure ends too early or contradicts itself.
        LimitReached: after 4,096 boxes, or when the read budget is spent.
    """
    boxes = Boxes(window, into)
    for box in boxes.top():
        if box.kind == b"uuid" and window.read(box.start, 16) == C2PA_UUID:
            into.add("HEIF:JUMBF", "", offset=box.start, size=box.size)
        if box.kind == b"meta":
            _pictures(boxes, box)
            return


def _pictures(boxes: Boxes, meta: Box) -> None:
    items: dict[bytes, int] = {}
    locations: Box | None = None
    inline: Box | None = None
    for box in boxes.children(meta, skip=4):
        if box.kind == b"iinf":
            items = _items(boxes, box)
        elif box.kind == b"iprp":
            _largest_size(boxes, box)
        elif box.kind == b"iloc":
            locations = box
        elif box.kind == b"idat":
            inline = box
    if locations is None:
        return
    if b"mime" in items:
        pieces = _Locations(boxes, locations, inline).of(items[b"mime"])
        if pieces:
            boxes.into.add("HEIF:XMP", "", offset=pieces[0][0], size=sum(n for _, n in pieces))
            read_xmp(FileBlock(boxes.window, pieces), boxes.into)
    if b"Exif" in items:
        _exif(boxes, _Locations(boxes, locations, inline).of(items[b"Exif"]), locations)


def _exif(boxes: Boxes, pieces: list[tuple[int, int]], locations: Box) -> None:
    if not pieces:
        raise Malformed("EXIF item without a place", offset=locations.start)
    block = FileBlock(boxes.window, pieces)
    head = block.read(0, 4)
    if len(head) < 4:
        raise Truncated(offset=pieces[0][0], wanted=4, got=len(head))
    read_tiff(block.after(4 + int.from_bytes(head, "big")), boxes.into)


def _items(boxes: Boxes, iinf: Box) -> dict[bytes, int]:
    """The first item of type ``Exif`` and the first that is XMP (of type ``mime``)."""
    found: dict[bytes, int] = {}
    version = boxes.content(iinf, 1)[:1]
    for box in boxes.children(iinf, skip=6 if version == b"\0" else 8):
        if box.kind != b"infe":
            continue
        data = boxes.content(box, 64)
        wide = 4 if data[:1] == b"\x03" else 2
        kind = data[6 + wide : 10 + wide]
        if data[:1] not in (b"\x02", b"\x03") or kind in found:
            continue
        if kind == b"Exif" or (kind == b"mime" and b"application/rdf+xml" in data):
            found[kind] = int.from_bytes(data[4 : 4 + wide], "big")
    return found


def _largest_size(boxes: Boxes, properties: Box) -> None:
    """The size of the picture is the largest among those of its tiles, thumbnails and itself."""
    best: tuple[int, int, int] | None = None
    for container in boxes.children(properties):
        if container.kind != b"ipco":
            continue
        for box in boxes.children(container):
            if box.kind == b"ispe" and box.size >= 12:
                width, height = struct.unpack(">II", boxes.content(box, 12)[4:])
                if best is None or width * height > best[0] * best[1]:
                    best = (width, height, box.start + 4)
    if best is not None:
        boxes.into.add("File:ImageSize", f"{best[0]} {best[1]}", offset=best[2], size=8)


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
