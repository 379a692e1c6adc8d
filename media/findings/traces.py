"""The rules about traces of editing, sending on, drawing by machine, and files in disguise.

None of them proves anything: phones and messengers leave the same traces
(docs/findings.md gives the measured rates).
"""

from __future__ import annotations

import json
from typing import Dict, List, Optional, Tuple

from .clocks import texts_of
from .model import (
    FAIL,
    INFO,
    WARN,
    Claim,
    Context,
    Finding,
    FormatClaim,
    SignClaim,
    TextClaim,
    TimeClaim,
    finding,
)

_EDITORS = (
    "photoshop",
    "lightroom",
    "gimp",
    "snapseed",
    "picsart",
    "meitu",
    "美图",
    "acdsee",
    "paint.net",
    "pixelmator",
    "affinity",
    "capture one",
)
#: SOF markers of progressive pictures, as decimal numbers.
_PROGRESSIVE = ("194", "198", "202", "206")
#: The long side that messengers shrink pictures to.
_MESSENGER_SIDES = (1080, 1600)
#: The short sides of telephone screens in pixels.
_SCREENS = frozenset(
    (640, 720, 750, 828, 1080, 1125, 1170, 1179, 1206, 1242, 1260, 1284, 1290, 1320, 1440)
)
_SCREENSHOT_NAMES = ("screenshot", "screen_shot", "截屏", "截图", "屏幕截图", "屏幕快照")
#: A thumbnail that differs by more shows another picture.
_THUMBNAIL_BITS = 12
#: Kinds of files that a browser or a system would run; never shown (docs/protocol.md §7).
_RUNS = frozenset(("HTML", "SVG", "PE", "ELF", "SCRIPT", "MACHO"))
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


