"""Devices and enrolment codes, and the list of what waits for a decision (待核)."""

from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import oversight
from server.operations.custody import Shown
from server.services import services


@bp.get("/quarantine")
def quarantine() -> ResponseReturnValue:
    with reading() as db_session:
        rows = oversight.list_quarantine(db_session, session.current_actor())
    cases = {row.inspection_id for row in rows if row.inspection_id}
    session.leave_leaf(Shown(page="quarantine", inspections=sorted(cases)))
    return render_template("quarantine.html", rows=rows)


@bp.get("/devices")
def devices() -> ResponseReturnValue:
    return _devices_page("")


@bp.post("/devices/codes")
def issue_code() -> ResponseReturnValue:
    """Issue a code and show it in the answer itself: it can be read once and nowhere else."""
    parts = services()
    with transaction() as db_session:
        code = oversight.issue_enrolment_code(
            db_session,
            session.current_actor(),
            now_ms=parts.now_ms(),
            valid_ms=parts.settings.enrolment_ttl_s * 1000,
        )
    return _devices_page(code)


@bp.post("/devices/<uuid:device_id>/revocation")
def revoke_device(device_id: object) -> ResponseReturnValue:
    try:
        with transaction() as db_session:
            oversight.revoke_device(
                db_session,
                session.current_actor(),
                str(device_id),
                reason=request.form.get("reason", ""),
                now_ms=services().now_ms(),
            )
    except Invalid:
        return _devices_page("", problem=str(device_id)), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(url_for("console.devices"), HTTPStatus.SEE_OTHER)


def _devices_page(code: str, problem: str = "") -> str:
    parts = services()
    with reading() as db_session:
        rows = oversight.list_devices(db_session, session.current_actor())
        organization = oversight.organization_name(db_session, session.current_actor())
    return render_template(
        "devices.html",
        rows=rows,
        organization=organization,
        code=code,
        problem=problem,
        code_until_ms=parts.now_ms() + parts.settings.enrolment_ttl_s * 1000,
        server=parts.settings.base_url,
    )
