"""Logging in and out, and changing the password."""

from http import HTTPStatus
from typing import assert_never

from flask import Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from server.console import session, show
from server.console.blueprint import bp
from server.db import reading, transaction
from server.failures import LoginFailed, PasswordWeak
from server.operations import access
from server.operations.access import Locked, LoggedIn, WrongPassword
from server.services import services
from sync import catalogue


@bp.get("/login")
def login() -> ResponseReturnValue:
    return _login_page("", HTTPStatus.OK)


@bp.post("/login")
def log_in() -> ResponseReturnValue:
    """Compare outside the transaction, settle inside it; a wrong password is committed too."""
    with reading() as db_session:
        attempt = access.compare_password(
            db_session,
            username=request.form.get("username", "").strip(),
            password=request.form.get("password", ""),
        )
    now_ms = services().now_ms()
    with transaction() as db_session:
        outcome = access.log_in(db_session, attempt, limits=session.limits(), now_ms=now_ms)
    match outcome:
        case LoggedIn(token=token):
            answer = _see_other(session.safe_path(request.form.get("next", "/")))
            session.start_session(answer, token)
            return answer
        case WrongPassword():
            sentence = catalogue.text("errors.login.failed", g.lang)
            return _login_page(sentence, HTTPStatus.UNAUTHORIZED)
        case Locked(until_ms=until_ms):
            sentence = show.text("login.locked", g.lang, until=show.at(until_ms))
            answer = _login_page(sentence, HTTPStatus.TOO_MANY_REQUESTS)
            answer.headers["Retry-After"] = str(max(1, (until_ms - now_ms) // 1000))
            return answer
        case _:
            assert_never(outcome)


@bp.post("/logout")
def log_out() -> ResponseReturnValue:
    with transaction() as db_session:
        access.log_out(db_session, session.current_login().session_hash, now_ms=services().now_ms())
    answer = _see_other(url_for("console.login"))
    session.end_session(answer)
    return answer


@bp.get("/password")
def password() -> ResponseReturnValue:
    return _password_page("", HTTPStatus.OK)


@bp.post("/password")
def change_password() -> ResponseReturnValue:
    old, new = request.form.get("old", ""), request.form.get("new", "")
    if new != request.form.get("again", ""):
        return _password_page(show.text("password.differs", g.lang), HTTPStatus.BAD_REQUEST)
    actor = session.current_actor()
    with reading() as db_session:
        username = access.username_of(db_session, actor)
        attempt = access.compare_password(db_session, username=username, password=old)
    try:
        access.check_new_password(username=username, old=old, new=new)
        new_hash = access.hash_password(new)
        with transaction() as db_session:
            token = access.change_password(
                db_session,
                actor,
                attempt,
                new_hash=new_hash,
                limits=session.limits(),
                now_ms=services().now_ms(),
            )
    except PasswordWeak as error:
        sentence = catalogue.text(f"errors.{error.code}", g.lang)
        return _password_page(sentence, HTTPStatus.UNPROCESSABLE_ENTITY)
    except LoginFailed:
        sentence = show.text("password.old_wrong", g.lang)
        return _password_page(sentence, HTTPStatus.FORBIDDEN)
    answer = _see_other("/")
    session.start_session(answer, token)
    return answer


def _login_page(problem: str, status: HTTPStatus) -> Response:
    page = render_template(
        "login.html",
        problem=problem,
        username=request.form.get("username", ""),
        next=session.safe_path(request.values.get("next", "/")),
    )
    return Response(page, status=status)


def _password_page(problem: str, status: HTTPStatus) -> Response:
    with reading() as db_session:
        username = access.username_of(db_session, session.current_actor())
    page = render_template(
        "password.html", problem=problem, shortest=access.MIN_PASSWORD, username=username
    )
    return Response(page, status=status)


def _see_other(path: str) -> Response:
    answer = redirect(path, HTTPStatus.SEE_OTHER)
    assert isinstance(answer, Response)  # noqa: S101 - Flask's own class, Werkzeug's in the types
    return answer
