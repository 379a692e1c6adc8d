"""Changing the ledger's key: both sign for a while, and the old one names the new.

Everything that runs must be started again after each of the two steps, since a key is
read once (docs/operations.md, Export).
"""

import os

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.failures import Conflict, Invalid
from server.models.inspections import EvidencePackage
from server.models.ledger import Checkpoint
from server.operations import ledger
from server.operations.export.request import BUILDING, QUEUED
from server.operations.installation import SERVER_KEYS, publish_next_key
from server.services import (
    LEDGER_KEY,
    NEXT_LEDGER_KEY,
    RETIRED_LEDGER_KEYS,
    open_ledger_signer,
    retired_keys,
)
from server.settings import Settings
from server.signing import NoteSigner, make_key

_MAX_REASON = 1000


def prepare(settings: Settings) -> None:
    """Make the next key where no command has it, and none was made before."""
    path = settings.secrets_dir / NEXT_LEDGER_KEY
    if not settings.ledger_next_signer and not path.exists():
        make_key(path)


def begin(session: Session, signer: NoteSigner, *, reason: str, now_ms: int) -> Checkpoint:
    """Publish the next key as a leaf, signed for by the present one; both sign from here on.

    Raises:
        Invalid: without a reason.
        Conflict: if the next key is on the ledger already.
    """
    reason = _checked(reason)
    if _is_published(session, signer):
        raise Conflict("the next key is published already; --finish ends the overlap")
    publish_next_key(session, signer, now_ms=now_ms)
    _note(session, "ledger_key_begun", signer, reason=reason, now_ms=now_ms)
    return ledger.sign_checkpoint(session, signer, now_ms=now_ms)


def finish(session: Session, signer: NoteSigner, *, reason: str, now_ms: int) -> Checkpoint:
    """End the overlap on the ledger: the last checkpoint that both sign.

    Raises:
        Invalid: without a reason.
        Conflict: if no change of keys is under way, or packages wait that the old key began.
    """
    reason = _checked(reason)
    if not _is_published(session, signer):
        raise Conflict("no other key has been published")
    waiting = select(EvidencePackage.id).where(EvidencePackage.state.in_((QUEUED, BUILDING)))
    if session.execute(waiting.limit(1)).first() is not None:
        raise Conflict("packages wait to be built")
    _note(session, "ledger_key_retired", signer, reason=reason, now_ms=now_ms)
    return ledger.sign_checkpoint(session, signer, now_ms=now_ms)


def retire(settings: Settings, signer: NoteSigner) -> None:
    """Put the next key in the place of the present one, whose public half is kept; repeatable."""
    kept = retired_keys(settings)
    if signer.public_key not in kept:
        path = settings.secrets_dir / RETIRED_LEDGER_KEYS
        draft = path.with_suffix(".draft")
        rows = "".join(f"{key.hex()}\n" for key in (*kept, signer.public_key))
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(rows)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    # A key behind a command changes its place in the settings, by hand.
    following = settings.secrets_dir / NEXT_LEDGER_KEY
    if following.exists():
        following.replace(settings.secrets_dir / LEDGER_KEY)


def open_both(settings: Settings, session: Session) -> NoteSigner:
    """The present key, with the next one beside it."""
    return open_ledger_signer(settings, ledger.current_generation(session).origin)


def _is_published(session: Session, signer: NoteSigner) -> bool:
    if not signer.also:
        return False
    named = NoteSigner(signer.name, signer.also[0]).verifier_key.encode()
    events = ledger.events_about(session, [SERVER_KEYS])
    return any(b"endorsement" in e.event and named in e.event for e in events)


def _note(session: Session, act: str, signer: NoteSigner, *, reason: str, now_ms: int) -> None:
    ledger.append(
        session,
        "policy",
        actor={"server": "rotation"},
        subject={"server_key": signer.name},
        snapshot={
            "act": act,
            "reason": reason,
            "from": signer.verifier_key,
            "to": NoteSigner(signer.name, signer.also[0]).verifier_key,
        },
        now_ms=now_ms,
        about=(SERVER_KEYS,),
    )


def _checked(reason: str) -> str:
    reason = reason.strip()
    if not 0 < len(reason) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    return reason
