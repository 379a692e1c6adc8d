"""The first start: signing keys, the ledger's first generation, and finding them again."""

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.ledger import Generation
from server.operations import ledger
from server.services import (
    CARRIER_KEY,
    LEDGER_KEY,
    RECEIPT_KEY,
    open_ledger_signer,
    receipt_name,
)
from server.settings import Settings
from server.signing import NoteSigner, load_signer, make_key
from sync.carrier import keys as carrier_keys
from sync.evidence.note import VerifierKey
from sync.evidence.succession import endorsement_text

#: Under which name the events of the server's own keys are found.
SERVER_KEYS = "server:keys"


def origin_of(session: Session) -> str | None:
    """The origin of the present generation; None before the first start."""
    return session.execute(
        select(Generation.origin).order_by(Generation.number.desc()).limit(1)
    ).scalar_one_or_none()


def make_keys(settings: Settings) -> None:
    """Make the ledger's, the receipts' and the carriers' key where they do not exist yet."""
    settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (RECEIPT_KEY,) if settings.ledger_signer else (LEDGER_KEY, RECEIPT_KEY):
        path = settings.secrets_dir / name
        if not path.exists():
            make_key(path)
    if not (settings.secrets_dir / CARRIER_KEY).exists():
        carrier_keys.make_key(settings.secrets_dir / CARRIER_KEY)


def open_first_generation(session: Session, settings: Settings, *, now_ms: int) -> str:
    """Open generation 1 and publish both keys in it; returns the new origin."""
    origin = new_origin(settings)
    ledger.open_generation(session, number=1, origin=origin, now_ms=now_ms)
    publish_keys(session, settings, origin=origin, now_ms=now_ms)
    return origin


def new_origin(settings: Settings) -> str:
    """A name for a ledger that no other has.

    It is the public name with random digits, so that two installations never
    share one and a copy of the database cannot pass for the original.
    """
    return f"{settings.public_name or 'localhost'}/liuhen/{secrets.token_hex(4)}"


def publish_keys(session: Session, settings: Settings, *, origin: str, now_ms: int) -> None:
    """Make the verifier keys of the ledger ``origin`` leaves of it."""
    receipts = load_signer(settings.secrets_dir / RECEIPT_KEY, receipt_name(origin))
    signer = open_ledger_signer(settings, origin)
    for name, key in ((origin, signer.verifier_key), (receipts.name, receipts.verifier_key)):
        ledger.append(
            session,
            "enrol",
            actor={"server": "installation"},
            subject={"server_key": name},
            snapshot={"verifier_key": key},
            now_ms=now_ms,
            about=(SERVER_KEYS,),
        )
    if signer.also:
        publish_next_key(session, signer, now_ms=now_ms)


def publish_next_key(session: Session, signer: NoteSigner, *, now_ms: int) -> None:
    """Make the key that is to take over a leaf, named by the present one's own signature."""
    (following,) = signer.also
    key = VerifierKey(signer.name, following.public_key)
    endorsement = NoteSigner(signer.name, signer.key).sign(endorsement_text(key))
    ledger.append(
        session,
        "enrol",
        actor={"server": "rotation"},
        subject={"server_key": signer.name},
        snapshot={
            "verifier_key": str(key),
            "replaces": signer.verifier_key,
            "endorsement": endorsement,
        },
        now_ms=now_ms,
        about=(SERVER_KEYS,),
    )
