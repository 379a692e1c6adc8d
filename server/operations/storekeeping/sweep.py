"""The nightly sweep: collect what is left over, adopt what no row names, name what is gone."""

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from hashlib import blake2b, sha256
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import MEDIA_PREFIX, ObjectMissing, Store, StoredObject
from server.db import reading, transaction
from server.models.base import position_of
from server.models.inspections import Derivative
from server.models.uploads import AdoptedObject, MediaObject, QuarantinedMedia, Upload
from server.operations import ledger, uploads
from server.operations.media_checks import item_bytes_arrived
from server.operations.storekeeping.reports import SWEEP, Doubt, Report, keep_report
from server.operations.uploads import Desk

_BATCH = 500
_LONG_PREFIX = f"{MEDIA_PREFIX}long/"


def sweep(desk: Desk, *, repair: bool) -> Report:
    """Compare the store with the tables; with ``repair`` also tidy up and adopt.

    Evidence is never deleted: with ``repair`` go only what uploads that ended have
    left over, older than a day, as :func:`uploads.collect_leftovers` says.

    Raises:
        StoreUnavailable: if the store does not answer; then nothing is reported.
    """
    began_ms = desk.now_ms()
    done = _tidy(desk, repair=repair)
    seen = _Seen()
    adopted: list[str] = []
    doubts: list[Doubt] = []
    objects = total = 0
    for batch in _batches(desk.store.list(MEDIA_PREFIX)):
        seen.add(batch)
        objects, total = objects + len(batch), total + sum(found.size for found in batch)
        with reading() as session:
            unknown = _without_row(session, batch)
        for found in unknown:
            outcome = _adopt(desk, found) if repair else Doubt(kind="unadopted", key=found.key)
            if isinstance(outcome, Doubt):
                doubts.append(outcome)
            else:
                adopted.append(outcome)
    for prefix in ("quarantine/", "derived/"):
        for batch in _batches(desk.store.list(prefix)):
            seen.add(batch)
    with reading() as session:
        doubts += _without_bytes(session, desk.store, seen)
    report = Report(
        kind=SWEEP,
        repair=repair,
        began_at_ms=began_ms,
        objects=objects,
        bytes=total,
        done=done,
        adopted=tuple(adopted),
        doubts=tuple(doubts),
    )
    with transaction() as session:
        keep_report(session, report, now_ms=desk.now_ms())
    return report


