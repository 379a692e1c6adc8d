"""Asking for an evidence package, and taking a finished one away."""

from http import HTTPStatus

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server import jobs
from server.console import session
from server.console.blueprint import bp
from server.console.inspection import inspection_page
from server.console.media import disposition, stream
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import packages
from server.operations.custody import Shown
from server.operations.export.keeping import signature_key
from server.services import services


@bp.post("/inspections/<uuid:inspection_id>/packages")
def request_package(inspection_id: object) -> ResponseReturnValue:
    try:
        with transaction() as db_session:
            packages.ask_for_package(
                db_session,
                session.current_actor(),
                str(inspection_id),
                reason=request.form.get("reason", ""),
                now_ms=services().now_ms(),
            )
    except Invalid as error:
        page = inspection_page(str(inspection_id), problem=error.field)
        return render_template("inspection.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY
    jobs.wake(jobs.BUILD_PACKAGES)
    return redirect(
        url_for("console.inspection", inspection_id=inspection_id, _anchor="packages"),
        HTTPStatus.SEE_OTHER,
    )


@bp.get("/packages/<uuid:package_id>")
def package(package_id: object) -> ResponseReturnValue:
    with reading() as db_session:
        ready = packages.ready_package(db_session, session.current_actor(), str(package_id))
    shown = Shown(page="package", inspections=[ready.inspection_id], digests=[ready.sha256])
    session.leave_leaf(shown, always=True)
    answer = Response(
        stream(services().store, ready.key, start=0, stop=ready.size), mimetype="application/zip"
    )
    answer.headers["Content-Length"] = str(ready.size)
    answer.headers["Content-Disposition"] = disposition("attachment", ready.name, "")
    return answer


@bp.get("/packages/<uuid:package_id>/signature")
def package_signature(package_id: object) -> Response:
    """The sidecar ``X.zip.sig``: the signed note over the whole ZIP, no evidence in itself."""
    with reading() as db_session:
        ready = packages.ready_package(db_session, session.current_actor(), str(package_id))
    note = b"".join(services().store.stream(signature_key(ready.key)))
    answer = Response(note, mimetype="text/plain")
    answer.headers["Content-Disposition"] = disposition("attachment", f"{ready.name}.sig", "")
    return answer
