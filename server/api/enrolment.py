"""Saying hello, enrolling a device, and getting a token by signing a nonce."""

from typing import Any

from flask import current_app
from flask_smorest import Blueprint

from server.api.schemas import (
    EnrolledSchema,
    EnrolmentSchema,
    HelloSchema,
    NonceRequestSchema,
    NonceSchema,
    TokenRequestSchema,
    TokenSchema,
)
from server.db import reading, transaction
from server.failures import ServerError
from server.models.people import Organization
from server.operations import backups, enrolment, feed, ledger, witnessing
from server.operations.enrolment import NewDevice
from server.operations.room import gauge_of
from server.services import services
from sync.evidence.canonical import MAX_DEPTH
from sync.evidence.line import VERSION

bp = Blueprint("enrolment", __name__, url_prefix="/api/v1", description="Devices and tokens")


@bp.get("/hello")
@bp.response(200, HelloSchema)
def hello() -> dict[str, Any]:
    """Server time, generation, limits and the newest checkpoint; needs no token."""
    parts = services()
    settings = parts.settings
    with reading() as session:
        generation = ledger.current_generation(session)
        note = witnessing.cosigned_note(session)
        if not note:
            raise ServerError("no checkpoint has been signed")
        backed_up = backups.backed_up_size(session)
        room = gauge_of(current_app, settings).room(session, parts.now_ms())
    return {
        "server_ms": parts.now_ms(),
        "clock": parts.clock_state(),
        "origin": generation.origin,
        "generation": generation.number,
        "limits": {
            "line_bytes": settings.line_limit_bytes,
            "push_lines": settings.push_limit_lines,
            "push_bytes": settings.push_limit_bytes,
            "media_bytes": settings.media_limit_bytes,
            "json_depth": MAX_DEPTH,
            "feed_page": feed.PAGE,
            "digests": 1000,
            "windows": settings.recording_hours,
        },
        "room": {
            "free_bytes": room.free,
            "days_left": room.days_left,
            "recordings": room.recordings,
        },
        "journal_versions": [VERSION],
        "backed_up_size": backed_up,
        "carrier": parts.carrier_note(generation.origin),
        "checkpoint": note,
    }


@bp.post("/enrolments")
@bp.arguments(EnrolmentSchema)
@bp.response(201, EnrolledSchema)
def enrol(request: tuple[str, NewDevice]) -> dict[str, Any]:
    """Enrol a device with a one-time code; its key becomes a leaf of the ledger."""
    code, new = request
    parts = services()
    now_ms = parts.now_ms()
    with transaction() as session:
        key = enrolment.enrol_device(session, new, code=code, now_ms=now_ms)
        checkpoint = ledger.sign_checkpoint(session, parts.ledger_signer, now_ms=now_ms)
        generation = ledger.current_generation(session)
        organization = session.get_one(Organization, enrolment.organization_of(session, key))
        return {
            "device_id": key.device_id,
            "key_id": key.key_id,
            "organization": {"id": organization.id, "name": organization.name},
            "origin": generation.origin,
            "generation": generation.number,
            "receipt_key": parts.receipt_signer.verifier_key,
            "ledger_key": parts.ledger_signer.verifier_key,
            "carrier": parts.carrier_note(generation.origin),
            "checkpoint": checkpoint.note,
            "enrolled_index": key.enrolled_index,
            "server_ms": now_ms,
        }


@bp.post("/nonces")
@bp.arguments(NonceRequestSchema)
@bp.response(201, NonceSchema)
def nonce(request: dict[str, str]) -> dict[str, Any]:
    """Issue a nonce for the holder of a key to sign; it works once and not for long."""
    parts = services()
    now_ms, valid_ms = parts.now_ms(), parts.settings.nonce_ttl_s * 1000
    with transaction() as session:
        issued = enrolment.issue_nonce(
            session, key_id=request["key_id"], now_ms=now_ms, valid_ms=valid_ms
        )
    return {"nonce": issued, "expires_at_ms": now_ms + valid_ms, "server_ms": now_ms}


@bp.post("/tokens")
@bp.arguments(TokenRequestSchema)
@bp.response(201, TokenSchema)
def token(request: dict[str, Any]) -> dict[str, Any]:
    """Exchange a signed nonce for a bearer token."""
    parts = services()
    now_ms, valid_ms = parts.now_ms(), parts.settings.token_ttl_s * 1000
    with transaction() as session:
        issued = enrolment.exchange_nonce(
            session,
            key_id=request["key_id"],
            nonce=request["nonce"],
            signature=request["signature"],
            origin=ledger.current_generation(session).origin,
            now_ms=now_ms,
            valid_ms=valid_ms,
        )
    return {
        "token": issued.token,
        "expires_at_ms": now_ms + valid_ms,
        "standing": issued.standing,
    }
