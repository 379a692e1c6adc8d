"""Writing the body of a PATCH: gather, hash, put away, and keep what arrived of a cut one.

Bytes wait in a spool until they fill a part; what is left when the body ends goes into
a tail object, so that whatever was acknowledged is in the store. The row moves only
after the store has the bytes (docs/protocol.md §7).
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from media.hashing import HashStateUnusable, RunningDigest
from media.store import (
    Content,
    MultipartGone,
    ObjectMissing,
    Part,
    StoreUnavailable,
    tail_key,
)
from media.upload import (
    MAX_TAILS,
    BodyCut,
    BodyStalled,
    ChunkDamaged,
    Tail,
    TakenOver,
    TooLarge,
    WrongOffset,
    dump_parts,
    dump_tails,
    parts_end,
    room_in_buffer,
)
from media.upload_headers import Checksum
from server.operations.uploads import quota
from server.operations.uploads.bodies import Body
from server.operations.uploads.committing import commit
from server.operations.uploads.desk import Desk, Fenced, Tenure, UploadState, change
from server.operations.uploads.spool import Spool

#: A sender that pauses for so long waits on disk from then on.
_PAUSE_S = 0.25
_READ_BYTES = 256 << 10
#: Of the life of an upload: when so much has passed, bytes that arrive begin it anew.
_LIFE_SPENT = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Complete:
    """The body came whole."""


@dataclass(frozen=True)
class _Short:
    """It did not; why is in the tenure."""


class Writer:
    """One PATCH. ``_state`` is the row; ``_spool`` holds what came after ``_state.offset``."""

    def __init__(
        self,
        desk: Desk,
        state: UploadState,
        body: Body,
        checksum: Checksum | None,
        tenure: Tenure,
        reserved: int | None,
    ) -> None:
        self._desk = desk
        self._state = state
        self._row = state
        self._body = body
        self._checksum = checksum
        self._tenure = tenure
        self._reserved = reserved
        self._digest: RunningDigest | None = None
        self._spool = Spool(desk.spool_dir)

    def run(self) -> UploadState:
        with self._spool:
            try:
                self._digest = self._resume_digest()
                ended = self._gather()
                return self._conclude(ended)
            except Fenced:
                raise
            except (ObjectMissing, MultipartGone) as error:
                return self._retreat(error)
            except BaseException:
                self._release()
                raise

    def _resume_digest(self) -> RunningDigest | None:
        """The digest of all bytes so far; None if it can only be known from the whole object."""
        state = self._state
        try:
            return RunningDigest(state.digest)
        except HashStateUnusable:
            _log.warning("upload_hash_state_lost upload=%s", state.id)
        if state.parts:
            return None
        digest = RunningDigest()
        for piece in self._tails():
            digest.update(piece)
        return digest

    def _tails(self) -> Iterator[bytes]:
        for tail in self._state.tails:
            piece = self._desk.store.read(tail.key, 0, tail.size)
            if len(piece) != tail.size:
                raise ObjectMissing(tail.key)
            yield piece

    def _gather(self) -> _Complete | _Short:
        state = self._state
        left = (self._desk.limit_bytes if state.length is None else state.length) - state.offset
        wanted = left if self._body.expected is None else self._body.expected
        got = 0
        hashed = None
        if self._checksum is not None:
            hashed = hashlib.new(self._checksum.algorithm, usedforsecurity=False)
        while got < wanted:
            room = self._room()
            came = self._receive(self._await, min(wanted - got, room))
            n = len(came)
            if n == 0:
                break
            self._spool.took(n)
            if self._digest is not None:
                self._digest.update(came)
            if hashed is not None:
                hashed.update(came)
            got += n
            self._live_on()
            if n == room and not self._state.single:
                self._put_part(more=got < wanted)
        if self._body.expected is None:
            # Every byte may be here and the end of the body never come.
            if got == left and self._receive(_room_for, 1):
                raise TooLarge(limit=left, got=left + 1)
            if self._body.cut:
                return _Short()
        elif got < wanted:
            return _Short()
        if self._checksum and hashed and not self._checksum.agrees_with(hashed.digest()):
            raise ChunkDamaged(self._row.offset)
        return _Complete()

    def _receive(self, room: Callable[[int], memoryview], size: int) -> memoryview:
        """At most ``size`` bytes that come next, in ``room`` for them; none at the end.

        For as long as they are waited for the heart may interrupt.
        """
        self._tenure.reading_since = time.monotonic()
        view = room(size)
        n = self._body.read_into(view)
        self._tenure.reading_since = None
        return view[:n]

    def _live_on(self) -> None:
        """An upload that moves does not expire, however long one request takes."""
        now_ms, ttl_ms = self._desk.now_ms(), self._desk.ttl_ms
        if now_ms + ttl_ms - self._row.expires_at_ms > ttl_ms * _LIFE_SPENT:
            self._update(expires_at_ms=now_ms + ttl_ms)

    def _await(self, size: int) -> memoryview:
        """Memory for the next bytes; the file's, once their sender pauses or is slow."""
        spool = self._spool
        if not spool.filed and (spool.slow or not self._body.ready(_PAUSE_S)):
            spool.move_out()
        return spool.room(size)

    def _conclude(self, ended: _Complete | _Short) -> UploadState:
        self._body.finish()
        # A body cut by a damaged connection keeps its beginning even without its checksum
        # being known: the digest of the whole file guards it.
        if self._reached() == self._state.length:
            return self._complete()
        self._put_tail()
        if isinstance(ended, _Complete):
            return self._state
        offset = self._state.offset
        match self._tenure.ended:
            case "released":
                raise TakenOver(offset)
            case "stalled":
                raise BodyStalled(offset)
            case _:
                raise BodyCut(offset)

    def _complete(self) -> UploadState:
        content = None
        if self._state.single:
            content = self._waiting_bytes()
        elif self._reached() > parts_end(self._state.parts):
            self._put_part(more=False)
        if self._row != self._state:
            self._save()
        found = self._digest.hexdigest() if self._digest else None
        crc32 = self._digest.crc32 if self._digest else 0
        return commit(self._desk, self._state, found=found, crc32=crc32, content=content)

    def _reached(self) -> int:
        return self._state.offset + self._spool.size

    def _room(self) -> int:
        state = self._state
        return room_in_buffer(offset=self._reached(), parts=state.parts, length=state.length)

    def _waiting_bytes(self) -> Content:
        """What lies in tails, then what came since: everything that is in no part yet."""
        return self._spool.content(self._tails())

    def _check_growth(self) -> None:
        """A body in chunks says nowhere else how long it is, nor do the others beside it."""
        quota.check_growth(self._desk, self._row, more=self._reached() - self._row.offset)

    def _put_part(self, *, more: bool) -> None:
        self._check_growth()
        data = self._waiting_bytes()
        number, multipart_id = self._reserve()
        part = self._desk.store.put_part(
            self._state.parts_key,
            multipart_id,
            data,
            number=number,
            size=self._reached() - parts_end(self._state.parts),
            sha256=_sha256(data),
        )
        self._advance(parts=(*self._state.parts, part), tails=(), offset=self._reached())
        # Bytes under a checksum are not acknowledged before it is known to hold, and the
        # last ones together with the end of the request.
        if more and self._checksum is None:
            self._save(reserve=True)

    def _put_tail(self) -> None:
        size = self._spool.size
        if size:
            self._check_growth()
            offset, tails = self._state.offset, self._state.tails
            if len(tails) >= MAX_TAILS:
                offset, tails = parts_end(self._state.parts), ()
                data = self._waiting_bytes()
            else:
                data = self._spool.content()
            key = tail_key(self._state.id, offset=offset, epoch=self._state.fence)
            tail = Tail(key, offset, self._reached() - offset)
            self._desk.store.put_once(key, data, size=tail.size, sha256=_sha256(data))
            self._advance(
                parts=self._state.parts,
                tails=(*tails, tail),
                offset=self._state.offset + size,
            )
        self._save(release=True)

    def _advance(self, *, parts: tuple[Part, ...], tails: tuple[Tail, ...], offset: int) -> None:
        """The store has the bytes of the spool; the row is told by :meth:`_save`."""
        self._state = replace(self._state, parts=parts, tails=tails, offset=offset)
        self._spool.clear()

    def _reserve(self) -> tuple[int, str]:
        """A part number that was never used: what a stalled writer still sends cannot clash."""
        if self._state.multipart_id is None:
            multipart_id = self._desk.store.begin_multipart(self._state.parts_key)
            self._update(multipart_id=multipart_id)
        if self._reserved is None:
            self._update(next_part=self._row.next_part + 1)
            self._reserved = self._row.next_part - 1
        number, self._reserved = self._reserved, None
        return number, self._state.multipart_id or ""

    def _save(self, *, reserve: bool = False, release: bool = False) -> None:
        """Write the progress into the row, and with it what saves a second transaction."""
        before = self._row
        digest = self._digest.state() if self._digest else None
        values: dict[str, Any] = {
            "offset": self._state.offset,
            "parts": dump_parts(self._state.parts),
            "tails": dump_tails(self._state.tails),
            "hash_state": digest.sha256 if digest else None,
            "crc32": digest.crc32 if digest else 0,
        }
        if self._state.offset > before.offset:
            values["expires_at_ms"] = self._desk.now_ms() + self._desk.ttl_ms
        if reserve:
            values["next_part"] = self._row.next_part + 1
        if release:
            values |= self._let_go()
        self._update(**values)
        if reserve:
            self._reserved = self._row.next_part - 1
        # A tail that cannot be deleted now is collected later.
        with suppress(StoreUnavailable):
            kept = {tail.key for tail in self._row.tails}
            self._desk.store.delete_tails([t.key for t in before.tails if t.key not in kept])

    def _update(self, **values: Any) -> None:
        with self._desk.write() as session:
            self._row = change(session, self._row, **values)
        self._state = replace(
            self._row,
            parts=self._state.parts,
            tails=self._state.tails,
            offset=self._state.offset,
        )

    def _release(self) -> None:
        """Let go without progress; where even that fails, the heartbeat's care takes over."""
        with suppress(Fenced, SQLAlchemyError):
            self._update(**self._let_go())

    def _let_go(self) -> dict[str, Any]:
        """Nobody writes any more; a part number that was not used is free again."""
        unused = {} if self._reserved is None else {"next_part": self._reserved}
        return {"owner": None, "release_wanted": False, **unused}

    def _retreat(self, error: ObjectMissing | MultipartGone) -> UploadState:
        """The store has lost what was acknowledged: stand where its bytes still are.

        Raises:
            WrongOffset: always, with that place.
        """
        _log.error("upload_lost_by_store upload=%s key=%s", self._state.id, error.key)
        parts = () if isinstance(error, MultipartGone) else self._row.parts
        values: dict[str, Any] = {"offset": parts_end(parts), "parts": dump_parts(parts)}
        if not parts:
            values["multipart_id"] = None
        self._update(
            **values,
            tails="[]",
            hash_state=None,
            crc32=0,
            owner=None,
            release_wanted=False,
        )
        raise WrongOffset(parts_end(parts)) from error


def _room_for(size: int) -> memoryview:
    return memoryview(bytearray(size))


def _sha256(content: Content) -> str:
    if isinstance(content, bytes | memoryview):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    while piece := content.read(_READ_BYTES):
        digest.update(piece)
    content.seek(0)
    return digest.hexdigest()
