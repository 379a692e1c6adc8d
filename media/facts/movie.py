"""Reads times, places, length and kinds of an ISO-BMFF recording (mp4, mov, 3gp, m4a, CR3)."""

import struct
from collections.abc import Callable, Mapping

from media.errors import Limit, Malformed, Truncated
from media.facts.aigc import LABEL_LIMIT_BYTES, note_label
from media.facts.block import FileBlock
from media.facts.boxes import Box, Boxes
from media.facts.model import Collector, text_of
from media.facts.tiff import read_tiff
from media.facts.xmp import read_xmp
from media.source import Window

_TEXT_LIMIT = 4096
_KEYS_LIMIT = 256
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
#: Canon's CR3 keeps each directory of its EXIF in a box of its own.
_CANON_GROUPS = {b"CMT1": "IFD0", b"CMT2": "ExifIFD", b"CMT4": "GPS"}
_FRAGMENTS_LIMIT = 1024

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
    read = False
    for box in boxes.top():
        if box.kind == b"moov" and not read:
            read = True
            _movie(boxes, box)
        elif box.kind == b"sidx" and not into.has("QuickTime:Duration"):
            boxes.guarded(_segment_index, box)
        elif box.kind == b"uuid":
            boxes.guarded(_top_uuid, box)
        if read and into.has("QuickTime:Duration"):
            # A recording in fragments says its length behind the movie box, if anywhere.
            boxes.few_more()


def _top_uuid(boxes: Boxes, box: Box) -> None:
    name = boxes.window.read(box.start, 16)
    if name == C2PA_UUID:
        if not boxes.into.has("QuickTime:JUMBF"):
            boxes.into.add("QuickTime:JUMBF", "", offset=box.start, size=box.size)
    elif name == _XMP_UUID:
        _xmp(boxes, FileBlock(boxes.window, [(box.start + 16, box.size - 16)]))


def _xmp(boxes: Boxes, packet: FileBlock) -> None:
    if not boxes.into.has("QuickTime:XMP"):
        boxes.into.add("QuickTime:XMP", "", offset=packet.locate(0), size=packet.size)
    read_xmp(packet, boxes.into)


def _segment_index(boxes: Boxes, box: Box) -> None:
    """``sidx``: the sum of its subsegments' lengths, in units of its own time scale."""
    data = boxes.content(box, 32 + 12 * _FRAGMENTS_LIMIT)
    wide = 8 if data[:1] == b"\x01" else 4
    head = 12 + 2 * wide + 4
    if len(data) < head:
        raise Truncated(offset=box.start, wanted=head, got=len(data))
    (scale,) = struct.unpack_from(">I", data, 8)
    (count,) = struct.unpack_from(">H", data, head - 2)
    if count > _FRAGMENTS_LIMIT:
        boxes.into.hit(Limit.ENTRIES)
        return
    if len(data) < head + 12 * count:
        raise Truncated(offset=box.start, wanted=head + 12 * count, got=len(data))
    total = sum(struct.unpack_from(">I", data, head + 12 * i + 4)[0] for i in range(count))
    if scale and total:
        boxes.into.add("QuickTime:Duration", f"{total}/{scale}", offset=box.start, size=box.size)


def _movie(boxes: Boxes, moov: Box) -> None:
    tracks: set[bytes] = set()
    for box in boxes.children(moov):
        if box.kind == b"trak":
            try:
                tracks.add(_track(boxes, box))
            except (Truncated, Malformed) as error:
                boxes.into.fault(error)
        elif box.kind in _MOVIE_PARTS:
            boxes.guarded(_MOVIE_PARTS[box.kind], box)
    if boxes.into.type == "MP4" and b"soun" in tracks and b"vide" not in tracks:
        boxes.into.type, boxes.into.mime = "M4A", "audio/mp4"


def _track(boxes: Boxes, track: Box) -> bytes:
    """What a track holds: ``vide``, ``soun`` or another four letters; empty if it does not say."""
    handler = b""
    size: tuple[str, int] | None = None
    for media in boxes.children(track):
        if media.kind == b"tkhd":
            data = boxes.content(media, 96)
            width, height = struct.unpack(">II", data[-8:]) if len(data) >= 84 else (0, 0)
            size = (f"{width >> 16} {height >> 16}", media.end - 8)
        elif media.kind == b"mdia":
            for box in boxes.children(media):
                if box.kind == b"hdlr":
                    handler = boxes.content(box, 12)[8:12]
                elif box.kind == b"minf":
                    _codec(boxes, box, handler)
    if handler == b"vide" and size is not None and not boxes.into.has("QuickTime:VideoSize"):
        boxes.into.add("QuickTime:VideoSize", size[0], offset=size[1], size=8)
    return handler


