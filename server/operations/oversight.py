"""Devices and what waits for a decision (待核): lists for administrators and reviewers."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound
from server.models.devices import ClockOffset, Device, DeviceKey
from server.models.inspections import EvidenceItem
from server.models.journal import JournalLine, LineOutcome, QuarantinedLine
from server.models.people import Organization
from server.models.uploads import QuarantinedMedia
from server.operations import enrolment, ledger
from server.operations.access import Actor, require
from server.operations.cards import device_cards
from sync.wire import Projection

LIMIT = 500
_MAX_REASON = 1000


@dataclass(frozen=True, kw_only=True)
class DeviceRow:
    """One device; ``offset_ms`` is what must be added to its clock, as last measured."""

    id: str
    name: str
    kind: str
    serial: str
    enrolled_at_ms: int
    revoked: bool
    last_line_at_ms: int | None
    lines: int
    offset_ms: int | None
    error_ms: int | None
    missing: int


@dataclass(frozen=True, kw_only=True)
class QuarantineRow:
    """One thing that could not be shown or taken: a line, refused bytes, or a medium."""

    kind: str
    code: str
    device: str
    epoch: str
    seq: int | None
    digest: str
    inspection_id: str | None
    received_at_ms: int


def list_devices(session: Session, actor: Actor) -> tuple[DeviceRow, ...]:
    """The devices of the actor's organisation with what was last heard of them."""
    devices = session.scalars(
        select(Device)
        .where(Device.organization_id == actor.organization_id)
        .order_by(Device.enrolled_at_ms, Device.id)
        .limit(LIMIT)
    ).all()
    ids = [device.id for device in devices]
    heard = {
        device_id: (count, last)
        for device_id, count, last in session.execute(
            select(JournalLine.device_id, func.count(), func.max(JournalLine.received_at_ms))
            .where(JournalLine.device_id.in_(ids))
            .group_by(JournalLine.device_id)
        )
    }
    in_force = set(
        session.scalars(
            select(DeviceKey.device_id).where(
                DeviceKey.device_id.in_(ids), DeviceKey.revoked_at_ms.is_(None)
            )
        )
    )
    newest = (
        select(func.max(ClockOffset.id))
        .where(ClockOffset.device_id.in_(ids))
        .group_by(ClockOffset.device_id)
    )
    clocks = {
        row.device_id: row
        for row in session.scalars(select(ClockOffset).where(ClockOffset.id.in_(newest)))
    }
    missing = {
        row.device_id: row.number
        for row in session.execute(
            select(EvidenceItem.device_id, func.count().label("number"))
            .where(EvidenceItem.device_id.in_(ids), EvidenceItem.state == "captured")
            .group_by(EvidenceItem.device_id)
        )
    }
    return tuple(
        DeviceRow(
            id=device.id,
            name=device.name,
            kind=device.kind,
            serial=device.serial,
            enrolled_at_ms=device.enrolled_at_ms,
            revoked=device.id not in in_force,
            last_line_at_ms=heard[device.id][1] if device.id in heard else None,
            lines=heard[device.id][0] if device.id in heard else 0,
            offset_ms=clocks[device.id].offset_ms if device.id in clocks else None,
            error_ms=clocks[device.id].error_ms if device.id in clocks else None,
            missing=missing.get(device.id, 0),
        )
        for device in devices
    )


def issue_enrolment_code(session: Session, actor: Actor, *, now_ms: int, valid_ms: int) -> str:
    """Issue a one-time code for a device of the actor's own organisation.

    Raises:
        Forbidden: if the actor is no administrator.
    """
    require(actor, "administrator")
    return enrolment.issue_code(
        session,
        organization_id=actor.organization_id,
        issued_by=actor.person_id,
        now_ms=now_ms,
        valid_ms=valid_ms,
    )


