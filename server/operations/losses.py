"""What is known, and known to be missing, of a lost device: the statement that is printed for it.

It names what came in, what others saw of its journal, what it announced and did
not deliver, and what of all that proves nothing (docs/evidence.md §6).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.devices import Device
from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import MAIN, JournalHead, JournalPart
from server.models.ledger import LedgerEvent, LedgerSubject
from server.operations.access import Actor
from server.operations.cards import device_cards, officer_cards
from server.operations.devices import (
    DevicePage,
    EpochRow,
    organization_name,
    owned_device,
    read_device,
)
from server.operations.inspection_doubts import spelled
from server.operations.peers import Contradicts, PeerCheck, heads_seen_of
from sync.evidence import acts, canonical

LIMIT = 500
_STEP = 1000
_IMPORT_LISTED = f'"type":"{acts.IMPORT_LISTED}"'.encode()


@dataclass(frozen=True, kw_only=True)
class Revocation:
    """One ``revoke`` event: when it was entered, from when it counts, by whom and why."""

    entered_at_ms: int
    from_ms: int
    by: str
    reason: str
    wipe: bool
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class EpochLoss:
    """One chain: what came in, and the last line that anybody else saw of it.

    ``seen_seq`` is None where nobody noted a head; ``seen_by`` names who noted the
    highest. The lines ``last_seq + 1`` to ``seen_seq`` are missing by name.
    """

    epoch: str
    last_seq: int
    received_at_ms: int | None
    digest: str
    seen_seq: int | None
    seen_by: str

    @property
    def missing(self) -> range:
        """The numbers of the lines that were written and never came."""
        seen = -1 if self.seen_seq is None else self.seen_seq
        return range(self.last_seq + 1, seen + 1)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A head that was noted without naming its chain, or that contradicts what is here."""

    observer: str
    spelled: str
    contradicts: bool


@dataclass(frozen=True, kw_only=True)
class LostItem:
    """An item whose line came in and whose bytes did not."""

    id: str
    title: str
    inspection_id: str | None
    inspection: str
    officer: str
    sha256: str
    size: int
    captured_at_ms: int


@dataclass(frozen=True, kw_only=True)
class UnreadFile:
    """A file that a card's list names and that was not imported, with the device's reason."""

    path: str
    size: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The statement for one device; lists longer than their limit are cut."""

    page: DevicePage
    organization: str
    revocations: tuple[Revocation, ...]
    epochs: tuple[EpochLoss, ...]
    sightings: tuple[Sighting, ...]
    items: tuple[LostItem, ...]
    listed_files: int
    unread: tuple[UnreadFile, ...]

    @property
    def missing_lines(self) -> int:
        return sum(len(epoch.missing) for epoch in self.epochs)


def read_statement(session: Session, actor: Actor, device_id: str) -> Statement:
    """Gather the statement for one device.

    Raises:
        NotFound: if it is not the actor's organisation's.
    """
    device = owned_device(session, actor, device_id)
    page = read_device(session, actor, device_id)
    checks = heads_seen_of(session, device_id)
    listed, unread = _imports(session, device_id)
    return Statement(
        page=page,
        organization=organization_name(session, actor),
        revocations=tuple(_revocations(session, device_id)),
        epochs=_epochs(session, page.epochs, device_id, checks),
        sightings=tuple(_sightings(session, checks)),
        items=_items(session, device),
        listed_files=listed,
        unread=unread,
    )


def _revocations(session: Session, device_id: str) -> Iterator[Revocation]:
    rows = session.scalars(
        select(LedgerEvent)
        .join(
            LedgerSubject,
            (LedgerSubject.generation == LedgerEvent.generation)
            & (LedgerSubject.index == LedgerEvent.index),
        )
        .where(LedgerSubject.about == f"device:{device_id}", LedgerEvent.kind == "revoke")
        .order_by(LedgerEvent.generation, LedgerEvent.index)
    )
    for row in rows:
        event = canonical.loads(row.event)
        snapshot = event["snapshot"]
        yield Revocation(
            entered_at_ms=row.at_ms,
            from_ms=snapshot.get("revoked_from_ms", row.at_ms),
            by=str(event["actor"].get("name", "")),
            reason=str(snapshot.get("reason", "")),
            wipe=bool(snapshot.get("wipe", False)),
            ledger_index=row.index,
        )


def _epochs(
    session: Session, here: tuple[EpochRow, ...], device_id: str, checks: tuple[PeerCheck, ...]
) -> tuple[EpochLoss, ...]:
    """Each main chain with the highest line that a fellow, or a later epoch, saw of it."""
    names = _names(session, checks)
    seen: dict[str, tuple[int, str]] = {}
    noted = [
        (check.noted.epoch, check.noted.seq, names[check.noted.observer_id])
        for check in checks
        if check.noted.epoch is not None and not isinstance(check.outcome, Contradicts)
    ]
    for epoch, seq, who in (*noted, *_ends(session, device_id)):
        if seq > seen.get(epoch, (-1, ""))[0]:
            seen[epoch] = seq, who
    rows = {row.epoch: row for row in here if not row.branch}
    return tuple(
        EpochLoss(
            epoch=epoch,
            last_seq=rows[epoch].last_seq if epoch in rows else -1,
            received_at_ms=rows[epoch].received_at_ms if epoch in rows else None,
            digest=rows[epoch].digest if epoch in rows else "",
            seen_seq=seen[epoch][0] if epoch in seen else None,
            seen_by=seen[epoch][1] if epoch in seen else "",
        )
        for epoch in (*rows, *sorted(set(seen) - set(rows)))
    )


def _ends(session: Session, device_id: str) -> Iterator[tuple[str, int, str]]:
    """Where the device's own later epochs say that an earlier one ended."""
    bodies = session.scalars(
        select(JournalPart.body)
        .join(
            JournalHead,
            (JournalHead.device_id == JournalPart.device_id)
            & (JournalHead.epoch == JournalPart.epoch)
            & (JournalHead.branch == JournalPart.branch),
        )
        .where(
            JournalPart.device_id == device_id,
            JournalPart.branch == MAIN,
            JournalPart.seq == 0,
            JournalPart.number == 0,
        )
    )
    for body in bodies:
        before = canonical.loads(body).get("before")
        if isinstance(before, dict):
            epoch, seq = before.get("epoch"), before.get("seq")
            if isinstance(epoch, str) and type(seq) is int:
                yield epoch, seq, ""


