"""The console: server-rendered pages for reviewers, leaders and administrators.

Every page is a form or a link away from working without JavaScript; there is
none (docs/console.md).
"""

from flask import Flask

from server.console import (
    desk,
    devices,
    display_copy,
    erasure,
    foreign,
    forms,
    inspection,
    item,
    login,
    media,
    package,
    quarantine,
    receipt,
    redaction,
    sheet,
    store,
)
from server.console.blueprint import bp
from server.console.trust import blueprint as trust

__all__ = ["register_console"]

#: Modules whose import puts their views onto the blueprint.
PAGES = (
    desk,
    devices,
    display_copy,
    erasure,
    foreign,
    forms,
    inspection,
    item,
    login,
    media,
    package,
    quarantine,
    receipt,
    redaction,
    sheet,
    store,
)


def register_console(app: Flask) -> None:
    """Register the console and the page of the local authority's certificate."""
    app.register_blueprint(bp)
    app.register_blueprint(trust)
