"""Recipients' receipts for a package: entering one, and taking its scan away."""

from http import HTTPStatus

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session
from server.console.blueprint import bp
from server.console.media import disposition
from server.console.package import package_page
from server.db import reading, transaction
from server.failures import Invalid
from server.operations import receipts
from server.operations.access import require
from server.operations.custody import Shown
from server.operations.packages import ready_package
from server.operations.receipts import Given
from server.services import services


@bp.post("/packages/<uuid:package_id>/receipts")
def enter_receipt(package_id: object) -> ResponseReturnValue:
    """Bytes first, row second: what is entered wrongly is said before anything is kept."""
    parts, actor = services(), session.current_actor()
    given = Given(
        recipient=request.form.get("recipient", ""),
        received_by=request.form.get("received_by", ""),
        received_at=request.form.get("received_at", ""),
        note=request.form.get("note", ""),
    )
    require(actor, "administrator")
    with reading() as db_session:
        ready_package(db_session, actor, str(package_id))
    file = request.files.get("file")
    try:
        receipts.check_given(given, now_ms=parts.now_ms())
        scan = receipts.keep_scan(parts.store, file.read() if file else b"")
        with transaction() as db_session:
            receipts.enter_receipt(
                db_session, actor, str(package_id), given, scan, now_ms=parts.now_ms()
            )
    except Invalid as error:
        page = package_page(package_id, given=given, wrong=error.field)
        return render_template("package.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY
    return redirect(
        url_for("console.package_ways", package_id=package_id, _anchor="receipts"),
        HTTPStatus.SEE_OTHER,
    )


@bp.get("/receipts/<uuid:receipt_id>")
def receipt(receipt_id: object) -> ResponseReturnValue:
    """The scan as it was entered, only ever to be saved; each time has a leaf of its own."""
    with reading() as db_session:
        found = receipts.stored_receipt(db_session, session.current_actor(), str(receipt_id))
    session.leave_leaf(
        Shown(page="receipt", inspections=[found.inspection_id], digests=[found.sha256]),
        always=True,
    )
    answer = Response(services().store.stream(found.key), mimetype="application/octet-stream")
    answer.headers["Content-Length"] = str(found.size)
    answer.headers["Content-Disposition"] = disposition("attachment", found.name, "")
    return answer