def _sightings(session: Session, checks: tuple[PeerCheck, ...]) -> Iterator[Sighting]:
    names = _names(session, checks)
    for check in checks:
        contradicts = isinstance(check.outcome, Contradicts)
        if contradicts or check.noted.epoch is None:
            noted = check.noted
            yield Sighting(
                observer=names[noted.observer_id],
                spelled=spelled(noted.seq, noted.head, noted.code),
                contradicts=contradicts,
            )


def _names(session: Session, checks: tuple[PeerCheck, ...]) -> dict[str, str]:
    cards = device_cards(session, {check.noted.observer_id for check in checks})
    return {device_id: card.name for device_id, card in cards.items()}


def _items(session: Session, device: Device) -> tuple[LostItem, ...]:
    rows = session.execute(
        select(EvidenceItem, Inspection.title)
        .outerjoin(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .where(EvidenceItem.device_id == device.id, EvidenceItem.state == "captured")
        .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
        .limit(LIMIT)
    ).all()
    officers = officer_cards(session, {item.officer_id for item, _ in rows})
    return tuple(
        LostItem(
            id=item.id,
            title=item.title or item.name,
            inspection_id=item.inspection_id,
            inspection=title or "",
            officer=officers[item.officer_id].name if item.officer_id in officers else "",
            sha256=item.sha256,
            size=item.size,
            captured_at_ms=item.captured_at_ms,
        )
        for item, title in rows
    )


def _imports(session: Session, device_id: str) -> tuple[int, tuple[UnreadFile, ...]]:
    """How many files the device's lists of cards name, and which of them it did not import."""
    listed, unread = 0, []
    bodies = session.scalars(
        select(JournalPart.body)
        .where(
            JournalPart.device_id == device_id,
            JournalPart.branch == MAIN,
            JournalPart.number == 0,
        )
        .execution_options(yield_per=_STEP)
    )
    for body in bodies:
        if _IMPORT_LISTED not in body:
            continue
        act = json.loads(body)
        files = act.get("files")
        # Such words may stand deeper in another act, and a list of files may be none.
        if act["type"] != acts.IMPORT_LISTED or not isinstance(files, list):
            continue
        listed += len(files)
        unread += [_unread(file) for file in files if isinstance(file, dict) and _is_unread(file)]
    return listed, tuple(unread[:LIMIT])


def _is_unread(file: dict[str, Any]) -> bool:
    return file.get("imported") is not True


def _unread(file: dict[str, Any]) -> UnreadFile:
    size = file.get("size")
    return UnreadFile(
        path=str(file.get("path", "")),
        size=size if type(size) is int else 0,
        reason=str(file.get("error", "")),
    )
