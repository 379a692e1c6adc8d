"""Becoming a device: a key made here, a one-time code, and the server's keys pinned."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sync.client.answers import Enrolled
from sync.client.api import Api
from sync.client.carrier import remember_recipient
from sync.client.clock import Clock
from sync.client.errors import (
    CaptivePortal,
    CheckpointInvalid,
    EnrolmentUnclear,
    ServerRefused,
    ServerUnavailable,
    SourceUnreadable,
    Unreachable,
)
from sync.client.folder import DeviceFolder
from sync.client.keys import DeviceKey, load_key, make_key
from sync.client.link import TRIES, Link
from sync.client.outbox import Outbox
from sync.client.trust import Enrolment, anchor_of, read_checkpoint
from sync.evidence.encoding import to_b64url
from sync.evidence.errors import SyncError
from sync.evidence.note import parse_verifier_key
from sync.wire import enrolment_proof

_SPENT = frozenset({"enrolment.code_unknown", "enrolment.already_enrolled"})

#: Keeps the enrolment and opens the first epoch, all or nothing.
Begin = Callable[[Enrolment, DeviceKey, str], None]


def enrol(
    folder: DeviceFolder,
    outbox: Outbox,
    clock: Clock,
    *,
    server: str,
    code: str,
    name: str,
    serial: str,
    kind: str,
    authority: Path | None,
    begin: Begin,
) -> None:
    """Enrol with ``code`` and hand what is pinned to ``begin``.

    Raises:
        EnrolmentUnclear: if the reply to an earlier try with this code was lost
            and the code is spent: a new code is needed.
        LinkError: nothing was enrolled.
    """
    _take_authority(folder, authority)
    typed = normalised(code)
    attempt = _attempt(folder, outbox, server, typed)
    key, device = load_key(folder.key), attempt["device"]
    about = {"id": device, "kind": kind, "serial": serial or device, "name": name or device[:8]}
    proof = enrolment_proof(code=typed, device=device, key_id=key.key_id)
    request = {
        "code": typed,
        "device": about,
        "spki": to_b64url(key.spki),
        "signature": to_b64url(key.sign(proof)),
    }
    link = Link(server, clock, authority=folder.authority if folder.authority.exists() else None)
    try:
        enrolled = _ask(Api(link, key), request, outbox, attempt)
    finally:
        link.close()
    enrolment = _pinned(enrolled, server, key, about)
    begin(enrolment, key, enrolled.checkpoint)
    remember_recipient(outbox, enrolment, enrolled.carrier)


def _ask(api: Api, request: dict[str, Any], outbox: Outbox, attempt: dict[str, Any]) -> Enrolled:
    """Enrol, again where no answer came, remembering that an earlier try may have arrived."""
    for failures in range(1, TRIES + 1):
        try:
            return api.enrol(request, tries=1)
        except ServerRefused as error:
            if error.problem in _SPENT and attempt["sent"]:
                raise EnrolmentUnclear from error
            raise
        except (Unreachable, ServerUnavailable) as error:
            attempt = {**attempt, "sent": True}
            _note_attempt(outbox, attempt)
            if failures == TRIES:
                raise
            api.link.wait(failures, error.retry_after)
    raise AssertionError("unreachable: the loop returns or raises")


def normalised(code: str) -> str:
    """A code as the server reads it, however a person typed it."""
    typed = code.upper().replace("-", "").replace(" ", "")
    return typed.replace("O", "0").replace("I", "1").replace("L", "1")


def _attempt(folder: DeviceFolder, outbox: Outbox, server: str, typed: str) -> dict[str, Any]:
    """The identity to enrol as: the same for the same code, so that a repeat is a repeat."""
    code_hash = hashlib.sha256(f"{server} {typed}".encode()).hexdigest()
    attempt: dict[str, Any] | None = outbox.meta("enrolling")
    if attempt is not None and attempt["code_hash"] == code_hash and folder.key.exists():
        return attempt
    make_key(folder.key)
    fresh = {"device": str(uuid.uuid4()), "code_hash": code_hash, "sent": False}
    _note_attempt(outbox, fresh)
    return fresh


def _note_attempt(outbox: Outbox, attempt: dict[str, Any]) -> None:
    with outbox.transaction():
        outbox.remember("enrolling", attempt)


def _take_authority(folder: DeviceFolder, authority: Path | None) -> None:
    if authority is None:
        return
    try:
        folder.authority.write_bytes(authority.read_bytes())
    except OSError as error:
        raise SourceUnreadable(str(authority), error.strerror or str(error)) from error


def _pinned(enrolled: Enrolled, server: str, key: DeviceKey, about: dict[str, str]) -> Enrolment:
    """What is trusted from now on, after checking that it fits together.

    Raises:
        CaptivePortal: if the answer is about another device or its keys are none.
        CheckpointInvalid: if its checkpoint does not hold this very enrolment.
    """
    if (enrolled.device_id, enrolled.key_id) != (about["id"], key.key_id):
        raise CaptivePortal(server, "an enrolment of another device")
    try:
        parse_verifier_key(enrolled.receipt_key)
        parse_verifier_key(enrolled.ledger_key)
    except SyncError as error:
        raise CaptivePortal(server, "keys that are none") from error
    enrolment = Enrolment(
        server=server.rstrip("/"),
        device=about["id"],
        kind=about["kind"],
        serial=about["serial"],
        name=about["name"],
        key_id=key.key_id,
        organization=enrolled.organization["id"],
        organization_name=enrolled.organization["name"],
        origin=enrolled.origin,
        generation=enrolled.generation,
        receipt_key=enrolled.receipt_key,
        ledger_key=enrolled.ledger_key,
    )
    if read_checkpoint(enrolled.checkpoint, enrolment).size <= enrolled.enrolled_index:
        raise CheckpointInvalid("it does not contain this enrolment")
    return enrolment


def keep(outbox: Outbox, enrolment: Enrolment, checkpoint: str) -> None:
    """Remember the enrolment and its checkpoint; belongs to the first epoch's transaction."""
    outbox.remember("enrolment", asdict(enrolment))
    outbox.remember_checkpoint(checkpoint, anchor_of(read_checkpoint(checkpoint, enrolment)))
