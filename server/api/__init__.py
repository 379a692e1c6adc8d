"""The device API under /api/v1 and its OpenAPI document."""

from typing import Any

from flask import Flask
from flask_smorest import Api

from server.api import enrolment, feed, journal, ledger, uploads


def register_api(app: Flask) -> None:
    """Register every blueprint of the API and the document that describes them."""
    app.config.update(
        API_TITLE="Liuhen device API",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api/v1",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = Api(app)
    schemes: dict[str, Any] = {"type": "http", "scheme": "bearer"}
    api.spec.components.security_scheme("deviceToken", schemes)
    for module in (enrolment, journal, feed, ledger, uploads):
        api.register_blueprint(module.bp)
