"""Showing the newest checkpoint to the policy's witnesses over the network (C2SP tlog-witness)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import requests
from sqlalchemy.orm import Session

from server.db import reading, transaction
from server.failures import LedgerBehind, ServerError
from server.models.ledger import Checkpoint
from server.models.witnesses import WitnessState
from server.operations import ledger
from server.operations.witnessing.cosignatures import NETWORK, confirmed_size, has_news, keep
from server.outgoing import within
from server.services import Services
from sync.errors import SyncError
from sync.evidence.cosignature import Cosignature, cosignatures
from sync.evidence.note import parse_note
from sync.evidence.policy import Witness
from sync.witness.submission import (
    MAX_BYTES,
    PATH,
    SIZE_TYPE,
    Submission,
    format_submission,
    parse_size,
    signature_lines,
)

_log = logging.getLogger(__name__)
_TIMEOUT_S = (5, 20)
#: For a whole answer, however it comes.
_WHOLE_S = 60
#: After a failure a witness is left alone for so long, doubled with each one.
_WAIT_MS, _LONGEST_WAIT_MS = 60_000, 3_600_000
_MOST_DETAIL = 300


class WitnessUnreachable(ServerError):
    """A witness could not be reached over the network."""

    code = "witness.unreachable"


class WitnessRefused(ServerError):
    """A witness answered otherwise than with a cosignature, for no fault of the ledger's."""

    code = "witness.refused"


class WitnessAhead(ServerError):
    """A witness has cosigned more of this ledger than the database holds: it went back."""

    code = "witness.ahead"


class WitnessContradicts(ServerError):
    """A witness has cosigned another history of this ledger than the database holds."""

    code = "witness.contradicts"


class WitnessForgot(ServerError):
    """A witness has forgotten what it cosigned, and could be brought to sign a second history."""

    code = "witness.forgot"


