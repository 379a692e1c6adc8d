"""The console's blueprint: the guard before every view, the headers after it, its error pages."""

from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException

from media.errors import MediaError
from server.console import permissions, session, show
from server.errors import problem, request_language, status_of
from server.failures import Forbidden, Invalid, LoginRequired, ServerError
from server.operations.receipts import MAX_RECEIPT_BYTES
from server.services import services
from sync import catalogue
from sync.errors import SyncError

bp = Blueprint(
    "console",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/console",
)

#: Everything comes from this server and nothing may run or be framed.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

#: What may be opened while a one-time password is still in force.
_BEFORE_NEW_PASSWORD = frozenset({"console.password", "console.change_password", "console.log_out"})
_MAX_FORM_BYTES = 64 * 1024
#: Forms that bring a file along.
_WITH_A_FILE = {"console.enter_receipt": MAX_RECEIPT_BYTES + _MAX_FORM_BYTES}


@bp.before_request
def guard() -> ResponseReturnValue | None:
    """Language, login, form token and role, in this order, for every route of the table."""
    g.lang = session.language()
    method = "GET" if request.method == "HEAD" else request.method
    endpoint = request.endpoint or ""
    rule = permissions.RULES.get((method, endpoint))
    if rule is None:
        raise Forbidden(f"{method} {endpoint}")
    if rule.roles is not None:
        g.login = session.present_login()
    if method == "POST":
        request.max_content_length = _WITH_A_FILE.get(endpoint, _MAX_FORM_BYTES)
        session.check_csrf()
    if rule.roles is None:
        return None
    if g.login.must_change_password and endpoint not in _BEFORE_NEW_PASSWORD:
        return redirect(url_for("console.password"), HTTPStatus.SEE_OTHER)
    if not permissions.may(g.login.actor.roles, method, endpoint):
        raise Forbidden(endpoint)
    return None


@bp.after_request
def finish(answer: Response) -> Response:
    """Cookies, and headers that a view has not set otherwise."""
    session.keep_cookies(answer)
    answer.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answer.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
    if request.endpoint != "console.static":
        answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.app_context_processor
def words() -> dict[str, Any]:
    """What every template of the console may call, bound to the language of the request."""
    if "lang" not in g:
        return {}
    lang: str = g.lang
    other, query = session.other_language(request.args.to_dict(), lang)
    return {
        "lang": lang,
        "other_lang": other,
        "other_query": query,
        "t": lambda key, **values: show.text(key, lang, **values),
        "word": lambda area, value: show.word(area, value, lang),
        "reason": lambda code: show.reason(code, lang),
        "severity": lambda value: show.severity(value, lang),
        "doubt_title": lambda doubt: show.doubt_title(doubt, lang),
        "doubt_sentence": lambda doubt: show.doubt_sentence(doubt, lang),
        "show": show,
        "csrf_token": session.csrf_token,
        "actor": g.login.actor if "login" in g else None,
        "must_change": g.login.must_change_password if "login" in g else False,
        "may": _may,
        "demo": services().settings.demo,
        "now_ms": services().now_ms(),
    }


@bp.errorhandler(LoginRequired)
def ask_for_login(_error: LoginRequired) -> ResponseReturnValue:
    """Send a reader to the login and back again; a form that came too late is not repeated."""
    target = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return redirect(url_for("console.login", next=target), HTTPStatus.SEE_OTHER)


@bp.errorhandler(ServerError)
@bp.errorhandler(SyncError)
@bp.errorhandler(MediaError)
def typed_error(error: Exception) -> ResponseReturnValue:
    return error_page(getattr(error, "code", "server.error"), status_of(error))


@bp.errorhandler(DataError)
def unfit(_error: DataError) -> ResponseReturnValue:
    """Something typed that the database cannot hold, such as U+0000."""
    current_app.logger.warning("unfit_request path=%s", request.path)
    return error_page(Invalid.code, HTTPStatus.UNPROCESSABLE_ENTITY)


@bp.errorhandler(HTTPException)
def http_error(error: HTTPException) -> ResponseReturnValue:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if error.response is not None and status < HTTPStatus.BAD_REQUEST:
        return error.response
    return error_page(f"http.{status}", status)


@bp.errorhandler(Exception)
def unexpected_error(error: Exception) -> ResponseReturnValue:
    current_app.logger.exception("unexpected_error path=%s", request.path, exc_info=error)
    return error_page("server.error", HTTPStatus.INTERNAL_SERVER_ERROR)


@bp.app_errorhandler(HTTPStatus.NOT_FOUND)
def unknown_address(error: HTTPException) -> ResponseReturnValue:
    """A page for people who mistype an address, a problem document for programs."""
    if request.path.startswith("/api/") or not request.accept_mimetypes.accept_html:
        return problem("http.404", HTTPStatus.NOT_FOUND, request_language())
    g.lang = session.language()
    answer = error_page("http.404", HTTPStatus.NOT_FOUND)
    return finish(answer)


def error_page(code: str, status: int) -> Response:
    """One human sentence in the page's language, with the permanent code beneath it."""
    known = code if catalogue.has(f"errors.{code}") else "server.error"
    return Response(
        render_template(
            "error.html",
            sentence=catalogue.text(f"errors.{known}", g.lang),
            code=code,
            status=int(status),
        ),
        status=int(status),
    )


def _may(method: str, endpoint: str) -> bool:
    return "login" in g and permissions.may(g.login.actor.roles, method, f"console.{endpoint}")
