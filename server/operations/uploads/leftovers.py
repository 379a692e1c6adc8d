"""What uploads leave over when they end: tails and parts, collected when nobody needs them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update

from media.store import TAIL_PREFIX, StoreUnavailable
from media.upload import UploadBusy
from server.failures import NotFound
from server.models.uploads import ProcessHeartbeat, Upload
from server.operations.uploads.claiming import vacate
from server.operations.uploads.desk import (
    Desk,
    UploadState,
    changed_rows,
    database_now_ms,
    load,
)

#: Leftovers are touched only when no request can still be about to use them.
LEFTOVER_AGE_MS = int(timedelta(hours=24) / timedelta(milliseconds=1))


@dataclass(frozen=True)
class Leftover:
    """A tail, or with ``multipart_id`` an unfinished multipart upload, that no upload needs."""

    key: str
    multipart_id: str | None = None


def due_uploads(desk: Desk) -> list[str]:
    """The uploads that stood still for too long."""
    with desk.read() as session:
        return list(
            session.scalars(
                select(Upload.id).where(_may_expire(), Upload.expires_at_ms < desk.now_ms())
            )
        )


def expire_uploads(desk: Desk) -> list[str]:
    """End the uploads that stood still for too long, and answer their ids."""
    return [upload_id for upload_id in due_uploads(desk) if _end_if_due(desk, upload_id)]


def find_leftovers(desk: Desk) -> Iterator[Leftover]:
    """Tails and multipart uploads older than a day that no open upload needs."""
    before_ms = desk.now_ms() - LEFTOVER_AGE_MS
    for tail in desk.store.list(TAIL_PREFIX):
        upload_id = tail.key.split("/")[1]
        if tail.modified_at_ms < before_ms and not _needs(desk, upload_id, tail.key):
            yield Leftover(tail.key)
    for multipart in desk.store.open_multiparts():
        upload_id = multipart.key.rpartition("/")[2]
        old = multipart.begun_at_ms < before_ms
        if old and not _needs(desk, upload_id, multipart.multipart_id):
            yield Leftover(multipart.key, multipart.multipart_id)


def collect_leftovers(desk: Desk) -> list[Leftover]:
    """Delete what :func:`find_leftovers` finds, and forget processes that are long dead.

    Objects under ``media/`` and ``quarantine/`` are never touched.
    """
    collected = []
    for left in find_leftovers(desk):
        if left.multipart_id is None:
            desk.store.delete_tails([left.key])
        else:
            desk.store.abort(left.key, left.multipart_id)
        collected.append(left)
    with desk.write() as session:
        limit_ms = database_now_ms(session) - LEFTOVER_AGE_MS
        session.execute(
            delete(ProcessHeartbeat)
            .where(ProcessHeartbeat.beaten_at_ms < limit_ms)
            .execution_options(synchronize_session=False)
        )
    return collected


def end(desk: Desk, state: UploadState, *, status: str) -> bool:
    """End an upload that nobody writes; False if somebody has come to write it."""
    with desk.write() as session:
        result = session.execute(
            update(Upload)
            .where(Upload.id == state.id, Upload.fence == state.fence, Upload.owner.is_(None))
            .values(
                status=status,
                fence=state.fence + 1,
                parts="[]",
                tails="[]",
                hash_state=None,
                ended_at_ms=desk.now_ms(),
            )
            .execution_options(synchronize_session=False)
        )
    if changed_rows(result) != 1:
        return False
    # What the store does not let go of now is collected later.
    with suppress(StoreUnavailable):
        desk.store.delete_tails([tail.key for tail in state.tails])
        if state.status == "stored" and state.concat == "partial":
            desk.store.delete_tails([state.target_key])
        if state.status == "open" and state.multipart_id:
            desk.store.abort(state.parts_key, state.multipart_id)
    return True


def _end_if_due(desk: Desk, upload_id: str) -> bool:
    try:
        state = vacate(desk, upload_id)
    except (UploadBusy, StoreUnavailable):
        return False
    unused = state.status == "stored" and state.concat == "partial"
    if not (unused or state.status == "open") or state.expires_at_ms >= desk.now_ms():
        return False
    return end(desk, state, status="expired")


def _may_expire() -> ColumnElement[bool]:
    """What stands open, and pieces that nobody puts together."""
    return or_(Upload.status == "open", and_(Upload.status == "stored", Upload.concat == "partial"))


def _needs(desk: Desk, upload_id: str, name: str) -> bool:
    """Whether an unfinished upload still counts on a tail key or a multipart id."""
    with desk.read() as session:
        try:
            state = load(session, upload_id)
        except NotFound:
            return False
    if state.status == "stored" and state.concat == "partial":
        return True
    if state.status not in ("open", "committing"):
        return False
    # A writer may be about to name what it has just written.
    writing = state.owner is not None
    return writing or name == state.multipart_id or name in {tail.key for tail in state.tails}
