"""Generations of the ledger: noticing that the database went back, and beginning a new one.

A database behind a checkpoint that is known outside takes no more entries: what
it would append stands in the place of entries that somebody holds proof of. A
restore begins the next generation under a new name, whose first leaf says where
the old one ends here and how far it is known to have gone (docs/evidence.md §5).
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server import db
from server.failures import Invalid
from server.models.devices import Device, DeviceKey
from server.models.ledger import (
    Checkpoint,
    Generation,
    KnownCheckpoint,
    LedgerEvent,
    LedgerHead,
)
from server.operations import ledger
from server.operations.checkpoint_folder import kept_notes
from server.operations.installation import SERVER_KEYS, new_origin, publish_keys
from server.services import Services, open_ledger_signer, receipt_name
from server.settings import Settings
from server.signing import signed_by
from sync.evidence import note as notes
from sync.evidence.checkpoint import Checkpoint as TreeHead
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.encoding import to_b64url
from sync.evidence.errors import SyncError

_MAX_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class Restore:
    """The first leaf of a later generation and its proof in the checkpoint of ``size`` leaves."""

    event: str
    salt: str
    size: int
    path: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Life:
    """One generation as a device checks it; ``restore`` is None for the first."""

    generation: int
    origin: str
    ledger_key: str
    receipt_key: str
    checkpoint: str
    restore: Restore | None
    #: Notes by which one ledger key names the next.
    endorsements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where the ledger stands; ``known`` are the checkpoints that it ought to contain."""

    generation: int
    origin: str
    size: int
    known: tuple[tuple[str, int], ...]

    @property
    def behind(self) -> bool:
        return bool(self.known)


def standing(session: Session) -> Standing:
    """The present generation, and whether the database is behind what is known outside."""
    generation = ledger.current_generation(session)
    known = [(row.origin, row.size) for row in _known(session, generation.number)]
    size = ledger.size(session)
    signed = session.scalar(
        select(func.max(Checkpoint.size)).where(Checkpoint.generation == generation.number)
    )
    if signed is not None and signed > size:
        known.append((generation.origin, signed))
    return Standing(
        generation=generation.number, origin=generation.origin, size=size, known=tuple(known)
    )


def look_outside(parts: Services) -> None:
    """Compare the database with the checkpoints in the folder outside it, and note a rollback."""
    kept = kept_notes(parts.settings.checkpoint_dir)
    if not kept:
        return
    with db.reading() as session:
        beyond = [note for note in kept if _is_beyond(session, parts, note)]
    if beyond:
        with db.transaction() as session:
            note_beyond(session, parts, beyond, shown_by="file")


def see(parts: Services, note: str, *, device_id: str) -> bool:
    """Look at a checkpoint that a device shows; whether the database is behind now.

    Raises:
        Invalid: if it is no checkpoint, or not one that our ledger's key signed.
    """
    with db.reading() as session:
        try:
            beyond = _beyond(session, parts, note) is not None
        except SyncError as error:
            raise Invalid("checkpoint", "not signed by this server's ledger key") from error
    if beyond:
        with db.transaction() as session:
            note_beyond(session, parts, [note], shown_by=f"device:{device_id}")
    with db.reading() as session:
        return standing(session).behind


def restore(session: Session, settings: Settings, *, reason: str, now_ms: int) -> Checkpoint:
    """Begin the next generation and sign its first checkpoint.

    Processes that run still speak for the old one and must be started again.

    Raises:
        Invalid: without a reason.
    """
    reason = reason.strip()
    if not 0 < len(reason) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    head = ledger.hold_head(session)
    before = ledger.current_generation(session)
    root = ledger.tree_root(session, before.number, head.size)
    known = _known(session, before.number)
    # A generation that this database never saw had a number too, which no receipt should repeat.
    lost = {row.origin for row in known} - {before.origin}
    number, origin = before.number + 1 + len(lost), new_origin(settings)
    ledger.open_generation(
        session, number=number, origin=origin, now_ms=now_ms, last_at_ms=head.last_at_ms
    )
    ledger.append(
        session,
        "restore",
        actor={"server": "restore"},
        subject={
            "generation": before.number,
            "origin": before.origin,
            "size": head.size,
            "root": root.hex(),
        },
        snapshot={
            "reason": reason,
            "known": [{"origin": row.origin, "size": row.size, "root": row.root} for row in known],
        },
        now_ms=now_ms,
        about=(SERVER_KEYS,),
    )
    publish_keys(session, settings, origin=origin, now_ms=now_ms)
    _publish_devices(session, now_ms=now_ms)
    signer = open_ledger_signer(settings, origin)
    return ledger.sign_checkpoint(session, signer, now_ms=now_ms)


def _publish_devices(session: Session, *, now_ms: int) -> None:
    """Enrol every device's key again, and revoke those that were: packages prove keys by it."""
    events = []
    rows = session.execute(
        select(DeviceKey, Device)
        .join(Device, Device.id == DeviceKey.device_id)
        .order_by(DeviceKey.key_id)
    )
    for key, device in rows:
        common: dict[str, Any] = {
            "actor": {"server": "restore"},
            "subject": {"device": device.id, "key_id": key.key_id},
            "about": (f"device:{device.id}", f"key:{key.key_id}"),
        }
        snapshot = {
            "spki": to_b64url(key.spki),
            "kind": device.kind,
            "serial": device.serial,
            "name": device.name,
            "organization": device.organization_id,
        }
        events.append(ledger.Event(kind="enrol", snapshot=snapshot, **common))
        if key.revoked_at_ms is not None:
            since = {"revoked_from_ms": key.revoked_from_ms or key.revoked_at_ms}
            events.append(ledger.Event(kind="revoke", snapshot=since, **common))
    if events:
        ledger.append_events(session, events, now_ms=now_ms)


