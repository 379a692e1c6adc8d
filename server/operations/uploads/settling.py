"""How an upload ended, written down once: its event in the ledger, then the rows.

All of it happens in the caller's transaction.
"""

from collections.abc import Callable
from typing import cast

from sqlalchemy import Row, Table, bindparam, case, func, insert, select, update
from sqlalchemy.orm import Session

from server.models.base import position_of
from server.models.uploads import UNDER_WAY, MediaObject, ObjectFixity, QuarantinedMedia, Upload
from server.operations import ledger
from server.operations.holding import SENT
from server.operations.uploads.desk import UPLOAD, Desk, UploadState, changed_rows, load
from server.operations.uploads.making import Made

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

#: Called in the transaction that stores an object, with its digest, the place in the
#: ledger of the event that says so, and the time.
after_stored: list[Callable[[Session, str, int, int], None]] = []
#: Called in the transaction that sets bytes aside, with the announced and the found digest.
on_mismatch: list[Callable[[Session, str, str], None]] = []


def known_object(session: Session, sha256: str | None) -> Row[str, str, int, str] | None:
    """What the tables say of the object with these bytes.

    ``lost`` says how its original was lost, and is empty for one that is here.
    """
    return session.execute(_KNOWN_OBJECT, {"digest": sha256}).one_or_none()


def settle(
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
    if not end_upload(desk, session, state, status="stored" if genuine else "quarantined"):
        return load(session, state.id)
    known = known_object(session, state.sha256)
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
        alarm(session, state, key=made.wrong, kept=key, now_ms=now_ms)
    return load(session, state.id)


def alarm(session: Session, state: UploadState, *, key: str, kept: str, now_ms: int) -> None:
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


def end_upload(desk: Desk, session: Session, state: UploadState, *, status: str) -> bool:
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
        add_object(session, state, key=key, crc32=crc32, stored_at_ms=now_ms)
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


def add_object(
    session: Session, state: UploadState, *, key: str, crc32: int, stored_at_ms: int | None
) -> None:
    """A row that says that the object is there, or (``stored_at_ms`` None) is about to be."""
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


def take_over(session: Session, state: UploadState, key: str) -> bool:
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
