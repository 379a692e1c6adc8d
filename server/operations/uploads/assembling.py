"""Putting a file together from uploads of its pieces (tus ``concatenation``, docs/protocol.md §7).

The pieces are read from the store once and written like the body of any other upload,
so that the file is hashed, resumed after a crash and committed by the same code.
"""

import json
import logging
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import ObjectMissing, piece_key
from media.upload import DEAD_AFTER_MS, PieceLost, PiecesUnfinished
from media.upload_headers import Final, Metadata
from server.failures import NotFound
from server.models.uploads import UNDER_WAY, Upload
from server.operations.uploads.claiming import vacate
from server.operations.uploads.desk import Desk, Fenced, UploadState, beat_age_ms, load
from server.operations.uploads.leftovers import end
from server.operations.uploads.offers import begin
from server.operations.uploads.receiving import receive

_READ_BYTES = 8 << 20

_log = logging.getLogger(__name__)


def put_together(
    desk: Desk,
    metadata: Metadata,
    concat: Final,
    *,
    device_id: str,
    organization_id: str,
) -> UploadState:
    """Make one file of finished pieces; asked again, it answers the file made before.

    Raises:
        NotFound: a piece is no upload of this organisation.
        PiecesUnfinished: one lacks bytes, or is a whole file.
        TooLarge: together they are over the limit.
        DigestMismatch: the file is not what was announced.
        PieceLost: the store has not the bytes of a piece any more.
        StoreUnavailable: it is finished later by whoever asks, or by the worker.
    """
    with desk.read() as session:
        earlier = _earlier(session, concat.pieces, organization_id)
        if earlier is None:
            found = [_piece(session, piece, organization_id) for piece in concat.pieces]
    if earlier is None:
        state = begin(
            desk,
            metadata,
            length=sum(piece.offset for piece in found),
            device_id=device_id,
            organization_id=organization_id,
            concat=concat,
            counted=sum(piece.offset for piece in found if piece.awaits_line),
        )
        earlier = state.id
    return finish_file(desk, earlier)


def finish_file(desk: Desk, upload_id: str) -> UploadState:
    """Go on putting a file together, unless a living process does so or it is done.

    Raises:
        DigestMismatch, StoreUnavailable, UploadBusy: as for :func:`receive`.
        PieceLost: there is nothing to make it of; it has been ended, and the piece as well.
    """
    with desk.read() as session:
        state = load(session, upload_id)
        age = beat_age_ms(session, state.owner) if state.owner else None
    if state.status == "open" and (age is None or age > DEAD_AFTER_MS):
        state = vacate(desk, upload_id)
    elif state.status == "open":
        return state
    if state.status == "open":
        try:
            body = _Pieces(desk, state)
            state = receive(desk, upload_id, body, given=state.offset, checksum=None)
        except PieceLost as error:
            _log.error("piece_lost upload=%s piece=%s", upload_id, error.upload_id)
            _end_both(desk, upload_id, error.upload_id)
            raise
    if state.status == "stored":
        _let_go(desk, state)
    return state


def finish_files(desk: Desk) -> None:
    """Finish the files whose makers died."""
    with desk.read() as session:
        unfinished = session.scalars(
            select(Upload.id).where(Upload.concat == "final", Upload.status == "open")
        ).all()
    for upload_id in unfinished:
        try:
            finish_file(desk, upload_id)
        except (MediaError, Fenced):
            # One that cannot be finished now must not hold up the others.
            _log.exception("upload_pieces_unfinished upload=%s", upload_id)


def _earlier(session: Session, pieces: Sequence[str], organization_id: str) -> str | None:
    """The file that these pieces were put together to already, after an answer was lost."""
    return session.scalar(
        select(Upload.id).where(
            Upload.organization_id == organization_id,
            Upload.concat == "final",
            Upload.pieces == json.dumps(list(pieces)),
            Upload.status.in_((*UNDER_WAY, "stored")),
        )
    )


def _piece(session: Session, upload_id: str, organization_id: str) -> UploadState:
    state = load(session, upload_id)
    if state.organization_id != organization_id:
        raise NotFound("upload", upload_id)
    if state.concat != "partial" or state.status != "stored":
        raise PiecesUnfinished(upload_id)
    return state


def _let_go(desk: Desk, state: UploadState) -> None:
    """The file is stored: its pieces are needed no more. What is left of them expires."""
    with desk.read() as session:
        pieces = [load(session, piece) for piece in state.pieces]
    for piece in pieces:
        if piece.status == "stored":
            end(desk, piece, status="terminated")


def _end_both(desk: Desk, file: str, piece: str) -> None:
    """A file cannot come to be without its piece: both must be begun anew."""
    with desk.read() as session:
        both = [load(session, file), load(session, piece)]
    for state in both:
        if state.status in ("open", "stored"):
            end(desk, state, status="expired")


class _Pieces:
    """The bytes of the pieces, from where the file stands on, as the body of a request.

    Raises:
        PieceLost: when it comes to a piece whose bytes are not there any more.
    """

    def __init__(self, desk: Desk, state: UploadState) -> None:
        self._store = desk.store
        self._left: list[tuple[str, int, int]] = []
        skip = state.offset
        with desk.read() as session:
            for piece in state.pieces:
                held = load(session, piece)
                size = held.offset
                if skip < size:
                    if held.status != "stored":
                        raise PieceLost(piece)
                    self._left.append((piece, skip, size))
                skip = max(0, skip - size)
        self.cut = False
        self.expected: int | None = sum(size - start for _, start, size in self._left)
        self._read = memoryview(b"")
        self._stopped = False

    def read_into(self, view: memoryview) -> int:
        if not self._read and self._left and not self._stopped:
            piece, start, size = self._left.pop(0)
            data = self._bytes_of(piece, start, min(_READ_BYTES, size - start))
            if start + len(data) < size:
                self._left.insert(0, (piece, start + len(data), size))
            self._read = memoryview(data)
        n = min(len(view), len(self._read))
        view[:n] = self._read[:n]
        self._read = self._read[n:]
        return n

    def _bytes_of(self, piece: str, start: int, size: int) -> bytes:
        try:
            data = self._store.read(piece_key(piece), start, size)
        except ObjectMissing as error:
            raise PieceLost(piece) from error
        if not data:
            raise PieceLost(piece)
        return data

    def ready(self, wait_s: float) -> bool:
        return True

    def interrupt(self) -> None:
        self._stopped = True

    def finish(self) -> None:
        self._stopped = True