def revoke_device(
    session: Session, actor: Actor, device_id: str, *, reason: str, now_ms: int
) -> None:
    """Revoke a lost or returned device: from now on its lines are marked and it learns nothing.

    Its lines are still taken, because a phone reported late must not lose any;
    what comes in from now on is shown as received after the revocation.

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound: if the device is not the actor's organisation's.
        Invalid: without a reason.
        Conflict: if it is revoked already.
    """
    require(actor, "administrator")
    device = session.get(Device, device_id)
    if device is None or device.organization_id != actor.organization_id:
        raise NotFound("device", device_id)
    reason = reason.strip()
    if not 0 < len(reason) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    # The first lock: a push under way is either before this or after it.
    ledger.lock_head(session)
    keys = session.scalars(
        select(DeviceKey)
        .where(DeviceKey.device_id == device_id, DeviceKey.revoked_at_ms.is_(None))
        .execution_options(populate_existing=True)
    ).all()
    if not keys:
        raise Conflict("the device is revoked already")
    for key in keys:
        ledger.append(
            session,
            "revoke",
            actor=actor.for_ledger(),
            subject={"device": device_id, "key_id": key.key_id},
            snapshot={"reason": reason},
            now_ms=now_ms,
            about=(f"device:{device_id}", f"key:{key.key_id}"),
        )
        key.revoked_at_ms = now_ms


def organization_name(session: Session, actor: Actor) -> str:
    return session.get_one(Organization, actor.organization_id).name


def list_quarantine(session: Session, actor: Actor) -> tuple[QuarantineRow, ...]:
    """Everything of the actor's organisation that waits for a decision, newest first."""
    rows = [
        *_lines(session, actor.organization_id),
        *_bytes(session, actor.organization_id),
        *_media(session, actor.organization_id),
    ]
    return tuple(sorted(rows, key=lambda row: -row.received_at_ms)[:LIMIT])


def _lines(session: Session, organization_id: str) -> list[QuarantineRow]:
    rows = session.execute(
        select(LineOutcome, JournalLine.digest, JournalLine.received_at_ms, Device.name)
        .join(
            JournalLine,
            (JournalLine.device_id == LineOutcome.device_id)
            & (JournalLine.epoch == LineOutcome.epoch)
            & (JournalLine.branch == LineOutcome.branch)
            & (JournalLine.seq == LineOutcome.seq),
        )
        .join(Device, Device.id == LineOutcome.device_id)
        .where(
            LineOutcome.projection == Projection.QUARANTINED.value,
            Device.organization_id == organization_id,
        )
        .order_by(JournalLine.received_at_ms.desc())
        .limit(LIMIT)
    )
    return [
        QuarantineRow(
            kind="line",
            code=outcome.code,
            device=name,
            epoch=outcome.epoch,
            seq=outcome.seq,
            digest=digest,
            inspection_id=outcome.inspection_id,
            received_at_ms=received_at_ms,
        )
        for outcome, digest, received_at_ms, name in rows
    ]


def _bytes(session: Session, organization_id: str) -> list[QuarantineRow]:
    rows = session.execute(
        select(QuarantinedLine, Device.name)
        .join(Device, Device.id == QuarantinedLine.device_id)
        .where(Device.organization_id == organization_id)
        .order_by(QuarantinedLine.received_at_ms.desc())
        .limit(LIMIT)
    )
    return [
        QuarantineRow(
            kind="bytes",
            code=row.code,
            device=name,
            epoch=row.epoch,
            seq=None,
            digest=row.sha256,
            inspection_id=None,
            received_at_ms=row.received_at_ms,
        )
        for row, name in rows
    ]


def _media(session: Session, organization_id: str) -> list[QuarantineRow]:
    rows = session.scalars(
        select(QuarantinedMedia)
        .where(QuarantinedMedia.organization_id == organization_id)
        .order_by(QuarantinedMedia.received_at_ms.desc())
        .limit(LIMIT)
    ).all()
    devices = device_cards(session, (row.device_id for row in rows))
    return [
        QuarantineRow(
            kind="media",
            code="media.digest_mismatch",
            device=devices[row.device_id].name,
            epoch="",
            seq=None,
            digest=row.announced_sha256,
            inspection_id=None,
            received_at_ms=row.received_at_ms,
        )
        for row in rows
    ]
