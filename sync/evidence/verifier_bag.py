"""Steps 1 and 2: the ZIP is the one that the format prescribes, the bag lists exactly its files."""

from __future__ import annotations

import os
from typing import Dict, Mapping, Optional, Union

from . import bag, package
from .bag import BagMalformed
from .verifier_claims import Book, first_line
from .verifier_sm3 import check_sm3
from .verifier_source import EntryUnreadable, Measured, Source, Unreadable, ZipSource, read

Files = Mapping[str, Union[Measured, Unreadable]]


def check_container(book: Book, source: Source, files: Files) -> None:
    """Step 1: headers written again and compared; every CRC; every file readable."""
    whole = os.path.basename(source.path)
    mark = book.mark
    for fault in source.faults:
        book.failed("container." + fault.part, file=fault.name or whole)
    if source.foreign:
        book.failed("container.foreign", file=whole)
    for name, file in files.items():
        if isinstance(file, Unreadable):
            book.failed("container.unreadable", file=name, reason=file.reason)
        elif file.crc_good is False:
            book.failed("container.crc", file=name)
    if isinstance(source, ZipSource):
        book.conclude(mark, "container.exact", count=len(files))
    else:
        book.not_checked("container.folder")


def check_bag(book: Book, source: Source, files: Files) -> None:
    """Step 2: both manifests are complete and exact, and nothing else lies in the package."""
    for name in package.REQUIRED:
        if name not in files:
            book.failed("bag.required", file=name)
    payload = {name: file for name, file in files.items() if name.startswith(bag.PAYLOAD)}
    tags = {
        name: file
        for name, file in files.items()
        if name not in payload and name not in package.UNLISTED
    }
    _check_manifest(book, source, bag.MANIFEST, payload)
    _check_manifest(book, source, bag.TAG_MANIFEST, tags)
    check_sm3(book, source, payload)
    _check_declaration(book, source, payload)


def _check_manifest(book: Book, source: Source, manifest: str, files: Files) -> None:
    listed = _manifest(book, source, manifest)
    if listed is None:
        return
    mark = book.mark
    for name, digest in listed.items():
        file = files.get(name)
        if file is None:
            book.failed("bag.missing", file=name, manifest=manifest)
        elif isinstance(file, Measured) and file.sha256 != digest:
            book.failed("bag.digest", file=name, manifest=manifest)
    for name in files:
        if name not in listed:
            book.failed("bag.extra", file=name, manifest=manifest)
    book.conclude(mark, "bag.exact", file=manifest, count=len(listed))


def _manifest(book: Book, source: Source, manifest: str) -> Optional[Dict[str, str]]:
    try:
        return bag.parse_manifest(read(source, manifest), file=manifest)
    except (BagMalformed, EntryUnreadable) as error:
        book.failed("bag.malformed", file=manifest, reason=first_line(error))
        return None


def _check_declaration(book: Book, source: Source, payload: Files) -> None:
    mark = book.mark
    try:
        if read(source, bag.BAGIT) != bag.BAGIT_TEXT:
            book.failed("bag.malformed", file=bag.BAGIT, reason="")
        fields = dict(bag.parse_info(read(source, bag.BAG_INFO)))
        oxum = bag.payload_oxum(f.size for f in payload.values() if isinstance(f, Measured))
        if fields.get("Payload-Oxum") != oxum:
            book.failed("bag.oxum", file=bag.BAG_INFO, expected=oxum)
    except EntryUnreadable as error:
        # A file that is not there has been named above; one that is there has not.
        book.not_checked("bag.declaration_unread", reason=first_line(error))
        return
    except BagMalformed as error:
        book.failed("bag.malformed", file=error.file, reason=error.reason)
    book.conclude(mark, "bag.declared")
