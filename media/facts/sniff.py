"""Names the format of a file from its first bytes; names of files are never believed.

Type names are those ExifTool prints as ``FileType`` and the media types its
``MIMEType``, so that readings can be compared side by side.
"""

import re
import struct

from media.facts.model import Format
from media.facts.pages import sniff_text, sniff_wide_text

#: How much of the file's start ``sniff`` looks at: as much as browsers do.
HEAD_BYTES = 1445


_MAGIC = (
    (b"\xff\xd8\xff", Format("JPEG", "image/jpeg")),
    (b"\x89PNG\r\n\x1a\n", Format("PNG", "image/png")),
    (b"GIF87a", Format("GIF", "image/gif")),
    (b"GIF89a", Format("GIF", "image/gif")),
    (b"8BPS\x00\x01", Format("PSD", "application/vnd.adobe.photoshop")),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", Format("JXL", "image/jxl")),
    (b"\xff\x0a", Format("JXL Codestream", "image/jxl")),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", Format("JP2", "image/jp2")),
    (b"FUJIFILMCCD-RAW", Format("RAF", "image/x-fujifilm-raf")),
    (b"IIU\x00", Format("RW2", "image/x-panasonic-rw2")),
    (b"IIRO", Format("ORF", "image/x-olympus-orf")),
    (b"IIRS", Format("ORF", "image/x-olympus-orf")),
    (b"MMOR", Format("ORF", "image/x-olympus-orf")),
    (b"fLaC", Format("FLAC", "audio/flac")),
    (b"#!AMR", Format("AMR", "audio/amr")),
    (b"ID3", Format("MP3", "audio/mpeg")),
    (b"FLV\x01", Format("FLV", "video/x-flv")),
    (b"\x00\x00\x01\xba", Format("MPEG", "video/mpeg")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Format("ASF", "video/x-ms-asf")),
    (b"caff\x00\x01", Format("CAF", "audio/x-caf")),
    (b"%PDF-", Format("PDF", "application/pdf")),
    (b"PK\x03\x04", Format("ZIP", "application/zip")),
    (b"PK\x05\x06", Format("ZIP", "application/zip")),
    (b"Rar!\x1a\x07", Format("RAR", "application/x-rar-compressed")),
    (b"7z\xbc\xaf\x27\x1c", Format("7Z", "application/x-7z-compressed")),
    (b"\x1f\x8b", Format("GZIP", "application/x-gzip")),
    (b"\x7fELF", Format("ELF", "application/octet-stream")),
    (b"\xcf\xfa\xed\xfe", Format("MACHO", "application/octet-stream")),
    (b"\xce\xfa\xed\xfe", Format("MACHO", "application/octet-stream")),
    (b"\xfe\xed\xfa\xcf", Format("MACHO", "application/octet-stream")),
    (b"\xfe\xed\xfa\xce", Format("MACHO", "application/octet-stream")),
    # Programs for several processors, and the classes of Java.
    (b"\xca\xfe\xba\xbe", Format("MACHO", "application/octet-stream")),
    (b"\xca\xfe\xba\xbf", Format("MACHO", "application/octet-stream")),
    (b"\xbe\xba\xfe\xca", Format("MACHO", "application/octet-stream")),
    (b"L\0\0\0\x01\x14\x02\0", Format("LNK", "application/octet-stream")),
    (b"%!PS", Format("PS", "application/postscript")),
    (b"\x04%!PS", Format("PS", "application/postscript")),
    (b"\xc5\xd0\xd3\xc6", Format("PS", "application/postscript")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format("OLE", "application/octet-stream")),
)

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), Format("HEIC", "image/heic")),
    **dict.fromkeys((b"hevc", b"hevx", b"hevm", b"hevs"), Format("HEICS", "image/heic-sequence")),
    b"mif1": Format("HEIF", "image/heif"),
    b"mif2": Format("HEIF", "image/heif"),
    b"msf1": Format("HEIFS", "image/heif-sequence"),
    b"avif": Format("AVIF", "image/avif"),
    b"avis": Format("AVIF", "image/avif"),
    b"crx ": Format("CR3", "image/x-canon-cr3"),
    b"qt  ": Format("MOV", "video/quicktime"),
    b"M4A ": Format("M4A", "audio/mp4"),
    b"M4B ": Format("M4B", "audio/mp4"),
    b"M4P ": Format("M4P", "audio/mp4"),
    b"M4V ": Format("M4V", "video/x-m4v"),
    b"M4VH": Format("M4V", "video/x-m4v"),
    b"M4VP": Format("M4V", "video/x-m4v"),
    b"F4V ": Format("F4V", "video/mp4"),
    b"F4A ": Format("F4A", "audio/mp4"),
}
_MP4 = Format("MP4", "video/mp4")
_MOV = Format("MOV", "video/quicktime")
_MOV_BOXES = frozenset({b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"junk"})