def _batches(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while batch := list(islice(objects, _BATCH)):
        yield batch


def _tidy(desk: Desk, *, repair: bool) -> dict[str, int]:
    """What uploads have left over; collected if ``repair``."""
    if repair:
        expired = uploads.expire_uploads(desk)
        left = uploads.collect_leftovers(desk)
    else:
        expired = uploads.due_uploads(desk)
        left = list(uploads.find_leftovers(desk))
    tails = sum(one.multipart_id is None for one in left)
    return {"expired": len(expired), "tails": tails, "multiparts": len(left) - tails}


class _Seen:
    """The objects of the store, 8 bytes each: a million of them are 8 MB."""

    def __init__(self) -> None:
        self._marks = array("Q")
        self._sorted = True

    def add(self, objects: Iterable[StoredObject]) -> None:
        self._marks.extend(_mark(found.key, found.size) for found in objects)
        self._sorted = False

    def has(self, key: str, size: int) -> bool:
        if not self._sorted:
            self._marks = array("Q", sorted(self._marks))
            self._sorted = True
        wanted = _mark(key, size)
        place = bisect_left(self._marks, wanted)
        return place < len(self._marks) and self._marks[place] == wanted


def _mark(key: str, size: int) -> int:
    return int.from_bytes(blake2b(f"{key} {size}".encode(), digest_size=8).digest(), "big")


def _without_row(session: Session, batch: Iterable[StoredObject]) -> list[StoredObject]:
    """The objects that no row of any state names."""
    found = list(batch)
    by_upload = [one.key.removeprefix(_LONG_PREFIX) for one in found if _is_long(one.key)]
    digests = {
        row.id: row.found_sha256
        for row in session.execute(
            select(Upload.id, Upload.found_sha256).where(Upload.id.in_(by_upload))
        )
    }
    adopted = session.execute(
        select(AdoptedObject.key, AdoptedObject.sha256).where(
            AdoptedObject.key.in_([one.key for one in found])
        )
    )
    named = {row.key: row.sha256 for row in adopted}
    for one in found:
        digest = digests.get(one.key.removeprefix(_LONG_PREFIX)) if _is_long(one.key) else None
        named.setdefault(one.key, digest or one.key.rpartition("/")[2])
    known = set(
        session.scalars(select(MediaObject.key).where(MediaObject.sha256.in_(named.values())))
    )
    return [one for one in found if one.key not in known]


def _is_long(key: str) -> bool:
    return key.startswith(_LONG_PREFIX)


def _adopt(desk: Desk, found: StoredObject) -> str | Doubt:
    """Take an object in under the digest of its bytes, which are read whole; answers the key."""
    digest, crc32, size = sha256(), 0, 0
    try:
        for piece in desk.store.stream(found.key):
            digest.update(piece)
            crc32 = zlib.crc32(piece, crc32)
            size += len(piece)
    except MediaError as error:
        return Doubt(kind="unreadable", key=found.key, found=error.code)
    name, true = found.key.rpartition("/")[2], digest.hexdigest()
    if not _is_long(found.key) and name != true:
        return Doubt(kind="misnamed", key=found.key, sha256=name, found=true)
    with transaction() as session:
        # The ledger's head is the first lock, so no upload of the same bytes ends meanwhile.
        ledger.lock_head(session)
        known = session.get(MediaObject, true)
        if known is not None and known.key != found.key:
            return Doubt(kind="duplicate", key=found.key, sha256=true, found=known.key)
        now_ms = desk.now_ms()
        index = ledger.append(
            session,
            "verify",
            actor={"server": "store"},
            subject={"sha256": true},
            snapshot={"act": "adopted", "key": found.key, "size": size},
            about=(f"media:{true}", "store"),
            now_ms=now_ms,
        )
        generation = ledger.current_generation(session).number
        if known is None:
            session.add(
                MediaObject(
                    sha256=true,
                    size=size,
                    crc32=crc32,
                    key=found.key,
                    status="stored",
                    stored_at_ms=now_ms,
                )
            )
        session.add(
            AdoptedObject(
                key=found.key,
                sha256=true,
                size=size,
                adopted_at_ms=now_ms,
                generation=generation,
                ledger_index=index,
            )
        )
        session.flush()
        item_bytes_arrived(session, true, position_of(generation, index), now_ms)
    return found.key


def _without_bytes(session: Session, store: Store, seen: _Seen) -> Iterator[Doubt]:
    """Rows whose object is not in the store, or not of the length they say."""
    for key, size, digest in _rows(session):
        if seen.has(key, size):
            continue
        try:
            # Written after the list was read, or really not there.
            found = store.head(key)
        except ObjectMissing:
            yield Doubt(kind="missing", key=key, sha256=digest)
            continue
        if found.size != size:
            yield Doubt(kind="size", key=key, sha256=digest, found=str(found.size))


def _rows(session: Session) -> Iterator[tuple[str, int, str]]:
    stored = select(MediaObject.key, MediaObject.size, MediaObject.sha256).where(
        MediaObject.status == "stored"
    )
    aside = select(QuarantinedMedia.key, QuarantinedMedia.size, QuarantinedMedia.found_sha256)
    made = select(Derivative.key, Derivative.size, Derivative.sha256)
    for query in (stored, aside, made):
        for row in session.execute(query.execution_options(yield_per=1000)):
            yield row[0], row[1], row[2]
