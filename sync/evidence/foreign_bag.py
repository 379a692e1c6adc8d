"""Checks any BagIt bag, whoever made it and by whichever version (RFC 8493 and 0.93 to 0.97).

Our own packages are held to one spelling (:mod:`.bag`); bags of others have many.
Nothing is fetched: what ``fetch.txt`` names must be here.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from .verifier_source import EntryUnreadable, FolderSource, read

_VERSION = r"(?P<major>[0-9]+)\.(?P<minor>[0-9]+)"
_ENCODING = r"(?P<encoding>[A-Za-z0-9][A-Za-z0-9._-]*)"
_DECLARATION = re.compile(
    r"\ABagIt-Version: %s\r?\nTag-File-Character-Encoding: %s(?:\r?\n)?\Z" % (_VERSION, _ENCODING)
)
# Until 0.96 blanks around the colon and behind the value were left open.
_OLD_DECLARATION = re.compile(
    r"\ABagIt-Version[ \t]*:[ \t]*%s[ \t]*\r?\n"
    r"Tag-File-Character-Encoding[ \t]*:[ \t]*%s[ \t]*(?:\r?\n)?\Z" % (_VERSION, _ENCODING)
)
_STRICT = (0, 97)
_MANIFEST = re.compile(r"\A(tag)?manifest-([a-z0-9-]+)\.txt\Z")
_ROW = re.compile(r"\A([0-9A-Fa-f]+)[ \t]+\*?(.+)\Z")
_OXUM = re.compile(r"\APayload-Oxum[ \t]*:[ \t]*([0-9]+)\.([0-9]+)[ \t]*\Z")
_DRIVE = re.compile(r"\A[A-Za-z]:")


@dataclass(frozen=True)
class BagFault:
    """What is wrong with a bag, and in which of its files."""

    file: str
    reason: str


class _Malformed(Exception):
    """A tag file that cannot be read on; becomes a fault."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(reason)
        self.fault = BagFault(file, reason)


def check_any_bag(path: str) -> List[BagFault]:
    """All faults of the bag in the folder ``path``; none if it is complete and valid."""
    source = FolderSource(path)
    try:
        version, encoding = _declaration(source)
        return _Bag(source, version, encoding).faults()
    except _Malformed as error:
        return [error.fault]


