"""From all bytes received to a stored object, so that no crash leaves either side alone.

First the row says what is to become of the bytes (``committing``), then the store
makes the object, then the row says that it has. Every step may be repeated by
anybody: a sweeper does it for processes that died in between (docs/protocol.md §7).
"""

import logging
import time
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.hashing import RunningDigest
from media.store import (
    Content,
    MultipartGone,
    ObjectDiffers,
    ObjectMissing,
    StoreUnavailable,
)
from media.upload import DEAD_AFTER_MS, RELEASE_WAIT_MS, UploadBusy, UploadGone
from server.models.uploads import MediaObject, Upload
from server.operations import ledger
from server.operations.erased import is_going
from server.operations.uploads.desk import (
    Desk,
    Fenced,
    UploadState,
    beat_age_ms,
    change,
    changed_rows,
    load,
)
from server.operations.uploads.making import make
from server.operations.uploads.settling import (
    add_object,
    alarm,
    end_upload,
    known_object,
    settle,
    take_over,
)

_LOOK_AGAIN_S = 0.02

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intended:
    """The row says what is to be made; the store comes next."""

    state: UploadState


@dataclass(frozen=True)
class AlreadyStored:
    """The same bytes are in the store since earlier; this upload is finished."""

    state: UploadState


@dataclass(frozen=True)
class Contended:
    """Another upload of the same bytes is being committed; None if it has just ended."""

    upload_id: str | None


Begun = Intended | AlreadyStored | Contended


def commit(
    desk: Desk,
    state: UploadState,
    *,
    found: str | None,
    crc32: int,
    content: Content | None,
) -> UploadState:
    """Store the bytes of a complete upload and answer how it ended.

    Args:
        found: their SHA-256; None if it must be read again from the store.
        content: all of them, for a file in one piece.

    Raises:
        Fenced: somebody else has taken the upload over.
        StoreUnavailable: nothing is decided; the bytes acknowledged before are safe.
        UploadBusy: another upload of the same bytes is being committed, and takes long, or
            the same bytes are just being erased for another case.
        UploadGone: other bytes lie where these belong, and it must be begun anew.
    """
    while True:
        match _write_intent(desk, state, found=found, crc32=crc32):
            case AlreadyStored(done):
                _discard(desk, state)
                return done
            case Contended(other):
                if other is not None:
                    _await_commit(desk, other)
            case Intended(intended):
                return _carry_out(desk, intended, crc32=crc32, content=content)


def finish_commit(desk: Desk, upload_id: str) -> UploadState:
    """Repeat whatever an interrupted commit had left to do.

    Raises:
        StoreUnavailable: the store cannot be asked now.
        UploadGone: as for :func:`commit`.
    """
    with desk.read() as session:
        state = load(session, upload_id)
        known = known_object(session, state.sha256)
    if state.status != "committing":
        return state
    crc32 = known.crc32 if known is not None else state.digest.crc32
    return _carry_out(desk, state, crc32=crc32, content=None)


def _await_commit(desk: Desk, upload_id: str) -> None:
    """Wait until a living process has ended its commit; end that of a dead one.

    Raises:
        UploadBusy: the living one takes long.
        StoreUnavailable: as for :func:`finish_commit`.
    """
    asked_at = time.monotonic()
    while True:
        with desk.read() as session:
            state = load(session, upload_id)
            age = beat_age_ms(session, state.owner) if state.owner else None
        if state.status != "committing":
            return
        if age is None or age > DEAD_AFTER_MS:
            # However that one ends, this one goes on.
            with suppress(Fenced, UploadGone):
                finish_commit(desk, upload_id)
            return
        if (time.monotonic() - asked_at) * 1000 > RELEASE_WAIT_MS:
            raise UploadBusy(upload_id)
        time.sleep(_LOOK_AGAIN_S)


def finish_interrupted_commits(desk: Desk) -> list[str]:
    """Finish the commits of processes that died; answers the uploads looked at."""
    with desk.read() as session:
        rows = session.execute(
            select(Upload.id, Upload.owner).where(Upload.status == "committing")
        ).all()
        orphaned = [
            row.id
            for row in rows
            if (age := beat_age_ms(session, row.owner)) is None or age > DEAD_AFTER_MS
        ]
    for upload_id in orphaned:
        try:
            finish_commit(desk, upload_id)
        except (MediaError, Fenced):
            # One that cannot be finished now must not hold up the others.
            _log.exception("upload_commit_unfinished upload=%s", upload_id)
    return orphaned


def _write_intent(desk: Desk, state: UploadState, *, found: str | None, crc32: int) -> Begun:
    with desk.write() as session:
        # The first lock: uploads of the same bytes come one after the other, and those that
        # are here already may be settled at once. Also where nothing may be appended: what
        # the store is given stays whole until something may.
        ledger.hold_head(session)
        intended = change(session, state, status="committing", **_recognised(state, found))
        if found is None or not intended.genuine or state.concat == "partial":
            return Intended(intended)
        existing = known_object(session, found)
        if existing is None:
            key = intended.target_key
            if is_going(session, key):
                # A lawful order erases what an earlier case had of them; then they are new.
                raise UploadBusy(state.id)
            add_object(session, intended, key=key, crc32=crc32, stored_at_ms=None)
        elif existing.status == "stored":
            # Bytes that were lost since are wanted again.
            if not existing.lost:
                return AlreadyStored(settle(desk, session, intended, crc32=crc32))
        elif existing.store_key != intended.target_key:
            # One of both is in parts, under a key of its own.
            behind = session.scalar(_others(intended))
            if behind is None and take_over(session, intended, existing.store_key):
                return Intended(intended)
            # Undo and let the other go first.
            change(session, intended, status="open", found_sha256=None)
            return Contended(behind)
        return Intended(intended)


