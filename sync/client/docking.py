"""The docking station: takes a recorder's card in without writing to it, signs what was there.

Every file present is listed with its digest, imported or not, so that what was
left out can be named later. Nothing is deleted or changed in the source.
"""

import base64
import os
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sync.client.errors import RecordingsStopped, SourceChanged, SourceUnreadable
from sync.client.fieldwork import Fieldwork
from sync.client.folder import DeviceFolder, hash_file
from sync.client.journal import Journal
from sync.client.outbox import Outbox
from sync.client.recorders import NameFacts, NamePatterns
from sync.client.results import Captured, Place, place_of
from sync.client.room import check_room
from sync.client.sessions import Sessions
from sync.evidence import acts, canonical

#: Room for a listing's entries within a line of 64 KiB, beside header and signature.
_PAGE_BYTES = 56_000

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SourceFile:
    """A file as it lies in the source; ``relative`` are its path's raw bytes from there."""

    path: Path
    relative: bytes
    size: int
    mtime_ms: int
    facts: NameFacts


@dataclass(frozen=True)
class Listed:
    """What became of one source file; ``sha256`` is empty if it could not be read."""

    file: SourceFile
    sha256: str = ""
    item: str = ""
    error: str = ""


@dataclass(frozen=True)
class Imported:
    """An import: ``new`` were taken in now, ``known`` before, ``other`` are only listed.

    ``unreadable`` and ``stopped`` are paths in the source; ``stopped`` are recordings for
    which there was no room.
    """

    listing: str
    new: tuple[Captured, ...]
    known: int
    other: int
    unreadable: tuple[str, ...]
    stopped: tuple[str, ...]
    pages: tuple[Place, ...]


class Docking:
    """Imports vendor folders and cards."""

    def __init__(
        self,
        folder: DeviceFolder,
        outbox: Outbox,
        journal: Journal,
        sessions: Sessions,
        fieldwork: Fieldwork,
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._journal = journal
        self._sessions = sessions
        self._fieldwork = fieldwork

    def import_folder(
        self,
        source: Path,
        *,
        officer: str | None = None,
        inspection: str | None = None,
        progress: Progress | None = None,
    ) -> Imported:
        """Import what is new in ``source``, oldest first, then sign the listing of all of it.

        Safe to stop at any moment and to run again: a digest is imported once.

        Raises:
            SourceUnreadable: if ``source`` is no readable folder.
                NoSession, UnknownInspection, PatternsInvalid, DiskFull.
        """
        if inspection is not None:
            acting = self._fieldwork.acting(inspection, officer)
        else:
            acting = self._sessions.acting(officer).officer
        patterns = NamePatterns.load(self._folder.patterns)
        files = sorted(_walk(source, patterns), key=_age)
        listing = str(uuid.uuid4())
        listed: list[Listed] = []
        new: list[Captured] = []
        for done, file in enumerate(files):
            if progress is not None:
                progress("import", done, len(files))
            captured, entry = self._consider(
                file, patterns, acting=acting, inspection=inspection, listing=listing, source=source
            )
            listed.append(entry)
            if captured is not None:
                new.append(captured)
        if progress is not None:
            progress("import", len(files), len(files))
        pages = self._sign_listing(listed, listing, acting, source)
        taken = {captured.item for captured in new}
        return Imported(
            listing=listing,
            new=tuple(new),
            known=sum(1 for e in listed if e.item and e.item not in taken),
            other=sum(1 for e in listed if e.sha256 and not e.item),
            unreadable=_named(e for e in listed if e.error not in ("", RecordingsStopped.code)),
            stopped=_named(e for e in listed if e.error == RecordingsStopped.code),
            pages=pages,
        )

    def _consider(
        self,
        file: SourceFile,
        patterns: NamePatterns,
        *,
        acting: str,
        inspection: str | None,
        listing: str,
        source: Path,
    ) -> tuple[Captured | None, Listed]:
        """Import ``file`` if it is a medium not seen before; one bad file costs only itself.

        A recording for which room runs low stays on the card; photos behind it do not.
        """
        try:
            if not patterns.is_media(file.path.name) or self._seen(file):
                sha256, size = hash_file(file.path)
                item = self._item_of(sha256)
                if item or not patterns.is_media(file.path.name):
                    return None, Listed(replace(file, size=size), sha256, item)
            check_room(self._folder, file.path)
            taken = self._folder.take(file.path)
        except (SourceUnreadable, SourceChanged, RecordingsStopped) as error:
            return None, Listed(file, error=error.code)
        item = self._item_of(taken.sha256)
        if item:
            known = self._outbox.medium(taken.sha256)
            if known is not None and known.name != taken.name:
                self._folder.drop(taken)
            self._remember(file, taken.sha256)
            return None, Listed(file, taken.sha256, item)
        act: dict[str, Any] = {
            "type": acts.MEDIA_IMPORTED,
            "officer": acting,
            "class": "C",
            "name": _spoken(os.path.basename(file.relative)),
            "source": {
                **_source_name(file.relative),
                **_claims(file.facts),
                "mtime_ms": file.mtime_ms,
                "folder": _spoken(os.fsencode(source.name)),
                "listing": listing,
            },
        }
        if inspection is not None:
            act["inspection"] = inspection
        captured = self._fieldwork.announce(act, taken, file.path)
        self._remember(file, taken.sha256)
        return captured, Listed(file, captured.sha256, captured.item)

    def _sign_listing(
        self, listed: list[Listed], listing: str, acting: str, source: Path
    ) -> tuple[Place, ...]:
        pages = list(_pages([_entry(entry) for entry in listed])) or [[]]
        return tuple(
            place_of(
                self._journal.append(
                    {
                        "type": acts.IMPORT_LISTED,
                        "officer": acting,
                        "listing": listing,
                        "page": number,
                        "pages": len(pages),
                        "folder": _spoken(os.fsencode(source.name)),
                        "files": page,
                    }
                )
            )
            for number, page in enumerate(pages)
        )

    def _seen(self, file: SourceFile) -> bool:
        """Whether a file of this name, size and time was taken before: then hash, copy later."""
        return bool(
            self._outbox.count(
                "SELECT COUNT(*) FROM source_file WHERE path = ? AND size = ? AND mtime_ms = ?",
                _key(file),
                file.size,
                file.mtime_ms,
            )
        )

    def _remember(self, file: SourceFile, sha256: str) -> None:
        with self._outbox.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO source_file VALUES (?, ?, ?, ?)",
                (_key(file), file.size, file.mtime_ms, sha256),
            )

    def _item_of(self, sha256: str) -> str:
        row = self._outbox.db.execute(
            "SELECT id FROM item WHERE sha256 = ? LIMIT 1", (sha256,)
        ).fetchone()
        return "" if row is None else str(row[0])


