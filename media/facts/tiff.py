"""Reads the EXIF of a TIFF structure: only wanted tags, every IFD once, nothing interpreted.

Each bound below answers a file that kept other readers busy for half a minute or
filled their memory: loops of IFDs, thousands of pointers to one IFD, thousands of
tags over one large value, a count of 10^9.
"""

import struct
from collections.abc import Mapping
from typing import Literal

from media.errors import Limit, Malformed, Truncated
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import Block, FileBlock
from media.facts.iptc import read_iptc, read_resources
from media.facts.model import Collector, text_of
from media.facts.xmp import read_xmp
from media.source import Window

BLOCK_LIMIT_BYTES = 1024 * 1024
ENTRY_LIMIT = 1024
VALUE_LIMIT_BYTES = 4096
SECOND_EXIF = "File:SecondExif"

#: ASCII, undefined and (Exif 3.0) UTF-8.
_TEXTS = (2, 7, 129)
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_CODES = {
    1: "B",
    3: "H",
    4: "I",
    5: "I",
    6: "b",
    8: "h",
    9: "i",
    10: "i",
    11: "f",
    12: "d",
    13: "I",
}
_RATIONALS = (5, 10)
_IDENTIFIER = b"Exif\0\0"

_POINTERS = {0x8769: "ExifIFD", 0x8825: "GPS"}
_XMP, _IPTC, _RESOURCES = 0x02BC, 0x83BB, 0x8649
#: Blocks of other kinds in a TIFF file, and the name under which their presence is kept.
_EMBEDDED = {_XMP: "TIFF:XMP", _IPTC: "", _RESOURCES: "Photoshop:IRB"}

_IMAGE_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0112: "Orientation",
    0x0131: "Software",
    0x0132: "ModifyDate",
    0x013B: "Artist",
    0xC612: "DNGVersion",
}
_EXIF_TAGS = {
    0x9003: "DateTimeOriginal",
    0x9004: "CreateDate",
    0x9010: "OffsetTime",
    0x9011: "OffsetTimeOriginal",
    0x9012: "OffsetTimeDigitized",
    0x927C: "MakerNote",
    0x9290: "SubSecTime",
    0x9291: "SubSecTimeOriginal",
    0x9292: "SubSecTimeDigitized",
    0xA002: "ExifImageWidth",
    0xA003: "ExifImageHeight",
    0xA420: "ImageUniqueID",
    0x9286: "UserComment",
    0xA431: "BodySerialNumber",
}
_GPS_TAGS = {
    0x0001: "GPSLatitudeRef",
    0x0002: "GPSLatitude",
    0x0003: "GPSLongitudeRef",
    0x0004: "GPSLongitude",
    0x0005: "GPSAltitudeRef",
    0x0006: "GPSAltitude",
    0x0007: "GPSTimeStamp",
    0x0012: "GPSMapDatum",
    0x001B: "GPSProcessingMethod",
    0x001D: "GPSDateStamp",
    0x001F: "GPSHPositioningError",
}
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 0x0201, 0x0202

#: Of each directory the names of its wanted tags, as they are printed, and those that lead on.
_NAMES: Mapping[str, Mapping[int, str]] = {
    group: {tag: f"{group}:{name}" for tag, name in tags.items()}
    for group, tags in (
        # Some raw formats keep the EXIF tags in the first IFD (TIFF/EP).
        ("IFD0", {**_IMAGE_TAGS, **_EXIF_TAGS}),
        ("ExifIFD", _EXIF_TAGS),
        ("GPS", _GPS_TAGS),
        ("IFD1", {}),
    )
}
_SPECIAL: Mapping[str, frozenset[int]] = {
    "IFD0": frozenset({*_POINTERS, *_EMBEDDED}),
    "ExifIFD": frozenset(_POINTERS),
    "GPS": frozenset(),
    "IFD1": frozenset({*_POINTERS, _THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH}),
}
_DESCRIPTION = "IFD0:ImageDescription"
#: Of a maker's note only the presence is kept, of a comment only a label of generated content.
_NOTES = frozenset({"IFD0:MakerNote", "ExifIFD:MakerNote"})
_UNKEPT = _NOTES | {"IFD0:UserComment", "ExifIFD:UserComment"}