class _Bag:
    def __init__(self, source: FolderSource, version: Tuple[int, int], encoding: str) -> None:
        self._source = source
        self._version = version
        self._encoding = encoding
        #: Files by their name in one Unicode form: manifests may be written on another system.
        self._files = {_form(name): name for name in source.names}
        self._digests: Dict[Tuple[str, str], str] = {}

    def faults(self) -> List[BagFault]:
        found: List[BagFault] = []
        payload = {name for name in self._files if name.startswith("data/")}
        if not os.path.isdir(os.path.join(self._source.path, "data")):
            found.append(BagFault("data/", "no payload folder"))
        listed: List[Dict[str, str]] = []
        for name in self._source.names:
            match = _MANIFEST.match(name)
            if not match:
                continue
            tag, algorithm = bool(match.group(1)), match.group(2).replace("-", "")
            rows = self._rows(name, payload_only=not tag)
            if not tag:
                listed.append(rows)
            found += self._check_digests(name, algorithm, rows)
        if not listed:
            found.append(BagFault("manifest", "no payload manifest"))
        found += self._check_complete(payload, listed)
        found += self._check_fetch(listed)
        found += self._check_oxum(payload)
        return found

    def _rows(self, manifest: str, *, payload_only: bool) -> Dict[str, str]:
        rows: Dict[str, str] = {}
        for number, row in enumerate(self._lines(manifest), start=1):
            match = _ROW.match(row)
            if not match:
                raise _Malformed(manifest, "line %d" % number)
            name = _form(self._unescaped(match.group(2)))
            if name.startswith("./"):
                name = name[2:]
            if not _is_inside(name) or (payload_only and not name.startswith("data/")):
                raise _Malformed(manifest, "line %d leads out of the bag: %s" % (number, name))
            digest = match.group(1).lower()
            # Until 0.97 a file might stand in a manifest twice, with the same digest.
            if name in rows and (self._version >= (1, 0) or rows[name] != digest):
                raise _Malformed(manifest, "line %d: a file for the second time" % number)
            rows[name] = digest
        return rows

    def _unescaped(self, name: str) -> str:
        name = re.sub("%0[Aa]", "\n", re.sub("%0[Dd]", "\r", name))
        return name.replace("%25", "%") if self._version >= (1, 0) else name

    def _check_digests(self, manifest: str, algorithm: str, rows: Dict[str, str]) -> List[BagFault]:
        if algorithm not in hashlib.algorithms_available:
            return [BagFault(manifest, "an unknown algorithm")]
        faults = []
        for name, digest in rows.items():
            if name not in self._files:
                faults.append(BagFault(name, "listed in %s, not there" % manifest))
            elif self._digest(name, algorithm) != digest:
                faults.append(BagFault(name, "another digest than in %s" % manifest))
        return faults

    def _digest(self, name: str, algorithm: str) -> str:
        key = (name, algorithm)
        if key not in self._digests:
            digest = hashlib.new(algorithm)
            try:
                for chunk in self._source.chunks(self._files[name]):
                    digest.update(chunk)
            except EntryUnreadable as error:
                raise _Malformed(name, str(error)) from error
            self._digests[key] = digest.hexdigest()
        return self._digests[key]

    def _check_complete(self, payload: "set[str]", listed: List[Dict[str, str]]) -> List[BagFault]:
        # From 1.0 on each manifest lists every file; before, some manifest had to.
        everywhere = all if self._version >= (1, 0) else any
        return [
            BagFault(name, "in no payload manifest")
            for name in sorted(payload)
            if not everywhere(name in rows for rows in listed)
        ]

    def _check_fetch(self, listed: List[Dict[str, str]]) -> List[BagFault]:
        if "fetch.txt" not in self._source.names:
            return []
        faults = []
        for number, row in enumerate(self._lines("fetch.txt"), start=1):
            fields = row.split(None, 2)
            if len(fields) != 3 or not re.match(r"\A(?:[0-9]+|-)\Z", fields[1]):
                raise _Malformed("fetch.txt", "line %d" % number)
            name = _form(self._unescaped(fields[2].strip()))
            if not _is_inside(name):
                raise _Malformed("fetch.txt", "line %d leads out of the bag: %s" % (number, name))
            if name.startswith("data/") and not any(name in rows for rows in listed):
                faults.append(BagFault(name, "to be fetched, in no manifest"))
            elif name.startswith("data/") and name not in self._files:
                faults.append(BagFault(name, "not fetched yet"))
        return faults

    def _check_oxum(self, payload: "set[str]") -> List[BagFault]:
        for info in ("bag-info.txt", "package-info.txt"):
            if info not in self._source.names:
                continue
            for row in self._lines(info):
                match = _OXUM.match(row)
                if match and (int(match.group(1)), int(match.group(2))) != self._oxum(payload):
                    return [BagFault(info, "another Payload-Oxum than the files have")]
        return []

    def _oxum(self, payload: "set[str]") -> Tuple[int, int]:
        folder = self._source.path
        sizes = [os.path.getsize(os.path.join(folder, self._files[name])) for name in payload]
        return sum(sizes), len(sizes)

    def _lines(self, name: str) -> List[str]:
        try:
            text = read(self._source, name).decode(self._encoding)
        except (EntryUnreadable, UnicodeDecodeError) as error:
            raise _Malformed(name, str(error)) from error
        return [row for row in re.split("\r\n|\n|\r", text.lstrip("\ufeff")) if row.strip()]


def _declaration(source: FolderSource) -> Tuple[Tuple[int, int], str]:
    """Version and encoding that ``bagit.txt`` declares."""
    try:
        text = read(source, "bagit.txt").decode("utf-8")
    except (EntryUnreadable, UnicodeDecodeError) as error:
        raise _Malformed("bagit.txt", str(error)) from error
    match = _DECLARATION.match(text) or _OLD_DECLARATION.match(text)
    if match is None:
        raise _Malformed("bagit.txt", "not a declaration")
    version = int(match.group("major")), int(match.group("minor"))
    if version >= _STRICT and not _DECLARATION.match(text):
        raise _Malformed("bagit.txt", "blanks where none may be")
    encoding = match.group("encoding")
    if _codec(encoding) is None:
        raise _Malformed("bagit.txt", "an unknown encoding")
    return version, encoding


def _codec(name: str) -> Optional[codecs.CodecInfo]:
    try:
        return codecs.lookup(name)
    except LookupError:
        return None


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _is_inside(name: str) -> bool:
    """Whether a name stays in the bag on every system."""
    parts = name.replace("\\", "/").split("/")
    return not (name.startswith(("/", "~", "\\")) or ".." in parts or _DRIVE.match(name))