def _walk(source: Path, patterns: NamePatterns) -> Iterator[SourceFile]:
    """Every regular file under ``source``; links are not followed, they could lead anywhere."""

    def refuse(error: OSError) -> None:
        raise SourceUnreadable(str(error.filename), error.strerror or "") from error

    for directory, _, names in os.walk(source, onerror=refuse, followlinks=False):
        for name in names:
            path = Path(directory) / name
            if path.is_symlink() or not path.is_file():
                continue
            state = path.stat()
            yield SourceFile(
                path=path,
                relative=os.fsencode(path.relative_to(source)),
                size=state.st_size,
                mtime_ms=state.st_mtime_ns // 1_000_000,
                facts=patterns.read(name),
            )


def _age(file: SourceFile) -> tuple[str, bytes]:
    """Oldest first by the name's own time; else by the file system's, in the same spelling."""
    if file.facts.recorded_at:
        return file.facts.recorded_at, file.relative
    local = _local_iso(file.mtime_ms)
    return local, file.relative


def _local_iso(mtime_ms: int) -> str:
    return datetime.fromtimestamp(mtime_ms / 1000).isoformat(timespec="seconds")


def _entry(listed: Listed) -> dict[str, Any]:
    entry: dict[str, Any] = {
        **_source_name(listed.file.relative),
        "size": listed.file.size,
        "mtime_ms": listed.file.mtime_ms,
        "imported": bool(listed.item),
    }
    optional = {"sha256": listed.sha256, "item": listed.item, "error": listed.error}
    return entry | {name: value for name, value in optional.items() if value}


def _pages(entries: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    size = 0
    for entry in entries:
        length = len(canonical.dumps(entry)) + 1
        if page and size + length > _PAGE_BYTES:
            yield page
            page, size = [], 0
        page.append(entry)
        size += length
    if page:
        yield page


def _claims(facts: NameFacts) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "recorder": facts.recorder,
        "wearer": facts.wearer,
        "recorded_at": facts.recorded_at,
    }
    named = {name: value for name, value in claims.items() if value}
    return named | ({"key_mark": True} if facts.key_mark else {})


def _source_name(relative: bytes) -> dict[str, Any]:
    """The path as text, and its raw bytes beside it where the text is not the same."""
    spoken = unicodedata.normalize("NFC", _spoken(relative))
    if spoken.encode() == relative:
        return {"path": spoken}
    return {"path": spoken, "path_b64": base64.b64encode(relative).decode("ascii")}


def _named(listed: Iterable[Listed]) -> tuple[str, ...]:
    return tuple(_spoken(entry.file.relative) for entry in listed)


def _spoken(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def _key(file: SourceFile) -> str:
    return base64.b64encode(file.relative).decode("ascii")
