"""Finds the EXIF and XMP items of an ISO-BMFF picture (HEIC, HEIF, AVIF) and reads them."""

import struct

from media.errors import Limit, Malformed, Truncated
from media.facts.block import FileBlock
from media.facts.boxes import Box, Boxes
from media.facts.model import Collector
from media.facts.movie import C2PA_UUID
from media.facts.tiff import note_second_exif, read_tiff
from media.facts.xmp import read_xmp
from media.source import Window

_TABLE_LIMIT_BYTES = 64 * 1024
_EXTENT_LIMIT = 64
#: How many items of one kind are kept.
_ITEM_LIMIT = 16


def read_heif(window: Window, into: Collector) -> None:
    """Collect EXIF, XMP and size of the picture; its metadata may stand anywhere in the file.

    Raises:
        Truncated, Malformed: where the box structure ends too early or contradicts itself.
        LimitReached: after 4,096 boxes, or when the read budget is spent.
    """
    boxes = Boxes(window, into)
    read = False
    for box in boxes.top():
        if box.kind == b"uuid" and window.read(box.start, 16) == C2PA_UUID:
            if not into.has("HEIF:JUMBF"):
                into.add("HEIF:JUMBF", "", offset=box.start, size=box.size)
        elif box.kind == b"meta" and not read:
            read = True
            boxes.few_more()
            boxes.guarded(_pictures, box)


def _pictures(boxes: Boxes, meta: Box) -> None:
    items: dict[bytes, list[int]] = {}
    locations: Box | None = None
    inline: Box | None = None
    for box in boxes.children(meta, skip=4):
        if box.kind == b"iinf":
            items = _items(boxes, box)
        elif box.kind == b"iprp":
            boxes.guarded(_largest_size, box)
        elif box.kind == b"iloc":
            locations = box
        elif box.kind == b"idat":
            inline = box
    if locations is None or not items:
        return
    packets, blocks = items.get(b"mime", []), items.get(b"Exif", [])
    places = _Locations(boxes, locations, inline).of({*packets, *blocks[:2]})
    for item in packets:
        _xmp(boxes, places.get(item, []))
    for item in blocks[1:2]:
        for start, size in places.get(item, [])[:1]:
            note_second_exif(boxes.into, offset=start, size=size)
    if blocks:
        _exif(boxes, places.get(blocks[0], []), locations)


def _xmp(boxes: Boxes, pieces: list[tuple[int, int]]) -> None:
    if pieces:
        size = sum(length for _, length in pieces)
        if not boxes.into.has("HEIF:XMP"):
            boxes.into.add("HEIF:XMP", "", offset=pieces[0][0], size=size)
        read_xmp(FileBlock(boxes.window, pieces), boxes.into)


def _exif(boxes: Boxes, pieces: list[tuple[int, int]], locations: Box) -> None:
    if not pieces:
        raise Malformed("EXIF item without a place", offset=locations.start)
    block = FileBlock(boxes.window, pieces)
    head = block.read(0, 4)
    if len(head) < 4:
        raise Truncated(offset=pieces[0][0], wanted=4, got=len(head))
    read_tiff(block.after(4 + int.from_bytes(head, "big")), boxes.into)


def _items(boxes: Boxes, iinf: Box) -> dict[bytes, list[int]]:
    """The items of type ``Exif`` and those that are XMP (of type ``mime``), the first few."""
    found: dict[bytes, list[int]] = {}
    version = boxes.content(iinf, 1)[:1]
    for box in boxes.children(iinf, skip=6 if version == b"\0" else 8):
        if box.kind != b"infe":
            continue
        data = boxes.content(box, 64)
        wide = 4 if data[:1] == b"\x03" else 2
        kind = data[6 + wide : 10 + wide]
        if data[:1] not in (b"\x02", b"\x03"):
            continue
        if kind == b"Exif" or (kind == b"mime" and b"application/rdf+xml" in data):
            known = found.setdefault(kind, [])
            if len(known) == _ITEM_LIMIT:
                boxes.into.hit(Limit.ENTRIES)
            else:
                known.append(int.from_bytes(data[4 : 4 + wide], "big"))
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
    """Parses ``iloc``, whose fields have widths that the file chooses, zero among them."""

    def __init__(self, boxes: Boxes, box: Box, inline: Box | None) -> None:
        if box.size > _TABLE_LIMIT_BYTES:
            boxes.into.hit(Limit.BLOCK_SIZE)
        self._boxes = boxes
        self._box = box
        self._inline = inline
        self._data = boxes.content(box, _TABLE_LIMIT_BYTES)
        self._at = 4
        self._version = self._data[0] if self._data else 0

    def of(self, wanted: set[int]) -> dict[int, list[tuple[int, int]]]:
        """The (offset in the file, length) of every extent of each item of ``wanted``.

        Of a table that is cut off, what stands before the cut.
        """
        found: dict[int, list[tuple[int, int]]] = {}
        try:
            self._walk(wanted, found)
        except Truncated as error:
            self._boxes.into.fault(error)
        return found

    def _walk(self, wanted: set[int], found: dict[int, list[tuple[int, int]]]) -> None:
        widths = self._number(2)
        numbered = self._version in (1, 2)
        self._widths = (widths & 15 if numbered else 0, widths >> 12, widths >> 8 & 15)
        base_width = widths >> 4 & 15
        item_width = 4 if self._version == 2 else 2
        # How it is stored, which file holds it (always this one), base, number of extents.
        method_width = 2 if numbered else 0
        rest = method_width + 2 + base_width + 2
        for _ in range(self._number(item_width)):
            item, head = self._number(item_width), self._bytes(rest)
            extents = int.from_bytes(head[-2:], "big")
            if extents > _EXTENT_LIMIT:
                self._boxes.into.hit(Limit.ENTRIES)
            if item in wanted and item not in found:
                inline = numbered and head[1] & 15 == 1
                base = int.from_bytes(head[-2 - base_width : -2], "big")
                taken = min(extents, _EXTENT_LIMIT)
                found[item] = [self._extent(base, inline=inline) for _ in range(taken)]
                if len(found) == len(wanted):
                    return
                extents -= taken
            # At once: extents without width would be counted for ever, and hold nothing.
            self._at += extents * sum(self._widths)

    def _extent(self, base: int, *, inline: bool) -> tuple[int, int]:
        _, start, length = (self._number(width) for width in self._widths)
        start += base
        if inline and self._inline is not None:
            return self._inline.start + start, length or self._inline.size
        return start, length or self._boxes.window.size - start

    def _number(self, width: int) -> int:
        return int.from_bytes(self._bytes(width), "big")

    def _bytes(self, n: int) -> bytes:
        data = self._data[self._at : self._at + n]
        if len(data) < n:
            raise Truncated(offset=self._box.start + self._at, wanted=n, got=len(data))
        self._at += n
        return data
