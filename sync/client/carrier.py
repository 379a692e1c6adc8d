"""Sync by file, outwards: what waits for a receipt leaves as an encrypted folder (protocol.md §5).

Nothing here counts as delivered by being written: that takes the server's reply.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sync.carrier.errors import CarrierForged, RecipientUnknown
from sync.carrier.keys import CarrierKey, load_key, make_key
from sync.carrier.manifest import (
    MAX_MEDIA,
    EpochRange,
    Manifest,
    digest_of,
    read_recipient,
    seal_carrier,
)
from sync.carrier.manifest import Medium as Carried
from sync.carrier.members import Source, whole
from sync.carrier.writing import SPLIT_BYTES, CarrierWriter
from sync.client.clock import Clock
from sync.client.fates import CURSOR as OUTCOMES
from sync.client.folder import DeviceFolder
from sync.client.keys import DeviceKey
from sync.client.outbox import KEPT, M_FAILED, M_SAFE, SAFE, Medium, Outbox
from sync.client.trust import Enrolment
from sync.evidence.note import parse_verifier_key

RECIPIENT, CARRIERS = "carrier_recipient", "carriers"
#: Carriers whose replies are still read; older ones have been overtaken long ago.
_REMEMBERED = 200
_BATCH_BYTES = 128 << 10
_BATCH_LINES = 500
_STEP = 1 << 20
_DAMAGED = "media.local_damage"

# A file belongs into a carrier if the line that announces it is there or was delivered before.
_ANNOUNCED = """EXISTS (
    SELECT 1 FROM item JOIN line ON line.digest = item.line
    WHERE item.sha256 = medium.sha256 AND line.state IN ('kept', 'safe'))"""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A carrier on a disk; ``damaged`` are names of files that could not be read as announced.

    ``left`` files did not fit and go into the next one.
    """

    path: str
    carrier: str
    lines: int
    media: int
    parts: int
    size: int
    damaged: tuple[str, ...]
    left: int


def remember_recipient(outbox: Outbox, enrolment: Enrolment, note: str) -> None:
    """Keep to whom carriers are encrypted; a note that the pinned key did not sign changes nothing.

    Raises:
        StorageFailed.
    """
    if note == outbox.meta(RECIPIENT):
        return
    try:
        _read(note, enrolment)
    except CarrierForged:
        return
    with outbox.transaction():
        outbox.remember(RECIPIENT, note)


def carrier_key(folder: DeviceFolder) -> CarrierKey:
    """The key that replies are encrypted to, made at first use.

    Raises:
        OSError, ValueError: if it cannot be made or read.
    """
    path = folder.path / "carrier.key"
    if not path.exists():
        make_key(path)
    return load_key(path)


def write_carrier(
    folder: DeviceFolder,
    outbox: Outbox,
    enrolment: Enrolment,
    key: DeviceKey,
    clock: Clock,
    place: Path,
    *,
    split: int = SPLIT_BYTES,
    since_ms: int | None = None,
) -> Written:
    """Write everything without receipt into a new folder in ``place``.

    With ``since_ms``, also what was delivered, from the first line signed since then
    by the device's clock on.

    Raises:
        RecipientUnknown: if the server has not told its recipient yet.
        CarrierUnwritable: the disk is full or gone; nothing counts as written.
    """
    note = outbox.meta(RECIPIENT)
    if note is None:
        raise RecipientUnknown
    recipient = _read(note, enrolment)
    epochs = [found for epoch in outbox.epochs() if (found := _range(outbox, epoch, since_ms))]
    media = _media(outbox, epochs, again=since_ms is not None)
    load = _Load(folder, outbox, epochs, media[:MAX_MEDIA])
    identifier = secrets.token_hex(16)
    with CarrierWriter(place, "carrier", identifier, recipient=recipient) as writer:
        parts = writer.pack(load.sources(), split=split)
        manifest = Manifest(
            carrier=identifier,
            origin=enrolment.origin,
            generation=enrolment.generation,
            device=enrolment.device,
            key_id=key.key_id,
            written_at_ms=clock.read().wall_ms,
            reply_to=carrier_key(folder).recipient,
            cursor=outbox.meta("cursor") or "",
            outcomes=outbox.meta(OUTCOMES) or "",
            checkpoint=outbox.meta("checkpoint"),
            epochs=tuple(epochs),
            media=tuple(load.sound),
            parts=parts,
        )
        # Before the folder is complete: a reply to a carrier that is not known here is not read.
        _remember(outbox, manifest)
        writer.finish(seal_carrier(manifest, key.sign))
    _note_damage(outbox, load.damaged)
    return Written(
        path=str(writer.path),
        carrier=identifier,
        lines=sum(epoch.next_seq - epoch.first_seq for epoch in epochs),
        media=len(load.sound),
        parts=len(parts),
        size=sum(part.size for part in parts),
        damaged=tuple(medium.name for medium in load.damaged),
        left=max(0, len(media) - MAX_MEDIA),
    )


def _read(note: str, enrolment: Enrolment) -> str:
    key = parse_verifier_key(enrolment.receipt_key)
    return read_recipient(note, origin=enrolment.origin, key=key)


