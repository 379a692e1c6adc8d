"""The rules about traces of editing, sending on and drawing by machine, and what nobody read.

None of them proves anything: phones and messengers leave the same traces
(docs/findings.md gives the measured rates).
"""

from __future__ import annotations

import json
import re
from typing import Dict, List, Optional, Tuple

from .clocks import texts_of
from .forms import form_of
from .model import (
    FAIL,
    INFO,
    UNDECIDED,
    WARN,
    Claim,
    Context,
    Finding,
    SignClaim,
    TextClaim,
    TimeClaim,
    finding,
)
from .signs import FAILED_TAG, FAULT_TAG, LIMIT_TAG

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
_NUMBER = re.compile(r"[0-9]{1,9}$")
#: The long side that messengers shrink pictures to.
_MESSENGER_SIDES = (1080, 1600)
#: The short sides of telephone screens in pixels.
_SCREENS = frozenset(
    (640, 720, 750, 828, 1080, 1125, 1170, 1179, 1206, 1242, 1260, 1284, 1290, 1320, 1440)
)
_SCREENSHOT_NAMES = ("screenshot", "screen_shot", "截屏", "截图", "屏幕截图", "屏幕快照")
#: A thumbnail that differs by more shows another picture.
_THUMBNAIL_BITS = 12
#: The values of GB 45438-2025: made by a machine, perhaps, presumably.
_LABEL_OUTCOMES = {
    "1": (FAIL, "generated"),
    "2": (WARN, "perhaps_generated"),
    "3": (WARN, "perhaps_generated"),
}
#: Bounds behind which nothing is lost: a directory that was read is not read again.
_HARMLESS_LIMITS = frozenset(("ifd_repeated",))
#: What stops a walk over thousands of fragments.
_FRAGMENT_LIMITS = frozenset(("boxes", "reads"))


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
    if not _like_a_screen(_type(claims), _numbers(size.raw)):
        return []
    return [finding("SCREENSHOT", WARN, "size", size.tag, size.raw, size.offset)]


def _like_a_screen(kind: str, sides: List[int]) -> bool:
    """Whether a picture has the size of a telephone's screen, and no other reason to have it.

    A JPEG of the sizes that messengers leave is told as ``STRIPPED``, and one of 16:9 on its
    side is more likely a frame of a film.
    """
    if len(sides) != 2 or kind not in ("PNG", "JPEG"):
        return False
    short, long = sorted(sides)
    if short not in _SCREENS or not 1.6 <= long / short <= 2.4:
        return False
    film = sides[0] * 9 == sides[1] * 16
    return kind == "PNG" or (long > _MESSENGER_SIDES[1] and not film)


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
    """What a label says; text that merely looks like one is told and says nothing."""
    try:
        label = json.loads(raw)
    except (ValueError, RecursionError):
        return WARN, "unreadable_label"
    value = label.get("Label") if isinstance(label, dict) else None
    return _LABEL_OUTCOMES.get(str(value).strip(), (INFO, "unknown_label"))


def _source_type(raw: str) -> Optional[Tuple[str, str]]:
    kind = raw.strip().rstrip("/").rpartition("/")[2]
    if kind == "trainedAlgorithmicMedia":
        return FAIL, "generated"
    if kind in ("compositeWithTrainedAlgorithmicMedia", "algorithmicMedia", "compositeSynthetic"):
        return WARN, "perhaps_generated"
    return None


def read_incomplete(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """READ_INCOMPLETE: our reader came to the end of what the file says of itself.

    It stops at bounds so that no file keeps it busy, and at what is broken: what stands behind
    is not known, and whoever wants to hide something may put it there.
    """
    limits = [claim.raw for claim in _told(claims, LIMIT_TAG)]
    faults = _told(claims, FAULT_TAG)
    found = [
        finding(
            "READ_INCOMPLETE",
            WARN,
            "second_exif",
            claim.tag,
            claim.raw,
            claim.offset,
            at=claim.offset,
        )
        for claim in _told(claims, "File:SecondExif")
    ]
    if limits:
        severity, reason = WARN, "limit"
        # A CR3 has a box for each directory: a second one of a kind is another one.
        if set(limits) <= _HARMLESS_LIMITS and _type(claims) != "CR3":
            severity, reason = INFO, "repeated"
        elif set(limits) <= _FRAGMENT_LIMITS and _fragments(claims):
            severity, reason = INFO, "fragments"
        found.append(
            finding("READ_INCOMPLETE", severity, reason, LIMIT_TAG, limits[0], -1, limits=limits)
        )
    if faults:
        found.append(
            finding(
                "READ_INCOMPLETE",
                WARN,
                "broken",
                FAULT_TAG,
                faults[0].raw,
                -1,
                faults=len(faults),
            )
        )
    return found


def _fragments(claims: Tuple[Claim, ...]) -> bool:
    """A recording whose head was read, so that only its length was looked for further on."""
    tags = {claim.tag for claim in claims if isinstance(claim, SignClaim)}
    return "QuickTime:CreateDate" in tags and "QuickTime:Duration" not in tags


def check_failed(claims: Tuple[Claim, ...], context: Context) -> List[Finding]:
    """CHECK_FAILED: our own reader got through the file; nothing is known of its contents if not.

    That is a fault of this program. A newer version of the reader tries again.
    """
    return [
        finding("CHECK_FAILED", UNDECIDED, "reader", claim.tag, claim.raw, claim.offset)
        for claim in _told(claims, FAILED_TAG)
    ]


def _told(claims: Tuple[Claim, ...], tag: str) -> List[SignClaim]:
    return [claim for claim in claims if isinstance(claim, SignClaim) and claim.tag == tag]


def _own(claims: Tuple[Claim, ...]) -> bool:
    return any(isinstance(claim, TimeClaim) and claim.own for claim in claims)


def _type(claims: Tuple[Claim, ...]) -> str:
    form = form_of(claims)
    return "" if form is None else form.type


def _numbers(raw: str) -> List[int]:
    return [int(part) for part in raw.split() if _NUMBER.match(part)]


def _signs(claims: Tuple[Claim, ...]) -> Dict[str, SignClaim]:
    return {claim.tag: claim for claim in claims if isinstance(claim, SignClaim)}
