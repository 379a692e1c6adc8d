"""Reads the EXIF of a TIFF structure: only wanted tags, every IFD once, nothing interpreted.

Each bound below answers a file that kept other readers busy for half a minute or
filled their memory: loops of IFDs, thousands of pointers to one IFD, thousands of
tags over one large value, a count of 10^9.
"""

import struct
from collections.abc import Mapping

from media.errors import Limit, Malformed, Truncated
from media.facts.aigc import note_label
from media.facts.block import Block, FileBlock
from media.facts.iptc import read_iptc, read_resources
from media.facts.model import Collector, text_of
from media.facts.xmp import read_xmp
from media.source import Window

BLOCK_LIMIT_BYTES = 1024 * 1024
ENTRY_LIMIT = 1024
VALUE_LIMIT_BYTES = 4096

_ASCII, _UNDEFINED, _UTF8 = 2, 7, 129
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

_EXIF_POINTER, _GPS_POINTER = 0x8769, 0x8825
_MAKER_NOTE = 0x927C
_XMP, _IPTC, _RESOURCES = 0x02BC, 0x83BB, 0x8649

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
    _MAKER_NOTE: "MakerNote",
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
#: Texts that are kept only if they are a label of generated content.
_LABEL_TAGS = frozenset({0x010E, 0x9286})

