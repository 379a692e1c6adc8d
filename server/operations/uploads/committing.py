"""From all bytes received to a stored object, so that no crash leaves either side alone.

First the row says what is to become of the bytes (``committing``), then the store
makes the object, then the row says that it has. Every step may be repeated by
anybody: a sweeper does it for processes that died in between (docs/protocol.md §7).
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Row, Select, Table, bindparam, case, delete, func, insert, select, update
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
from server.models.base import position_of
from server.models.uploads import UNDER_WAY, MediaObject, ObjectFixity, QuarantinedMedia, Upload
from server.operations import ledger
from server.operations.holding import SENT
from server.operations.uploads.desk import (
    UPLOAD,
    Desk,
    Fenced,
    UploadState,
    beat_age_ms,
    change,
    changed_rows,
    load,
)
from server.operations.uploads.making import Made, make

# Built once, as in ``desk``.
_OBJECT = cast(Table, MediaObject.__table__)
_FIXITY = cast(Table, ObjectFixity.__table__)
_KNOWN_OBJECT = (
    select(
        _OBJECT.c.status,
        _OBJECT.c.store_key,
        _OBJECT.c.crc32,
        # How it was lost; empty for one that is here.
        case((_FIXITY.c.outcome == "whole", ""), else_=func.coalesce(_FIXITY.c.outcome, "")).label(
            "lost"
        ),
    )
    .select_from(_OBJECT.outerjoin(_FIXITY, _FIXITY.c.sha256 == _OBJECT.c.sha256))
    .where(_OBJECT.c.sha256 == bindparam("digest"))
)
_ADD_OBJECT = insert(_OBJECT)
_SETTLE_OBJECT = (
    update(_OBJECT)
    .where(_OBJECT.c.sha256 == bindparam("digest"), _OBJECT.c.status == "committing")
    .values(status="stored", stored_at_ms=bindparam("now_ms"), store_key=bindparam("key"))
)
_END_UPLOAD = (
    update(UPLOAD)
    # An upload that was reopened meanwhile ends here too: its bytes are whole and verified.
    .where(UPLOAD.c.id == bindparam("at"), UPLOAD.c.status.in_(UNDER_WAY))
    .values(
        status=bindparam("ended"),
        byte_offset=bindparam("size"),
        sha256=bindparam("announced"),
        found_sha256=bindparam("found"),
        parts="[]",
        tails="[]",
        hash_state=None,
        owner=None,
        release_wanted=False,
        fence=UPLOAD.c.fence + 1,
        ended_at_ms=bindparam("now_ms"),
    )
)

_LOOK_AGAIN_S = 0.02

_log = logging.getLogger(__name__)

#: Called in the transaction that stores an object, with its digest, the place in the
#: ledger of the event that says so, and the time.
after_stored: list[Callable[[Session, str, int, int], None]] = []
#: Called in the transaction that sets bytes aside, with the announced and the found digest.
on_mismatch: list[Callable[[Session, str, str], None]] = []


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
        UploadBusy: another upload of the same bytes is being committed, and takes long.
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
        known = session.execute(_KNOWN_OBJECT, {"digest": state.sha256}).one_or_none()
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
        existing = session.execute(_KNOWN_OBJECT, {"digest": found}).one_or_none()
        if existing is None:
            key = intended.target_key
            _add_object(session, intended, key=key, crc32=crc32, stored_at_ms=None)
        elif existing.status == "stored":
            # Bytes that were lost since are wanted again.
            if not existing.lost:
                return AlreadyStored(_settle(desk, session, intended, crc32=crc32))
        elif existing.store_key != intended.target_key:
            # One of both is in parts, under a key of its own.
            behind = session.scalar(_others(intended))
            if behind is None and _take_over(session, intended, existing.store_key):
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
            _end_upload(desk, session, state, status="stored")
            done = load(session, state.id)
        else:
            done = _settle(desk, session, state, crc32=crc32, made=made)
    _delete_tails(desk, state)
    return done


def _lost(desk: Desk, state: UploadState) -> str:
    """How the original with these bytes was lost; empty if it was not."""
    with desk.read() as session:
        known = session.execute(_KNOWN_OBJECT, {"digest": state.sha256}).one_or_none()
    return str(known.lost) if known is not None and state.genuine else ""


def _settle(
    desk: Desk,
    session: Session,
    state: UploadState,
    *,
    crc32: int,
    made: Made | None = None,
) -> UploadState:
    """Write down that the object is there, once, its ledger event first.

    ``made`` is None if it has been there since earlier. Made anew it takes the place of an
    original that was lost; of two at the same moment the first one does.
    """
    key = made.key if made else state.target_key
    now_ms = desk.now_ms()
    genuine = state.genuine
    # The ledger's head before any row: the order of locks that every writer keeps.
    head = ledger.lock_head(session)
    if not _end_upload(desk, session, state, status="stored" if genuine else "quarantined"):
        return load(session, state.id)
    known = session.execute(_KNOWN_OBJECT, {"digest": state.sha256}).one_or_none()
    lost = known.lost if known and made and genuine else ""
    about = [f"device:{state.device_id}"]
    if genuine:
        about.append(f"media:{state.sha256}")
    index = ledger.append(
        session,
        "verify" if genuine else "quarantine",
        actor={"device": state.device_id},
        subject={"sha256": state.found_sha256, "size": state.length},
        snapshot={
            "upload": state.id,
            "device": state.device_id,
            **({} if genuine else {"code": "media.digest_mismatch", "announced": state.sha256}),
            **({"act": "brought_back", "was": lost, "key": key} if lost else {}),
        },
        about=about,
        now_ms=now_ms,
    )
    if genuine:
        place = (head.generation, index)
        news = _settle_object(
            session, state, known, key=key, crc32=crc32, lost=lost, place=place, now_ms=now_ms
        )
        # Bytes that are here since earlier are news to an organisation that sends its first copy.
        if news or not _sent_before(session, state):
            for hook in after_stored:
                hook(session, state.sha256 or "", position_of(*place), now_ms)
    else:
        _set_aside(session, state, key=key, now_ms=now_ms)
    if made and made.wrong:
        _alarm(session, state, key=made.wrong, kept=key, now_ms=now_ms)
    return load(session, state.id)


def _alarm(session: Session, state: UploadState, *, key: str, kept: str, now_ms: int) -> None:
    """Say that other bytes lie under a key that is written once, and where the right ones are."""
    about = ["store", f"device:{state.device_id}"]
    if state.sha256 is not None:
        about.append(f"media:{state.sha256}")
    ledger.append(
        session,
        "alarm",
        actor={"server": "store"},
        subject={"object": key},
        snapshot={
            "act": "object_differs",
            "upload": state.id,
            "sha256": state.found_sha256 or "",
            "kept": kept,
        },
        about=about,
        now_ms=now_ms,
    )


def _end_upload(desk: Desk, session: Session, state: UploadState, *, status: str) -> bool:
    """Write down how an upload ended; False if somebody has done so already."""
    result = session.execute(
        _END_UPLOAD,
        {
            "at": state.id,
            "ended": status,
            "size": state.length,
            "announced": state.sha256,
            "found": state.found_sha256,
            "now_ms": desk.now_ms(),
        },
    )
    return changed_rows(result) == 1


def _settle_object(
    session: Session,
    state: UploadState,
    known: Row[str, str, int, str] | None,
    *,
    key: str,
    crc32: int,
    lost: str,
    place: tuple[int, int],
    now_ms: int,
) -> bool:
    """Write down where the bytes are; False if they have been there since earlier."""
    if known is None:
        _add_object(session, state, key=key, crc32=crc32, stored_at_ms=now_ms)
    elif known.status == "committing":
        session.execute(_SETTLE_OBJECT, {"digest": state.sha256, "now_ms": now_ms, "key": key})
    elif lost:
        _bring_back(session, state, known.store_key, key, place=place, now_ms=now_ms)
    else:
        return False
    return True


def _bring_back(
    session: Session, state: UploadState, was: str, key: str, *, place: tuple[int, int], now_ms: int
) -> None:
    """A lost original is whole again, since the event at that place in the ledger."""
    if was != key:
        # The database allows this only while it is lost.
        session.execute(update(_OBJECT).where(_OBJECT.c.sha256 == state.sha256), {"store_key": key})
    session.execute(
        update(_FIXITY).where(_FIXITY.c.sha256 == state.sha256),
        {
            "outcome": "whole",
            "found_sha256": state.sha256,
            "checked_at_ms": now_ms,
            "generation": place[0],
            "ledger_index": place[1],
        },
    )


def _sent_before(session: Session, state: UploadState) -> bool:
    """Whether the same organisation has sent the same bytes in another upload."""
    found = session.execute(
        select(Upload.id).where(
            Upload.id != state.id,
            Upload.organization_id == state.organization_id,
            Upload.sha256 == state.sha256,
            Upload.found_sha256 == state.sha256,
            Upload.status.in_(SENT),
        )
    )
    return found.first() is not None


def _set_aside(session: Session, state: UploadState, *, key: str, now_ms: int) -> None:
    found = state.found_sha256 or ""
    session.add(
        QuarantinedMedia(
            upload_id=state.id,
            organization_id=state.organization_id,
            device_id=state.device_id,
            announced_sha256=state.sha256,
            found_sha256=found,
            size=state.length,
            key=key,
            received_at_ms=now_ms,
        )
    )
    session.flush()
    for hook in on_mismatch:
        hook(session, state.sha256 or "", found)


def _add_object(
    session: Session, state: UploadState, *, key: str, crc32: int, stored_at_ms: int | None
) -> None:
    session.execute(
        _ADD_OBJECT,
        {
            "sha256": state.sha256,
            "size": state.length,
            "crc32": crc32,
            "store_key": key,
            "status": "committing" if stored_at_ms is None else "stored",
            "stored_at_ms": stored_at_ms,
        },
    )


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
            _alarm(session, state, key=error.key, kept="", now_ms=now_ms)
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


def _take_over(session: Session, state: UploadState, key: str) -> bool:
    """Make the intent to write ``key`` our own; False if it has come to an end meanwhile."""
    result = session.execute(
        update(_OBJECT).where(
            _OBJECT.c.sha256 == state.sha256,
            _OBJECT.c.status == "committing",
            _OBJECT.c.store_key == key,
        ),
        {"store_key": state.target_key},
    )
    return changed_rows(result) == 1


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
