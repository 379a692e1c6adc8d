"""Naming a file's type from its first bytes; a name alone is believed last."""

import mimetypes

UNKNOWN = "application/octet-stream"

_MAGIC = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
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
}


def is_recording(media_type: str) -> bool:
    """Whether it is sound or film: large, and what waits first where room or time is short."""
    return media_type.startswith(("audio/", "video/"))


def media_type_of(head: bytes, name: str) -> str:
    """The type of a file that begins with ``head`` (16 bytes are enough) and is called ``name``."""
    for offset, magic, media_type in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return media_type
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    guessed = mimetypes.guess_type(name)[0] or UNKNOWN
    # The bytes contradict a name that claims one of the types above.
    known = {media_type for _, _, media_type in _MAGIC} | set(_BRANDS.values()) | {"video/mp4"}
    return UNKNOWN if guessed in known else guessed
