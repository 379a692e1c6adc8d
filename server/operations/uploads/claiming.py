"""Coming to write an upload: ask a living writer to let go, fence off a dead one."""

import time
from contextlib import suppress
from typing import assert_never

from media.upload import (
    DEAD_AFTER_MS,
    RELEASE_WAIT_MS,
    AskAndWait,
    Free,
    TakeOver,
    UploadBusy,
    decide_tenure,
)
from server.operations.uploads.committing import finish_commit
from server.operations.uploads.desk import Desk, Fenced, UploadState, beat_age_ms, change, load

_LOOK_AGAIN_S = 0.02


def vacate(desk: Desk, upload_id: str, *, seen: UploadState | None = None) -> UploadState:
    """The state of an upload that nobody writes; what its last writer had is in it.

    ``seen`` spares a look where the caller has just had one.

    Takes as long as the writer needs to flush, at most 3 s; a dead one costs nothing.

    Raises:
        NotFound: there is no such upload.
        UploadBusy: a living process is still committing it.
    """
    if seen is not None and seen.owner is None and seen.status != "committing":
        return seen
    asked_at: float | None = None
    while True:
        waited_ms = 0 if asked_at is None else int((time.monotonic() - asked_at) * 1000)
        with desk.read() as session:
            state = load(session, upload_id)
            age = beat_age_ms(session, state.owner) if state.owner else None
        match decide_tenure(owned=state.owner is not None, beat_age_ms=age, waited_ms=waited_ms):
            case Free():
                if state.status != "committing":
                    return state
                # Where another has ended it meanwhile, a look at it comes next anyway.
                with suppress(Fenced):
                    finish_commit(desk, upload_id)
            case AskAndWait():
                if asked_at is None:
                    asked_at = time.monotonic()
                    _ask_to_release(desk, state)
                time.sleep(_LOOK_AGAIN_S)
            case TakeOver():
                alive = age is not None and age <= DEAD_AFTER_MS
                if state.status == "committing" and alive and waited_ms >= RELEASE_WAIT_MS:
                    raise UploadBusy(upload_id)
                _fence_off(desk, state)
            case other:
                assert_never(other)


def claim(desk: Desk, state: UploadState, *, part: bool = False) -> UploadState | None:
    """Make this process the writer of a vacant upload; None if somebody else was faster.

    With ``part`` its next part number is taken at once.
    """
    try:
        with desk.write() as session:
            desk.heart.beat(session)
            # Whoever had come to write or end it since would have raised the fence.
            return change(
                session,
                state,
                owner=desk.heart.process_id,
                fence=state.fence + 1,
                release_wanted=False,
                next_part=state.next_part + part,
                expires_at_ms=desk.now_ms() + desk.ttl_ms,
            )
    except Fenced:
        return None


def _ask_to_release(desk: Desk, state: UploadState) -> None:
    # Where the fence has risen meanwhile, a look at it comes next anyway.
    with suppress(Fenced), desk.write() as session:
        change(session, state, release_wanted=True)


def _fence_off(desk: Desk, state: UploadState) -> None:
    with suppress(Fenced), desk.write() as session:
        change(session, state, owner=None, fence=state.fence + 1, release_wanted=False)
