"""The rules about what kind of file an item is: what its line calls it, and only that."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from .model import INFO, WARN, Claim, Context, Finding, FormatClaim, SignClaim, finding

#: Kinds of files that a browser or a system would run; never shown (docs/protocol.md §7).
RUNS = frozenset(("HTML", "SVG", "PE", "ELF", "SCRIPT", "MACHO", "LNK", "PS"))
#: Beginnings of the media types of pictures, sound and film.
MEDIA = ("image/", "audio/", "video/", "application/vnd.adobe.photoshop")
_KINDS = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "3gp": "video/3gpp",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "amr": "audio/amr",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}
#: Names of one kind of file, or of kinds that only their contents tell apart, without ``x-``.
_FAMILIES: Tuple[Tuple[str, ...], ...] = (
    ("image/jpeg", "image/jpg", "image/pjpeg"),
    ("image/heic", "image/heif", "image/avif", "image/heic-sequence", "image/heif-sequence"),
    ("image/tiff", "image/adobe-dng", "image/dng", "image/canon-cr2", "image/nikon-nef"),
    ("image/bmp", "image/ms-bmp"),
    (
        "video/mp4",
        "video/quicktime",
        "video/3gpp",
        "video/3gpp2",
        "video/m4v",
        "audio/mp4",
        "audio/m4a",
        "audio/mp4a-latm",
        "audio/aac",
        "audio/3gpp",
        "audio/3gpp2",
    ),
    ("audio/mpeg", "audio/mp3", "audio/mpeg3"),
    ("audio/wav", "audio/wave", "audio/vnd.wave", "audio/pn-wav"),
    ("audio/ogg", "audio/opus", "video/ogg", "application/ogg"),
    ("video/matroska", "video/webm", "audio/webm", "audio/matroska"),
    ("video/msvideo", "video/avi", "video/vnd.avi"),
    ("video/m2ts", "video/mp2t"),
)
_FAMILY: Dict[str, str] = {name: family[0] for family in _FAMILIES for name in family}
#: Formats of which others are made: office papers are ZIP, OLE or XML.
_WRAPPERS = frozenset(("ZIP", "OLE", "XML"))
#: What a program says that does not know.
ANYTHING = "application/octet-stream"


def calls_medium(media_type: str) -> bool:
    """Whether a media type, in whatever letters, is that of a picture, sound or film."""
    return media_type.strip().lower().startswith(MEDIA)


def calls_recording(media_type: str) -> bool:
    """Whether a media type, in whatever letters, is that of sound or film."""
    return media_type.strip().lower().startswith(("audio/", "video/"))


def form_of(claims: Tuple[Claim, ...]) -> Optional[FormatClaim]:
    """The claim about the format; None if the file was not read."""
    for claim in claims:
        if isinstance(claim, FormatClaim):
            return claim
    return None


def is_medium(form: FormatClaim, context: Context) -> bool:
    """Whether an item is a photo or a recording, by its content or by what its line calls it."""
    return calls_medium(form.mime) or announced_medium(context)


def announced_medium(context: Context) -> bool:
    """Whether the line calls the file a photo or a recording."""
    return context.named is not None and calls_medium(context.named.media_type)


def type_mismatch(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TYPE_MISMATCH: the content is what the name and the line say it is."""
    named = context.named
    form = form_of(claims)
    if named is None or form is None:
        return []
    if form.type in RUNS:
        return [
            finding("TYPE_MISMATCH", WARN, "runs", "type", form.type, 0, named=named.media_type)
        ]
    if not form.mime:
        return []
    ending = named.name.rpartition(".")[2].lower() if "." in named.name else ""
    for reason, said in (("name", _KINDS.get(ending, "")), ("media_type", named.media_type)):
        if said and not _fits(form, said):
            return [finding("TYPE_MISMATCH", INFO, reason, "type", form.mime, 0, named=said)]
    return []


def _fits(form: FormatClaim, said: str) -> bool:
    """Whether a content of this form may be called ``said``."""
    kind = _plain(said)
    if kind == ANYTHING or _family(kind) == _family(_plain(form.mime)):
        return True
    paper = kind.startswith(("application/", "text/")) and kind != "application/pdf"
    return form.type in _WRAPPERS and paper


def _family(kind: str) -> str:
    return _FAMILY.get(kind, kind)


def _plain(mime: str) -> str:
    """A media type without parameters and the ``x-`` of names that nobody registered."""
    major, _, minor = mime.partition(";")[0].strip().lower().partition("/")
    return major + "/" + (minor[2:] if minor.startswith("x-") else minor)


def polyglot(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """POLYGLOT: the file can be read in one way only, and ends where its picture ends."""
    found: List[Finding] = []
    for claim in claims:
        if not isinstance(claim, SignClaim):
            continue
        if claim.tag == "File:Polyglot":
            found.append(finding("POLYGLOT", WARN, "second", claim.tag, claim.raw, claim.offset))
        elif claim.tag == "File:TrailingData":
            runs = claim.raw in RUNS
            found.append(
                finding(
                    "POLYGLOT",
                    WARN if runs else INFO,
                    "runs_behind" if runs else "behind",
                    claim.tag,
                    claim.raw,
                    claim.offset,
                )
            )
    return found
