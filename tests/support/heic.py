"""A HEIC photo from one frame of a film: its HEVC picture under the boxes of ISO 23008-12."""

import struct


def _box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind, *parts, version=0, flags=0):
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _found(data, kind):
    """The first box of that kind, wherever it stands, with its head."""
    at = data.index(kind) - 4
    return data[at : at + struct.unpack(">I", data[at : at + 4])[0]]


def heic(film, width, height, stated=None):
    """The only frame of an MP4 with HEVC as a photo; ``stated`` is the size that it claims."""
    hvcc, frame = _found(film, b"hvcC"), _found(film, b"mdat")[8:]
    size = stated or (width, height)
    properties = _box(
        b"iprp",
        _box(b"ipco", hvcc, _full(b"ispe", struct.pack(">II", *size))),
        _full(b"ipma", struct.pack(">IHBBB", 1, 1, 2, 0x81, 0x02)),
    )
    item = _full(b"infe", struct.pack(">HH", 1, 0), b"hvc1", b"\0", version=2)

    def meta(start):
        place = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, start, len(frame))
        return _full(
            b"meta",
            _full(b"hdlr", bytes(4), b"pict", bytes(13)),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iloc", place),
            _full(b"iinf", struct.pack(">H", 1), item),
            properties,
        )

    head = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", frame)
