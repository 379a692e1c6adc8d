"""Console logins: passwords, sessions and roles; nothing here knows a cookie (docs/console.md §2).

A wrong password is an outcome and not an error, because its count must be
committed; argon2 runs before the transaction, because it is slow on purpose.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.failures import Forbidden, LoginFailed, LoginRequired, PasswordWeak
from server.models.people import ConsoleSession, Person, User, UserRole
from server.operations import ledger

MIN_PASSWORD = 12
MAX_PASSWORD = 256

#: An idle session is prolonged at most this often, so that reading pages rarely writes.
_PROLONG_EVERY_MS = 60_000

_hasher = PasswordHasher()
#: Each argon2 run takes 64 MiB: strangers must not be able to start many at once.
_hashing = threading.BoundedSemaphore(2)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts in the console: values only, never a row."""

    user_id: str
    person_id: str
    name: str
    organization_id: str
    roles: frozenset[str]

    def for_ledger(self) -> Mapping[str, str]:
        """How a ledger event names this actor."""
        return {"person": self.person_id, "user": self.user_id, "name": self.name}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many wrong passwords lock an account for how long, and how long a session lasts."""

    failures: int
    lock_ms: int
    idle_ms: int
    lifetime_ms: int


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A typed password already compared: the slow half of a login."""

    user_id: str | None
    matches: bool


@dataclass(frozen=True, kw_only=True)
class LoggedIn:
    """A new session; ``token`` goes into the cookie and is kept nowhere."""

    token: str


@dataclass(frozen=True)
class WrongPassword:
    """User name or password is wrong; which of them is not told."""


@dataclass(frozen=True, kw_only=True)
class Locked:
    """Too many wrong passwords; even the right one is refused until ``until_ms``."""

    until_ms: int


LogIn = LoggedIn | WrongPassword | Locked


@dataclass(frozen=True, kw_only=True)
class Login:
    """A session in force. ``prolong_to_ms`` asks the edge to call :func:`prolong`."""

    actor: Actor
    session_hash: str
    must_change_password: bool
    prolong_to_ms: int | None


def require(actor: Actor, *roles: str) -> None:
    """Let only holders of one of ``roles`` go on.

    Raises:
        Forbidden: if the actor holds none of them.
    """
    if actor.roles.isdisjoint(roles):
        raise Forbidden(" or ".join(roles))


def hash_password(password: str) -> str:
    """The argon2id hash of ``password``."""
    with _hashing:
        return _hasher.hash(password)


def compare_password(session: Session, *, username: str, password: str) -> Attempt:
    """Compare a typed password; takes as long for a name that nobody has."""
    user = session.execute(
        select(User).where(User.username == username, User.disabled.is_(False))
    ).scalar_one_or_none()
    stored = user.password_hash if user else _nobody()
    matches = _matches(stored, password)
    return Attempt(user_id=user.id if user else None, matches=matches and user is not None)


def log_in(session: Session, attempt: Attempt, *, limits: Limits, now_ms: int) -> LogIn:
    """Settle ``attempt``: open a session, or count the failure and lock the account.

    The count is settled under the row's lock, so that guesses sent in parallel
    gain nothing. A lock is an ``alarm`` leaf.
    """
    if attempt.user_id is None:
        return WrongPassword()
    ledger.lock_head(session)
    user = session.execute(
        select(User).where(User.id == attempt.user_id).execution_options(populate_existing=True)
    ).scalar_one()
    if user.locked_until_ms > now_ms:
        return Locked(until_ms=user.locked_until_ms)
    if attempt.matches:
        user.failed_logins = 0
        return LoggedIn(token=_open_session(session, user.id, limits=limits, now_ms=now_ms))
    user.failed_logins += 1
    if user.failed_logins < limits.failures:
        return WrongPassword()
    user.failed_logins = 0
    user.locked_until_ms = now_ms + limits.lock_ms
    ledger.append(
        session,
        "alarm",
        actor={"server": "login"},
        subject={"user": user.id},
        snapshot={"act": "account_locked", "until_ms": user.locked_until_ms},
        now_ms=now_ms,
        about=(f"person:{user.person_id}",),
    )
    return Locked(until_ms=user.locked_until_ms)