_WANTED: Mapping[str, Mapping[int, str]] = {
    # Some raw formats keep the EXIF tags in the first IFD (TIFF/EP).
    "IFD0": {**_IMAGE_TAGS, **_EXIF_TAGS},
    "ExifIFD": _EXIF_TAGS,
    "GPS": _GPS_TAGS,
    "IFD1": {},
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


def read_tiff_file(window: Window, into: Collector) -> None:
    """As ``read_tiff`` for a file that is a TIFF structure as a whole; tells DNG from TIFF."""
    _Reader(FileBlock(window, [(0, window.size)]), into).walk()
    if into.type == "TIFF" and into.has("IFD0:DNGVersion"):
        into.type, into.mime = "DNG", "image/x-adobe-dng"


class _Reader:
    def __init__(self, block: Block, into: Collector) -> None:
        self._block = block
        self._into = into
        self._seen: set[int] = set()
        self._pointers: dict[str, int] = {}
        self._thumbnail: dict[int, int] = {}
        head = self._exactly(0, 8)
        match head[:2]:
            case b"II":
                self._order = "<"
            case b"MM":
                self._order = ">"
            case _:
                raise Malformed("no TIFF header", offset=block.locate(0))
        self._entry = struct.Struct(self._order + "HHII")
        self._first = self._number("I", head[4:8])

    def walk(self, first: str = "IFD0") -> None:
        second = self._directory(first, self._first)
        for group in ("ExifIFD", "GPS"):
            if group in self._pointers:
                try:
                    self._directory(group, self._pointers[group])
                except (Truncated, Malformed) as error:
                    self._into.fault(error)
        if second:
            try:
                self._directory("IFD1", second)
            except (Truncated, Malformed) as error:
                # A broken thumbnail directory is common in edited files and costs nothing else.
                self._into.fault(error)
        if len(self._thumbnail) == 2:
            at, size = self._thumbnail[_THUMBNAIL_OFFSET], self._thumbnail[_THUMBNAIL_LENGTH]
            self._into.add("IFD1:ThumbnailImage", "", offset=self._block.locate(at), size=size)

    def _embedded(self, tag: int, size: int, at: int) -> None:
        """XMP, IPTC dates and Photoshop resources that stand in a TIFF structure of their own."""
        if not isinstance(self._block, FileBlock) or not 4 < size <= self._block.size - at:
            return
        block = FileBlock(self._block.window, [(self._block.locate(at), size)])
        if tag == _XMP:
            self._into.add("TIFF:XMP", "", offset=block.locate(0), size=size)
            read_xmp(block, self._into)
        elif tag == _IPTC:
            read_iptc(block, size, self._into)
        else:
            self._into.add("Photoshop:IRB", "", offset=block.locate(0), size=size)
            read_resources(block, self._into)

    def _directory(self, group: str, at: int) -> int:
        """Read one IFD; return where its successor stands, or 0."""
        if at in self._seen:
            self._into.hit(Limit.IFD_REPEATED)
            return 0
        self._seen.add(at)
        count = self._number("H", self._exactly(at, 2))
        if count > ENTRY_LIMIT:
            self._into.hit(Limit.ENTRIES)
        held = min(count, ENTRY_LIMIT)
        entries = self._block.read(at + 2, 12 * held)
        wanted = _WANTED[group]
        done: set[int] = set()
        whole = entries[: len(entries) // 12 * 12]
        for i, (tag, kind, number, slot) in enumerate(self._entry.iter_unpack(whole)):
            if tag in wanted:
                if tag not in done:
                    done.add(tag)
                    where = at + 2 + 12 * i + 8
                    self._value(f"{group}:{wanted[tag]}", kind, number, where, tag)
            elif group == "IFD1" and tag in (_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH):
                self._thumbnail[tag] = slot
            elif group == "IFD0" and tag in (_XMP, _IPTC, _RESOURCES):
                self._embedded(tag, _SIZES.get(kind, 1) * number, slot)
            elif tag in (_EXIF_POINTER, _GPS_POINTER) and group != "GPS":
                self._follow(tag, slot)
        if len(entries) < 12 * held:
            raise Truncated(offset=self._block.locate(at), wanted=12 * held, got=len(entries))
        if count > held or group != "IFD0":
            return 0
        following = self._block.read(at + 2 + 12 * held, 4)
        return self._number("I", following) if len(following) == 4 else 0

    def _follow(self, tag: int, at: int) -> None:
        group = "ExifIFD" if tag == _EXIF_POINTER else "GPS"
        if group in self._pointers:
            self._into.hit(Limit.SUB_IFDS)
        else:
            self._pointers[group] = at

    def _value(self, tag: str, kind: int, number: int, slot: int, code: int) -> None:
        """Collect one value whose four-byte slot stands at ``slot``."""
        presence_only = code == _MAKER_NOTE
        if kind not in _SIZES:
            self._into.fault(Malformed(f"{tag} of type {kind}", offset=self._block.locate(slot)))
            return
        size = _SIZES[kind] * number
        if size > VALUE_LIMIT_BYTES and not presence_only:
            self._into.hit(Limit.VALUE_SIZE)
            return
        at = slot if size <= 4 else self._number("I", self._exactly(slot, 4))
        if at + size > self._block.size:
            self._into.fault(
                Truncated(
                    offset=self._block.locate(min(at, self._block.size)),
                    wanted=size,
                    got=max(0, self._block.size - at),
                )
            )
            return
        data = b"" if presence_only else self._exactly(at, size)
        if code in _LABEL_TAGS:
            note_label(data, self._into, offset=self._block.locate(at))
        if tag == "ExifIFD:UserComment":
            return
        self._into.add(
            tag, self._text(kind, number, data), offset=self._block.locate(at), size=size
        )

    def _text(self, kind: int, number: int, data: bytes) -> str:
        if kind in (_ASCII, _UNDEFINED, _UTF8) or not data:
            return text_of(data)
        if kind in _RATIONALS:
            parts = struct.unpack(f"{self._order}{2 * number}{_CODES[kind]}", data)
            return " ".join(
                f"{top}/{bottom}" for top, bottom in zip(parts[::2], parts[1::2], strict=True)
            )
        return " ".join(map(str, struct.unpack(f"{self._order}{number}{_CODES[kind]}", data)))

    def _exactly(self, offset: int, n: int) -> bytes:
        data = self._block.read(offset, n)
        if len(data) < n:
            raise Truncated(offset=self._block.locate(offset), wanted=n, got=len(data))
        return data

    def _number(self, code: str, data: bytes) -> int:
        value: int = struct.unpack(self._order + code, data)[0]
        return value
