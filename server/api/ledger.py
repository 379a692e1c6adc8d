"""Proofs from the ledger: leaves are salted commitments, so anyone with a token may ask."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from server.api.auth import BEARER, calling_device, require_device
from server.api.schemas import (
    CheckpointSchema,
    CheckpointSeenSchema,
    ConsistencyQuerySchema,
    ConsistencySchema,
    InclusionQuerySchema,
    InclusionSchema,
    LedgerStandingSchema,
    LineageSchema,
    ProofQuerySchema,
)
from server.db import reading
from server.failures import Invalid
from server.operations import generations, ledger, tiles, witnessing
from server.services import services

bp = Blueprint("ledger", __name__, url_prefix="/api/v1/ledger", description="存证总账")


@bp.get("/checkpoint")
@bp.doc(**BEARER)
@require_device
@bp.response(200, CheckpointSchema)
def checkpoint() -> dict[str, str]:
    """The newest signed checkpoint, and the newest that witnesses cosigned, with their lines."""
    policy = services().settings.witness_policy
    with reading() as session:
        witnessed = None
        if policy is not None:
            generation = ledger.current_generation(session).number
            witnessed = witnessing.newest_witnessed(session, policy, generation=generation)
        return {
            "checkpoint": witnessing.cosigned_note(session),
            "witnessed": witnessed.note if witnessed else "",
        }


@bp.post("/seen")
@bp.doc(**BEARER)
@require_device
@bp.arguments(CheckpointSeenSchema)
@bp.response(200, LedgerStandingSchema)
def seen(shown: dict[str, str]) -> dict[str, bool]:
    """Take a checkpoint that a device has verified: one that we lack shows that we went back."""
    behind = generations.see(services(), shown["checkpoint"], device_id=calling_device().id)
    return {"behind": behind}


@bp.get("/generations")
@bp.response(200, LineageSchema)
def lineage() -> dict[str, Any]:
    """Every generation of the ledger with its proof; no token, which would name the newest."""
    with reading() as session:
        return {"generations": generations.lineage(session, services())}


@bp.get("/consistency")
@bp.doc(**BEARER)
@require_device
@bp.arguments(ConsistencyQuerySchema, location="query")
@bp.response(200, ConsistencySchema)
def consistency(query: dict[str, Any]) -> dict[str, Any]:
    """The RFC 6962 proof that one tree begins with another."""
    first, second = query["first"], query["second"]
    with reading() as session:
        number, size = generations.provable(session, query["generation"])
        if not first <= second <= size:
            raise Invalid("second", "first ≤ second ≤ size of the newest checkpoint")
        path = ledger.consistency_proof(session, number, first=first, second=second)
    return {"first": first, "second": second, "path": [node.hex() for node in path]}


@bp.get("/inclusion")
@bp.doc(**BEARER)
@require_device
@bp.arguments(InclusionQuerySchema, location="query")
@bp.response(200, InclusionSchema)
def inclusion(query: dict[str, Any]) -> dict[str, Any]:
    """The RFC 6962 audit path of one leaf, and the leaf's entry."""
    index, size = query["index"], query["size"]
    with reading() as session:
        number, largest = generations.provable(session, query["generation"])
        if not index < size <= largest:
            raise Invalid("size", "index < size ≤ size of the newest checkpoint")
        path = ledger.inclusion_proof(session, number, index=index, size=size)
        entry = ledger.leaf_entry(session, number, index)
    return {
        "index": index,
        "size": size,
        "entry": entry.hex(),
        "path": [node.hex() for node in path],
    }


@bp.get("/proof")
@bp.doc(**BEARER)
@require_device
@bp.arguments(ProofQuerySchema, location="query")
@bp.response(200, content_type="text/plain; charset=utf-8")
def proof(query: dict[str, Any]) -> Response:
    """The C2SP tlog-proof of one leaf under the newest checkpoint; ``extra`` is the entry."""
    with reading() as session:
        text = tiles.proof_of(session, query["generation"], query["index"])
    return Response(text, content_type="text/plain; charset=utf-8")