def provable(session: Session, number: int | None) -> tuple[int, int]:
    """A generation (the present one for None) and up to which size proofs in it can be trusted.

    That is its newest checkpoint; of an ended one, all that its successor vouches for.

    Raises:
        Invalid: if there is no such generation.
    """
    present = ledger.current_generation(session).number
    if number is None or number == present:
        newest = ledger.newest_checkpoint(session)
        return present, newest.size if newest else 0
    head = session.get(LedgerHead, number)
    if head is None:
        raise Invalid("generation", "unknown")
    return number, head.size


def lineage(session: Session, parts: Services) -> tuple[Life, ...]:
    """Every generation, oldest first, with what a device needs to believe in the newest."""
    found = session.scalars(select(Generation).order_by(Generation.number)).all()
    return tuple(_life(session, parts, row) for row in found)


def _life(session: Session, parts: Services, row: Generation) -> Life:
    checkpoint = session.scalars(
        select(Checkpoint)
        .where(Checkpoint.generation == row.number)
        .order_by(Checkpoint.size.desc())
        .limit(1)
    ).one_or_none()
    first = session.get(LedgerEvent, (row.number, 0))
    restored = None
    if checkpoint is not None and first is not None and first.kind == "restore":
        path = ledger.inclusion_proof(session, row.number, index=0, size=checkpoint.size)
        restored = Restore(
            event=first.event.decode(),
            salt=first.salt.hex(),
            size=checkpoint.size,
            path=tuple(node.hex() for node in path),
        )
    return Life(
        generation=row.number,
        origin=row.origin,
        ledger_key=notes.verifier_key(row.origin, _key_of(parts, checkpoint)),
        receipt_key=notes.verifier_key(receipt_name(row.origin), parts.receipt_signer.public_key),
        checkpoint=checkpoint.note if checkpoint else "",
        restore=restored,
        endorsements=endorsements(session, row.number),
    )


def _key_of(parts: Services, checkpoint: Checkpoint | None) -> bytes:
    """The newest of our keys that signed ``checkpoint``; the next one is not told before it is."""
    if checkpoint is not None:
        signed = notes.parse_note(checkpoint.note)
        name = parse_checkpoint(signed.text).origin
        for key in (parts.ledger_signer.public_key, *reversed(parts.retired_keys)):
            if signed_by(signed, name, key):
                return key
    return parts.ledger_signer.public_key


def endorsements(session: Session, number: int | None = None) -> tuple[str, ...]:
    """By which ledger keys named those that took over, in one generation or in all."""
    found = []
    for entry in ledger.events_about(session, [SERVER_KEYS]):
        # An event that somebody changed is the audit's to name; devices must still be answered.
        with suppress(ValueError, KeyError, TypeError):
            if number in (None, entry.generation):
                found.append(str(json.loads(entry.event)["snapshot"]["endorsement"]))
    return tuple(found)


def note_beyond(session: Session, parts: Services, shown: Iterable[str], *, shown_by: str) -> None:
    """Keep those of ``shown`` that the ledger does not contain, each once."""
    generation = ledger.current_generation(session).number
    for note in shown:
        head = _beyond(session, parts, note)
        place = head and (head.origin, head.size, head.root.hex())
        if head is None or session.get(KnownCheckpoint, place) is not None:
            continue
        session.add(
            KnownCheckpoint(
                origin=head.origin,
                size=head.size,
                root=head.root.hex(),
                note=note,
                generation=generation,
                shown_by=shown_by,
                shown_at_ms=parts.now_ms(),
            )
        )
        session.flush()


def _is_beyond(session: Session, parts: Services, note: str) -> bool:
    """As :func:`_beyond`; what none of our keys signed stops nothing, and the audit names it."""
    try:
        return _beyond(session, parts, note) is not None
    except SyncError:
        return False


def _beyond(session: Session, parts: Services, note: str) -> TreeHead | None:
    """The checkpoint in ``note`` if our own key signed it and our ledger does not contain it.

    Raises:
        SyncError: if it is none, or another key's.
    """
    signed = notes.parse_note(note)
    head = parse_checkpoint(signed.text)
    if not any(signed_by(signed, head.origin, key) for key in parts.ledger_keys):
        raise notes.NoteUnsigned("signed by none of our keys")
    present = ledger.current_generation(session)
    if head.origin == present.origin:
        contained = head.size <= ledger.size(session) and head.root == ledger.tree_root(
            session, present.number, head.size
        )
        return None if contained else head
    ended = session.scalar(select(Generation.number).where(Generation.origin == head.origin))
    settled = session.scalar(
        select(KnownCheckpoint.size)
        .where(KnownCheckpoint.origin == head.origin, KnownCheckpoint.generation < present.number)
        .limit(1)
    )
    # Of a generation that ended here a restore has said so; of any other nothing is known here.
    return None if ended is not None or settled is not None else head


def _known(session: Session, generation: int) -> list[KnownCheckpoint]:
    return list(
        session.scalars(
            select(KnownCheckpoint)
            .where(KnownCheckpoint.generation == generation)
            .order_by(KnownCheckpoint.origin, KnownCheckpoint.size)
        )
    )
