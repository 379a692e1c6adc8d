"""Reads the times and places that an ISO-BMFF recording carries (mp4, mov, 3gp, m4a)."""

import struct

from media.errors import Limit, Malformed, Truncated
from media.facts.boxes import Box, Boxes
from media.facts.model import Collector, text_of
from media.source import Window

_TEXT_LIMIT = 4096
_KEYS_LIMIT = 256
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")

#: User-data texts worth keeping: place, day, and who made the device.
_USER_TEXTS = {
    b"\xa9xyz": "UserData:GPSCoordinates",
    b"\xa9day": "UserData:ContentCreateDate",
    b"\xa9mak": "UserData:Make",
    b"\xa9mod": "UserData:Model",
    b"\xa9swr": "UserData:SoftwareVersion",
}
_WANTED_KEYS = frozenset(
    {
        "com.apple.quicktime.creationdate",
        "com.apple.quicktime.location.ISO6709",
        "com.apple.quicktime.location.accuracy.horizontal",
        "com.apple.quicktime.make",
        "com.apple.quicktime.model",
        "com.apple.quicktime.software",
        "com.android.version",
        "com.android.manufacturer",
        "com.android.model",
    }
)


def read_movie(window: Window, into: Collector) -> None:
    """Collect the movie header, places and Apple keys; the ``moov`` box may stand anywhere.

    Raises:
        Truncated, Malformed: where the box structure ends too early or contradicts itself.
        LimitReached: after 4,096 boxes, or when the read budget is spent.
    """
    boxes = Boxes(window, into)
    for box in boxes.top():
        if box.kind == b"moov":
            _movie(boxes, box)
            return
        if box.kind == b"uuid" and window.read(box.start, 16) == _C2PA_UUID:
            into.add("QuickTime:JUMBF", "", offset=box.start, size=box.size)


def _movie(boxes: Boxes, moov: Box) -> None:
    tracks: set[bytes] = set()
    for box in boxes.children(moov):
        try:
            if box.kind == b"mvhd":
                _header(boxes, box)
            elif box.kind == b"udta":
                _user_data(boxes, box)
            elif box.kind == b"meta":
                _metadata(boxes, box)
            elif box.kind == b"trak":
                tracks.add(_handler(boxes, box))
        except (Truncated, Malformed) as error:
            boxes.into.fault(error)
    if boxes.into.type == "MP4" and b"soun" in tracks and b"vide" not in tracks:
        boxes.into.type, boxes.into.mime = "M4A", "audio/mp4"


def _handler(boxes: Boxes, track: Box) -> bytes:
    """What a track holds: ``vide``, ``soun`` or another four letters; empty if it does not say."""
    for media in boxes.children(track):
        if media.kind == b"mdia":
            for box in boxes.children(media):
                if box.kind == b"hdlr":
                    return boxes.content(box, 12)[8:12]
    return b""


def _header(boxes: Boxes, box: Box) -> None:
    """``mvhd``: seconds since 1904 as a number, and the duration as units/units per second."""
    data = boxes.content(box, 32)
    form, place = (">QQIQ", ">Q") if data[:1] == b"\x01" else (">IIII", ">I")
    if len(data) < 4 + struct.calcsize(form):
        raise Truncated(offset=box.start, wanted=4 + struct.calcsize(form), got=len(data))
    created, modified, scale, duration = struct.unpack_from(form, data, 4)
    width = struct.calcsize(place)
    add = boxes.into.add
    add("QuickTime:CreateDate", str(created), offset=box.start + 4, size=width)
    add("QuickTime:ModifyDate", str(modified), offset=box.start + 4 + width, size=width)
    add(
        "QuickTime:Duration",
        f"{duration}/{scale}",
        offset=box.start + 4 + 2 * width,
        size=4 + width,
    )


def _user_data(boxes: Boxes, udta: Box) -> None:
    for box in boxes.children(udta):
        tag = _USER_TEXTS.get(box.kind)
        if tag is not None and not boxes.into.has(tag):
            _international_text(boxes, box, tag)
        elif box.kind == b"loci":
            _location(boxes, box)
        elif box.kind == b"meta":
            _metadata(boxes, box)


def _international_text(boxes: Boxes, box: Box, tag: str) -> None:
    """A QuickTime text: length, language, then the characters."""
    data = boxes.content(box, 4 + _TEXT_LIMIT)
    length = int.from_bytes(data[:2], "big")
    text = data[4 : 4 + length]
    boxes.into.add(tag, text_of(text), offset=box.start + 4, size=len(text))


def _location(boxes: Boxes, box: Box) -> None:
    """3GPP ``loci`` (TS 26.244): a name, then longitude, latitude, altitude in 16.16."""
    data = boxes.content(box, _TEXT_LIMIT)
    start = 6
    if data[start : start + 2] in (b"\xfe\xff", b"\xff\xfe"):
        while start + 2 <= len(data) and data[start : start + 2] != b"\0\0":
            start += 2
        start += 2
    else:
        start = data.find(b"\0", start) + 1 or len(data)
    start += 1  # the role of the place
    if start + 12 > len(data):
        raise Truncated(offset=box.start, wanted=start + 12, got=len(data))
    lon, lat, alt = struct.unpack_from(">iii", data, start)
    boxes.into.add(
        "UserData:LocationInformation",
        f"{lat}/65536 {lon}/65536 {alt}/65536",
        offset=box.start + start,
        size=12,
    )


def _metadata(boxes: Boxes, meta: Box) -> None:
    """Apple metadata: a table of names (``keys``) and a list of values that count into it."""
    # ISO puts version and flags before the children, QuickTime does not.
    plain = boxes.window.read(meta.start + 4, 4) in (b"hdlr", b"keys", b"ilst")
    names: list[str] = []
    for box in boxes.children(meta, skip=0 if plain else 4):
        if box.kind == b"keys":
            names = _key_names(boxes, box)
        elif box.kind == b"ilst":
            for item in boxes.children(box):
                index = int.from_bytes(item.kind, "big") - 1
                if 0 <= index < len(names) and names[index] in _WANTED_KEYS:
                    _key_value(boxes, item, f"Keys:{names[index]}")
                elif item.kind in _USER_TEXTS:
                    _key_value(boxes, item, _USER_TEXTS[item.kind].replace("UserData", "ItemList"))


def _key_names(boxes: Boxes, box: Box) -> list[str]:
    data = boxes.content(box, 64 * 1024)
    count = int.from_bytes(data[4:8], "big")
    if count > _KEYS_LIMIT:
        boxes.into.hit(Limit.ENTRIES)
    names: list[str] = []
    at = 8
    for _ in range(min(count, _KEYS_LIMIT)):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            raise Malformed(f"key name of size {size}", offset=box.start + at)
        names.append(text_of(data[at + 8 : at + size]))
        at += size
    return names


def _key_value(boxes: Boxes, item: Box, tag: str) -> None:
    for box in boxes.children(item):
        if box.kind == b"data" and not boxes.into.has(tag):
            if box.size > 8 + _TEXT_LIMIT:
                boxes.into.hit(Limit.VALUE_SIZE)
                return
            data = boxes.content(box, 8 + _TEXT_LIMIT)[8:]
            boxes.into.add(tag, text_of(data), offset=box.start + 8, size=len(data))
