"""Devices: letting one in, whom it serves, its clock, revoking it, the statement of a lost one."""

from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import devices as operations
from server.operations import losses, revocation
from server.operations.custody import Shown
from server.services import services

#: Asia/Shanghai, in which the forms are filled in; it has no daylight saving.
_BEIJING = timezone(timedelta(hours=8))


@bp.get("/devices")
def devices() -> ResponseReturnValue:
    return _list_page()


@bp.post("/devices/codes")
def issue_code() -> ResponseReturnValue:
    """Issue a code and show it in the answer itself: it can be read once and nowhere else."""
    parts = services()
    try:
        holders = _holders()
        with transaction() as db_session:
            code = operations.issue_enrolment_code(
                db_session,
                session.current_actor(),
                holders=holders,
                now_ms=parts.now_ms(),
                valid_ms=parts.settings.enrolment_ttl_s * 1000,
            )
    except Invalid:
        return _list_page(problem="holders"), HTTPStatus.UNPROCESSABLE_ENTITY
    return _list_page(code)


@bp.get("/devices/<uuid:device_id>")
def device(device_id: object) -> ResponseReturnValue:
    return _device_page(str(device_id))


@bp.post("/devices/<uuid:device_id>/holders")
def set_holders(device_id: object) -> ResponseReturnValue:
    try:
        holders = _holders()
        with transaction() as db_session:
            operations.set_holders(
                db_session,
                session.current_actor(),
                str(device_id),
                holders,
                now_ms=services().now_ms(),
            )
    except Invalid:
        return _device_page(str(device_id), "holders"), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(url_for("console.device", device_id=device_id), HTTPStatus.SEE_OTHER)


@bp.post("/devices/<uuid:device_id>/revocation")
def revoke_device(device_id: object) -> ResponseReturnValue:
    try:
        with transaction() as db_session:
            revocation.revoke_device(
                db_session,
                session.current_actor(),
                str(device_id),
                reason=request.form.get("reason", ""),
                from_ms=_moment(request.form.get("from", "")),
                wipe=request.form.get("wipe") == "yes",
                now_ms=services().now_ms(),
            )
    except Invalid as error:
        return _device_page(str(device_id), error.field), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(url_for("console.device", device_id=device_id), HTTPStatus.SEE_OTHER)


@bp.get("/devices/<uuid:device_id>/statement")
def device_statement(device_id: object) -> ResponseReturnValue:
    with reading() as db_session:
        statement = losses.read_statement(db_session, session.current_actor(), str(device_id))
    session.leave_leaf(
        Shown(
            page="device_statement",
            items=[item.id for item in statement.items],
            inspections=sorted({i.inspection_id for i in statement.items if i.inspection_id}),
        )
    )
    return render_template("device_statement.html", statement=statement, row=statement.page.row)


def _holders() -> list[str] | None:
    """The officers that the form names; None where it says that everybody shares the device.

    Raises:
        Invalid: if it names nobody.
    """
    if request.form.get("serves", "all") == "all":
        return None
    officers = request.form.getlist("officer")
    if not officers:
        raise Invalid("holders", "none chosen")
    return officers


def _moment(text: str) -> int | None:
    """A date and time as typed in Beijing time, in milliseconds UTC; None if left empty.

    Raises:
        Invalid: if it is no date and time.
    """
    if not text.strip():
        return None
    try:
        local = datetime.fromisoformat(text.strip())
        moment = local.replace(tzinfo=_BEIJING) if local.tzinfo is None else local
        return int(moment.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise Invalid("from", "not a date and time") from error


def _list_page(code: str = "", problem: str = "") -> str:
    parts = services()
    actor = session.current_actor()
    with reading() as db_session:
        rows = operations.list_devices(db_session, actor)
        organization = operations.organization_name(db_session, actor)
        officers = operations.officer_choices(db_session, actor)
    return render_template(
        "devices.html",
        rows=rows,
        organization=organization,
        officers=officers,
        code=code,
        problem=problem,
        code_until_ms=parts.now_ms() + parts.settings.enrolment_ttl_s * 1000,
        server=parts.settings.base_url,
    )


def _device_page(device_id: str, problem: str = "") -> str:
    with reading() as db_session:
        page = operations.read_device(db_session, session.current_actor(), device_id)
    return render_template("device.html", page=page, row=page.row, problem=problem)
