"""What waits for a decision (待核): the list, one entry with its raw content, and the decision."""

from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server import jobs
from server.console import session
from server.console.blueprint import bp
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import quarantine as desk
from server.operations import quarantine_view as view
from server.operations.custody import Shown
from server.operations.quarantine_entry import read_entry
from server.services import services


@bp.get("/quarantine")
def quarantine() -> ResponseReturnValue:
    asked = {name: request.args.get(name, "") for name in view.Filter.__annotations__}
    which = view.Filter(**asked)
    actor = session.current_actor()
    with reading() as db_session:
        listing = view.list_quarantine(db_session, actor, which)
        codes = view.codes_in_use(db_session, actor)
    cases = {row.inspection_id for row in listing.rows if row.inspection_id}
    session.leave_leaf(Shown(page="quarantine", inspections=sorted(cases)))
    narrowed = {name: value for name, value in asked.items() if value and name != "before"}
    return render_template(
        "quarantine.html",
        listing=listing,
        which=which,
        narrowed=narrowed,
        codes=codes,
        kinds=desk.KINDS,
        states=view.STATES,
    )


@bp.get("/quarantine/<kind>/<subject>")
def quarantined(kind: str, subject: str) -> ResponseReturnValue:
    return _entry_page(kind, subject)


@bp.post("/quarantine/<kind>/<subject>/decision")
def decide_quarantined(kind: str, subject: str) -> ResponseReturnValue:
    seen = request.form.get("seen", "")
    word = desk.Decision(
        decision=request.form.get("decision", ""),
        reason=request.form.get("reason", ""),
        seen=int(seen) if seen.isascii() and seen.isdecimal() else -1,
    )
    try:
        with transaction() as db_session:
            wants_check = desk.decide(
                db_session,
                session.current_actor(),
                kind,
                subject,
                word,
                now_ms=services().now_ms(),
            )
    except Invalid:
        return _entry_page(kind, subject, problem=True), HTTPStatus.UNPROCESSABLE_ENTITY
    if wants_check:
        jobs.wake(jobs.CHECK_MEDIA)
    target = url_for("console.quarantined", kind=kind, subject=subject)
    return redirect(target, HTTPStatus.SEE_OTHER)


def _entry_page(kind: str, subject: str, *, problem: bool = False) -> str:
    """The page of one entry; its leaf is committed when this returns."""
    with reading() as db_session:
        entry = read_entry(db_session, session.current_actor(), kind, subject)
    case = entry.row.inspection_id
    film = entry.frame.item if entry.frame else None
    session.leave_leaf(
        Shown(
            page="quarantined",
            items=[film.id] if film else [],
            inspections=[case] if case else [],
            # Each entry is seen on its own: a leaf about one covers no other.
            query=f"{kind}:{subject}",
        )
    )
    return render_template("quarantined.html", entry=entry, row=entry.row, problem=problem)
