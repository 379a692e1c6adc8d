"""The change feed: documents that a device keeps for its work without a network."""

from typing import Any

from flask import Response
from flask_smorest import Blueprint

from server.api.auth import BEARER, reading_device, require_device
from server.api.packing import packed_json
from server.api.schemas import (
    BucketsSchema,
    DigestQuerySchema,
    DigestSchema,
    FeedQuerySchema,
    FeedSchema,
    RepairSchema,
)
from server.db import reading
from server.operations import feed

bp = Blueprint("feed", __name__, url_prefix="/api/v1", description="Documents for devices")


@bp.get("/feed")
@bp.doc(**BEARER)
@require_device
@bp.arguments(FeedQuerySchema, location="query")
@bp.response(200, FeedSchema)
def changes(query: dict[str, Any]) -> Response:
    """What changed since the cursor: documents to keep, to delete or to give up."""
    device = reading_device()
    with reading() as session:
        page = feed.read_page(
            session,
            device_id=device.id,
            organization_id=device.organization_id,
            cursor=query["cursor"],
            limit=query["limit"],
        )
    return packed_json(page.to_json())


@bp.get("/digest")
@bp.doc(**BEARER)
@require_device
@bp.arguments(DigestQuerySchema, location="query")
@bp.response(200, DigestSchema)
def digest(query: dict[str, Any]) -> feed.Digest:
    """The sums of what the device has been given up to its cursor, to compare with its own."""
    device = reading_device()
    with reading() as session:
        return feed.read_digest(session, device_id=device.id, cursor=query["cursor"])


@bp.post("/digest/documents")
@bp.doc(**BEARER)
@require_device
@bp.arguments(BucketsSchema)
@bp.response(200, RepairSchema)
def repair(body: dict[str, Any]) -> Response:
    """The documents that the device lacks in the buckets whose sums differ."""
    device = reading_device()
    buckets = {number: frozenset(marks) for number, marks in body["buckets"].items()}
    with reading() as session:
        found = feed.repair_buckets(
            session, device_id=device.id, bits=body["bits"], buckets=buckets
        )
    return packed_json(found.to_json())
