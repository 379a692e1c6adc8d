"""Checkpoints that are kept outside the database, and whether the ledger still contains them.

They lie in the checkpoint folder, in the object store, and in every package; those that
devices showed and the ledger lacked stand in ``known_checkpoint``. Whoever puts the
database back would have to put back all of these as well.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import (
    CHECKPOINT_PREFIX,
    PACKAGE_PREFIX,
    ObjectMissing,
    S3Source,
    Store,
    StoreUnavailable,
)
from server.db import reading, transaction
from server.failures import NotFound
from server.models.ledger import Generation, KnownCheckpoint, LedgerHead
from server.operations import generations, ledger
from server.operations.checkpoint_folder import kept_notes
from server.operations.ledger_audit.reports import Doubt
from server.services import Services
from server.signing import signed_by
from sync.evidence.checkpoint import Checkpoint as TreeHead
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.errors import SyncError
from sync.evidence.note import parse_note
from sync.evidence.package import CHECKPOINT

#: A signed checkpoint is far shorter, with all its cosignatures.
_MAX_BYTES = 65_536


@dataclass(frozen=True)
class Compared:
    """How many checkpoints were compared, and which of them the ledger does not contain."""

    count: int
    packages_after: str
    doubts: tuple[Doubt, ...]


def compare_outside(parts: Services, *, packages: int, packages_after: str) -> Compared:
    """Compare the ledger with all checkpoints outside, and with ``packages`` more packages.

    One of ours that the ledger lacks stops all further entries, as one that a device shows.

    Raises:
        StoreUnavailable: if the store does not answer.
    """
    found = list(_kept(parts))
    some, last = _packages(parts.store, packages, after=packages_after)
    found += some
    doubts: list[Doubt] = []
    beyond: list[str] = []
    with reading() as session:
        doubts += _known(session)
        for place, note in found:
            doubt = _compare(session, parts.ledger_keys, place, note)
            if doubt is None:
                continue
            doubts.append(doubt)
            if doubt.kind == "outside":
                beyond.append(note)
    if beyond:
        with transaction() as session:
            generations.note_beyond(session, parts, beyond, shown_by="audit")
    return Compared(count=len(found), packages_after=last, doubts=tuple(doubts))


def check_note(note: str, keys: Sequence[bytes]) -> TreeHead | None:
    """The checkpoint in ``note`` if one of ``keys`` signed it under the ledger's name."""
    try:
        parsed = parse_note(note)
        head = parse_checkpoint(parsed.text)
    except SyncError:
        return None
    return head if any(signed_by(parsed, head.origin, key) for key in keys) else None


def _kept(parts: Services) -> Iterator[tuple[str, str]]:
    for note in kept_notes(parts.settings.checkpoint_dir):
        head = parse_checkpoint(parse_note(note).text)
        yield f"{parts.settings.checkpoint_dir.name}: {head.origin} {head.size}", note
    for found in parts.store.list(CHECKPOINT_PREFIX):
        try:
            kept = parts.store.read(found.key, 0, _MAX_BYTES)
        except ObjectMissing:
            # An older one of the newest few, which went while we were reading.
            continue
        yield found.key, kept.decode("utf-8", "replace")


def _packages(store: Store, most: int, *, after: str) -> tuple[list[tuple[str, str]], str]:
    """The checkpoints of the next ``most`` packages by name, and where the round stands then."""
    some: list[tuple[str, str]] = []
    for found in store.list(PACKAGE_PREFIX):
        if found.key <= after or not found.key.endswith(".zip"):
            continue
        if len(some) == most:
            return some, some[-1][0]
        some.append((found.key, _in_package(store, found.key, found.size)))
    return some, ""


def _in_package(store: Store, key: str, size: int) -> str:
    """The checkpoint of one package; empty if it cannot be read, which then is none of ours."""
    file = io.BufferedReader(_Ranges(S3Source(store, key, size)))
    try:
        with zipfile.ZipFile(file) as archive, archive.open(CHECKPOINT) as member:
            return member.read(_MAX_BYTES).decode("utf-8", "replace")
    except StoreUnavailable:
        raise
    except (MediaError, zipfile.BadZipFile, KeyError, OSError, NotImplementedError, ValueError):
        return ""


class _Ranges(io.RawIOBase):
    """A stored object as a file that is read where somebody looks."""

    def __init__(self, source: S3Source) -> None:
        self._source = source
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        before = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._source.size}
        self._at = max(0, before[whence] + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _known(session: Session) -> Iterator[Doubt]:
    """What was shown since the present generation began, and is not settled by a later one."""
    present = ledger.current_generation(session).number
    for row in session.scalars(
        select(KnownCheckpoint).where(KnownCheckpoint.generation == present)
    ):
        place = f"known_checkpoint {row.origin} {row.size} ({row.shown_by})"
        yield Doubt(kind="outside", generation=present, place=place, found=str(row.size))


def _compare(session: Session, keys: Sequence[bytes], place: str, note: str) -> Doubt | None:
    head = check_note(note, keys)
    if head is None:
        return Doubt(kind="unsigned", generation=0, place=place)
    number = session.scalar(select(Generation.number).where(Generation.origin == head.origin))
    present = ledger.current_generation(session).number
    if number is None:
        lost = session.scalar(
            select(KnownCheckpoint.size)
            .where(KnownCheckpoint.origin == head.origin, KnownCheckpoint.generation < present)
            .limit(1)
        )
        contained = lost is not None
    else:
        size = session.get_one(LedgerHead, number).size
        if head.size > size:
            # What a restore gave up is named in its first leaf; the present one gives up nothing.
            contained = number != present
        else:
            contained = _root(session, number, head.size) == head.root
    if contained:
        return None
    return Doubt(kind="outside", generation=number or 0, place=place, found=str(head.size))


def _root(session: Session, number: int, size: int) -> bytes | None:
    try:
        return ledger.tree_root(session, number, size)
    except NotFound:
        return None
