"""The change feed: documents that a device keeps for its work without a network."""

from typing import Any

from flask_smorest import Blueprint

from server.api.auth import BEARER, calling_device, require_device
from server.api.schemas import FeedQuerySchema, FeedSchema
from server.db import reading
from server.failures import DeviceRevoked
from server.operations import feed

bp = Blueprint("feed", __name__, url_prefix="/api/v1", description="Documents for devices")


@bp.get("/feed")
@bp.doc(**BEARER)
@require_device
@bp.arguments(FeedQuerySchema, location="query")
@bp.response(200, FeedSchema)
def changes(query: dict[str, Any]) -> feed.Page:
    """The newest version of each document changed since the cursor."""
    device = calling_device()
    if device.revoked:
        # A revoked device may still hand in what it holds, but learns nothing new.
        raise DeviceRevoked(device.standing)
    with reading() as session:
        return feed.read_page(
            session,
            scope=feed.organization_scope(device.organization_id),
            cursor=query["cursor"],
            limit=query["limit"],
        )
