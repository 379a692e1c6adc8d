"""Talking to the server over a bad network: bounded, patient, and suspicious of whoever answers.

A captive portal's ``200`` never counts: redirects are not followed, and an
answer that is not of the server's form is an error (docs/protocol.md §4.2).
"""

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import requests
from marshmallow import Schema, ValidationError

from sync.client.clock import Clock
from sync.client.errors import (
    CaptivePortal,
    ServerRefused,
    ServerUnavailable,
    Unreachable,
    Untrusted,
)

TRIES = 5
_TIMEOUT_S = (10, 60)
_MAX_ANSWER_BYTES = 32 << 20
_STEP = 65_536
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_RETRY_AFTER_S = 0.5, 20.0, 120.0
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NETWORK_LOGIN = 511


@dataclass(frozen=True)
class Answer:
    """A whole answer: what was cut on the way never becomes one."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoStrangers(requests.auth.AuthBase):
    """Keeps requests from adding a password out of ~/.netrc in place of our token."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class Link:
    """One server, reached at ``server`` (scheme and authority, no trailing slash)."""

    def __init__(self, server: str, clock: Clock, *, authority: Path | None = None) -> None:
        self.server = server.rstrip("/")
        self.clock = clock
        self._verify: bool | str = True if authority is None else str(authority)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "liuhen"

    def close(self) -> None:
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        tries: int = TRIES,
    ) -> Answer:
        """Send one request, again where that may help, and return the answer.

        Raises:
            Unreachable, ServerUnavailable: after ``tries``.
            Untrusted, CaptivePortal: at once.
        """
        tried = 0
        while True:
            tried += 1
            try:
                answer = self._once(method, path, body, headers or {})
            except requests.RequestException as error:
                if isinstance(error, requests.exceptions.SSLError):
                    raise Untrusted(self.server) from error
                if tried >= tries:
                    raise Unreachable(self.server) from error
                self.wait(tried)
                continue
            if answer.status not in _TRY_AGAIN:
                return self._from_our_server(answer)
            retry_after = _seconds(answer)
            if tried >= tries:
                code = str(_problem(answer).get("code", ""))
                raise ServerUnavailable(answer.status, code, retry_after)
            self.wait(tried, retry_after)

    def wait(self, failures: int, retry_after: float | None = None) -> None:
        """Back off with full jitter, or as many seconds as the server asked."""
        if retry_after is not None:
            self.clock.sleep(min(retry_after, _LONGEST_RETRY_AFTER_S))
            return
        ceiling = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (failures - 1))
        self.clock.sleep(random.uniform(0, ceiling))  # noqa: S311 - spreads load, guards nothing

    def read(self, answer: Answer, schema: type[Schema], *, status: int = 200) -> Any:
        """The value that ``schema`` builds from ``answer``.

        Raises:
            ServerRefused: for a problem document of our server.
            CaptivePortal: for anything else that is not the answer asked for.
        """
        self.expect(answer, status)
        try:
            return schema().load(json.loads(answer.body))
        except (ValueError, RecursionError, ValidationError) as error:
            raise CaptivePortal(self.server, "an answer of another form") from error

    def expect(self, answer: Answer, *statuses: int) -> None:
        """Raise unless ``answer`` has one of ``statuses``; errors as :meth:`read`."""
        if answer.status in statuses:
            return
        problem = _problem(answer)
        if isinstance(problem.get("code"), str):
            title = problem.get("title", "")
            raise ServerRefused(answer.status, problem["code"], str(title))
        raise CaptivePortal(self.server, f"status {answer.status}")

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        with self._session.request(
            method,
            self.server + path,
            data=body or None,
            headers=dict(headers),
            auth=_NoStrangers(),
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            verify=self._verify,
            stream=True,
        ) as response:
            pieces, size = [], 0
            for piece in response.iter_content(_STEP):
                size += len(piece)
                if size > _MAX_ANSWER_BYTES:
                    raise CaptivePortal(self.server, "an endless answer")
                pieces.append(piece)
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, lower, b"".join(pieces))

    def _from_our_server(self, answer: Answer) -> Answer:
        if 300 <= answer.status < 400 or answer.status == _NETWORK_LOGIN:
            raise CaptivePortal(self.server, f"status {answer.status}")
        return answer


def _problem(answer: Answer) -> dict[str, Any]:
    """The RFC 9457 document of ``answer``; empty if it is none."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return {}
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(answer: Answer) -> float | None:
    """The Retry-After of ``answer``; a date is read by the clock of whoever sent it."""
    asked = answer.headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}", asked):
        return float(asked)
    try:
        then, now = (
            parsedate_to_datetime(text) for text in (asked, answer.headers.get("date", ""))
        )
        return max(0.0, (then - now).total_seconds())
    except (ValueError, TypeError):
        return None
