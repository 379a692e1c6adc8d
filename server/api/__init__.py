"""The device API under /api/v1 and its OpenAPI document."""

from http import HTTPStatus
from typing import Any

from flask import Flask, request
from flask_smorest import Api

from media.upload_headers import BODY_TYPE
from server.api import enrolment, feed, journal, ledger, outcomes, templates, tiles, uploads
from server.api.schemas import ProblemSchema

#: A thousand digests are 67 KiB; journals and uploads have limits of their own.
JSON_LIMIT_BYTES = 128 << 10
_OWN_LIMITS = frozenset({"journal.push_lines"})


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """An API whose document describes our errors as they are: RFC 9457 problems."""

    ERROR_SCHEMA = ProblemSchema

    def _register_responses(self) -> None:
        for name in (*(status.name for status in HTTPStatus), self.DEFAULT_ERROR_RESPONSE_NAME):
            self.spec.components.response(
                name,
                {
                    "description": "RFC 9457 problem; its code stands in docs/errors.md",
                    "content": {"application/problem+json": {"schema": self.ERROR_SCHEMA}},
                },
                lazy=True,
            )


def bound_body() -> None:
    """Let nobody fill the memory with JSON; a body that is streamed is bounded where it is read."""
    streamed = request.endpoint in _OWN_LIMITS or request.content_type == BODY_TYPE
    if request.path.startswith("/api/") and not streamed:
        request.max_content_length = JSON_LIMIT_BYTES


def register_api(app: Flask) -> None:
    """Register every blueprint of the API and the document that describes them."""
    app.config.update(
        API_TITLE="Liuhen device API",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api/v1",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = ProblemApi(app)
    schemes: dict[str, Any] = {"type": "http", "scheme": "bearer"}
    api.spec.components.security_scheme("deviceToken", schemes)
    for module in (enrolment, journal, outcomes, feed, ledger, templates, uploads):
        api.register_blueprint(module.bp)
    # Static files of another standard, which our own document does not describe.
    app.register_blueprint(tiles.bp)
    app.before_request(bound_body)
