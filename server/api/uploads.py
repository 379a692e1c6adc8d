"""Resumable uploads over tus 1.0, and "which of these do you lack?" (docs/protocol.md §7)."""

import base64
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from flask_smorest import Blueprint
from marshmallow import fields, validate
from werkzeug.exceptions import MethodNotAllowed

from media.store import StoreUnavailable
from media.upload import BodyTypeWrong, PatchEnded, TooLarge, UploadBusy, VersionUnsupported
from media.upload_headers import (
    BODY_TYPE,
    CHECKSUM_ALGORITHMS,
    TUS_EXTENSIONS,
    TUS_VERSION,
    Final,
    Metadata,
    read_checksum,
    read_concat,
    read_length,
    read_metadata,
    read_number,
)
from server import jobs
from server.api.auth import BEARER, calling_device, require_device
from server.api.schemas import Body, digest_field
from server.api.upload_body import body_of
from server.db import reading
from server.errors import problem, request_language, status_of
from server.operations import uploads
from server.operations.enrolment import DeviceIdentity
from server.operations.uploads import Desk, UploadState

bp = Blueprint("uploads", __name__, url_prefix="/api/v1", description="媒体上传（tus 1.0）")

DIGESTS_LIMIT = 1000
_EXTENSION = "liuhen_uploads"
_TUS = {
    **BEARER,
    "parameters": [
        {
            "name": "Tus-Resumable",
            "in": "header",
            "required": True,
            "schema": {"type": "string", "enum": [TUS_VERSION]},
        }
    ],
}


class DigestsSchema(Body):
    digests = fields.List(
        digest_field(), required=True, validate=validate.Length(max=DIGESTS_LIMIT)
    )


class LackingSchema(Body):
    lacking = fields.List(fields.String(), metadata={"description": "announced; please send"})
    unannounced = fields.List(
        fields.String(), metadata={"description": "no journal line names them; nothing is said"}
    )


def open_desk(state: BlueprintSetupState) -> None:
    # flask-smorest registers on the application itself; only its type says less.
    state.app.extensions[_EXTENSION] = uploads.open_desk(cast(Flask, state.app))


def desk() -> Desk:
    """The upload desk of the current application."""
    opened: Desk = current_app.extensions[_EXTENSION]
    return opened


@bp.post("/media/lacking")
@bp.doc(**BEARER)
@require_device
@bp.arguments(DigestsSchema)
@bp.response(200, LackingSchema)
def media_lacking(asked: dict[str, Any]) -> dict[str, Any]:
    """Which of these announced digests have no stored bytes yet."""
    with reading() as session:
        answer = uploads.lacking(
            session, asked["digests"], organization_id=calling_device().organization_id
        )
    return {"lacking": answer.lacking, "unannounced": answer.unannounced}


def tus_options(upload_id: str | None = None) -> Response:
    """What this server speaks; needs no token."""
    answer = Response(status=HTTPStatus.NO_CONTENT)
    answer.headers["Tus-Version"] = TUS_VERSION
    answer.headers["Tus-Extension"] = ",".join(TUS_EXTENSIONS)
    answer.headers["Tus-Max-Size"] = str(desk().limit_bytes)
    answer.headers["Tus-Checksum-Algorithm"] = ",".join(CHECKSUM_ALGORITHMS)
    return answer


# Flask answers OPTIONS by itself unless it is told not to.
for _rule in ("/uploads", "/uploads/<upload_id>"):
    bp.add_url_rule(
        _rule, view_func=tus_options, methods=["OPTIONS"], provide_automatic_options=False
    )


@bp.post("/uploads")
@bp.doc(**_TUS)
@require_device
def create_upload() -> Response:
    """Begin an upload of announced bytes, with their beginning in the body if you like."""
    _check_version()
    device = calling_device()
    concat = read_concat(request.headers.get("Upload-Concat"))
    metadata = read_metadata(request.headers.get("Upload-Metadata"))
    if isinstance(concat, Final):
        return _put_together(concat, metadata, device)
    length = _length()
    has_body = request.content_type == BODY_TYPE
    if not has_body and request.content_length:
        raise BodyTypeWrong(request.content_type)
    _check_body_fits(length)
    checksum = read_checksum(request.headers.get("Upload-Checksum"))
    state = uploads.begin(
        desk(),
        metadata,
        length=length,
        device_id=device.id,
        organization_id=device.organization_id,
        concat=concat,
        coming=request.content_length if has_body else 0,
    )
    location = _location(state.id)
    try:
        if has_body and state.status == "open":
            body = body_of(request)
            state = uploads.receive(desk(), state.id, body, given=0, checksum=checksum)
    except PatchEnded as error:
        # The upload exists: a client that still listens learns where to go on.
        answer = _ended(error)
        answer.headers["Location"] = location
        return answer
    _wake_checker(state)
    answer = _progress(state, HTTPStatus.CREATED)
    answer.headers["Location"] = location
    return answer


@bp.route("/uploads/<upload_id>", methods=["HEAD"])
@bp.doc(**_TUS)
@require_device
def look_at_upload(upload_id: str) -> Response:
    """How far an upload is; the offset in the answer is the one the next PATCH must use."""
    return _act(upload_id)


@bp.route("/uploads/<upload_id>", methods=["PATCH"])
@bp.doc(**_TUS)
@require_device
def append_to_upload(upload_id: str) -> Response:
    """Append the body at ``Upload-Offset``; a body cut on the way keeps what arrived."""
    return _act(upload_id)


@bp.route("/uploads/<upload_id>", methods=["DELETE"])
@bp.doc(**_TUS)
@require_device
def give_up_upload(upload_id: str) -> Response:
    """Give an upload up; bytes that are stored already stay."""
    return _act(upload_id)


