"""Pushing a journal: lines in, an outcome for each and signed receipts out."""

import json
import re

from flask import Response, request
from flask_smorest import Blueprint

from server import jobs
from server.api.auth import BEARER, require_device, require_own_journal
from server.api.bodies import read_body
from server.api.packing import packed_json
from server.api.schemas import JournalHeadSchema, JournalQuerySchema, PushAnswerSchema
from server.db import reading, transaction
from server.failures import BodyTooLarge, Invalid
from server.operations import ledger, outcomes, push
from server.services import services

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
def push_lines(device_id: str, epoch: str) -> Response:
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
        checkpoint = ledger.newest_note(session)
    if outcome.wants_check:
        jobs.wake(jobs.CHECK_MEDIA)
    return packed_json(_answer(outcome, checkpoint))


@bp.get("/<device_id>/<epoch>")
@bp.doc(**BEARER)
@require_device
@bp.arguments(JournalQuerySchema, location="query")
@bp.response(200, JournalHeadSchema)
def journal_head(query: dict[str, int | None], device_id: str, epoch: str) -> outcomes.Standing:
    """Where an epoch's main chain stands; with ``since`` also what a lost answer had told."""
    device = require_own_journal(device_id)
    _need_epoch(epoch)
    with reading() as session:
        return outcomes.read_standing(session, device.id, epoch, since=query["since"])


def _answer(outcome: push.PushOutcome, checkpoint: str) -> bytes:
    """What ``PushAnswerSchema`` describes; its dump would cost as much as placing the lines."""
    return json.dumps(
        {
            "results": [vars(result) for result in outcome.results],
            "receipts": outcome.receipts,
            "next_seq": outcome.next_seq,
            "head": outcome.head,
            "checkpoint": checkpoint,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    ).encode("utf-8")


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
        raise BodyTooLarge(limit=limit_lines, unit="lines")
    return lines