#: Formats whose structure is that of ISO-BMFF recordings.
MOVIES = frozenset({"MP4", "MOV", "M4A", "M4B", "M4P", "M4V", "F4V", "F4A", "3GP", "3G2", "CR3"})
#: Formats whose structure is that of ISO-BMFF pictures.
HEIFS = frozenset({"HEIC", "HEICS", "HEIF", "HEIFS", "AVIF"})


#: The head that every program for DOS and Windows begins with.
_DOS_HEAD_BYTES = 28
#: Words in some writing: no control characters, and something between or beyond ASCII letters.
_WORDS = re.compile(rb"[\t\r\n\x20-\x7e\x80-\xff]*[\t\r\n \x80-\xff][\t\r\n\x20-\x7e\x80-\xff]*")


def sniff(head: bytes) -> Format | None:
    """The format of a file that starts with ``head``, or None if it is none we know."""
    for magic, known in _MAGIC:
        if head.startswith(magic):
            return known
    for recognise in _BY_STRUCTURE:
        found = recognise(head)
        if found is not None:
            return found
    return None


def _windows_program(head: bytes) -> Format | None:
    """A program for Windows or DOS; a text that begins with these letters is none."""
    if head[:2] != b"MZ" or len(head) < _DOS_HEAD_BYTES or _WORDS.fullmatch(head[:64]):
        return None
    return Format("PE", "application/octet-stream")


def _tiff(head: bytes) -> Format | None:
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return None
    if head[8:11] == b"CR\x02":
        return Format("CR2", "image/x-canon-cr2")
    return Format("TIFF", "image/tiff")


def _iso(head: bytes) -> Format | None:
    if head[4:8] != b"ftyp":
        return _MOV if head[4:8] in _MOV_BOXES else None
    length = min(len(head), int.from_bytes(head[:4], "big"))
    major = head[8:12]
    if major in _BRANDS:
        return _BRANDS[major]
    if major.startswith((b"3gp", b"3gr", b"3gs", b"3ge", b"3gg")):
        return Format("3GP", "video/3gpp")
    if major.startswith(b"3g2"):
        return Format("3G2", "video/3gpp2")
    # From the second compatible brand on, as ExifTool does: the first repeats the major one.
    others = {head[at : at + 4] for at in range(20, length - 3, 4)}
    if not others & {b"mp41", b"mp42", b"avc1"} and b"qt  " in others:
        return _MOV
    return _MP4


def _riff(head: bytes) -> Format | None:
    if head[:4] not in (b"RIFF", b"RF64"):
        return None
    match head[8:12]:
        case b"WEBP":
            extended = head[12:16] == b"VP8X"
            return Format("Extended WEBP" if extended else "WEBP", "image/webp")
        case b"WAVE":
            return Format("WAV", "audio/x-wav")
        case b"AVI ":
            return Format("AVI", "video/x-msvideo")
        case _:
            return None


def _ebml(head: bytes) -> Format | None:
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return None
    at = head.find(b"\x42\x82", 4, 64)
    if at >= 0 and head[at + 3 : at + 7] == b"webm":
        return Format("WEBM", "video/webm")
    return Format("MKV", "video/x-matroska")


def _ogg(head: bytes) -> Format | None:
    if not head.startswith(b"OggS"):
        return None
    if head[28:36] == b"OpusHead":
        return Format("OPUS", "audio/ogg")
    if head[28:35] == b"\x80theora":
        return Format("OGV", "video/ogg")
    return Format("OGG", "audio/ogg")


def _aiff(head: bytes) -> Format | None:
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return Format(head[8:12].decode(), "audio/x-aiff")
    return None


def _transport_stream(head: bytes) -> Format | None:
    for start, step in ((0, 188), (4, 192)):
        if len(head) > start + 2 * step and all(head[start + i * step] == 0x47 for i in range(3)):
            return Format("M2TS", "video/m2ts")
    return None


def _mpeg_audio(head: bytes) -> Format | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0x0F < 13:
        return Format("AAC", "audio/aac")
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate, sampling = head[2] >> 4, head[2] >> 2 & 3
    # Layer I, which nobody uses, begins as texts of 16 bits a character do.
    if version == 1 or layer in (0, 3) or rate in (0, 15) or sampling == 3:
        return None
    return Format("MP3", "audio/mpeg")


def _bmp(head: bytes) -> Format | None:
    if head[:2] == b"BM" and len(head) >= 18:
        (header,) = struct.unpack_from("<I", head, 14)
        if header in (12, 40, 52, 56, 64, 108, 124):
            return Format("BMP", "image/bmp")
    return None


_BY_STRUCTURE = (
    sniff_wide_text,
    _tiff,
    _iso,
    _riff,
    _ebml,
    _ogg,
    _aiff,
    _transport_stream,
    _mpeg_audio,
    _bmp,
    _windows_program,
    sniff_text,
)