@bp.route("/uploads/<upload_id>", methods=["POST"])
@bp.doc(**_TUS)
@require_device
def overridden(upload_id: str) -> Response:
    """PATCH, HEAD or DELETE through proxies that know only POST (X-HTTP-Method-Override)."""
    return _act(upload_id)


def _act(upload_id: str) -> Response:
    """Do what the method says, or whatever is to count in its place."""
    match request.headers.get("X-HTTP-Method-Override", request.method).upper():
        case "PATCH":
            return _append(upload_id)
        case "HEAD":
            return _look(upload_id)
        case "DELETE":
            return _give_up(upload_id)
        case _:
            raise MethodNotAllowed(valid_methods=["HEAD", "PATCH", "DELETE", "OPTIONS"])


def _put_together(concat: Final, metadata: Metadata, device: DeviceIdentity) -> Response:
    if request.content_length:
        raise BodyTypeWrong(request.content_type)
    state = uploads.put_together(
        desk(),
        metadata,
        concat,
        device_id=device.id,
        organization_id=device.organization_id,
    )
    _wake_checker(state)
    answer = _progress(state, HTTPStatus.CREATED)
    answer.headers["Location"] = _location(state.id)
    return answer


def _look(upload_id: str) -> Response:
    _check_version()
    state = uploads.look(desk(), upload_id, organization_id=calling_device().organization_id)
    if state.concat == "final" and state.status == "open":
        # Whoever was putting it together may have died.
        jobs.wake(jobs.KEEP_UPLOADS)
    answer = _progress(state, HTTPStatus.OK)
    if state.length is None:
        answer.headers["Upload-Defer-Length"] = "1"
    else:
        answer.headers["Upload-Length"] = str(state.length)
    for header, said in (
        ("Upload-Metadata", state.metadata_header),
        ("Upload-Concat", state.concat_header),
    ):
        if said:
            answer.headers[header] = said
    return answer


def _append(upload_id: str) -> Response:
    _check_version()
    if request.content_type != BODY_TYPE:
        raise BodyTypeWrong(request.content_type)
    given = read_number("Upload-Offset", request.headers.get("Upload-Offset"))
    checksum = read_checksum(request.headers.get("Upload-Checksum"))
    said = request.headers.get("Upload-Length")
    length = None if said is None else read_number("Upload-Length", said)
    seen = uploads.check_appendable(
        desk(),
        upload_id,
        organization_id=calling_device().organization_id,
        more=request.content_length,
    )
    body = body_of(request)
    state = uploads.receive(
        desk(), upload_id, body, given=given, checksum=checksum, length=length, seen=seen
    )
    _wake_checker(state)
    return _progress(state, HTTPStatus.NO_CONTENT)


def _wake_checker(state: UploadState) -> None:
    """Have stored bytes checked at once instead of at the next round."""
    if state.status == "stored":
        jobs.wake(jobs.CHECK_MEDIA)


def _give_up(upload_id: str) -> Response:
    _check_version()
    uploads.terminate(desk(), upload_id, organization_id=calling_device().organization_id)
    return Response(status=HTTPStatus.NO_CONTENT)


def _check_version() -> None:
    if request.headers.get("Tus-Resumable") != TUS_VERSION:
        raise VersionUnsupported(request.headers.get("Tus-Resumable", "missing"))


def _length() -> int | None:
    return read_length(
        request.headers.get("Upload-Length"), request.headers.get("Upload-Defer-Length")
    )


def _check_body_fits(length: int | None) -> None:
    size = request.content_length
    if length is not None and size is not None and size > length:
        raise TooLarge(limit=length, got=size)


def _location(upload_id: str) -> str:
    return f"{request.host_url}api/v1/uploads/{upload_id}"


def _progress(state: UploadState, status: HTTPStatus) -> Response:
    answer = Response(status=status)
    # A file that is being put together has no offset that anybody could go on from.
    if state.concat != "final" or state.status == "stored":
        answer.headers["Upload-Offset"] = str(state.offset)
    if state.status == "stored" and state.found_sha256 is not None:
        digest = base64.b64encode(bytes.fromhex(state.found_sha256)).decode("ascii")
        answer.headers["Repr-Digest"] = f"sha-256=:{digest}:"
    if state.status == "open":
        expires = datetime.fromtimestamp(state.expires_at_ms // 1000, UTC)
        answer.headers["Upload-Expires"] = format_datetime(expires, usegmt=True)
    return answer


def _ended(error: PatchEnded) -> Response:
    answer = problem(error.code, status_of(error), request_language(), str(error))
    answer.headers["Upload-Offset"] = str(error.offset)
    return answer


def _later(error: UploadBusy | StoreUnavailable) -> Response:
    current_app.logger.warning("upload_deferred code=%s reason=%s", error.code, error)
    # What the store said is for the log: it names keys and addresses.
    answer = problem(error.code, status_of(error), request_language())
    answer.headers["Retry-After"] = "1"
    return answer


def _tus_headers(answer: Response) -> Response:
    if "/uploads" in request.path:
        answer.headers["Tus-Resumable"] = TUS_VERSION
        answer.headers["Cache-Control"] = "no-store"
        if answer.status_code == HTTPStatus.PRECONDITION_FAILED:
            answer.headers["Tus-Version"] = TUS_VERSION
    return answer


bp.record(open_desk)
bp.register_error_handler(PatchEnded, _ended)
for _kind in (UploadBusy, StoreUnavailable):
    bp.register_error_handler(_kind, _later)
bp.after_request(_tus_headers)