def _remember(outbox: Outbox, manifest: Manifest) -> None:
    known = outbox.meta(CARRIERS) or {}
    known[manifest.carrier] = {
        "manifest": digest_of(manifest),
        "checkpoint": manifest.checkpoint,
        "cursor": manifest.cursor,
        "outcomes": manifest.outcomes,
        "read": [],
    }
    with outbox.transaction():
        outbox.remember(CARRIERS, dict(list(known.items())[-_REMEMBERED:]))


def _range(outbox: Outbox, epoch: str, since_ms: int | None) -> EpochRange | None:
    """The lines of ``epoch`` that go, without holes; None if there are none."""
    first = outbox.first_unsafe(epoch)
    if since_ms is not None:
        again = next(
            (
                line.seq
                for line in outbox.lines("line.epoch = ? AND state = ?", (epoch, SAFE))
                if json.loads(line.raw)["e"]["t"]["wall_ms"] >= since_ms
            ),
            None,
        )
        first = min((seq for seq in (first, again) if seq is not None), default=None)
    if first is None:
        return None
    # What was refused, and all behind it, has no place and is said again in a later epoch.
    last = outbox.count(
        "SELECT MAX(seq) FROM line WHERE epoch = ? AND state IN (?, ?)", epoch, KEPT, SAFE
    )
    head = outbox.digest_at(epoch, last) or ""
    return EpochRange(epoch, first, last + 1, head)


def _media(outbox: Outbox, epochs: list[EpochRange], *, again: bool) -> list[Medium]:
    """The files that go, small first; ``again`` takes those of the carried lines in any state."""
    waiting = outbox.media(f"state <> ? AND {_ANNOUNCED}", (M_SAFE,))
    if not again:
        return waiting
    delivered = {
        row[0]
        for epoch in epochs
        for row in outbox.db.execute(
            "SELECT item.sha256 FROM item JOIN line ON line.digest = item.line"
            " WHERE line.epoch = ? AND line.seq >= ?",
            (epoch.epoch, epoch.first_seq),
        )
    }
    known = {medium.sha256 for medium in waiting}
    return waiting + [
        medium
        for medium in outbox.media("state = ? AND freed_at_ms IS NULL", (M_SAFE,))
        if medium.sha256 in delivered - known
    ]


def _note_damage(outbox: Outbox, damaged: list[Medium]) -> None:
    with outbox.transaction():
        for medium in damaged:
            outbox.set_medium(medium.sha256, state=M_FAILED, code=_DAMAGED)


class _Load:
    """What goes into a carrier, read only when it is written."""

    def __init__(
        self, folder: DeviceFolder, outbox: Outbox, epochs: list[EpochRange], media: list[Medium]
    ) -> None:
        self._folder = folder
        self._outbox = outbox
        self._epochs = epochs
        self._media = media
        self.sound: list[Carried] = []
        self.damaged: list[Medium] = []

    def sources(self) -> Iterator[Source]:
        """Lines first, oldest epoch first, then files, small first."""
        for epoch in self._epochs:
            yield from self._journal(epoch)
        for medium in self._media:
            file = _File(self._folder.media / medium.name)
            yield Source(
                medium.size,
                lambda offset, sha256=medium.sha256: f"media/{sha256}/{offset}",  # type: ignore[misc]  # mypy cannot infer a default's lambda
                file.stream,
                divisible=True,
            )
            # All of it is in the parts by now; what is not sound is not in the manifest.
            if file.digest.hexdigest() == medium.sha256:
                self.sound.append(
                    Carried(medium.sha256, medium.size, medium.name, medium.media_type)
                )
            else:
                self.damaged.append(medium)

    def _journal(self, epoch: EpochRange) -> Iterator[Source]:
        seq = epoch.first_seq
        while seq < epoch.next_seq:
            content, following = self._batch(epoch, seq)
            yield whole(f"journal/{epoch.epoch}/{seq}.ndjson", content)
            seq = following

    def _batch(self, epoch: EpochRange, seq: int) -> tuple[bytes, int]:
        """Lines from ``seq`` on that fit into the smallest part, and the seq after them."""
        content = bytearray()
        before = min(epoch.next_seq, seq + _BATCH_LINES)
        for line in self._outbox.lines(
            "line.epoch = ? AND seq >= ? AND seq < ?", (epoch.epoch, seq, before)
        ):
            if content and len(content) + len(line.raw) >= _BATCH_BYTES:
                return bytes(content), line.seq
            content += line.raw + b"\n"
        return bytes(content), before


class _File:
    """A file that is hashed while its pieces are written, in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.digest = hashlib.sha256()

    def stream(self, offset: int, size: int) -> Iterator[bytes]:
        """``size`` bytes from ``offset`` on; zeroes, and a wrong digest, for what is not there."""
        try:
            with open(self._path, "rb") as file:
                file.seek(offset)
                while size and (block := file.read(min(_STEP, size))):
                    size -= len(block)
                    self.digest.update(block)
                    yield block
        except OSError:
            # One file that cannot be read costs only itself.
            self.digest.update(b"unreadable")
        while size:
            block = bytes(min(_STEP, size))
            size -= len(block)
            self.digest.update(b"unreadable")
            yield block