def login_of_token(session: Session, token: str, *, limits: Limits, now_ms: int) -> Login:
    """The session that ``token`` belongs to, with the roles its user holds now.

    Raises:
        LoginRequired: if the session is unknown, ended or expired, or its user disabled.
    """
    digest = _hash(token)
    row = session.execute(
        select(ConsoleSession, User, Person)
        .join(User, User.id == ConsoleSession.user_id)
        .join(Person, Person.id == User.person_id)
        .where(
            ConsoleSession.token_hash == digest,
            ConsoleSession.ended_at_ms.is_(None),
            ConsoleSession.expires_at_ms > now_ms,
            User.disabled.is_(False),
        )
    ).first()
    if row is None:
        raise LoginRequired
    opened, user, person = row
    roles = session.scalars(select(UserRole.role).where(UserRole.user_id == user.id))
    until = min(now_ms + limits.idle_ms, opened.opened_at_ms + limits.lifetime_ms)
    return Login(
        actor=Actor(
            user_id=user.id,
            person_id=person.id,
            name=person.name,
            organization_id=user.organization_id,
            roles=frozenset(roles),
        ),
        session_hash=digest,
        must_change_password=user.must_change_password,
        prolong_to_ms=until if until - opened.expires_at_ms > _PROLONG_EVERY_MS else None,
    )


def prolong(session: Session, session_hash: str, *, until_ms: int) -> None:
    """Let an idle session live until ``until_ms``."""
    session.execute(
        update(ConsoleSession)
        .where(ConsoleSession.token_hash == session_hash, ConsoleSession.ended_at_ms.is_(None))
        .values(expires_at_ms=until_ms)
    )


def log_out(session: Session, session_hash: str, *, now_ms: int) -> None:
    """End one session."""
    session.execute(
        update(ConsoleSession)
        .where(ConsoleSession.token_hash == session_hash, ConsoleSession.ended_at_ms.is_(None))
        .values(ended_at_ms=now_ms)
    )


def check_new_password(*, username: str, old: str, new: str) -> None:
    """Refuse a new password that is short, the user name, or the old one.

    Raises:
        PasswordWeak
    """
    if not MIN_PASSWORD <= len(new) <= MAX_PASSWORD or new.lower() == username.lower():
        raise PasswordWeak
    if hmac.compare_digest(new.encode(), old.encode()):
        raise PasswordWeak


def username_of(session: Session, actor: Actor) -> str:
    return session.get_one(User, actor.user_id).username


def change_password(
    session: Session,
    actor: Actor,
    attempt: Attempt,
    *,
    new_hash: str,
    limits: Limits,
    now_ms: int,
) -> str:
    """Set a new password, end every session of the user, and return a new one's token.

    Raises:
        LoginFailed: if ``attempt`` is not this user's right password.
    """
    if attempt.user_id != actor.user_id or not attempt.matches:
        raise LoginFailed
    ledger.append(
        session,
        "policy",
        actor=actor.for_ledger(),
        subject={"user": actor.user_id},
        snapshot={"act": "password_changed"},
        now_ms=now_ms,
        about=(f"person:{actor.person_id}",),
    )
    user = session.get_one(User, actor.user_id)
    user.password_hash = new_hash
    user.must_change_password = False
    session.execute(
        update(ConsoleSession)
        .where(ConsoleSession.user_id == actor.user_id, ConsoleSession.ended_at_ms.is_(None))
        .values(ended_at_ms=now_ms)
    )
    return _open_session(session, actor.user_id, limits=limits, now_ms=now_ms)


def _open_session(session: Session, user_id: str, *, limits: Limits, now_ms: int) -> str:
    # Always a token of our own making, never one that the browser brought along.
    token = secrets.token_urlsafe(32)
    session.add(
        ConsoleSession(
            token_hash=_hash(token),
            user_id=user_id,
            opened_at_ms=now_ms,
            expires_at_ms=now_ms + min(limits.idle_ms, limits.lifetime_ms),
        )
    )
    session.flush()
    return token


def _matches(stored: str, password: str) -> bool:
    if len(password) > MAX_PASSWORD:
        return False
    try:
        with _hashing:
            return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    """A hash that no password fits, so that an unknown name takes as long as a known one."""
    return hash_password(secrets.token_urlsafe(32))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
