"""Forms (文书模板): the published versions, what each asks for, and publishing another."""

from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.db import reading, transaction
from server.failures import FormInvalid, FormPublished
from server.operations import forms
from server.services import services
from sync.templates import parse_template


@bp.get("/forms")
def form_list() -> str:
    return _list()


@bp.get("/forms/<template_id>/<int:version>")
def form(template_id: str, version: int) -> str:
    organization_id = session.current_actor().organization_id
    with reading() as db_session:
        body = forms.read_form(db_session, organization_id, template_id, version)
    return render_template("form.html", body=body, form=parse_template(body), draft="")


@bp.post("/forms")
def publish_form() -> ResponseReturnValue:
    """Check what was typed and show it; publish it only if that was asked for."""
    actor = session.current_actor()
    draft = request.form.get("form", "")
    try:
        body = forms.read_body(draft)
        if request.form.get("act") != "publish":
            return render_template("form.html", body=body, form=parse_template(body), draft=draft)
        with transaction() as db_session:
            forms.publish(
                db_session,
                actor.organization_id,
                body,
                by=actor.for_ledger(),
                now_ms=services().now_ms(),
            )
    except FormInvalid as error:
        return _list(draft, error), HTTPStatus.UNPROCESSABLE_ENTITY
    except FormPublished as error:
        return _list(draft, error), HTTPStatus.CONFLICT
    address = url_for("console.form", template_id=body["id"], version=body["version"])
    return redirect(address, HTTPStatus.SEE_OTHER)


def _list(draft: str = "", error: FormInvalid | FormPublished | None = None) -> str:
    with reading() as db_session:
        rows = forms.list_forms(db_session, session.current_actor().organization_id)
    return render_template("forms.html", rows=rows, draft=draft, error=error)