def _codec(boxes: Boxes, information: Box, handler: bytes) -> None:
    """The kind of the first sample description of a track of pictures or sound."""
    tag = {b"vide": "QuickTime:VideoCodec", b"soun": "QuickTime:AudioCodec"}.get(handler)
    if tag is None or boxes.into.has(tag):
        return
    for tables in boxes.children(information):
        if tables.kind != b"stbl":
            continue
        for box in boxes.children(tables):
            if box.kind == b"stsd" and box.size >= 16:
                kind = boxes.content(box, 16)[12:16]
                boxes.into.add(tag, kind.decode("latin-1"), offset=box.start + 12, size=4)
                return


def _fragmented(boxes: Boxes, extends: Box) -> None:
    """``mehd``: the length of all fragments, which the movie header does not count."""
    for box in boxes.children(extends):
        if box.kind == b"mehd" and boxes.scale and not boxes.into.has("QuickTime:Duration"):
            data = boxes.content(box, 12)
            duration = int.from_bytes(data[4 : 12 if data[:1] == b"\x01" else 8], "big")
            boxes.into.add(
                "QuickTime:Duration", f"{duration}/{boxes.scale}", offset=box.start + 4, size=4
            )


def _canon(boxes: Boxes, box: Box) -> None:
    if boxes.window.read(box.start, 16) != _CANON_UUID:
        return
    for part in boxes.children(box, skip=16):
        if part.kind not in _CANON_GROUPS:
            continue
        if part.kind in boxes.read_once:
            boxes.into.hit(Limit.IFD_REPEATED)
        else:
            boxes.read_once.add(part.kind)
            boxes.guarded(_canon_part, part)


def _canon_part(boxes: Boxes, part: Box) -> None:
    block = FileBlock(boxes.window, [(part.start, part.size)])
    read_tiff(block, boxes.into, group=_CANON_GROUPS[part.kind])


def _header(boxes: Boxes, box: Box) -> None:
    """``mvhd``: seconds since 1904 as a number, and the duration as units/units per second."""
    if boxes.into.has("QuickTime:CreateDate"):
        return
    data = boxes.content(box, 32)
    form, place = (">QQIQ", ">Q") if data[:1] == b"\x01" else (">IIII", ">I")
    if len(data) < 4 + struct.calcsize(form):
        raise Truncated(offset=box.start, wanted=4 + struct.calcsize(form), got=len(data))
    created, modified, scale, duration = struct.unpack_from(form, data, 4)
    width = struct.calcsize(place)
    add = boxes.into.add
    add("QuickTime:CreateDate", str(created), offset=box.start + 4, size=width)
    add("QuickTime:ModifyDate", str(modified), offset=box.start + 4 + width, size=width)
    boxes.scale = scale
    # A fragmented recording has 0 here, and an unknown length all bits set.
    if duration and duration >> (8 * width - 1) == 0:
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
        elif box.kind == b"loci" and not boxes.into.has("UserData:LocationInformation"):
            boxes.guarded(_location, box)
        elif box.kind == b"meta":
            boxes.guarded(_metadata, box)
        elif box.kind == b"XMP_":
            _xmp(boxes, FileBlock(boxes.window, [(box.start, box.size)]))
        elif box.kind == b"AIGC":
            data = boxes.content(box, LABEL_LIMIT_BYTES)
            note_label(data, boxes.into, offset=box.start, named=True)


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
                if 0 <= index < len(names) and "AIGC" in names[index]:
                    data = boxes.content(item, LABEL_LIMIT_BYTES)
                    note_label(data, boxes.into, offset=item.start, named=True)
                elif 0 <= index < len(names) and names[index] in _WANTED_KEYS:
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


#: What is read of a movie box, beside its tracks.
_MOVIE_PARTS: Mapping[bytes, Callable[[Boxes, Box], None]] = {
    b"mvhd": _header,
    b"udta": _user_data,
    b"meta": _metadata,
    b"mvex": _fragmented,
    b"uuid": _canon,
}
