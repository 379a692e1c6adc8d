"""Taking in whole objects that no row names, such as after an older database was restored."""

from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.hashing import RunningDigest
from media.store import Store, StoredObject
from server.db import transaction
from server.models.base import position_of
from server.models.uploads import AdoptedObject, MediaObject, Upload
from server.operations import ledger
from server.operations.media_checks import item_bytes_arrived
from server.operations.storekeeping.known import digest_of, is_known, owner_of
from server.operations.storekeeping.reports import Doubt
from server.operations.uploads import Desk


@dataclass(frozen=True)
class _Content:
    sha256: str
    crc32: int
    size: int


def adopt(desk: Desk, found: StoredObject) -> bool | Doubt:
    """Take an object in under the digest of its bytes, which are read whole.

    False if rows speak of it by now: another run was faster, or an upload.
    """
    try:
        content = _read(desk.store, found.key)
    except MediaError as error:
        return Doubt(kind="unreadable", key=found.key, found=error.code)
    with transaction() as session:
        # The first lock: of two runs at once, or a run and an upload of the same bytes, the
        # later sees what the earlier wrote.
        ledger.lock_head(session)
        return _take_in(session, found, content, now_ms=desk.now_ms())


def _read(store: Store, key: str) -> _Content:
    digest = RunningDigest()
    for piece in store.stream(key):
        digest.update(piece)
    return _Content(digest.hexdigest(), digest.crc32, digest.size)


def _take_in(
    session: Session, found: StoredObject, content: _Content, *, now_ms: int
) -> bool | Doubt:
    if is_known(session, found):
        return False
    key = found.key
    upload, earlier = session.get(Upload, owner_of(key)), session.get(AdoptedObject, key)
    named = digest_of(key) or (upload.sha256 if upload else None)
    if earlier is not None:
        # Taken in once already; since then it was lost, and brought back elsewhere.
        named = earlier.sha256
    if named is not None and named != content.sha256:
        return Doubt(kind="misnamed", key=key, sha256=named, found=content.sha256)
    known = session.get(MediaObject, content.sha256)
    if known is not None:
        return Doubt(kind="duplicate", key=key, sha256=content.sha256, found=known.key)
    index = ledger.append(
        session,
        "verify",
        actor={"server": "store"},
        subject={"sha256": content.sha256},
        snapshot={"act": "adopted", "key": key, "size": content.size},
        about=(f"media:{content.sha256}", "store"),
        now_ms=now_ms,
    )
    generation = ledger.current_generation(session).number
    session.add(
        MediaObject(
            sha256=content.sha256,
            size=content.size,
            crc32=content.crc32,
            key=key,
            status="stored",
            stored_at_ms=now_ms,
        )
    )
    session.add(
        AdoptedObject(
            key=key,
            sha256=content.sha256,
            size=content.size,
            adopted_at_ms=now_ms,
            generation=generation,
            ledger_index=index,
        )
    )
    if upload is not None:
        _credit(session, upload, content)
    session.flush()
    item_bytes_arrived(session, content.sha256, position_of(generation, index), now_ms)
    return True


def _credit(session: Session, upload: Upload, content: _Content) -> None:
    """The upload that brought them is whole after all, so that only its organisation holds them."""
    session.execute(
        update(Upload)
        .where(Upload.id == upload.id)
        .values(
            status="stored",
            sha256=content.sha256,
            found_sha256=content.sha256,
            length=content.size,
            offset=content.size,
            fence=Upload.fence + 1,
        )
        .execution_options(synchronize_session=False)
    )
