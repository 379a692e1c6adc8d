"""Traces in a file that are neither a time nor a place, and what kept our reader from the rest."""

from __future__ import annotations

from typing import Any, List, Mapping

from .model import SignClaim
from .reading import DURATION_TAGS, Reading

#: Tags of claims that are not values of the file but of its reading: a bound that was hit, a
#: part that was broken, and our reader's own failure.
LIMIT_TAG, FAULT_TAG, FAILED_TAG = "reader:limit", "reader:fault", "reader:failed"
#: A time of the file that no comparison of its recorder's clock speaks of; the value is its tag.
FAR_TAG = "recorder:far"
#: Code of the fault in facts that were not read because the reader itself failed.
READER_FAILED = "media.reader_failed"
_UNKNOWN_TYPE = "media.unknown_type"
_CREDENTIALS = ":JUMBF"
#: Where a file may say that a machine made it.
LABEL_TAGS = ("AIGC:Label", "XMP-TC260:AIGC", "XMP-iptcExt:DigitalSourceType")

#: Traces that only newer readers look for; a fact that is not there says nothing by its absence
#: unless ``File:ImageSize`` shows that the reader looked.
SIGN_TAGS = (
    "File:ImageSize",
    "QuickTime:CreateDate",
    "PNG:ImageSize",
    "File:EncodingProcess",
    "JFIF:JFIFVersion",
    "APP14:Adobe",
    "Photoshop:IRB",
    "JPEG:QuantTables",
    "IFD1:ThumbnailImage",
    "ExifIFD:MakerNote",
    "ExifIFD:ExifImageWidth",
    "ExifIFD:ExifImageHeight",
    "ExifIFD:BodySerialNumber",
    "GPS:GPSMapDatum",
    "XMP-exif:DateTimeOriginal",
    "XMP-photoshop:DateCreated",
    "XMP-xmp:CreateDate",
    "XMP-xmp:ModifyDate",
    "XMP-xmp:CreatorTool",
    "XMP-xmpMM:History",
    "XMP-iptcExt:DigitalSourceType",
    "XMP-TC260:AIGC",
    "IPTC:DateCreated",
    "IPTC:TimeCreated",
    "IPTC:DigitalCreationDate",
    "IPTC:DigitalCreationTime",
    "AIGC:Label",
    "File:TrailingData",
    "File:Polyglot",
    "File:SecondExif",
    *DURATION_TAGS,
)


def signs(reading: Reading) -> List[SignClaim]:
    """What the file holds of them, in the order of their list."""
    credentials = [tag for tag in reading.tags() if tag.endswith(_CREDENTIALS)]
    return [
        SignClaim(tag=stored.tag, raw=stored.raw, offset=stored.offset)
        for tag in (*SIGN_TAGS, *credentials)
        # A harmless label may stand before another one.
        for stored in reading.every(tag)[: None if tag in LABEL_TAGS else 1]
    ]


def shortfalls(facts: Mapping[str, Any]) -> List[SignClaim]:
    """What kept our reader from reading all of the file."""
    found = [SignClaim(LIMIT_TAG, limit, -1) for limit in facts["limits_hit"]]
    for fault in facts["faults"]:
        if fault["code"] == READER_FAILED:
            found.append(SignClaim(FAILED_TAG, fault["detail"], -1))
        elif fault["code"] != _UNKNOWN_TYPE:
            # A format that nobody knows is told by the absence of all that it could say.
            found.append(SignClaim(FAULT_TAG, fault["detail"], -1))
    return found
