"""Taking the body of a PATCH: what it must fit to, and whose turn it is to write."""

from media.upload import (
    DigestMismatch,
    TakenOver,
    UploadBusy,
    check_length,
    check_open,
    check_patch,
    room_in_buffer,
)
from media.upload_headers import Checksum, read_metadata
from server.operations.uploads import quota
from server.operations.uploads.bodies import Body
from server.operations.uploads.claiming import claim, vacate
from server.operations.uploads.desk import Desk, Fenced, UploadState, change
from server.operations.uploads.writing import Writer


def receive(
    desk: Desk,
    upload_id: str,
    body: Body,
    *,
    given: int,
    checksum: Checksum | None,
    length: int | None = None,
    seen: UploadState | None = None,
) -> UploadState:
    """Append ``body`` at offset ``given`` and, when the file is complete, commit it.

    ``length`` is that of the whole file, where the client says it only now; ``seen`` is what
    the caller has just read of the upload, if it has.

    Raises:
        NotFound, UploadGone, UploadBusy: there is nothing to append to (now).
        WrongOffset, TooLarge, HeaderInvalid: it does not fit; nothing was read.
        UnannouncedQuota: it hides its length and grows too large; whole parts are kept.
        StoreLow: it says only now how long it is, and there is no room for that.
        BodyCut, BodyStalled, TakenOver: it ended early; what arrived is kept.
        ChunkDamaged: it does not have its checksum; none of it is kept.
        DigestMismatch: the file is complete and not what was announced.
        StoreUnavailable: the store failed; the offset of the row still holds.
    """
    state = vacate(desk, upload_id, seen=seen)
    check_open(state.status)
    if state.was_here and given == 0:
        # Standard clients do not look at the offset in the answer to a creation.
        return state
    known = check_length(state.length, said=length, offset=state.offset, limit=desk.limit_bytes)
    limit = desk.limit_bytes if known is None else known
    check_patch(stands_at=state.offset, given=given, length=limit, body=body.expected)
    if state.status == "stored":
        return state
    if known is not None and known != state.length:
        quota.check_growth(desk, state, more=known - state.offset)
        state = _learn_length(desk, state, known)
    fills = body.expected is not None and body.expected >= room_in_buffer(
        offset=state.offset, parts=state.parts, length=state.length
    )
    claimed = claim(desk, state, part=fills and not state.single)
    if claimed is None:
        raise UploadBusy(upload_id)
    with desk.heart.hold(claimed.id, claimed.fence, body.interrupt) as tenure:
        try:
            reserved = state.next_part if claimed.next_part > state.next_part else None
            done = Writer(desk, claimed, body, checksum, tenure, reserved).run()
        except Fenced as error:
            raise TakenOver(given) from error
        finally:
            body.finish()
    if done.status == "quarantined":
        raise DigestMismatch(expected=done.sha256 or "", found=done.found_sha256 or "")
    return done


def _learn_length(desk: Desk, state: UploadState, length: int) -> UploadState:
    """Keep the length that a client says only now, if there is room for what still comes.

    Raises:
        StoreLow: it is a recording, and with it the store would run low.
        UploadBusy: another request has come to write it.
    """
    more = length - state.offset
    said = read_metadata(state.metadata_header)
    above = quota.room_for(desk, state.organization_id, said) if more else None
    try:
        with desk.write() as session:
            quota.check_room(session, desk, above, more=more)
            return change(session, state, length=length)
    except Fenced as error:
        raise UploadBusy(state.id) from error
