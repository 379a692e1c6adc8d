"""The one table from error to HTTP status, and the RFC 9457 answer built from it.

Codes are permanent and documented in docs/errors.md; the sentence of each stands
in the catalogue under ``errors.<code>``.
"""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from flask import Flask, Response, json, request
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException

from media import hashing, store, upload
from media.errors import MediaError
from server import failures, signing
from server.failures import ServerError
from sync import catalogue
from sync.errors import SyncError
from sync.evidence import errors as journal

#: tus 1.0 gives its own number to a checksum that does not agree.
CHECKSUM_MISMATCH = 460

STATUS: dict[type[Exception], int] = {
    failures.NotFound: HTTPStatus.NOT_FOUND,
    failures.Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    failures.BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    failures.EncodingUnsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    failures.BodyUndecodable: HTTPStatus.BAD_REQUEST,
    failures.Conflict: HTTPStatus.CONFLICT,
    failures.EnrolmentCodeUnknown: HTTPStatus.FORBIDDEN,
    failures.KeyAlreadyEnrolled: HTTPStatus.CONFLICT,
    failures.KeyInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    failures.NonceUnknown: HTTPStatus.UNAUTHORIZED,
    failures.KeyUnknown: HTTPStatus.UNAUTHORIZED,
    failures.SignatureInvalid: HTTPStatus.UNAUTHORIZED,
    failures.TokenMissing: HTTPStatus.UNAUTHORIZED,
    failures.DeviceRevoked: HTTPStatus.FORBIDDEN,
    failures.DeviceMismatch: HTTPStatus.FORBIDDEN,
    failures.LoginFailed: HTTPStatus.UNAUTHORIZED,
    failures.LoginLocked: HTTPStatus.TOO_MANY_REQUESTS,
    failures.LoginRequired: HTTPStatus.UNAUTHORIZED,
    failures.PasswordWeak: HTTPStatus.UNPROCESSABLE_ENTITY,
    failures.Forbidden: HTTPStatus.FORBIDDEN,
    failures.NotIndependent: HTTPStatus.FORBIDDEN,
    failures.CsrfFailed: HTTPStatus.FORBIDDEN,
    failures.FormInvalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    failures.FormPublished: HTTPStatus.CONFLICT,
    failures.PackageNotReady: HTTPStatus.CONFLICT,
    failures.ForeignRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    failures.ErasureUnderWay: HTTPStatus.CONFLICT,
    failures.RetentionRuns: HTTPStatus.CONFLICT,
    failures.OnHold: HTTPStatus.CONFLICT,
    failures.SamePerson: HTTPStatus.FORBIDDEN,
    failures.LawfullyErased: HTTPStatus.GONE,
    failures.SeveralGenerations: HTTPStatus.CONFLICT,
    failures.LedgerBehind: HTTPStatus.SERVICE_UNAVAILABLE,
    failures.GenerationEnded: HTTPStatus.SERVICE_UNAVAILABLE,
    signing.SignerFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    upload.HeaderInvalid: HTTPStatus.BAD_REQUEST,
    upload.VersionUnsupported: HTTPStatus.PRECONDITION_FAILED,
    upload.BodyTypeWrong: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    upload.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    upload.UploadGone: HTTPStatus.GONE,
    upload.UnannouncedQuota: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    upload.TooManyUploads: HTTPStatus.TOO_MANY_REQUESTS,
    upload.StoreLow: HTTPStatus.INSUFFICIENT_STORAGE,
    upload.UploadIsFinal: HTTPStatus.FORBIDDEN,
    upload.PiecesUnfinished: HTTPStatus.CONFLICT,
    upload.PieceLost: HTTPStatus.GONE,
    upload.UploadBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    upload.PatchEnded: HTTPStatus.CONFLICT,
    upload.WrongOffset: HTTPStatus.CONFLICT,
    upload.TakenOver: HTTPStatus.CONFLICT,
    upload.BodyCut: HTTPStatus.BAD_REQUEST,
    upload.BodyStalled: HTTPStatus.REQUEST_TIMEOUT,
    upload.ChunkDamaged: CHECKSUM_MISMATCH,
    upload.DigestMismatch: CHECKSUM_MISMATCH,
    store.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    store.ObjectMissing: HTTPStatus.NOT_FOUND,
    store.ObjectDiffers: HTTPStatus.INTERNAL_SERVER_ERROR,
    store.MultipartGone: HTTPStatus.CONFLICT,
    store.DeletionRefused: HTTPStatus.FORBIDDEN,
    store.ObjectLocked: HTTPStatus.CONFLICT,
    hashing.HashStateUnusable: HTTPStatus.INTERNAL_SERVER_ERROR,
    journal.NotCanonical: HTTPStatus.BAD_REQUEST,
    journal.LineMalformed: HTTPStatus.BAD_REQUEST,
    journal.LineTooLong: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    journal.PartMismatch: HTTPStatus.BAD_REQUEST,
    journal.BadSignature: HTTPStatus.BAD_REQUEST,
    journal.ChainBroken: HTTPStatus.CONFLICT,
    journal.SequenceGap: HTTPStatus.CONFLICT,
    journal.WrongPlace: HTTPStatus.BAD_REQUEST,
    journal.BadEncoding: HTTPStatus.BAD_REQUEST,
}


