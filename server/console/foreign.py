"""Packages of other bureaus: the list, what the verifier said, and taking one away."""

from typing import Any

from flask import Response, g, render_template
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.console.media import disposition
from server.console.stored import stored_answer
from server.db import reading
from server.operations import foreign as packages
from server.operations.custody import Shown
from server.services import services
from sync import catalogue

_CLAIMS, _ITEMS = 200, 500


@bp.get("/foreign")
def foreign() -> str:
    with reading() as db_session:
        rows = packages.foreign_packages(db_session, session.current_actor())
    _leave_leaf([row.sha256 for row in rows])
    return render_template("foreign.html", rows=rows, say=_say)


@bp.get("/foreign/<uuid:foreign_id>")
def foreign_package(foreign_id: object) -> str:
    with reading() as db_session:
        page = packages.foreign_package(db_session, session.current_actor(), str(foreign_id))
    _leave_leaf([page.row.sha256])
    about = page.index.inspection if page.index else {}
    return render_template(
        "foreign_package.html",
        page=page,
        say=_say,
        title=_text(about.get("title")),
        organization=_text((about.get("organization") or {}).get("name"))
        if isinstance(about.get("organization"), dict)
        else "",
        claims=page.claims[:_CLAIMS],
        items=page.index.items[:_ITEMS] if page.index else (),
        text=_text,
    )


@bp.get("/foreign/<uuid:foreign_id>/package")
def foreign_download(foreign_id: object) -> ResponseReturnValue:
    """The ZIP as it came; each time has a leaf of its own."""
    with reading() as db_session:
        found = packages.stored_foreign(db_session, session.current_actor(), str(foreign_id))
    _leave_leaf([found.sha256])
    answer: Response = stored_answer(
        services().store,
        found.key,
        size=found.size,
        media_type="application/zip",
        etag=found.sha256,
    )
    answer.headers["Content-Disposition"] = disposition("attachment", found.name, "")
    return answer


def _leave_leaf(digests: list[str]) -> None:
    # Always: what covers a page is found by its items, and foreign ones are none of ours.
    session.leave_leaf(Shown(page="foreign", digests=digests), always=True)


def _say(key: str, **values: Any) -> str:
    return catalogue.text(f"foreign.{key}", g.lang, **values)


def _text(value: object) -> str:
    """A text of theirs, if it is one: what stands there is for them to choose."""
    return value if isinstance(value, str) else ""
