"""The console: server-rendered pages for reviewers, leaders and administrators.

Every page is a form or a link away from working without JavaScript; there is
none (docs/console.md).
"""

from importlib import import_module

from flask import Flask

from server.console.blueprint import bp
from server.console.trust import blueprint as trust

__all__ = ["register_console"]

#: Modules whose import puts their views onto the blueprint.
_PAGES = (
    "desk",
    "devices",
    "display_copy",
    "erasure",
    "foreign",
    "forms",
    "inspection",
    "item",
    "login",
    "media",
    "package",
    "quarantine",
    "receipt",
    "redaction",
    "sheet",
    "store",
)


def register_console(app: Flask) -> None:
    """Register the console and the page of the local authority's certificate."""
    for page in _PAGES:
        import_module(f"server.console.{page}")
    app.register_blueprint(bp)
    app.register_blueprint(trust)
