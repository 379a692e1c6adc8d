"""What the upload operations work with, and an upload as it stood at one moment.

These operations differ from the others: bytes go to the store between two
transactions, never inside one. So they are given the means to open short
transactions, and everything they change names the fence they saw.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from sqlalchemy import CursorResult, Row, Table, bindparam, insert, select, text, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from media.hashing import DigestState
from media.store import Part, Store, long_key, media_key, piece_key, quarantine_key
from media.upload import Status, Tail, in_one_piece, load_parts, load_tails
from server.failures import NotFound
from server.models.uploads import ProcessHeartbeat, Upload

Transaction = Callable[[], AbstractContextManager[Session]]

# Statements of the table, built once: through the mapped class each would be built and
# loaded anew, which for the dozen of a photo costs more processor time than its hash.
UPLOAD = cast(Table, Upload.__table__)
_COLUMNS = {item.key: item.columns[0] for item in Upload.__mapper__.column_attrs}
_STATE = [column.label(key) for key, column in _COLUMNS.items()]
_LOAD = select(*_STATE).where(UPLOAD.c.id == bindparam("at"))

_CLOCKS = {
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"),
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"),
}
_BEATEN = select(ProcessHeartbeat.beaten_at_ms).where(
    ProcessHeartbeat.process_id == bindparam("process")
)


class Heartbeat(Protocol):
    """The sign of life of this process (see ``heart``)."""

    @property
    def process_id(self) -> str: ...

    def beat(self, session: Session) -> None: ...

    def hold(
        self, upload_id: str, fence: int, interrupt: Callable[[], None]
    ) -> "AbstractContextManager[Tenure]": ...


@dataclass
class Tenure:
    """One request's hold on an upload.

    Attributes:
        reading_since: monotonic seconds since when it waits for bytes; None while
            it does something with those it got.
        wanted_since: when another request was first seen to want the upload.
        ended: why it must stop: ``released``, ``stalled`` or nothing yet.
    """

    upload_id: str
    fence: int
    interrupt: Callable[[], None]
    reading_since: float | None = None
    wanted_since: float | None = None
    ended: str = ""


@dataclass(frozen=True)
class Leftover:
    """A tail, or with ``multipart_id`` an unfinished multipart upload, that no upload needs."""

    key: str
    multipart_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The parts that upload operations need.

    Attributes:
        limit_bytes: of one file.
        unannounced_limit_bytes: of what a device sent that no journal line names.
        open_limit: unfinished uploads of one device.
        above_mark: bytes that the store has for recordings; None where that is not known.
        takes_recording: whether of so many bytes so many more can be promised.
        ttl_ms: an upload that stands still for so long expires.
        spool_dir: on a disk; where the bytes of slow senders wait.
        undeletable: leftovers that the store did not let go of, and when each is tried
            again; this process remembers it to spare requests.
    """

    store: Store
    write: Transaction
    read: Transaction
    heart: Heartbeat
    now_ms: Callable[[], int]
    limit_bytes: int
    unannounced_limit_bytes: int
    open_limit: int
    ttl_ms: int
    above_mark: Callable[[Session], int | None]
    takes_recording: Callable[[Session, int, int], bool]
    spool_dir: Path
    undeletable: dict[Leftover, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UploadState:
    """An upload as it stood when it was read.

    ``sha256`` and ``length`` are None while nobody has said them.
    """

    id: str
    organization_id: str
    device_id: str
    sha256: str | None
    length: int | None
    concat: str
    pieces: tuple[str, ...]
    metadata_header: str
    concat_header: str
    status: Status
    offset: int
    parts: tuple[Part, ...]
    tails: tuple[Tail, ...]
    next_part: int
    multipart_id: str | None
    digest: DigestState
    found_sha256: str | None
    fence: int
    owner: str | None
    awaits_line: bool
    expires_at_ms: int

    @property
    def single(self) -> bool:
        """Whether it becomes one object under its own digest instead of one made of parts."""
        return self.length is not None and in_one_piece(self.length) and not self.parts

    @property
    def complete(self) -> bool:
        """Whether every byte is here, as far as anybody has said how many there are."""
        return self.length is not None and self.offset == self.length

    @property
    def was_here(self) -> bool:
        """Whether its bytes were here when it began, so that nobody ever wrote it."""
        return self.status == "stored" and self.fence == 0

    @property
    def genuine(self) -> bool:
        """Whether the bytes are what was announced; without a word about them they are."""
        return self.found_sha256 is not None and self.sha256 in (None, self.found_sha256)

    @property
    def parts_key(self) -> str:
        """Under which key its parts are gathered, if it has any."""
        return piece_key(self.id) if self.concat == "partial" else long_key(self.id)

    @property
    def target_key(self) -> str:
        """Where its object belongs once all bytes are there and their digest is known."""
        if self.concat == "partial":
            return piece_key(self.id)
        if not self.single:
            return self.parts_key
        if self.found_sha256 is not None and self.genuine:
            return media_key(self.found_sha256)
        return quarantine_key(self.id)


class Fenced(Exception):
    """Somebody else has taken the upload over since it was read."""


def load(session: Session, upload_id: str) -> UploadState:
    """The present state of an upload.

    Raises:
        NotFound: if there is none of that id.
    """
    row = session.execute(_LOAD, {"at": upload_id}).one_or_none()
    if row is None:
        raise NotFound("upload", upload_id)
    return _state(row)


def add(session: Session, **values: Any) -> UploadState:
    """A new row."""
    return _state(session.execute(_adding(tuple(values)), values).one())


def change(session: Session, state: UploadState, **values: Any) -> UploadState:
    """Change the row of ``state`` and answer what it is now.

    Raises:
        Fenced: if its fence is not that of ``state`` any more.
    """
    seen = {"at": state.id, "fence_seen": state.fence}
    row = session.execute(_changing(tuple(values)), {**seen, **values}).one_or_none()
    if row is None:
        raise Fenced(state.id)
    return _state(row)


@cache
def _adding(names: tuple[str, ...]) -> ReturningInsert[Any]:
    return (
        insert(UPLOAD)
        .values({_COLUMNS[name]: bindparam(name) for name in names})
        .returning(*_STATE)
    )


@cache
def _changing(names: tuple[str, ...]) -> ReturningUpdate[Any]:
    return (
        update(UPLOAD)
        .where(UPLOAD.c.id == bindparam("at"), UPLOAD.c.fence == bindparam("fence_seen"))
        .values({_COLUMNS[name]: bindparam(name) for name in names})
        .returning(*_STATE)
    )


def _state(row: Row[Any]) -> UploadState:
    return UploadState(
        id=row.id,
        organization_id=row.organization_id,
        device_id=row.device_id,
        sha256=row.sha256,
        length=row.length,
        concat=row.concat,
        pieces=tuple(json.loads(row.pieces)),
        metadata_header=row.metadata_header,
        concat_header=row.concat_header,
        status=cast(Status, row.status),  # The check constraint says so.
        offset=row.offset,
        parts=load_parts(row.parts),
        tails=load_tails(row.tails),
        next_part=row.next_part,
        multipart_id=row.multipart_id,
        digest=DigestState(row.offset, row.crc32, row.hash_state),
        found_sha256=row.found_sha256,
        fence=row.fence,
        owner=row.owner,
        awaits_line=row.awaits_line,
        expires_at_ms=row.expires_at_ms,
    )


def changed_rows(result: Any) -> int:
    """How many rows an UPDATE or DELETE changed."""
    return cast("CursorResult[Any]", result).rowcount


def beat_age_ms(session: Session, process_id: str | None) -> int | None:
    """Milliseconds since a process last beat, by the database's clock alone."""
    beaten = session.scalar(_BEATEN, {"process": process_id})
    return None if beaten is None else database_now_ms(session) - beaten


def database_now_ms(session: Session) -> int:
    """The database's clock: the one clock that all web processes share."""
    return int(session.scalar(_CLOCKS[session.connection().dialect.name]) or 0)