def resaved(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """RESAVED: a picture has the structure of one that came from a camera, not from an editor.

    Two independent traces are needed; JFIF beside EXIF and a missing maker note count as one
    together, since many phones do both.
    """
    signs, texts = _signs(claims), texts_of(claims)
    if "File:ImageSize" not in signs or _own(claims):
        # An older reading did not look for these traces; our own camera leaves some of them.
        return []
    found: List[str] = []
    if "IFD0:Make" in texts and ("JFIF:JFIFVersion" in signs or "ExifIFD:MakerNote" not in signs):
        found.append("structure")
    if "APP14:Adobe" in signs:
        found.append("adobe_marker")
    if "Photoshop:IRB" in signs:
        found.append("photoshop_block")
    if _edited_with(texts, signs):
        found.append("software")
    if _size_differs(signs):
        found.append("size")
    if "File:EncodingProcess" in signs and signs["File:EncodingProcess"].raw in _PROGRESSIVE:
        found.append("progressive")
    if "XMP-xmpMM:History" in signs:
        found.append("history")
    if len(found) < 2:
        return []
    shown = texts.get("IFD0:Software") or signs["File:ImageSize"]
    return [finding("RESAVED", WARN, "traces", shown.tag, shown.raw, shown.offset, traces=found)]


def _edited_with(texts: Dict[str, TextClaim], signs: Dict[str, SignClaim]) -> bool:
    names = [texts[tag].raw for tag in ("IFD0:Software",) if tag in texts]
    names += [signs[tag].raw for tag in ("XMP-xmp:CreatorTool",) if tag in signs]
    return any(editor in name.lower() for name in names for editor in _EDITORS)


def _size_differs(signs: Dict[str, SignClaim]) -> bool:
    """The size that EXIF states is not that of the picture, upright or on its side."""
    width, height = signs.get("ExifIFD:ExifImageWidth"), signs.get("ExifIFD:ExifImageHeight")
    if width is None or height is None:
        return False
    stated = (width.raw, height.raw)
    found = tuple(signs["File:ImageSize"].raw.split())
    return "0" not in stated and found not in (stated, stated[::-1])


def stripped(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """STRIPPED: a picture came straight from a camera, not through a messenger."""
    signs = _signs(claims)
    size = signs.get("File:ImageSize")
    if size is None or _type(claims) != "JPEG" or texts_of(claims):
        return []
    low, high = _MESSENGER_SIDES
    if not low <= max(_numbers(size.raw), default=0) <= high:
        return []
    return [finding("STRIPPED", WARN, "messenger", size.tag, size.raw, size.offset)]


def screenshot(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """SCREENSHOT: a picture was taken by a camera, not copied from a screen."""
    signs, texts = _signs(claims), texts_of(claims)
    size = signs.get("File:ImageSize") or signs.get("PNG:ImageSize")
    if size is None or "IFD0:Make" in texts or "IFD0:Model" in texts:
        return []
    name = "" if context.named is None else context.named.name.lower()
    if any(word in name for word in _SCREENSHOT_NAMES):
        return [finding("SCREENSHOT", WARN, "name", size.tag, size.raw, size.offset, name=name)]
    sides = sorted(_numbers(size.raw))
    if _type(claims) != "PNG" or len(sides) != 2 or sides[0] not in _SCREENS:
        return []
    if not 1.6 <= sides[1] / sides[0] <= 2.4:
        return []
    return [finding("SCREENSHOT", WARN, "size", size.tag, size.raw, size.offset)]


def thumb_mismatch(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """THUMB_MISMATCH: the small picture inside the file shows what the large one shows."""
    bits = None if context.pixels is None else context.pixels.thumbnail_distance
    if bits is None or bits <= _THUMBNAIL_BITS:
        return []
    sign = _signs(claims).get("IFD1:ThumbnailImage")
    return [
        finding(
            "THUMB_MISMATCH",
            WARN,
            "differs",
            "IFD1:ThumbnailImage",
            "",
            -1 if sign is None else sign.offset,
            bits=bits,
            allowed=_THUMBNAIL_BITS,
        )
    ]


def ai_label(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """AI_LABEL: nothing in the file says that a machine drew it (GB 45438-2025, IPTC, C2PA).

    That nothing says so proves nothing.
    """
    found: List[Finding] = []
    for claim in claims:
        if not isinstance(claim, SignClaim):
            continue
        if claim.tag in ("AIGC:Label", "XMP-TC260:AIGC"):
            severity, reason = _aigc(claim.raw)
        elif claim.tag == "XMP-iptcExt:DigitalSourceType":
            outcome = _source_type(claim.raw)
            if outcome is None:
                continue
            severity, reason = outcome
        elif claim.tag.endswith(":JUMBF"):
            severity, reason = INFO, "c2pa"
        else:
            continue
        found.append(
            finding("AI_LABEL", severity, reason, claim.tag, claim.raw[:400], claim.offset)
        )
    return found


def _aigc(raw: str) -> Tuple[str, str]:
    """Label 1 says that it is made by a machine, 2 and 3 that it may be."""
    try:
        label = json.loads(raw)
    except (ValueError, RecursionError):
        return WARN, "unreadable_label"
    value = label.get("Label") if isinstance(label, dict) else None
    return (FAIL, "generated") if str(value) == "1" else (WARN, "perhaps_generated")


def _source_type(raw: str) -> Optional[Tuple[str, str]]:
    kind = raw.strip().rstrip("/").rpartition("/")[2]
    if kind == "trainedAlgorithmicMedia":
        return FAIL, "generated"
    if kind in ("compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic"):
        return WARN, "perhaps_generated"
    return None


def type_mismatch(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """TYPE_MISMATCH: the content is what the name and the line say it is."""
    named = context.named
    form = _form(claims)
    if named is None or form is None:
        return []
    if form.type in _RUNS:
        return [
            finding("TYPE_MISMATCH", WARN, "runs", "type", form.type, 0, named=named.media_type)
        ]
    if not form.mime:
        return []
    ending = named.name.rpartition(".")[2].lower() if "." in named.name else ""
    expected = _KINDS.get(ending, "")
    for reason, said in (("name", expected), ("media_type", named.media_type)):
        if said and _family(said) != _family(form.mime):
            return [finding("TYPE_MISMATCH", INFO, reason, "type", form.mime, 0, named=said)]
    return []


def _family(mime: str) -> str:
    """What kinds of one family are told apart by is no reason for a doubt."""
    if mime in ("image/heic", "image/heif", "image/avif"):
        return "heif"
    if mime.partition("/")[2] in ("mp4", "quicktime", "3gpp", "3gpp2"):
        return "iso media"
    return mime.replace("/x-", "/").replace("vnd.wave", "wav").replace("matroska", "webm")


def polyglot(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """POLYGLOT: the file can be read in one way only, and ends where its picture ends."""
    found: List[Finding] = []
    for claim in claims:
        if not isinstance(claim, SignClaim):
            continue
        if claim.tag == "File:Polyglot":
            found.append(finding("POLYGLOT", WARN, "second", claim.tag, claim.raw, claim.offset))
        elif claim.tag == "File:TrailingData":
            runs = claim.raw in _RUNS
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


def _own(claims: Tuple[Claim, ...]) -> bool:
    return any(isinstance(claim, TimeClaim) and claim.own for claim in claims)


def _form(claims: Tuple[Claim, ...]) -> Optional[FormatClaim]:
    for claim in claims:
        if isinstance(claim, FormatClaim):
            return claim
    return None


def _type(claims: Tuple[Claim, ...]) -> str:
    form = _form(claims)
    return "" if form is None else form.type


def _numbers(raw: str) -> List[int]:
    return [int(part) for part in raw.split() if part.isdigit() and len(part) < 10]


def _signs(claims: Tuple[Claim, ...]) -> Dict[str, SignClaim]:
    return {claim.tag: claim for claim in claims if isinstance(claim, SignClaim)}
