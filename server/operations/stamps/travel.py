"""Requests and answers that travel as files, for an authority that no cable leads to."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from server.authorities import Authority
from server.db import reading, transaction
from server.failures import NotFound
from server.models.stamps import StampRequest, TimeStamp
from server.operations.stamps import keeping
from server.operations.stamps.checking import check
from server.operations.stamps.errors import AnswerUnusable, RequestUnknown, StampError
from server.operations.stamps.rounds import make_nonce
from server.operations.stamps.wishes import Wish, wishes
from server.services import Services
from server.settings import Settings
from sync.evidence import tsp
from sync.evidence.errors import SyncError

#: An answer that has not come after so long will not come.
_FORGOTTEN_MS = 365 * 86_400_000


def write_requests(
    session: Session, settings: Settings, authorities: Sequence[Authority], *, now_ms: int
) -> dict[str, bytes]:
    """The requests for what is due, by the names of their files; each is remembered."""
    session.execute(delete(StampRequest).where(StampRequest.made_at_ms < now_ms - _FORGOTTEN_MS))
    files = {}
    for authority in authorities:
        for wish in wishes(session, authority, settings, now_ms=now_ms):
            nonce = make_nonce()
            generation, size = wish.covers or (None, None)
            session.add(
                StampRequest(
                    nonce=f"{nonce:016x}",
                    authority=authority.name,
                    covers_generation=generation,
                    covers_size=size,
                    package_id=wish.package_id,
                    renews=wish.renews,
                    imprint=wish.imprint.hex(),
                    made_at_ms=now_ms,
                )
            )
            name = f"{authority.name}-{nonce:016x}.tsq"
            files[name] = tsp.build_request(wish.imprint, nonce=nonce)
    session.flush()
    return files


def take_answer(parts: Services, answer: bytes) -> TimeStamp:
    """Take in one answer; its nonce tells which request it answers.

    Raises:
        AnswerUnusable: if it is no time stamp.
        RequestUnknown: if no request of ours waits for it.
        NotFound: if its authority is named no longer.
        StampError: as of :func:`server.operations.stamps.checking.check`.
    """
    nonce = _nonce_of(answer)
    with reading() as session:
        request = session.get(StampRequest, f"{nonce:016x}")
        if request is None:
            raise RequestUnknown("no request with its nonce is waiting")
        name, wish = request.authority, _wish(request)
    authority = next((one for one in parts.settings.authorities if one.name == name), None)
    if authority is None:
        raise NotFound("authority", name)
    try:
        believed = check(answer, imprint=wish.imprint, nonce=nonce, authority=authority)
    except StampError as error:
        with transaction() as session:
            keeping.note_failure(session, name, error, now_ms=parts.now_ms())
        raise
    with transaction() as session:
        now_ms = parts.now_ms()
        row = keeping.keep(session, authority, wish, believed, now_ms=now_ms)
        session.execute(delete(StampRequest).where(StampRequest.nonce == f"{nonce:016x}"))
        keeping.note_success(session, name, now_ms=now_ms)
        session.expunge(row)
        return row


def _nonce_of(answer: bytes) -> int:
    try:
        nonce = tsp.parse_stamp(answer).nonce
    except SyncError as error:
        raise AnswerUnusable(f"{error.code}: {error}") from error
    if nonce is None or nonce < 0:
        raise RequestUnknown("it names no nonce of ours")
    return nonce


def _wish(request: StampRequest) -> Wish:
    covers = None
    if request.covers_generation is not None and request.covers_size is not None:
        covers = (request.covers_generation, request.covers_size)
    return Wish(
        imprint=bytes.fromhex(request.imprint),
        covers=covers,
        package_id=request.package_id,
        renews=request.renews,
    )


def read_file(path: Path) -> bytes:
    """The bytes of an answer's file, never more than an answer can have."""
    with path.open("rb") as file:
        return file.read(tsp.MAX_BYTES + 1)
