"""Beginning, looking at and giving up uploads, and which bytes we lack."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    String,
    any_,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session

from media.upload import TooLarge, UploadBusy, UploadGone, UploadIsFinal, check_open
from media.upload_headers import WHOLE, Concat, Metadata, Partial
from server.failures import LawfullyErased, NotFound
from server.models.erasure import ErasedItem
from server.models.inspections import EvidenceItem
from server.models.uploads import MediaObject
from server.operations.erased import all_erased
from server.operations.holding import held, lost
from server.operations.uploads import quota
from server.operations.uploads.bodies import NoBody
from server.operations.uploads.claiming import vacate
from server.operations.uploads.desk import (
    Desk,
    UploadState,
    add,
    load,
)
from server.operations.uploads.leftovers import end
from server.operations.uploads.receiving import receive


@dataclass(frozen=True)
class Lacking:
    """Which digests must still be sent, and which no journal line has announced.

    Nothing is said about whether an unannounced one is here.
    """

    lacking: tuple[str, ...]
    unannounced: tuple[str, ...]


def begin(
    desk: Desk,
    metadata: Metadata,
    *,
    length: int | None,
    device_id: str,
    organization_id: str,
    upload_id: str | None = None,
    concat: Concat = WHOLE,
    coming: int | None = 0,
    counted: int = 0,
) -> UploadState:
    """Open an upload. It is finished at once if we have announced bytes of that digest.

    Whoever must find it again after a crash gives it an ``upload_id``, a UUID. ``coming``
    are the bytes that follow at once (None: nobody knows how many); ``counted`` of its
    bytes are those of pieces that the quota counts already.

    Media whose line has not come yet is taken too and waits for it. Such an upload
    is never answered with "we have it", since that would tell whoever guesses.

    Raises:
        TooLarge: the file is over the limit.
        UnannouncedQuota: the device already holds too much that no line names.
        TooManyUploads: it has begun too many uploads.
        StoreLow: it is a recording, and the store runs low.
        LawfullyErased: it hides its length, and its bytes were erased by law.
    """
    if length is not None and length > desk.limit_bytes:
        raise TooLarge(limit=desk.limit_bytes, got=length)
    now_ms = desk.now_ms()
    upload_id = upload_id or str(uuid4())
    # What a piece says is the digest of the file that it is a piece of.
    whole = metadata.sha256
    sha256 = None if isinstance(concat, Partial) else whole
    digests = [sha256] if sha256 else []
    more = length if length is not None else 1 if coming is None else coming
    above = quota.room_for(desk, organization_id, metadata)
    with desk.write() as session:
        known = bool(announced(session, organization_id, digests))
        if isinstance(concat, Partial) and whole is not None and length is not None:
            known = quota.is_share(
                session,
                organization_id=organization_id,
                device_id=device_id,
                sha256=whole,
                length=length,
            )
        stored = (
            known
            and sha256 is not None
            and length is not None
            and bool(_stored(session, organization_id, digests, size=length))
        )
        if known and not stored and _erased(session, organization_id, digests):
            # Whoever still has the bytes is told as if they were here: they are not wanted.
            if length is None:
                raise LawfullyErased(sha256 or "")
            stored = True
        quota.check_open(session, desk, device_id)
        if not stored:
            quota.check_room(session, desk, above, more=length or 0)
        if not known:
            quota.check_unannounced(session, desk, device_id, more=more - counted)
        elif sha256 is not None and not stored:
            quota.check_announced(session, desk, device_id, sha256, more=more)
        state = add(
            session,
            id=upload_id,
            organization_id=organization_id,
            device_id=device_id,
            sha256=sha256,
            concat=concat.kind,
            pieces=json.dumps(concat.pieces),
            metadata_header=metadata.said,
            concat_header=concat.said,
            length=length,
            filename=metadata.filename,
            filetype=metadata.filetype,
            awaits_line=not known,
            status="stored" if stored else "open",
            offset=length if stored else 0,
            parts="[]",
            tails="[]",
            next_part=1,
            multipart_id=None,
            hash_state=None,
            crc32=0,
            found_sha256=sha256 if stored else None,
            fence=0,
            owner=None,
            release_wanted=False,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + desk.ttl_ms,
            ended_at_ms=now_ms if stored else None,
        )
    if length == 0 and not stored:
        return receive(desk, upload_id, NoBody(), given=0, checksum=None)
    return state


def look(desk: Desk, upload_id: str, *, organization_id: str) -> UploadState:
    """The upload with an offset that the next PATCH will find unchanged.

    Raises:
        NotFound: there is none of that id in this organisation.
        UploadGone: it was ended without being stored.
        UploadBusy: it is just being committed.
    """
    state = check_mine(desk, upload_id, organization_id=organization_id)
    if state.concat == "final":
        check_open(state.status)
        return state
    state = vacate(desk, upload_id)
    check_open(state.status)
    if state.status == "open" and state.complete:
        # Its writer died between the last part and the commit.
        return receive(desk, upload_id, NoBody(), given=state.offset, checksum=None)
    return state


def check_mine(desk: Desk, upload_id: str, *, organization_id: str) -> UploadState:
    """Let only the organisation that began an upload touch it, and only while it lives.

    Raises:
        NotFound: there is none of that id in this organisation.
        UploadGone: it has expired.
    """
    with desk.read() as session:
        state = load(session, upload_id)
    if state.organization_id != organization_id:
        raise NotFound("upload", upload_id)
    if state.status == "open" and state.expires_at_ms < desk.now_ms():
        raise UploadGone("expired")
    return state


def check_appendable(
    desk: Desk, upload_id: str, *, organization_id: str, more: int | None
) -> UploadState:
    """As :func:`check_mine`, and the upload takes ``more`` bytes.

    Raises:
        UploadIsFinal: it is put together from others.
        UnannouncedQuota: it hides its length and grows too large.
    """
    state = check_mine(desk, upload_id, organization_id=organization_id)
    if state.concat == "final":
        raise UploadIsFinal(upload_id)
    quota.check_growth(desk, state, more=more)
    return state


def terminate(desk: Desk, upload_id: str, *, organization_id: str) -> None:
    """Give an upload up. Bytes that are stored stay: only the upload is forgotten.

    Raises:
        NotFound, UploadGone, UploadBusy: as for :func:`look`.
    """
    check_mine(desk, upload_id, organization_id=organization_id)
    state = vacate(desk, upload_id)
    check_open(state.status)
    if not end(desk, state, status="terminated"):
        # Somebody has come to write it in between.
        raise UploadBusy(upload_id)


def lacking(session: Session, digests: Sequence[str], *, organization_id: str) -> Lacking:
    """Sort ``digests`` by whether their bytes must still be sent, in the order given."""
    known = announced(session, organization_id, digests)
    here = _stored(session, organization_id, known) | _erased(session, organization_id, known)
    return Lacking(
        lacking=tuple(d for d in digests if d in known and d not in here),
        unannounced=tuple(d for d in digests if d not in known),
    )


def announced(session: Session, organization_id: str, digests: Iterable[str]) -> set[str]:
    """Those of ``digests`` that a journal line of this organisation names."""
    return set(
        session.scalars(
            select(EvidenceItem.sha256).where(
                EvidenceItem.organization_id == organization_id,
                _among(session, EvidenceItem.sha256, digests),
            )
        )
    )


def _stored(
    session: Session, organization_id: str, digests: Iterable[str], *, size: int | None = None
) -> set[str]:
    """Those of ``digests`` whose bytes are here, and whole, because this organisation sent them."""
    query = select(MediaObject.sha256).where(
        _among(session, MediaObject.sha256, digests),
        MediaObject.status == "stored",
        ~lost(MediaObject.sha256),
        held(MediaObject.sha256, organization_id),
    )
    if size is not None:
        query = query.where(MediaObject.size == size)
    return set(session.scalars(query))


def _erased(session: Session, organization_id: str, digests: Iterable[str]) -> set[str]:
    """Those of ``digests`` whose bytes were erased by law from all that the organisation has."""
    return {
        sha256
        for sha256 in session.scalars(
            select(ErasedItem.sha256).where(_among(session, ErasedItem.sha256, digests)).distinct()
        )
        if session.scalar(select(all_erased(sha256, organization_id)))
    }


def _among(
    session: Session, column: InstrumentedAttribute[str], values: Iterable[str]
) -> ColumnElement[bool]:
    """``column`` is one of ``values``, given as one parameter: a thousand take 60 ms to bind."""
    wanted = list(values)
    if session.get_bind().dialect.name == "postgresql":
        return column == any_(literal(wanted, ARRAY(String)))
    return column.in_(select(func.json_each(json.dumps(wanted)).table_valued("value").c.value))
