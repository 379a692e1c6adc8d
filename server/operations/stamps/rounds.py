"""The worker's round: ask each authority for what is due, believe it or not, try again later."""

import logging
import secrets

import requests

from server.authorities import Authority
from server.db import reading, transaction
from server.failures import ServerError
from server.models.stamps import StampAuthority
from server.operations.stamps import keeping
from server.operations.stamps.checking import check
from server.operations.stamps.errors import AuthorityUnreachable, StampError
from server.operations.stamps.wishes import Wish, package_wish, wishes
from server.outgoing import within
from server.services import Services
from sync.evidence import tsp

_log = logging.getLogger(__name__)

_HEADERS = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
_TIMEOUTS_S = (10, 30)
#: For a whole answer, however it comes.
_WHOLE_S = 60
_NONCE_BITS = 63


def stamp_what_is_due(parts: Services) -> None:
    """Ask every authority that has an address for what it should stamp now."""
    for authority in parts.settings.authorities:
        if not authority.url:
            continue
        now_ms = parts.now_ms()
        with reading() as session:
            row = session.get(StampAuthority, authority.name)
            if row is not None and row.next_at_ms > now_ms and row.failures:
                continue
            wanted = list(wishes(session, authority, parts.settings, now_ms=now_ms))
        _ask_for_all(parts, authority, wanted)


def stamp_package(parts: Services, package_id: str) -> None:
    """Have a finished package stamped now; what fails is left to the worker."""
    for authority in parts.settings.authorities:
        with reading() as session:
            wish = package_wish(session, package_id)
        if authority.url and wish is not None:
            _ask_for_all(parts, authority, [wish])


def make_nonce() -> int:
    """A nonce that no two requests share, and that every tool takes for a positive number."""
    return 1 << _NONCE_BITS | secrets.randbits(_NONCE_BITS)


def _ask_for_all(parts: Services, authority: Authority, wanted: list[Wish]) -> None:
    for wish in wanted:
        try:
            _stamp(parts, authority, wish)
        except StampError as error:
            _log.warning("stamp_failed authority=%s code=%s", authority.name, error.code)
            _note_failure(parts, authority, error)
            return
        except ServerError as error:
            # The ledger takes nothing now; what it lacks will be due again.
            _log.warning("stamp_unkept authority=%s code=%s", authority.name, error.code)
            return


def _stamp(parts: Services, authority: Authority, wish: Wish) -> None:
    nonce, asked_at_ms = make_nonce(), parts.now_ms()
    answer = _post(authority, tsp.build_request(wish.imprint, nonce=nonce))
    believed = check(answer, imprint=wish.imprint, nonce=nonce, authority=authority)
    with transaction() as session:
        now_ms = parts.now_ms()
        row = keeping.keep(session, authority, wish, believed, now_ms=now_ms)
        keeping.tell_other_time(
            session,
            row,
            asked_at_ms=asked_at_ms,
            tolerance_ms=parts.settings.clock_skew_tolerance_ms,
            now_ms=now_ms,
        )
        keeping.note_success(session, authority.name, now_ms=now_ms)
    _log.info("stamped authority=%s answer=%s", authority.name, believed.sha256)


def _note_failure(parts: Services, authority: Authority, error: StampError) -> None:
    try:
        with transaction() as session:
            keeping.note_failure(session, authority.name, error, now_ms=parts.now_ms())
    except ServerError as refused:
        _log.warning("stamp_failure_unkept authority=%s code=%s", authority.name, refused.code)


def _post(authority: Authority, request: bytes) -> bytes:
    """The body of the authority's answer, never more than an answer can have.

    Raises:
        AuthorityUnreachable
    """
    try:
        return within(_WHOLE_S, lambda: _exchange(authority, request))
    except TimeoutError as error:
        raise AuthorityUnreachable(str(error)) from error


def _exchange(authority: Authority, request: bytes) -> bytes:
    try:
        with requests.post(
            authority.url,
            data=request,
            headers=_HEADERS,
            timeout=_TIMEOUTS_S,
            stream=True,
            allow_redirects=False,
        ) as answer:
            if answer.status_code != requests.codes.ok:
                raise AuthorityUnreachable(f"HTTP {answer.status_code}")
            body = b""
            for piece in answer.iter_content(1 << 14):
                body += piece
                if len(body) > tsp.MAX_BYTES:
                    break
            return body
    except (requests.RequestException, OSError) as error:
        raise AuthorityUnreachable(" ".join(str(error).split())[:200]) from error
