"""What uploads leave over when they end: tails and parts, collected when nobody needs them."""

import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import PACKAGE_PREFIX, TAIL_PREFIX, StoreUnavailable, upload_of
from server.failures import NotFound
from server.models.uploads import UNDER_WAY, ProcessHeartbeat, Upload
from server.operations.uploads.claiming import vacate
from server.operations.uploads.desk import (
    Desk,
    Fenced,
    Leftover,
    UploadState,
    changed_rows,
    database_now_ms,
    load,
)

#: Leftovers are touched only when no request can still be about to use them.
LEFTOVER_AGE_MS = int(timedelta(hours=24) / timedelta(milliseconds=1))
#: What the store does not let go of, such as under a lock, is tried again after so long.
_AGAIN_MS = int(timedelta(hours=1) / timedelta(milliseconds=1))

_log = logging.getLogger(__name__)


def due_uploads(desk: Desk) -> list[str]:
    """The uploads that stood still for too long."""
    with desk.read() as session:
        due = session.scalars(
            select(Upload.id).where(_may_expire(), Upload.expires_at_ms < desk.now_ms())
        ).all()
        joined = _being_joined(session)
    return [upload_id for upload_id in due if upload_id not in joined]


def _being_joined(session: Session) -> set[str]:
    """Pieces of which a file is being made: they last for as long as that lasts."""
    named = session.scalars(
        select(Upload.pieces).where(Upload.concat == "final", Upload.status.in_(UNDER_WAY))
    )
    return {piece for pieces in named for piece in json.loads(pieces)}


def expire_uploads(desk: Desk) -> list[str]:
    """End the uploads that stood still for too long, and answer their ids."""
    return [upload_id for upload_id in due_uploads(desk) if _end_if_due(desk, upload_id)]


def find_leftovers(desk: Desk) -> Iterator[Leftover]:
    """Tails and multipart uploads older than a day that nobody needs.

    What is under keys of other forms than ours is never named.
    """
    before_ms = desk.now_ms() - LEFTOVER_AGE_MS
    for tail in desk.store.list(TAIL_PREFIX):
        upload_id = upload_of(tail.key)
        if upload_id is None or tail.modified_at_ms >= before_ms:
            continue
        if not _needs(desk, upload_id, tail.key):
            yield Leftover(tail.key)
    for multipart in desk.store.open_multiparts():
        if multipart.begun_at_ms < before_ms and not _is_needed(
            desk, multipart.key, multipart.multipart_id
        ):
            yield Leftover(multipart.key, multipart.multipart_id)


def _is_needed(desk: Desk, key: str, multipart_id: str) -> bool:
    # A package is made at one go: of one that was begun so long ago nobody makes anything.
    if key.startswith(PACKAGE_PREFIX):
        return False
    upload_id = upload_of(key)
    return upload_id is None or _needs(desk, upload_id, multipart_id)


def collect_leftovers(desk: Desk) -> list[Leftover]:
    """Delete what :func:`find_leftovers` finds, and forget processes that are long dead.

    Objects under ``media/`` and ``quarantine/`` are never touched. What the store does not
    let go of stands in ``desk.undeletable`` afterwards.

    Raises:
        StoreUnavailable: the store does not answer.
    """
    now_ms = desk.now_ms()
    taken: list[Leftover] = []
    kept: dict[Leftover, int] = {}
    for left in find_leftovers(desk):
        again_at_ms = desk.undeletable.get(left, 0)
        if again_at_ms > now_ms:
            kept[left] = again_at_ms
        elif _drop(desk, left):
            taken.append(left)
        else:
            kept[left] = now_ms + _AGAIN_MS
    desk.undeletable.clear()
    desk.undeletable.update(kept)
    with desk.write() as session:
        limit_ms = database_now_ms(session) - LEFTOVER_AGE_MS
        session.execute(
            delete(ProcessHeartbeat)
            .where(ProcessHeartbeat.beaten_at_ms < limit_ms)
            .execution_options(synchronize_session=False)
        )
    return taken


def _drop(desk: Desk, left: Leftover) -> bool:
    """Delete one; False if the store refuses, which must not hold up the others.

    Raises:
        StoreUnavailable: it does not answer.
    """
    try:
        if left.multipart_id is None:
            desk.store.delete_tails([left.key])
        else:
            desk.store.abort(left.key, left.multipart_id)
    except StoreUnavailable as error:
        if not error.status:
            raise
        _log.warning("leftover_kept key=%s reason=%s", left.key, error)
        return False
    return True


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
    except (MediaError, Fenced):
        # Another request has it, or the store is away: one that stays must not keep the others.
        return False
    unused = state.status == "stored" and state.concat == "partial"
    if not (unused or state.status == "open") or state.expires_at_ms >= desk.now_ms():
        return False
    with desk.read() as session:
        # Somebody may have begun to put it together since it was found due.
        if state.concat == "partial" and upload_id in _being_joined(session):
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
    if state.status not in UNDER_WAY:
        return False
    # A writer may be about to name what it has just written.
    writing = state.owner is not None
    return writing or name == state.multipart_id or name in {tail.key for tail in state.tails}