#: What is wrong with us, not with the witness: it goes onto the ledger once.
_ALARMS = (WitnessAhead.code, WitnessContradicts.code)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A whole answer of a witness."""

    status: int
    kind: str
    body: bytes


#: Sends a body to a URL; raises ``WitnessUnreachable``.
Post = Callable[[str, bytes], Reply]


def submit_to_witnesses(parts: Services, *, post: Post | None = None) -> None:
    """One round: show the newest checkpoint to every witness that has not seen what is new.

    Whatever goes wrong with one witness keeps no other from its turn; it is written
    down, and tried again later and later.
    """
    policy = parts.settings.witness_policy
    # All are shown one checkpoint, whatever is signed meanwhile: only cosignatures under
    # the same one make the quorum that a package shows.
    newest = _newest()
    if policy is None or newest is None:
        return
    for witness in policy.witnesses:
        if not witness.url or not _is_due(parts, witness):
            continue
        try:
            cosignature = _ask(newest, witness, post or _post)
            if cosignature is not None:
                with transaction() as session:
                    now_ms = parts.now_ms()
                    keep(session, newest, cosignature, came_by=NETWORK, now_ms=now_ms)
                    _set_state(session, witness, now_ms=now_ms)
        except (ServerError, SyncError) as error:
            _note_failure(parts, witness, error)


def _newest() -> Checkpoint | None:
    with reading() as session:
        newest = ledger.newest_checkpoint(session)
        if newest is not None:
            session.expunge(newest)
        return newest


def _is_due(parts: Services, witness: Witness) -> bool:
    with reading() as session:
        state = session.get(WitnessState, _key(witness))
        return state is None or state.next_at_ms <= parts.now_ms()


def _ask(newest: Checkpoint, witness: Witness, post: Post) -> Cosignature | None:
    """The cosignature of ``newest``; None if the witness has seen all that is new in it."""
    with reading() as session:
        old = confirmed_size(session, witness.key, newest.generation)
        if not has_news(session, newest.generation, since=old, until=newest.size):
            return None
    reply = _submit(newest, old, witness, post)
    if reply.status == 409:
        known = _known(reply)
        if known > newest.size:
            raise _ahead(known)
        if known == old:
            raise WitnessContradicts(f"another root at {known}")
        if known < old:
            raise WitnessForgot(f"{known}, cosigned {old}")
        # It has seen more than its last answer that reached us.
        old = known
        reply = _submit(newest, old, witness, post)
    if reply.status == 422 or (reply.status == 409 and _known(reply) == old):
        raise WitnessContradicts(f"from {old} to {newest.size}: {_said(reply)}")
    if reply.status != 200:
        raise WitnessRefused(f"{reply.status} {_said(reply)}")
    return _cosignature(newest, witness, reply)


def _ahead(known: int) -> ServerError:
    """What it means that a witness has cosigned more than this round shows."""
    with reading() as session:
        size = ledger.size(session)
    if known > size:
        return WitnessAhead(f"{known}, ledger {size}")
    return WitnessRefused(f"409 has seen {known} by another way")


def _submit(newest: Checkpoint, old: int, witness: Witness, post: Post) -> Reply:
    with reading() as session:
        path = ledger.consistency_proof(session, newest.generation, first=old, second=newest.size)
    submission = Submission(old, tuple(path), newest.note)
    return post(witness.url.rstrip("/") + PATH, format_submission(submission))


def _known(reply: Reply) -> int:
    if reply.kind.partition(";")[0].strip() != SIZE_TYPE:
        raise WitnessRefused(f"{reply.status} {_said(reply)}")
    return parse_size(reply.body)


def _cosignature(newest: Checkpoint, witness: Witness, reply: Reply) -> Cosignature:
    try:
        text = reply.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WitnessRefused("an answer that is no text") from error
    # Its signature lines alone: an empty line among them would make another note of ours.
    lines = "".join(signature_lines(text))
    found = cosignatures(parse_note(newest.note + lines), [witness.key])
    if not found:
        raise WitnessRefused("no cosignature by the key of the policy")
    return found[-1]


def _note_failure(parts: Services, witness: Witness, error: ServerError | SyncError) -> None:
    _log.warning("not_witnessed witness=%s code=%s", witness.key.name, error.code)
    with transaction() as session:
        now_ms = parts.now_ms()
        state = session.get(WitnessState, _key(witness))
        if error.code in _ALARMS and (state is None or state.code != error.code):
            _raise_alarm(session, witness, error, now_ms=now_ms)
        _set_state(session, witness, error, now_ms=now_ms)


def _raise_alarm(
    session: Session, witness: Witness, error: ServerError | SyncError, *, now_ms: int
) -> None:
    try:
        ledger.append(
            session,
            "alarm",
            actor={"server": "witnessing"},
            subject={"witness": str(witness.key)},
            snapshot={"act": error.code, "detail": str(error)[:_MOST_DETAIL]},
            now_ms=now_ms,
        )
    except LedgerBehind:
        # Then every page says so already, and nothing can be entered.
        _log.warning("alarm_unwritten witness=%s code=%s", witness.key.name, error.code)


def _set_state(
    session: Session,
    witness: Witness,
    error: ServerError | SyncError | None = None,
    *,
    now_ms: int,
) -> None:
    name, key_hash = _key(witness)
    state = session.get(WitnessState, (name, key_hash))
    if state is None:
        state = WitnessState(name=name, key_hash=key_hash, failures=0)
        session.add(state)
    state.failures = state.failures + 1 if error else 0
    state.code = error.code if error else ""
    state.detail = str(error)[:_MOST_DETAIL] if error else ""
    state.tried_at_ms = now_ms
    wait_ms = min(_WAIT_MS << min(state.failures - 1, 10), _LONGEST_WAIT_MS) if error else 0
    state.next_at_ms = now_ms + wait_ms
    session.flush()


def _key(witness: Witness) -> tuple[str, str]:
    return witness.key.name, witness.key.key_hash.hex()


def _said(reply: Reply) -> str:
    text = reply.body[:_MOST_DETAIL].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class _NoPassword(requests.auth.AuthBase):
    """Keeps requests from sending a password out of ~/.netrc to a witness."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _post(url: str, body: bytes) -> Reply:
    try:
        return within(_WHOLE_S, lambda: _exchange(url, body))
    except TimeoutError as error:
        raise WitnessUnreachable(str(error)) from error


def _exchange(url: str, body: bytes) -> Reply:
    try:
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "text/plain; charset=utf-8"},
            auth=_NoPassword(),
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            stream=True,
        ) as answer:
            data = b"".join(_bounded(answer))
            return Reply(
                status=answer.status_code,
                kind=answer.headers.get("Content-Type", ""),
                body=data,
            )
    except requests.RequestException as error:
        raise WitnessUnreachable(type(error).__name__) from error


def _bounded(answer: requests.Response) -> list[bytes]:
    pieces, length = [], 0
    for piece in answer.iter_content(8192):
        pieces.append(piece)
        length += len(piece)
        if length > MAX_BYTES:
            raise WitnessRefused("an answer without an end")
    return pieces
