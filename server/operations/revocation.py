"""Revoking a device from a stated moment, and marking what came since (docs/protocol.md §4.2).

A line is in the journal for good: that it came in after the moment from which its
key is revoked is worked out when it is shown, so that a moment stated later, or
an earlier one than at first, marks the lines that are here already.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid, NotFound
from server.models.devices import Device, DeviceKey
from server.models.journal import JournalLine
from server.operations import ledger, scopes
from server.operations.access import Actor, require

MAX_REASON = 1000


def revoke_device(
    session: Session,
    actor: Actor,
    device_id: str,
    *,
    reason: str,
    from_ms: int | None = None,
    wipe: bool = False,
    now_ms: int,
) -> None:
    """Revoke a lost or returned device from ``from_ms`` on, which is now unless stated.

    Its lines are still taken, because a phone reported late must not lose any;
    what was received at or after that moment is marked. It is sent nothing more
    and, with ``wipe``, told to empty itself once all it holds is handed in. A
    second revocation may only state an earlier moment or ask for the wipe.

    Raises:
        Forbidden: if the actor is no administrator.
        NotFound: if the device is not the actor's organisation's.
        Invalid: without a reason, or for a moment that is still to come.
        Conflict: if it is revoked already and this changes nothing.
    """
    require(actor, "administrator")
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON:
        raise Invalid("reason", f"between 1 and {MAX_REASON} characters")
    since_ms = now_ms if from_ms is None else from_ms
    if not 0 <= since_ms <= now_ms:
        raise Invalid("from", "not in the future")
    # The first lock: a push under way is either before this or after it.
    ledger.lock_head(session)
    device = session.get(Device, device_id, populate_existing=True)
    if device is None or device.organization_id != actor.organization_id:
        raise NotFound("device", device_id)
    asks_wipe = wipe and device.wipe_wanted_at_ms is None
    keys = session.scalars(
        select(DeviceKey)
        .where(DeviceKey.device_id == device_id)
        .execution_options(populate_existing=True)
    ).all()
    changed = [key for key in keys if asks_wipe or _is_earlier(key, since_ms)]
    if not changed:
        raise Conflict("the device is revoked already")
    for key in changed:
        counts_from = min(since_ms, key.revoked_from_ms or since_ms)
        ledger.append(
            session,
            "revoke",
            actor=actor.for_ledger(),
            subject={"device": device_id, "key_id": key.key_id},
            snapshot={"reason": reason, "revoked_from_ms": counts_from, "wipe": wipe},
            now_ms=now_ms,
            about=(f"device:{device_id}", f"key:{key.key_id}"),
        )
        key.revoked_at_ms = key.revoked_at_ms or now_ms
        key.revoked_from_ms = counts_from
    if asks_wipe:
        device.wipe_wanted_at_ms = now_ms
    session.flush()
    scopes.settle_device(session, device_id, by=actor.for_ledger(), now_ms=now_ms)


def _is_earlier(key: DeviceKey, since_ms: int) -> bool:
    if key.revoked_at_ms is None:
        return True
    return since_ms < (key.revoked_from_ms or key.revoked_at_ms)


def revoked_before(session: Session, key_ids: Iterable[str]) -> dict[str, int]:
    """The moments since which these keys count as revoked, where they lie before the entry."""
    rows = session.execute(
        select(DeviceKey.key_id, DeviceKey.revoked_from_ms).where(
            DeviceKey.key_id.in_(set(key_ids)), DeviceKey.revoked_from_ms < DeviceKey.revoked_at_ms
        )
    )
    return {key_id: since for key_id, since in rows if since is not None}


def came_after(line: JournalLine, since: Mapping[str, int]) -> bool:
    """Whether ``line`` is marked: it came after the entry, or since the moment that was stated.

    ``since`` is what :func:`revoked_before` says of the line's key.
    """
    stated = since.get(line.key_id)
    return line.after_revocation or (stated is not None and line.received_at_ms >= stated)
