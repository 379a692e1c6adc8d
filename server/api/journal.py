"""Pushing a journal: lines in, an outcome for each and signed receipts out."""

import re
from typing import Any

from flask import request
from flask_smorest import Blueprint

from server import jobs
from server.api.auth import BEARER, require_device, require_own_journal
from server.api.bodies import read_body
from server.api.schemas import JournalHeadSchema, PushAnswerSchema
from server.db import reading, transaction
from server.failures import BodyTooLarge, Invalid
from server.models.journal import MAIN, JournalHead
from server.operations import ledger, push
from server.services import services
from sync.evidence.line import GENESIS

bp = Blueprint("journal", __name__, url_prefix="/api/v1/journal", description="取证日志")

_EPOCH = re.compile(r"[0-9a-f]{32}")
_NDJSON = {
    "requestBody": {
        "required": True,
        "description": "Journal lines in order, each ended by a newline; gzip or zstd is read too.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


@bp.post("/<device_id>/<epoch>")
@bp.doc(**BEARER, **_NDJSON)
@require_device
@bp.response(200, PushAnswerSchema)
def push_lines(device_id: str, epoch: str) -> dict[str, Any]:
    """Append lines to a device's journal; an answer exists only after the commit."""
    device = require_own_journal(device_id)
    _need_epoch(epoch)
    parts = services()
    raws = _complete_lines(parts.settings.push_limit_bytes, parts.settings.push_limit_lines)
    with reading() as session:
        keys = push.device_keys(session, device.id)
    lines = push.parse_lines(
        raws,
        device=device.id,
        epoch=epoch,
        keys=keys,
        line_limit=parts.settings.line_limit_bytes,
    )
    with transaction() as session:
        outcome = push.append_lines(
            session,
            device,
            epoch,
            lines,
            signer=parts.receipt_signer,
            clock=parts.clock_state(),
            now_ms=parts.now_ms(),
        )
    if outcome.wants_check:
        jobs.wake(jobs.CHECK_MEDIA)
    with reading() as session:
        checkpoint = ledger.newest_checkpoint(session)
        return {
            "results": outcome.results,
            "receipts": outcome.receipts,
            "next_seq": outcome.next_seq,
            "head": outcome.head,
            "checkpoint": checkpoint.note if checkpoint else "",
        }


@bp.get("/<device_id>/<epoch>")
@bp.doc(**BEARER)
@require_device
@bp.response(200, JournalHeadSchema)
def journal_head(device_id: str, epoch: str) -> dict[str, Any]:
    """Where the main chain of an epoch stands, so that a device knows what to send."""
    device = require_own_journal(device_id)
    _need_epoch(epoch)
    with reading() as session:
        head = session.get(JournalHead, (device.id, epoch, MAIN))
        if head is None:
            return {"next_seq": 0, "head": GENESIS}
        return {"next_seq": head.next_seq, "head": head.digest}


def _need_epoch(epoch: str) -> None:
    """Refuse an address that no line can belong to.

    Raises:
        Invalid: if ``epoch`` is not 16 bytes of lowercase hex.
    """
    if not _EPOCH.fullmatch(epoch):
        raise Invalid("epoch", "not 32 lowercase hex digits")


def _complete_lines(limit_bytes: int, limit_lines: int) -> list[bytes]:
    """The complete lines of the body; what follows the last newline was cut off and comes again.

    Raises:
        BodyTooLarge: if the body is over either limit.
    """
    body = read_body(request, limit_bytes)
    lines = body[: body.rfind(b"\n") + 1].split(b"\n")[:-1]
    if len(lines) > limit_lines:
        raise BodyTooLarge(limit=limit_lines)
    return lines