def _carry_out(
    desk: Desk, state: UploadState, *, crc32: int, content: Content | None
) -> UploadState:
    try:
        made = make(desk.store, state, content, lost=_lost(desk, state))
    except ObjectDiffers as error:
        _abandon(desk, state, error)
        raise UploadGone("expired") from error
    except ObjectMissing:
        return _reopen(desk, state, offset=state.offset)
    except MultipartGone:
        _log.error("upload_lost_by_store upload=%s", state.id)
        return _reopen(desk, state, offset=0)
    except StoreUnavailable:
        if content is not None:
            _reopen(desk, state, offset=state.offset)
        raise
    if state.found_sha256 is None and state.concat != "partial":
        state, crc32 = _hash_again(desk, state)
    with desk.write() as session:
        if state.concat == "partial":
            end_upload(desk, session, state, status="stored")
            done = load(session, state.id)
        else:
            done = settle(desk, session, state, crc32=crc32, made=made)
    _delete_tails(desk, state)
    return done


def _lost(desk: Desk, state: UploadState) -> str:
    """How the original with these bytes was lost; empty if it was not."""
    with desk.read() as session:
        known = known_object(session, state.sha256)
    return str(known.lost) if known is not None and state.genuine else ""


def _reopen(desk: Desk, state: UploadState, *, offset: int) -> UploadState:
    """Take the intent back: the object is not there and cannot be made of what is kept."""
    values: dict[str, object] = {"status": "open", "found_sha256": None, "owner": None}
    if offset < state.offset:
        # Counting from zero again is honest: the store has lost what was acknowledged.
        values |= {"offset": 0, "parts": "[]", "tails": "[]", "crc32": 0}
        values |= {"hash_state": None, "multipart_id": None}
    with desk.write() as session:
        _take_back(session, state, values)
        return load(session, state.id)


def _abandon(desk: Desk, state: UploadState, error: ObjectDiffers) -> None:
    """End an upload whose object can be made under none of its keys: another has keys of its own.

    The device begins anew, since it lets go of nothing before its bytes are stored.
    """
    _log.error("upload_key_taken upload=%s key=%s", state.id, error.key)
    with desk.write() as session:
        ledger.lock_head(session)
        now_ms = desk.now_ms()
        values: dict[str, object] = {"status": "expired", "ended_at_ms": now_ms}
        values |= {"parts": "[]", "tails": "[]", "hash_state": None}
        if _take_back(session, state, {**values, "found_sha256": None, "owner": None}):
            alarm(session, state, key=error.key, kept="", now_ms=now_ms)
    _discard(desk, state)


def _take_back(session: Session, state: UploadState, values: dict[str, object]) -> bool:
    """Change an upload that is being committed, and forget its intent if nobody shares it."""
    result = session.execute(
        update(Upload)
        .where(Upload.id == state.id, Upload.status == "committing")
        .values(**values, fence=Upload.fence + 1)
        .execution_options(synchronize_session=False)
    )
    others = session.scalar(_others(state))
    if changed_rows(result) == 1 and others is None:
        session.execute(
            delete(MediaObject)
            .where(MediaObject.sha256 == state.sha256, MediaObject.status == "committing")
            .execution_options(synchronize_session=False)
        )
    return changed_rows(result) == 1


def _hash_again(desk: Desk, state: UploadState) -> tuple[UploadState, int]:
    """Read the whole object for its digest, where the running one could not be carried."""
    digest = RunningDigest()
    for piece in desk.store.stream(state.target_key):
        digest.update(piece)
    with desk.write() as session:
        found = digest.hexdigest()
        known = change(session, state, **_recognised(state, found), crc32=digest.crc32)
        return known, digest.crc32


def _recognised(state: UploadState, found: str | None) -> dict[str, str | None]:
    """Columns of a digest just found; it is the file's own where nobody announced one."""
    named = state.sha256 is not None or state.concat == "partial"
    return {"found_sha256": found} if named else {"found_sha256": found, "sha256": found}


def _others(state: UploadState) -> Select[str]:
    """Another upload that is about to make the object of the same digest."""
    return (
        select(Upload.id)
        .where(
            Upload.id != state.id,
            Upload.sha256 == state.sha256,
            Upload.found_sha256 == state.sha256,
            Upload.status == "committing",
        )
        .limit(1)
    )


def _discard(desk: Desk, state: UploadState) -> None:
    """Drop what an upload had gathered of bytes that the store has already."""
    _delete_tails(desk, state)
    if state.multipart_id is not None:
        # What cannot be dropped now is collected later.
        with suppress(StoreUnavailable):
            desk.store.abort(state.parts_key, state.multipart_id)


def _delete_tails(desk: Desk, state: UploadState) -> None:
    with suppress(StoreUnavailable):
        desk.store.delete_tails([tail.key for tail in state.tails])
