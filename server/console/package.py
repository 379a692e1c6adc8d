"""Asking for an evidence package, and taking a finished one away."""

from http import HTTPStatus
from typing import Any

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server import jobs
from server.console import session
from server.console.blueprint import bp
from server.console.inspection import inspection_page
from server.console.media import disposition
from server.console.stored import stored_answer
from server.db import reading, transaction
from server.failures import Invalid, NotFound
from server.operations import packages, stamps
from server.operations.custody import Shown
from server.operations.export.asked import Asked
from server.operations.export.encrypting import encrypted, parse_recipient
from server.operations.export.errors import PackageDefective
from server.operations.export.keeping import signature_key
from server.operations.export.list_forms import DEFAULT_ROUTE
from server.operations.export.volumes import DISCS, volumes
from server.operations.packages import ReadyPackage
from server.operations.receipts import Given, receipts_of
from server.services import services

_ZIP = "application/zip"
_AGE = "application/octet-stream"


@bp.post("/inspections/<uuid:inspection_id>/packages")
def request_package(inspection_id: object) -> ResponseReturnValue:
    try:
        with transaction() as db_session:
            packages.ask_for_package(
                db_session,
                session.current_actor(),
                str(inspection_id),
                reason=request.form.get("reason", ""),
                asked=Asked(
                    route=request.form.get("route", DEFAULT_ROUTE),
                    redacted="redacted" in request.form,
                    sm3="sm3" in request.form,
                    despite=request.form.get("despite", ""),
                ),
                now_ms=services().now_ms(),
            )
    except Invalid as error:
        page = inspection_page(str(inspection_id), problem=error.field, typed=request.form)
        return render_template("inspection.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY
    except PackageDefective as found:
        page = inspection_page(str(inspection_id), defects=found.defects, typed=request.form)
        return render_template("inspection.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY
    jobs.wake(jobs.BUILD_PACKAGES)
    return redirect(
        url_for("console.inspection", inspection_id=inspection_id, _anchor="packages"),
        HTTPStatus.SEE_OTHER,
    )


@bp.get("/packages/<uuid:package_id>/take")
def package_ways(package_id: object) -> ResponseReturnValue:
    """The ways in which a finished package can be taken along."""
    return render_template("package.html", **_ways(_ready(package_id)))


@bp.get("/packages/<uuid:package_id>")
def package(package_id: object) -> ResponseReturnValue:
    """The whole ZIP; a download that was cut off goes on by range."""
    ready = _ready(package_id)
    return _piece(ready, ready.name, offset=0, size=ready.size, etag=ready.sha256)


@bp.get("/packages/<uuid:package_id>/volumes/<disc>/<int:number>")
def package_volume(package_id: object, disc: str, number: int) -> ResponseReturnValue:
    """One of the pieces into which the ZIP is cut for discs."""
    ready = _ready(package_id)
    pieces = volumes(ready.size, DISCS[disc]) if disc in DISCS else []
    if not 1 <= number <= len(pieces):
        raise NotFound("volume", f"{disc}/{number}")
    piece = pieces[number - 1]
    etag = f"{ready.sha256}-{disc}-{number}"
    name = piece.name(ready.name)
    return _piece(ready, name, offset=piece.offset, size=piece.size, etag=etag)


@bp.get("/packages/<uuid:package_id>/encrypted")
def package_encrypted(package_id: object) -> ResponseReturnValue:
    """The ZIP as an age file that only the recipient can open."""
    ready = _ready(package_id)
    try:
        recipient = parse_recipient(request.args.get("recipient", ""))
    except Invalid as error:
        page = _ways(ready, problem=error.field)
        return render_template("package.html", **page), HTTPStatus.UNPROCESSABLE_ENTITY
    _leave_leaf(ready)
    pieces = encrypted(services().store.stream(ready.key), recipient)
    answer = Response(pieces, mimetype=_AGE)
    answer.headers["Content-Disposition"] = disposition("attachment", f"{ready.name}.age", "")
    return answer


@bp.get("/packages/<uuid:package_id>/signature")
def package_signature(package_id: object) -> Response:
    """The sidecar ``X.zip.sig``: the signed note over the whole ZIP, no evidence in itself."""
    ready = _ready(package_id)
    note = b"".join(services().store.stream(signature_key(ready.key)))
    answer = Response(note, mimetype="text/plain")
    answer.headers["Content-Disposition"] = disposition("attachment", f"{ready.name}.sig", "")
    return answer


@bp.get("/packages/<uuid:package_id>/stamps/<int:number>")
def package_stamp(package_id: object, number: int) -> Response:
    """One of the time stamps over the whole ZIP, oldest first; no evidence in itself."""
    ready = _ready(package_id)
    found = list(_stamps(ready).items())
    if not 1 <= number <= len(found):
        raise NotFound("time stamp", str(number))
    name, answer = found[number - 1]
    response = Response(answer, mimetype="application/timestamp-reply")
    response.headers["Content-Disposition"] = disposition("attachment", name, "")
    return response


def _ready(package_id: object) -> ReadyPackage:
    with reading() as db_session:
        return packages.ready_package(db_session, session.current_actor(), str(package_id))


def _stamps(ready: ReadyPackage) -> dict[str, bytes]:
    with reading() as db_session:
        return stamps.sidecars(db_session, ready.id, ready.name)


def package_page(package_id: object, *, given: Given, wrong: str) -> dict[str, Any]:
    """The page of a package with a receipt's form as it was filled in and what is wrong with it."""
    return {**_ways(_ready(package_id)), "given": given, "wrong": wrong}


def _ways(ready: ReadyPackage, problem: str = "") -> dict[str, Any]:
    with reading() as db_session:
        received = receipts_of(db_session, ready.id)
    discs = [(disc, volumes(ready.size, most)) for disc, most in DISCS.items() if ready.size > most]
    return {
        "ready": ready,
        "discs": discs,
        "stamps": list(_stamps(ready)),
        "problem": problem,
        "receipts": received,
        "given": None,
        "wrong": "",
    }


def _piece(ready: ReadyPackage, name: str, *, offset: int, size: int, etag: str) -> Response:
    _leave_leaf(ready)
    answer = stored_answer(
        services().store, ready.key, offset=offset, size=size, media_type=_ZIP, etag=etag
    )
    answer.headers["Content-Disposition"] = disposition("attachment", name, "")
    return answer


def _leave_leaf(ready: ReadyPackage) -> None:
    shown = Shown(page="package", inspections=[ready.inspection_id], digests=[ready.sha256])
    session.leave_leaf(shown, always=True)
