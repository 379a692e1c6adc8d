"""Cookies of the console: the session, the language, and the tokens that guard its forms.

The session cookie holds a random token; everything else about a login is a row.
"""

import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from flask import Response, g, request

from server.db import reading, transaction
from server.failures import CsrfFailed, LoginRequired
from server.operations import access, custody
from server.operations.access import Actor, Limits, Login
from server.operations.custody import Shown
from server.services import services
from sync.catalogue import DEFAULT_LANGUAGE, LANGUAGES

SESSION_COOKIE = "liuhen_session"
#: A random value from before the login, to which the login form's token is bound.
VISITOR_COOKIE = "liuhen_visitor"
LANGUAGE_COOKIE = "liuhen_lang"
CSRF_FIELD = "csrf_token"

_YEAR_S = 365 * 86_400


def limits() -> Limits:
    settings = services().settings
    return Limits(
        failures=settings.login_failures,
        lock_ms=settings.login_window_s * 1000,
        idle_ms=settings.session_idle_s * 1000,
        lifetime_ms=settings.session_lifetime_s * 1000,
    )


def present_login() -> Login:
    """The login of this request, prolonged where it was idle.

    Raises:
        LoginRequired: if there is none in force.
    """
    token = request.cookies.get(SESSION_COOKIE, "")
    if not token:
        raise LoginRequired
    now_ms = services().now_ms()
    with reading() as session:
        login = access.login_of_token(session, token, limits=limits(), now_ms=now_ms)
    if login.prolong_to_ms is not None:
        with transaction() as session:
            access.prolong(session, login.session_hash, until_ms=login.prolong_to_ms)
    return login


def current_login() -> Login:
    """The login that the guard of this request found."""
    login: Login = g.login
    return login


def current_actor() -> Actor:
    return current_login().actor


def leave_leaf(shown: Shown, *, always: bool = False) -> None:
    """Commit the ``view`` leaf of ``shown``, unless one of the last 15 minutes covers it."""
    login, now_ms = current_login(), services().now_ms()
    if not always:
        with reading() as session:
            if custody.is_covered(session, shown, session_hash=login.session_hash, now_ms=now_ms):
                return
    with transaction() as session:
        custody.record_view(
            session, login.actor, shown, session_hash=login.session_hash, now_ms=now_ms
        )


def language() -> str:
    """The language asked for in the address, else the one kept, else Chinese."""
    for wanted in (request.args.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if wanted in LANGUAGES:
            return wanted
    return DEFAULT_LANGUAGE


def csrf_token() -> str:
    """The token for the forms of this page, bound to the session (or the visitor) cookie."""
    seed = request.cookies.get(SESSION_COOKIE) if "login" in g else visitor()
    return _token(seed or "")


def check_csrf() -> None:
    """Refuse a form that our own page of this very session did not send.

    Raises:
        CsrfFailed
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise CsrfFailed
    name = SESSION_COOKIE if "login" in g else VISITOR_COOKIE
    seed = request.cookies.get(name, "")
    sent = request.form.get(CSRF_FIELD, "")
    if not seed or not hmac.compare_digest(sent.encode(), _token(seed).encode()):
        raise CsrfFailed


def visitor() -> str:
    """The visitor's random value; a new one is set by :func:`keep_cookies`."""
    if "visitor" not in g:
        g.visitor = request.cookies.get(VISITOR_COOKIE) or secrets.token_urlsafe(24)
    value: str = g.visitor
    return value


def keep_cookies(answer: Response) -> None:
    """Set the language and visitor cookies where this request made them new."""
    lang = request.args.get("lang")
    if lang in LANGUAGES and request.cookies.get(LANGUAGE_COOKIE) != lang:
        _set(answer, LANGUAGE_COOKIE, lang, max_age=_YEAR_S)
    if "visitor" in g and request.cookies.get(VISITOR_COOKIE) != g.visitor:
        _set(answer, VISITOR_COOKIE, g.visitor)


def start_session(answer: Response, token: str) -> None:
    """Give the browser its session; the value is always new, so none can be planted before."""
    _set(answer, SESSION_COOKIE, token)
    _drop(answer, VISITOR_COOKIE)


def end_session(answer: Response) -> None:
    _drop(answer, SESSION_COOKIE)


def safe_path(path: str) -> str:
    """``path`` if it is one of this server, else the desk: no redirect leads elsewhere."""
    parts = urlsplit(path)
    ours = path.startswith("/") and path[1:2] not in ("/", "\\") and not parts.netloc
    return path if ours and path.isprintable() else "/"


def other_language(query: Mapping[str, str], lang: str) -> tuple[str, dict[str, str]]:
    """The other language and the query with which this page opens in it."""
    other = next(name for name in LANGUAGES if name != lang)
    return other, {**query, "lang": other}


def _token(seed: str) -> str:
    key = services().settings.secret_key.encode()
    return hmac.new(key, b"liuhen-csrf:" + seed.encode(), "sha256").hexdigest()


def _secure() -> bool:
    """Whether the browser reached us over TLS, directly or through the proxy we were told of."""
    base = urlsplit(services().settings.base_url)
    return request.is_secure or (base.scheme == "https" and request.host == base.netloc)


def _set(answer: Response, name: str, value: str, max_age: int | None = None) -> None:
    answer.set_cookie(
        name, value, max_age=max_age, path="/", httponly=True, samesite="Lax", secure=_secure()
    )


def _drop(answer: Response, name: str) -> None:
    answer.delete_cookie(name, path="/", httponly=True, samesite="Lax", secure=_secure())
