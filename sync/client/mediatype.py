"""Naming a file's type from its first bytes; a name alone is believed last."""

import mimetypes

UNKNOWN = "application/octet-stream"
#: Bytes of a file's beginning that are enough to name it: the second packet of a transport
#: stream shows itself last.
HEAD_BYTES = 197

#: Each place must hold its bytes.
_MAGIC: tuple[tuple[str, tuple[tuple[int, bytes], ...]], ...] = (
    ("image/jpeg", ((0, b"\xff\xd8\xff"),)),
    ("image/png", ((0, b"\x89PNG\r\n\x1a\n"),)),
    ("image/tiff", ((0, b"II*\x00"),)),
    ("image/tiff", ((0, b"MM\x00*"),)),
    ("application/pdf", ((0, b"%PDF-"),)),
    ("audio/mpeg", ((0, b"ID3"),)),
    *(
        ("audio/mpeg", ((0, sync),))
        for sync in (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2")
    ),
    ("audio/aac", ((0, b"\xff\xf1"),)),
    ("audio/aac", ((0, b"\xff\xf9"),)),
    ("audio/ogg", ((0, b"OggS"),)),
    ("audio/flac", ((0, b"fLaC"),)),
    ("audio/amr", ((0, b"#!AMR"),)),
    ("video/x-matroska", ((0, b"\x1a\x45\xdf\xa3"),)),
    ("image/webp", ((0, b"RIFF"), (8, b"WEBP"))),
    ("audio/wav", ((0, b"RIFF"), (8, b"WAVE"))),
    ("video/x-msvideo", ((0, b"RIFF"), (8, b"AVI "))),
    ("video/x-ms-wmv", ((0, bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")),)),
    ("video/x-flv", ((0, b"FLV\x01"),)),
    ("video/mpeg", ((0, b"\x00\x00\x01\xba"),)),
    ("video/mpeg", ((0, b"\x00\x00\x01\xb3"),)),
    # Packets of 188 bytes, on cards of cameras each with four bytes of time before it.
    ("video/mp2t", ((0, b"G"), (188, b"G"))),
    ("video/mp2t", ((4, b"G"), (196, b"G"))),
    # QuickTime from before there was a box that names the brand.
    *(("video/quicktime", ((4, box),)) for box in (b"moov", b"mdat", b"wide", b"pnot")),
)
_BRANDS = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
}


def is_recording(media_type: str) -> bool:
    """Whether it is sound or film: large, and what waits first where room or time is short."""
    return media_type.lower().startswith(("audio/", "video/"))


def media_type_of(head: bytes, name: str) -> str:
    """The type of a file that begins with ``head`` (``HEAD_BYTES``) and is called ``name``."""
    for media_type, places in _MAGIC:
        if all(head[at : at + len(magic)] == magic for at, magic in places):
            return media_type
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    guessed = mimetypes.guess_type(name)[0] or UNKNOWN
    # The bytes contradict a name that claims one of the types above.
    known = {media_type for media_type, _ in _MAGIC} | set(_BRANDS.values()) | {"video/mp4"}
    return UNKNOWN if guessed in known else guessed
