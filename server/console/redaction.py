"""Covering regions of a picture (脱敏), without a script: two clicks on it are a rectangle."""

from http import HTTPStatus
from typing import Any

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.console.media import disposition
from server.console.stored import stored_answer
from server.db import reading
from server.failures import Conflict, Invalid
from server.operations import redactions
from server.operations.custody import Shown
from server.operations.evidence_view import owned_item
from server.operations.redactions import MAX_REGIONS, SCALE, parse_regions
from server.operations.serving import serving_of
from server.services import services

#: How wide the picture is shown, in CSS pixels: what a click means depends on it.
_WIDTH = 720
_MAX_HEIGHT = 4000


@bp.get("/items/<uuid:item_id>/redact")
def redact(item_id: object) -> ResponseReturnValue:
    """The picture with what is covered so far; a click is one corner, the next the other."""
    try:
        return render_template("redact.html", **_page(str(item_id), _clicked()))
    except Invalid as error:
        page = _page(str(item_id), {}, problem=error.field)
        return render_template("redact.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY


@bp.post("/items/<uuid:item_id>/redact")
def make_redacted(item_id: object) -> ResponseReturnValue:
    regions, reason = request.form.get("regions", ""), request.form.get("reason", "")
    try:
        made = redactions.redact(
            services(),
            session.current_actor(),
            str(item_id),
            parse_regions(regions),
            reason=reason,
        )
    except Invalid as error:
        state = {"regions": regions} if error.field == "reason" else {}
        page = _page(str(item_id), state, problem=error.field, reason=reason)
        return render_template("redact.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY
    address = url_for("console.item", item_id=item_id, _anchor=f"redaction-{made}")
    return redirect(address, HTTPStatus.SEE_OTHER)


@bp.get("/redactions/<uuid:redaction_id>")
def redaction(redaction_id: object) -> Response:
    """A redacted copy; showing it leaves a leaf like everything that shows evidence."""
    with reading() as db_session:
        row = redactions.owned_copy(db_session, session.current_actor(), str(redaction_id))
        item = owned_item(db_session, session.current_actor(), row.item_id)
        case = [item.inspection_id] if item.inspection_id else []
    session.leave_leaf(
        Shown(page="redaction", items=[row.item_id], inspections=case, digests=[row.sha256])
    )
    answer = stored_answer(
        services().store, row.key, size=row.size, media_type="image/jpeg", etag=row.sha256
    )
    name = f"redacted-{row.sha256[:16]}.jpg"
    answer.headers["Content-Disposition"] = disposition("inline", name, "")
    return answer


def _clicked() -> dict[str, str]:
    """What the form holds after the click that sent it: regions, and a corner that waits."""
    shown = {name: request.args.get(name, "") for name in ("regions", "corner", "how")}
    at = request.args.get("at.x"), request.args.get("at.y")
    height = request.args.get("height", "")
    if None in at or not height.isdigit():
        return shown
    point = [
        _part(at[0] or "", _WIDTH),
        _part(at[1] or "", min(max(int(height[:5]), 1), _MAX_HEIGHT)),
    ]
    if not shown["corner"]:
        return {**shown, "corner": ".".join(map(str, point))}
    other = [_part(text, SCALE) for text in shown["corner"].split(".")[:2]]
    if len(other) != 2:
        raise Invalid("regions", "a corner")
    (left, right), (top, bottom) = (sorted(pair) for pair in zip(point, other, strict=True))
    how = "mosaic" if shown["how"] == "mosaic" else "black"
    size = f"{max(right - left, 1)}.{max(bottom - top, 1)}"
    region = f"{min(left, SCALE - 1)}.{min(top, SCALE - 1)}.{size}.{how}"
    return {"regions": "_".join(filter(None, (shown["regions"], region))), "corner": "", "how": how}


def _part(text: str, whole: int) -> int:
    """A coordinate within ``whole`` in 1/10,000 of it."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise Invalid("regions", "a corner")
    return min(int(text) * SCALE // whole, SCALE)


def _page(
    item_id: str, state: dict[str, str], *, problem: str = "", reason: str = ""
) -> dict[str, Any]:
    actor = session.current_actor()
    with reading() as db_session:
        item = owned_item(db_session, actor, item_id)
        shape = redactions.picture_shape(db_session, item)
        if shape is None:
            raise Conflict("no picture")
        case = [item.inspection_id] if item.inspection_id else []
        derived = serving_of(db_session, item).derived
    session.leave_leaf(Shown(page="item", items=[item_id], inspections=case))
    corner = [int(text) for text in state.get("corner", "").split(".") if text.isdigit()]
    return {
        "item": item,
        "has_preview": "preview" in derived,
        "width": _WIDTH,
        "height": min(_WIDTH * shape[1] // shape[0], _MAX_HEIGHT),
        "regions": parse_regions(state.get("regions", "")),
        "spelled": state.get("regions", ""),
        "corner": corner if len(corner) == 2 else None,
        "how": state.get("how", "black"),
        "most": MAX_REGIONS,
        "reason": reason,
        "problem": problem,
    }
