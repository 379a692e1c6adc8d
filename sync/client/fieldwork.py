"""An inspection on the device: opening, capturing, recording, discarding, sealing."""

import os
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sync import shortcode
from sync.client.documents import Documents, sealed_inspections
from sync.client.errors import (
    AlreadyDiscarded,
    AlreadySealed,
    HeadMistyped,
    ReasonMissing,
    SealTooLarge,
    TooFewOfficers,
    UnknownItem,
)
from sync.client.folder import DeviceFolder, Taken
from sync.client.journal import Journal
from sync.client.mediatype import media_type_of
from sync.client.outbox import Outbox
from sync.client.processwork import Processwork
from sync.client.results import (
    Captured,
    Kept,
    Opened,
    Place,
    Position,
    Sealed,
    place_of,
)
from sync.client.room import check_room
from sync.client.sessions import Method, Sessions
from sync.evidence import acts
from sync.evidence.errors import LineTooLong
from sync.evidence.line import parse_line
from sync.shortcode import FullHead, Mistyped, ShortHead

MIN_OFFICERS = 2


class Fieldwork(Processwork):
    """The acts of an inspection; each is one durable line before the call returns."""

    def __init__(
        self,
        folder: DeviceFolder,
        outbox: Outbox,
        journal: Journal,
        documents: Documents,
        sessions: Sessions,
    ) -> None:
        super().__init__(outbox, journal, documents, sessions)
        self._folder = folder

    def open_inspection(
        self,
        officers: Sequence[str],
        *,
        task: str | None = None,
        entity: str | None = None,
        title: str = "",
        purpose: str = "",
        external_ids: Mapping[str, str] | None = None,
        method: Method = "none",
        pins: Mapping[str, str] | None = None,
        inspection: str | None = None,
    ) -> Opened:
        """Open an inspection in the name of ``officers`` (ids or certificate numbers).

        Whoever has no session yet gets one, confirmed by ``method``; ``pins`` maps
        the officers as named to their PINs. ``inspection`` joins the one that a
        fellow officer's device opened; ``external_ids`` are its names elsewhere.

        Raises:
            TooFewOfficers: if fewer than two different officers are named.
            UnknownDocument: if officer, task or entity has not been pulled.
        """
        people = {self._documents.officer(wanted).id: wanted for wanted in officers}
        if len(people) < MIN_OFFICERS:
            raise TooFewOfficers(len(people))
        if entity is not None:
            self._documents.body("entity", entity)
        if task is not None:
            title = title or self._documents.body("task", task).get("title", "")
        confirmed = {}
        for officer, named in people.items():
            session = self._sessions.find(officer)
            if session is None:
                pin = (pins or {}).get(named, "")
                session = self._sessions.open(officer, method=method, pin=pin)
            confirmed[officer] = session.method
        act: dict[str, Any] = {
            "type": acts.INSPECTION_OPENED,
            "officer": next(iter(people)),
            "inspection": inspection or str(uuid.uuid4()),
            "officers": list(people),
            "title": title,
            "purpose": purpose,
        }
        given = {"task": task, "entity": entity, "external_ids": dict(external_ids or {})}
        act |= {name: value for name, value in given.items() if value}
        return Opened(act["inspection"], confirmed, place_of(self._journal.append(act)))

    def open_camera(self, inspection: str, *, officer: str | None = None) -> Place:
        """Record that the system camera is opened for ``inspection`` (docs/evidence.md §6)."""
        return self._say(acts.CAMERA_OPENED, inspection, officer, {})

    def capture(
        self,
        path: Path,
        inspection: str,
        *,
        officer: str | None = None,
        title: str = "",
        fact_to_prove: str = "",
        method: str = "",
        position: Position | None = None,
        capture_class: str = "B",
        sheet: str = "",
    ) -> Captured:
        """Take the file at ``path`` into the folder and announce it by digest.

        ``sheet`` is the journal head that stands on a signed sheet which the file shows, as it
        was scanned or typed from the paper. ``path`` itself is only read. A sealed inspection
        still takes items: they are shown as outside the seal, never refused.

        Raises:
            SourceUnreadable, SourceChanged, DiskFull, RecordingsStopped: nothing was captured.
            UnknownInspection, NoSession: likewise.
            HeadMistyped: if ``sheet`` is no journal head.
        """
        said = _on_paper(sheet) if sheet else ""
        acting = self.acting(inspection, officer)
        check_room(self._folder, path)
        taken = self._folder.take(path)
        act: dict[str, Any] = {
            "type": acts.MEDIA_CAPTURED,
            "officer": acting,
            "inspection": inspection,
            "class": capture_class,
            "name": spoken_name(path),
            "title": title,
            "fact_to_prove": fact_to_prove,
            "method": method,
        }
        if position is not None:
            act["pos"] = position.to_json()
        if said:
            act["sheet"] = said
        return self.announce(act, taken, path)

    def announce(self, act: dict[str, Any], taken: Taken, source: Path) -> Captured:
        """Write the line that announces ``taken``, and the medium's row with it."""
        media_type = media_type_of(taken.head, source.name)
        act |= {
            "item": str(uuid.uuid4()),
            "sha256": taken.sha256,
            "size": taken.size,
            "media_type": media_type,
        }
        known = self._outbox.medium(taken.sha256)
        if known is None:
            line = self._journal.append(
                act, alongside=lambda db: insert_medium(db, taken, media_type)
            )
        else:
            line = self._journal.append(act)
            if known.name != taken.name:
                self._folder.drop(taken)
        return Captured(act["item"], taken.sha256, taken.size, media_type, place_of(line))

    def discard(self, item: str, reason: str, *, officer: str | None = None) -> Place:
        """Withdraw an item, saying why; its line, digest and bytes stay.

        Raises:
            UnknownItem, AlreadyDiscarded, ReasonMissing.
        """
        if not reason.strip():
            raise ReasonMissing
        row = self._outbox.db.execute(
            "SELECT inspection, discarded FROM item WHERE id = ?", (item,)
        ).fetchone()
        if row is None or row[0] is None:
            raise UnknownItem(item)
        if row[1]:
            raise AlreadyDiscarded(item)
        more = {"item": item, "reason": reason}
        return self._say(acts.MEDIA_DISCARDED, row[0], officer, more)

    def items(self, inspection: str) -> list[Kept]:
        """What this device took in for ``inspection``, oldest first.

        Raises:
            UnknownInspection: if it was not opened here.
        """
        self._officers(inspection)
        rows = self._outbox.db.execute(
            "SELECT item.id, raw, sha256, discarded, medium.state = 'safe'"
            " FROM item JOIN medium USING (sha256) JOIN line ON line.digest = item.line"
            " WHERE inspection = ? ORDER BY item.rowid",
            (inspection,),
        )
        found = []
        for item, raw, sha256, discarded, safe in rows:
            act = parse_line(raw).act or {}
            title, name = str(act.get("title", "")), str(act.get("name", ""))
            found.append(Kept(item, title, name, sha256, bool(discarded), bool(safe)))
        return found

    def note(
        self, inspection: str, text: str, *, officer: str | None = None, addendum: bool = False
    ) -> Place:
        """Add a remark; after the seal, or if asked for, it is an addendum (补充说明)."""
        sealed = self._sealed(inspection) or inspection in sealed_inspections(self._outbox)
        late = addendum or sealed
        kind = acts.ADDENDUM_ADDED if late else acts.NOTE_ADDED
        return self._say(kind, inspection, officer, {"text": text})

    def peer_head(self, *, device: str, epoch: str, seq: int, head: str) -> Place:
        """Record where a fellow officer's journal stands, so that it cannot be cut unseen."""
        act = {"type": acts.PEER_HEAD, "device": device, "epoch": epoch, "seq": seq, "head": head}
        return place_of(self._journal.append(act))

    def seal(self, inspection: str, *, officer: str | None = None) -> Sealed:
        """Seal: list every revision, every medium's digest and every journal head known here.

        Raises:
            AlreadySealed, UnknownInspection.
            SealTooLarge: if the lists do not fit into one line.
        """
        acting = self.acting(inspection, officer)
        if self._sealed(inspection):
            raise AlreadySealed(inspection)
        # Also what fellow officers' devices saved, as far as it came down to this one.
        revisions = sorted(
            {*self._column("SELECT digest FROM revision WHERE inspection = ?", inspection)}.union(
                *(record.revisions for record in self.records(inspection))
            )
        )
        media = self._column("SELECT DISTINCT sha256 FROM item WHERE inspection = ?", inspection)
        heads = [*self._own_heads(), *self._peer_heads()]
        confirmed = {s.officer: s.method for s in self._sessions.current()}
        officers = [who for who in self._officers(inspection) if who in confirmed]
        act = {
            "type": acts.INSPECTION_SEALED,
            "officer": acting,
            "inspection": inspection,
            "officers": officers,
            "revisions": revisions,
            "media": media,
            "heads": heads,
        }
        try:
            line = self._journal.append(act)
        except LineTooLong as error:
            raise SealTooLarge(len(revisions) + len(media)) from error
        return Sealed(inspection, len(revisions), len(media), len(heads), place_of(line))

    def _sealed(self, inspection: str) -> bool:
        return bool(self._outbox.count("SELECT sealed FROM inspection WHERE id = ?", inspection))

    def _own_heads(self) -> list[dict[str, Any]]:
        heads = [self._outbox.head(epoch) for epoch in self._outbox.epochs()]
        return [
            {
                "device": self._journal.device,
                "epoch": h.epoch,
                "seq": h.next_seq - 1,
                "head": h.digest,
            }
            for h in heads
        ]

    def _peer_heads(self) -> list[dict[str, Any]]:
        rows = self._outbox.db.execute(
            "SELECT device, epoch, seq, head FROM peer ORDER BY device, epoch"
        )
        return [dict(zip(("device", "epoch", "seq", "head"), row, strict=True)) for row in rows]

    def _column(self, query: str, value: str) -> list[str]:
        return [row[0] for row in self._outbox.db.execute(query + " ORDER BY 1", (value,))]


def _on_paper(said: str) -> str:
    """The head that stands on a sheet, as it is written down; spaces are how people type it."""
    try:
        head = shortcode.parse(said)
    except Mistyped as error:
        raise HeadMistyped(said, error.count, error.foreign) from error
    match head:
        case FullHead():
            return shortcode.spell_full(head)
        case ShortHead(seq, code):
            return f"{seq}-{shortcode.grouped(code)}"


def spoken_name(path: Path) -> str:
    """A file's name as text; bytes that are no UTF-8 become question marks."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def insert_medium(db: sqlite3.Connection, taken: Taken, media_type: str) -> None:
    """Note that ``taken`` lies in the folder; belongs to the transaction of its first line."""
    db.execute(
        "INSERT INTO medium (sha256, name, size, media_type) VALUES (?, ?, ?, ?)",
        (taken.sha256, taken.name, taken.size, media_type),
    )