_Order = tuple[Literal["little", "big"], str, struct.Struct]
_ORDERS: Mapping[bytes, _Order] = {
    b"II": ("little", "<", struct.Struct("<HHII")),
    b"MM": ("big", ">", struct.Struct(">HHII")),
}


def read_tiff(block: Block, into: Collector, *, group: str = "IFD0") -> None:
    """Collect the wanted tags of ``block``, which starts with a TIFF header.

    ``group`` is what its first directory is: some raw formats keep each in a block of its own.

    Faults of single values are noted and passed over.

    Raises:
        Malformed: if there is no TIFF header.
        Truncated: if the header or an IFD is cut off.
        LimitReached: when the read budget is spent.
    """
    if block.size > BLOCK_LIMIT_BYTES:
        into.hit(Limit.BLOCK_SIZE)
    _Reader(block, into).walk(group)


def without_identifier(block: Block) -> Block:
    """An EXIF block without the identifier of JPEG, which some writers put there everywhere."""
    identified = block.read(0, len(_IDENTIFIER)) == _IDENTIFIER
    return block.after(len(_IDENTIFIER)) if identified else block


def read_exif(block: Block, into: Collector) -> None:
    """As ``read_tiff`` for the EXIF of a container, which a broken one costs nothing else.

    Raises:
        LimitReached: when the read budget is spent.
    """
    try:
        read_tiff(without_identifier(block), into)
    except (Truncated, Malformed) as error:
        into.fault(error)


def note_second_exif(into: Collector, *, offset: int, size: int) -> None:
    """Note a block that is not read: other programs may show the times and places of that one."""
    if not into.has(SECOND_EXIF):
        into.add(SECOND_EXIF, "", offset=offset, size=size)


def read_tiff_file(window: Window, into: Collector) -> None:
    """As ``read_tiff`` for a file that is a TIFF structure as a whole; tells DNG from TIFF."""
    _Reader(FileBlock(window, [(0, window.size)]), into).walk("IFD0")
    if into.type == "TIFF" and into.has("IFD0:DNGVersion"):
        into.type, into.mime = "DNG", "image/x-adobe-dng"


