"""The BagIt side of a package (RFC 8493): manifests that any ``sha256sum`` can check.

Stricter than BagIt demands: one spelling, sorted, everything listed, so that a
manifest follows from the files and a changed byte of it shows.
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Sequence, Tuple

from .errors import SyncError
from .zipformat import is_name

BAGIT = "bagit.txt"
BAG_INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
#: The payload once more by SM3 (GB/T 32905), where it was asked for; BagIt readers pass it over.
SM3_MANIFEST = "manifest-sm3.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
PAYLOAD = "data/"

BAGIT_TEXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

_ROW = re.compile(r"\A([0-9a-f]{64})  (.+)\Z")
_LABEL = re.compile(r"\A[A-Za-z][A-Za-z0-9-]*\Z")


class BagMalformed(SyncError):
    """A tag file of the bag is not in the one form that packages use."""

    code = "package.bag_malformed"

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file + ": " + reason)
        self.file = file
        self.reason = reason


def format_manifest(digests: Iterable[Tuple[str, str]]) -> bytes:
    """The manifest of (path, digest in hex) pairs, sorted by path."""
    rows = ["%s  %s\n" % (digest, path) for path, digest in sorted(digests)]
    return "".join(rows).encode("ascii")


def parse_manifest(data: bytes, *, file: str) -> Dict[str, str]:
    """Read a manifest back: path → digest in hex, in file order.

    Raises:
        BagMalformed: for anything that :func:`format_manifest` would not write.
    """
    rows = _text(data, file).split("\n")
    if rows.pop():
        raise BagMalformed(file, "the last line does not end")
    digests = {}  # type: Dict[str, str]
    before = ""
    for number, row in enumerate(rows, start=1):
        match = _ROW.match(row)
        if not match or not is_name(match.group(2)) or match.group(2) <= before:
            raise BagMalformed(file, "line %d" % number)
        before = match.group(2)
        digests[before] = match.group(1)
    return digests


def format_info(fields: Sequence[Tuple[str, str]]) -> bytes:
    """``bag-info.txt`` with these labels and values, in this order.

    Raises:
        BagMalformed: for a label or value that cannot stand on one line.
    """
    for label, value in fields:
        if not _LABEL.match(label) or not value or value != " ".join(value.split()):
            raise BagMalformed(BAG_INFO, label)
    return "".join("%s: %s\n" % field for field in fields).encode("utf-8")


def parse_info(data: bytes) -> List[Tuple[str, str]]:
    """Read ``bag-info.txt`` back.

    Raises:
        BagMalformed.
    """
    rows = _text(data, BAG_INFO).split("\n")
    if rows.pop():
        raise BagMalformed(BAG_INFO, "the last line does not end")
    fields = []
    for number, row in enumerate(rows, start=1):
        label, separator, value = row.partition(": ")
        if not separator or not _LABEL.match(label):
            raise BagMalformed(BAG_INFO, "line %d" % number)
        fields.append((label, value))
    return fields


def payload_oxum(sizes: Iterable[int]) -> str:
    """``bytes.files`` of the payload, as BagIt spells it."""
    sizes = list(sizes)
    return "%d.%d" % (sum(sizes), len(sizes))


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BagMalformed(file, "not UTF-8") from error
