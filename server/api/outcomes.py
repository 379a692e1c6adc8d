"""Later changes of fate of a device's lines: what a push answered may not stay so."""

from typing import Any

from flask_smorest import Blueprint

from server.api.auth import BEARER, reading_device, require_device
from server.api.schemas import ChangesSchema, OutcomesQuerySchema
from server.db import reading
from server.operations import outcomes

bp = Blueprint("outcomes", __name__, url_prefix="/api/v1", description="处理结果")


@bp.get("/outcomes")
@bp.doc(**BEARER)
@require_device
@bp.arguments(OutcomesQuerySchema, location="query")
@bp.response(200, ChangesSchema)
def changes(query: dict[str, Any]) -> outcomes.Changes:
    """The device's own lines whose outcome differs from what it was told, since the cursor."""
    with reading() as session:
        return outcomes.read_changes(
            session, reading_device().id, since=query["since"], limit=query["limit"]
        )
