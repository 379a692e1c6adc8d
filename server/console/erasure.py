"""Lawful erasure: what is due, what is asked for, who agrees, and what must be kept."""

from http import HTTPStatus
from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server import jobs
from server.console import session
from server.console.blueprint import bp
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import erasure as orders
from server.operations.custody import Shown
from server.operations.erasure import Request, Terms
from server.operations.erasure.listing import INSPECTION, RECORDINGS, Unit
from server.services import services
from sync import catalogue


@bp.get("/erasure")
def erasure() -> str:
    parts = services()
    with reading() as db_session:
        page = orders.read_erasure(
            db_session,
            session.current_actor(),
            Terms.of(parts.settings),
            now_ms=parts.now_ms(),
        )
    session.leave_leaf(Shown(page="erasure", inspections=sorted(page.inspections)))
    return render_template("erasure.html", page=page, say=_say)


@bp.get("/inspections/<uuid:inspection_id>/erasure")
def erasure_unit(inspection_id: object) -> str:
    return _unit(str(inspection_id))


@bp.post("/inspections/<uuid:inspection_id>/erasure")
def request_erasure(inspection_id: object) -> ResponseReturnValue:
    """Ask for what the page listed; ``seen`` is how many items that were."""
    wanted = Request(
        unit=_unit_of(request.form.get("unit", "")),
        basis=request.form.get("basis", ""),
        law=request.form.get("law", ""),
        seen=request.form.get("seen", -1, type=int),
    )
    parts = services()
    try:
        with transaction() as db_session:
            orders.request_erasure(
                db_session,
                session.current_actor(),
                str(inspection_id),
                wanted,
                terms=Terms.of(parts.settings),
                now_ms=parts.now_ms(),
            )
    except Invalid as error:
        page = _unit(str(inspection_id), wanted=wanted, problem=error.field)
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    return _back(str(inspection_id))


@bp.post("/erasure/<uuid:order_id>")
def decide_erasure(order_id: object) -> ResponseReturnValue:
    """Approve or refuse an order."""
    parts, decision = services(), request.form.get("decision", "")
    with transaction() as db_session:
        orders.decide(
            db_session,
            session.current_actor(),
            str(order_id),
            decision,
            word=request.form.get("word", ""),
            terms=Terms.of(parts.settings),
            now_ms=parts.now_ms(),
        )
    if decision == "approved":
        jobs.wake(jobs.ERASE)
    return redirect(url_for("console.erasure"), HTTPStatus.SEE_OTHER)


@bp.post("/erasure/<uuid:order_id>/withdrawal")
def withdraw_erasure(order_id: object) -> ResponseReturnValue:
    with transaction() as db_session:
        orders.withdraw(
            db_session,
            session.current_actor(),
            str(order_id),
            word=request.form.get("word", ""),
            now_ms=services().now_ms(),
        )
    return redirect(url_for("console.erasure"), HTTPStatus.SEE_OTHER)


@bp.post("/inspections/<uuid:inspection_id>/holds")
def set_hold(inspection_id: object) -> ResponseReturnValue:
    try:
        with transaction() as db_session:
            orders.set_hold(
                db_session,
                session.current_actor(),
                str(inspection_id),
                reason=request.form.get("reason", ""),
                now_ms=services().now_ms(),
            )
    except Invalid as error:
        page = _unit(str(inspection_id), problem=f"hold_{error.field}")
        return page, HTTPStatus.UNPROCESSABLE_ENTITY
    return _back(str(inspection_id))


@bp.post("/holds/<uuid:hold_id>/request")
def ask_to_lift(hold_id: object) -> ResponseReturnValue:
    with transaction() as db_session:
        orders.ask_to_lift(
            db_session,
            session.current_actor(),
            str(hold_id),
            reason=request.form.get("reason", ""),
            now_ms=services().now_ms(),
        )
    return redirect(url_for("console.erasure"), HTTPStatus.SEE_OTHER)


@bp.post("/holds/<uuid:hold_id>/lifting")
def lift_hold(hold_id: object) -> ResponseReturnValue:
    with transaction() as db_session:
        orders.lift_hold(
            db_session, session.current_actor(), str(hold_id), now_ms=services().now_ms()
        )
    return redirect(url_for("console.erasure"), HTTPStatus.SEE_OTHER)


def _unit(inspection_id: str, *, wanted: Request | None = None, problem: str = "") -> str:
    parts = services()
    with reading() as db_session:
        page = orders.read_unit(
            db_session,
            session.current_actor(),
            inspection_id,
            Terms.of(parts.settings),
            now_ms=parts.now_ms(),
        )
    items = sorted(one.item for listed in page.lists for one in listed.items)
    session.leave_leaf(Shown(page="erasure", items=items, inspections=[inspection_id]))
    return render_template("erasure_unit.html", page=page, say=_say, wanted=wanted, problem=problem)


def _unit_of(text: str) -> Unit:
    match text:
        case "inspection":
            return INSPECTION
        case "recordings":
            return RECORDINGS
        case _:
            abort(HTTPStatus.BAD_REQUEST)


def _back(inspection_id: str) -> ResponseReturnValue:
    return redirect(
        url_for("console.erasure_unit", inspection_id=inspection_id), HTTPStatus.SEE_OTHER
    )


def _say(key: str, **values: Any) -> str:
    return catalogue.text(f"erasure.{key}", g.lang, **values)