def status_of(error: Exception) -> int:
    """The HTTP status of ``error`` by its nearest listed class; 500 if none is listed."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return STATUS[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def problem(
    code: str,
    status: int,
    lang: str,
    detail: str = "",
    members: Mapping[str, object] = MappingProxyType({}),
) -> Response:
    """An RFC 9457 answer: ``code`` is the permanent name, ``title`` its sentence."""
    body = {
        **members,
        "type": f"/docs/errors#{code}",
        "title": catalogue.text(f"errors.{code}", lang),
        "status": int(status),
        "code": code,
    }
    if detail:
        body["detail"] = detail
    answer = Response(json.dumps(body, ensure_ascii=False), status=status)
    answer.content_type = "application/problem+json"
    return answer


def request_language() -> str:
    """``zh`` unless the client asks for English first."""
    best = request.accept_languages.best_match(("zh-CN", "zh", "en"), default="zh")
    return "en" if best == "en" else "zh"


def register(app: Flask) -> None:
    """Answer every typed error of the API as a problem document.

    The console registers handlers of its own on its blueprint, which go first.
    """

    def typed(error: Exception) -> Response:
        answer = problem(
            getattr(error, "code", "server.error"),
            status_of(error),
            request_language(),
            str(error),
            getattr(error, "members", {}),
        )
        if isinstance(error, failures.LoginLocked):
            answer.headers["Retry-After"] = "60"
        return answer

    def http(error: HTTPException) -> Response:
        # flask-smorest and Werkzeug abort with plain HTTP errors: same document, code by status.
        status = error.code or 500
        messages = getattr(error, "data", {}).get("messages")
        detail = json.dumps(messages, ensure_ascii=False) if messages else ""
        code = "server.invalid" if status == 422 else f"http.{status}"
        if not catalogue.has(f"errors.{code}"):
            code = "server.error"
        answer = problem(code, status, request_language(), detail)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            answer.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
        return answer

    def unfit(error: Exception) -> Response:
        # JSON nested so deeply that no parser follows, or text that the database cannot hold.
        app.logger.warning("unfit_request path=%s kind=%s", request.path, type(error).__name__)
        invalid = failures.Invalid
        return problem(invalid.code, status_of(invalid("", "")), request_language())

    def unexpected(error: Exception) -> Response:
        app.logger.exception("unexpected_error path=%s", request.path, exc_info=error)
        return problem("server.error", 500, request_language())

    for kind in (ServerError, SyncError, MediaError):
        app.register_error_handler(kind, typed)
    app.register_error_handler(HTTPException, http)
    for unfitting in (RecursionError, DataError):
        app.register_error_handler(unfitting, unfit)
    app.register_error_handler(Exception, unexpected)
