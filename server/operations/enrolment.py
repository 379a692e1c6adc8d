"""Letting devices in: one-time codes, enrolled keys, nonces and tokens (docs/operations.md §9)."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from server.failures import (
    EnrolmentCodeUnknown,
    KeyAlreadyEnrolled,
    KeyInvalid,
    KeyUnknown,
    NonceUnknown,
    SignatureInvalid,
    TokenMissing,
)
from server.models.devices import Device, DeviceKey, DeviceToken, EnrolmentCode, TokenNonce
from server.operations import ledger, scopes
from server.signatures import verifier
from sync import wire
from sync.evidence.encoding import to_b64url
from sync.evidence.line import key_id_of
from sync.wire import Standing

#: Crockford's alphabet: no I, L, O, U, so a code survives being read aloud.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 20


@dataclass(frozen=True, kw_only=True)
class NewDevice:
    """What a device says of itself when it enrols; ``spki`` is DER, ``signature`` r‖s."""

    device_id: str
    kind: str
    serial: str
    name: str
    spki: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True)
class DeviceIdentity:
    """An authenticated device and how it stands; a revoked one may only hand in."""

    id: str
    organization_id: str
    key_id: str
    standing: Standing = Standing.ACTIVE

    @property
    def revoked(self) -> bool:
        return self.standing is not Standing.ACTIVE


@dataclass(frozen=True)
class Issued:
    """A fresh bearer token, and how its device stands."""

    token: str
    standing: Standing


def issue_code(
    session: Session,
    *,
    organization_id: str,
    issued_by: str,
    now_ms: int,
    valid_ms: int,
    holders: Sequence[str] | None = None,
) -> str:
    """Issue a one-time enrolment code of 100 random bits and return it, once.

    ``holders`` are the officers whom the device will serve, None for the whole bureau.

    Raises:
        Invalid: if a holder is no officer of the organisation.
    """
    scopes.need_officers(session, organization_id, holders or ())
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
    session.add(
        EnrolmentCode(
            code_hash=_hash(code),
            organization_id=organization_id,
            issued_by=issued_by,
            issued_at_ms=now_ms,
            expires_at_ms=now_ms + valid_ms,
            holders=None if holders is None else json.dumps(sorted(holders)),
        )
    )
    ledger.append(
        session,
        "policy",
        actor={"person": issued_by},
        subject={"organization": organization_id},
        snapshot={
            "act": "enrolment_code_issued",
            "expires_at_ms": now_ms + valid_ms,
            "holders": scopes.named(holders),
        },
        now_ms=now_ms,
    )
    return "-".join(code[i : i + 5] for i in range(0, _CODE_LENGTH, 5))


def normalise_code(code: str) -> str:
    """The code as issued, from however a person typed it."""
    typed = code.upper().replace("-", "").replace(" ", "")
    return typed.replace("O", "0").replace("I", "1").replace("L", "1")


def enrol_device(session: Session, new: NewDevice, *, code: str, now_ms: int) -> DeviceKey:
    """Enrol ``new`` with a one-time ``code`` and publish its key as an ``enrol`` leaf.

    Raises:
        EnrolmentCodeUnknown: if the code is wrong, used or expired.
        KeyInvalid: if the key is no P-256 key or the proof does not verify.
        KeyAlreadyEnrolled: if the device id or the key is known.
    """
    typed = normalise_code(code)
    key_id = key_id_of(new.spki)
    proof = wire.enrolment_proof(code=typed, device=new.device_id, key_id=key_id)
    if not verifier(new.spki)(proof, new.signature):
        raise KeyInvalid("the proof of possession does not verify")
    # The first lock: of two enrolments at once the second sees what the first has done.
    ledger.lock_head(session)
    issued = session.get(EnrolmentCode, _hash(typed))
    if issued is None or issued.used_at_ms is not None or issued.expires_at_ms <= now_ms:
        raise EnrolmentCodeUnknown
    spent = session.execute(
        update(EnrolmentCode)
        .where(EnrolmentCode.code_hash == issued.code_hash, EnrolmentCode.used_at_ms.is_(None))
        .values(used_at_ms=now_ms)
        .returning(EnrolmentCode.code_hash)
    )
    if spent.first() is None:
        raise EnrolmentCodeUnknown
    if session.get(Device, new.device_id) or session.get(DeviceKey, key_id):
        raise KeyAlreadyEnrolled
    device = Device(
        id=new.device_id,
        organization_id=issued.organization_id,
        kind=new.kind,
        serial=new.serial,
        name=new.name,
        enrolled_at_ms=now_ms,
    )
    session.add(device)
    session.flush()
    holders = None if issued.holders is None else json.loads(issued.holders)
    scopes.keep_holders(session, device, holders)
    index = ledger.append(
        session,
        "enrol",
        actor={"person": issued.issued_by},
        subject={"device": new.device_id, "key_id": key_id},
        snapshot={
            "spki": to_b64url(new.spki),
            "kind": new.kind,
            "serial": new.serial,
            "name": new.name,
            "organization": issued.organization_id,
            "holders": scopes.named(holders),
        },
        now_ms=now_ms,
    )
    key = DeviceKey(
        key_id=key_id,
        device_id=new.device_id,
        spki=new.spki,
        enrolled_at_ms=now_ms,
        enrolled_index=index,
    )
    session.add(key)
    session.flush()
    scopes.settle_device(session, new.device_id, now_ms=now_ms)
    return key


def issue_nonce(session: Session, *, key_id: str, now_ms: int, valid_ms: int) -> str:
    """Issue a nonce for the holder of ``key_id`` to sign.

    Raises:
        KeyUnknown: if no device is enrolled with that key.
    """
    if session.get(DeviceKey, key_id) is None:
        raise KeyUnknown
    session.execute(delete(TokenNonce).where(TokenNonce.expires_at_ms < now_ms - valid_ms))
    nonce = secrets.token_urlsafe(32)
    session.add(TokenNonce(nonce=nonce, key_id=key_id, expires_at_ms=now_ms + valid_ms))
    return nonce


def exchange_nonce(
    session: Session,
    *,
    key_id: str,
    nonce: str,
    signature: bytes,
    origin: str,
    now_ms: int,
    valid_ms: int,
) -> Issued:
    """Return a bearer token for a signed ``nonce``; the nonce works once.

    Raises:
        NonceUnknown: if it was never issued for the key, is used or expired.
        SignatureInvalid: if the signature does not verify. The nonce stays good.
    """
    key = session.get(DeviceKey, key_id)
    issued = session.get(TokenNonce, nonce)
    if (
        key is None
        or issued is None
        or issued.key_id != key_id
        or issued.used_at_ms is not None
        or issued.expires_at_ms <= now_ms
    ):
        raise NonceUnknown
    proof = wire.token_proof(nonce=nonce, key_id=key_id, origin=origin)
    if not verifier(key.spki)(proof, signature):
        raise SignatureInvalid
    # Decided by the database, so that of two replays at once only one gets a token.
    spent = session.execute(
        update(TokenNonce)
        .where(TokenNonce.nonce == nonce, TokenNonce.used_at_ms.is_(None))
        .values(used_at_ms=now_ms)
        .returning(TokenNonce.nonce)
    )
    if spent.first() is None:
        raise NonceUnknown
    session.execute(delete(DeviceToken).where(DeviceToken.expires_at_ms < now_ms))
    token = secrets.token_urlsafe(32)
    session.add(
        DeviceToken(
            token_hash=_hash(token),
            key_id=key_id,
            device_id=key.device_id,
            expires_at_ms=now_ms + valid_ms,
        )
    )
    return Issued(token, standing_of(session.get_one(Device, key.device_id), key))


def standing_of(device: Device, key: DeviceKey) -> Standing:
    """What the device may still do with ``key``."""
    return _standing(
        revoked_at_ms=key.revoked_at_ms,
        wipe_wanted_at_ms=device.wipe_wanted_at_ms,
        wiped_at_ms=device.wiped_at_ms,
    )


def _standing(
    *, revoked_at_ms: int | None, wipe_wanted_at_ms: int | None, wiped_at_ms: int | None
) -> Standing:
    if revoked_at_ms is None:
        return Standing.ACTIVE
    wipe = wipe_wanted_at_ms is not None and wiped_at_ms is None
    return Standing.WIPE if wipe else Standing.REVOKED


#: Built once, and columns instead of rows of the ORM: every request of every device asks this.
_CALLER = (
    select(
        Device.id,
        Device.organization_id,
        Device.wipe_wanted_at_ms,
        Device.wiped_at_ms,
        DeviceKey.key_id,
        DeviceKey.revoked_at_ms,
    )
    .join(DeviceToken, DeviceToken.device_id == Device.id)
    .join(DeviceKey, DeviceKey.key_id == DeviceToken.key_id)
    .where(
        DeviceToken.token_hash == bindparam("token"),
        DeviceToken.expires_at_ms > bindparam("now_ms"),
    )
)


def device_of_token(session: Session, token: str, *, now_ms: int) -> DeviceIdentity:
    """The device that ``token`` was issued to.

    Raises:
        TokenMissing: if the token is unknown or expired.
    """
    row = session.execute(_CALLER, {"token": _hash(token), "now_ms": now_ms}).first()
    if row is None:
        raise TokenMissing
    return DeviceIdentity(
        id=row.id,
        organization_id=row.organization_id,
        key_id=row.key_id,
        standing=_standing(
            revoked_at_ms=row.revoked_at_ms,
            wipe_wanted_at_ms=row.wipe_wanted_at_ms,
            wiped_at_ms=row.wiped_at_ms,
        ),
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def organization_of(session: Session, key: DeviceKey) -> str:
    """The organisation of the device that holds ``key``."""
    return session.get_one(Device, key.device_id).organization_id