class _Reader:
    def __init__(self, block: Block, into: Collector) -> None:
        self._block = block
        self._near = block.near()
        self._size = block.size
        self._into = into
        self._seen: set[int] = set()
        self._pointers: dict[str, int] = {}
        self._thumbnail: dict[int, int] = {}
        head = self._exactly(0, 8)
        if head[:2] not in _ORDERS:
            raise Malformed("no TIFF header", offset=block.locate(0))
        self._order, self._mark, self._entry = _ORDERS[head[:2]]
        self._first = int.from_bytes(head[4:], self._order)

    def walk(self, first: str) -> None:
        second = self._directory(first, self._first)
        for group in ("ExifIFD", "GPS"):
            if group in self._pointers:
                self._guarded(group, self._pointers[group])
        if second:
            # A broken thumbnail directory is common in edited files and costs nothing else.
            self._guarded("IFD1", second)
        if len(self._thumbnail) == 2:
            at, size = self._thumbnail[_THUMBNAIL_OFFSET], self._thumbnail[_THUMBNAIL_LENGTH]
            self._into.add("IFD1:ThumbnailImage", "", offset=self._block.locate(at), size=size)

    def _guarded(self, group: str, at: int) -> None:
        try:
            self._directory(group, at)
        except (Truncated, Malformed) as error:
            self._into.fault(error)

    def _directory(self, group: str, at: int) -> int:
        """Read one IFD; return where its successor stands, or 0."""
        if at in self._seen:
            self._into.hit(Limit.IFD_REPEATED)
            return 0
        self._seen.add(at)
        count = int.from_bytes(self._exactly(at, 2), self._order)
        if count > ENTRY_LIMIT:
            self._into.hit(Limit.ENTRIES)
        held = min(count, ENTRY_LIMIT)
        entries = self._read(at + 2, 12 * held)
        names, special = _NAMES[group], _SPECIAL[group]
        done: set[int] = set()
        number = len(entries) // 12
        tags = struct.unpack(f"{self._mark}{'H10x' * number}", entries[: 12 * number])
        for i, tag in enumerate(tags):
            if tag in names:
                if tag not in done:
                    done.add(tag)
                    self._value(names[tag], at + 2 + 12 * i, entries[12 * i : 12 * i + 12])
            elif tag in special:
                self._special(tag, entries[12 * i : 12 * i + 12])
        if len(entries) < 12 * held:
            raise Truncated(offset=self._block.locate(at), wanted=12 * held, got=len(entries))
        if count > held or group != "IFD0":
            return 0
        following = self._read(at + 2 + 12 * held, 4)
        return int.from_bytes(following, self._order) if len(following) == 4 else 0

    def _special(self, tag: int, entry: bytes) -> None:
        """An entry that leads to a directory, to a thumbnail or to a block of another kind."""
        _, kind, number, at = self._entry.unpack(entry)
        if tag in _POINTERS:
            group = _POINTERS[tag]
            if group in self._pointers:
                self._into.hit(Limit.SUB_IFDS)
            else:
                self._pointers[group] = at
        elif tag in _EMBEDDED:
            self._embedded(tag, _SIZES.get(kind, 1) * number, at)
        else:
            self._thumbnail[tag] = at

    def _embedded(self, tag: int, size: int, at: int) -> None:
        """XMP, IPTC dates and Photoshop resources that stand in a TIFF structure of their own."""
        if not 4 < size <= self._size - at:
            return
        block = self._block.part(at, size)
        name = _EMBEDDED[tag]
        if name and not self._into.has(name):
            self._into.add(name, "", offset=block.locate(0), size=size)
        if tag == _XMP:
            read_xmp(block, self._into)
        elif tag == _IPTC:
            read_iptc(block, self._into)
        else:
            read_resources(block, self._into)

    def _value(self, tag: str, place: int, entry: bytes) -> None:
        """Collect the value of the ``entry`` at ``place``, which holds it if it is short."""
        _, kind, number, at = self._entry.unpack(entry)
        size = _SIZES.get(kind, 0) * number
        if size <= 4:
            at = place + 8
        if kind not in _SIZES:
            where = self._block.locate(place + 8)
            self._into.fault(Malformed(f"{tag} of type {kind}", offset=where))
        elif size > VALUE_LIMIT_BYTES and tag not in _UNKEPT:
            self._into.hit(Limit.VALUE_SIZE)
        elif at + size > self._size:
            held = max(0, self._size - at)
            where = self._block.locate(min(at, self._size))
            self._into.fault(Truncated(offset=where, wanted=size, got=held))
        elif tag in _UNKEPT:
            self._look(tag, at, size)
        else:
            data = self._exactly(at, size)
            offset = self._block.locate(at)
            raw = text_of(data) if kind in _TEXTS else self._numbers(kind, number, data)
            self._into.add(tag, raw, offset=offset, size=size)
            if tag == _DESCRIPTION:
                note_label(data, self._into, offset=offset)

    def _look(self, tag: str, at: int, size: int) -> None:
        """Keep that there is a maker's note, and of a comment a label of generated content."""
        offset = self._block.locate(at)
        if tag in _NOTES:
            self._into.add(tag, "", offset=offset, size=size)
        else:
            data = self._exactly(at, min(size, LABEL_LIMIT_BYTES))
            note_label(data, self._into, offset=offset)

    def _numbers(self, kind: int, number: int, data: bytes) -> str:
        """Numbers as text, fractions as ``a/b``, with a space between them."""
        mark, code = self._mark, _CODES[kind]
        if kind not in _RATIONALS:
            return " ".join(map(str, struct.unpack(f"{mark}{number}{code}", data)))
        parts = map(str, struct.unpack(f"{mark}{2 * number}{code}", data))
        return " ".join(f"{top}/{next(parts)}" for top in parts)

    def _read(self, offset: int, n: int) -> bytes:
        data = self._near[offset : offset + n]
        return data if len(data) == n else self._block.read(offset, n)

    def _exactly(self, offset: int, n: int) -> bytes:
        data = self._near[offset : offset + n]
        if len(data) < n:
            data = self._block.read(offset, n)
        if len(data) < n:
            raise Truncated(offset=self._block.locate(offset), wanted=n, got=len(data))
        return data
