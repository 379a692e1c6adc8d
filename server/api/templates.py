"""The JSON Schema of a published form, for clients in other languages (docs/forms.md §2)."""

from typing import Any

from flask import Response, json
from flask_smorest import Blueprint

from server.api.auth import BEARER, reading_device, require_device
from server.db import reading
from server.operations import forms
from sync.templates import json_schema, parse_template

bp = Blueprint("templates", __name__, url_prefix="/api/v1/templates", description="文书模板")

_SCHEMA_TYPE = "application/schema+json"


@bp.get("/<template_id>/<int:version>/schema")
@bp.doc(
    **BEARER,
    responses={
        "200": {
            "description": "JSON Schema 2020-12 of the values of a record at its seal",
            "content": {_SCHEMA_TYPE: {"schema": {"type": "object"}}},
        }
    },
)
@require_device
def schema(template_id: str, version: int) -> Any:
    """What a record on this version must hold when it is sealed."""
    with reading() as session:
        body = forms.read_form(session, reading_device().organization_id, template_id, version)
    text = json.dumps(json_schema(parse_template(body)), ensure_ascii=False)
    return Response(text, content_type=_SCHEMA_TYPE)
