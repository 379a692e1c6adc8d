"""The nightly sweep: collect what is left over, adopt what no row names, name what is gone."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.store import (
    DERIVED_PREFIX,
    FOREIGN_PREFIX,
    MEDIA_PREFIX,
    PACKAGE_PREFIX,
    QUARANTINE_PREFIX,
    RECEIPT_PREFIX,
    ObjectMissing,
    Store,
    StoredObject,
)
from server.db import reading, transaction
from server.models.handover import ForeignPackage, PackageReceipt
from server.models.inspections import Derivative, EvidencePackage
from server.models.uploads import MediaObject, QuarantinedMedia
from server.operations import uploads
from server.operations.storekeeping.adopting import adopt
from server.operations.storekeeping.fixity import read_again
from server.operations.storekeeping.known import sort_out
from server.operations.storekeeping.reports import SWEEP, Doubt, Report, keep_report
from server.operations.uploads import Desk

_BATCH = 500


def sweep(desk: Desk, *, repair: bool) -> Report:
    """Compare the store with the tables; with ``repair`` also tidy up and adopt.

    Evidence is never deleted: with ``repair`` go only what uploads that ended have
    left over, older than a day, as :func:`uploads.collect_leftovers` says. What was set
    aside, and what an upload under way is about to name, is never adopted.

    Raises:
        StoreUnavailable: if the store does not answer; then nothing is reported.
    """
    began_ms = desk.now_ms()
    done = _tidy(desk, repair=repair)
    doubts = [Doubt(kind="undeleted", key=left.key) for left in desk.undeletable]
    seen = _Seen()
    adopted: list[str] = []
    beside: Counter[str] = Counter(quarantined=0, under_way=0, duplicates=0)
    objects = total = 0
    for batch in _batches(desk.store.list(MEDIA_PREFIX)):
        seen.add(batch)
        objects, total = objects + len(batch), total + sum(found.size for found in batch)
        for found in _unknown(batch, beside):
            outcome = adopt(desk, found) if repair else Doubt(kind="unadopted", key=found.key)
            if isinstance(outcome, Doubt):
                doubts.append(outcome)
            elif outcome:
                adopted.append(found.key)
    for batch in _batches(desk.store.list(QUARANTINE_PREFIX)):
        seen.add(batch)
        doubts += [Doubt(kind="stray", key=found.key) for found in _unknown(batch, beside)]
    for prefix in (DERIVED_PREFIX, PACKAGE_PREFIX, RECEIPT_PREFIX, FOREIGN_PREFIX):
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
        beside=dict(beside),
        adopted=tuple(adopted),
        doubts=tuple(doubts),
    )
    with transaction() as session:
        keep_report(session, report, now_ms=desk.now_ms())
    if repair:
        # A list alone proves no loss. Read at once, what is really gone is asked for again,
        # and no device frees its copy until the re-hash would have come to it.
        gone = [doubt.sha256 for doubt in doubts if doubt.kind in ("missing", "size")]
        read_again(desk.store, gone, now_ms=desk.now_ms)
    return report


def _batches(objects: Iterator[StoredObject]) -> Iterator[list[StoredObject]]:
    while batch := list(islice(objects, _BATCH)):
        yield batch


def _unknown(batch: list[StoredObject], beside: Counter[str]) -> tuple[StoredObject, ...]:
    """Those of which no row speaks; what is known without being evidence is counted."""
    with reading() as session:
        found = sort_out(session, batch)
    beside.update(
        quarantined=found.quarantined, under_way=found.under_way, duplicates=found.duplicates
    )
    return found.unknown


def _tidy(desk: Desk, *, repair: bool) -> dict[str, int]:
    """What uploads have left over; collected if ``repair``."""
    if repair:
        due = uploads.expire_uploads(desk)
        left = uploads.collect_leftovers(desk)
    else:
        due = uploads.due_uploads(desk)
        left = list(uploads.find_leftovers(desk))
    tails = sum(one.multipart_id is None for one in left)
    return {"expired": len(due), "tails": tails, "multiparts": len(left) - tails}


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
    packed = select(EvidencePackage.key, EvidencePackage.size, EvidencePackage.sha256).where(
        EvidencePackage.key.is_not(None)
    )
    received = select(PackageReceipt.key, PackageReceipt.size, PackageReceipt.sha256)
    foreign = select(ForeignPackage.key, ForeignPackage.size, ForeignPackage.sha256)
    queries: tuple[Any, ...] = (stored, aside, made, packed, received, foreign)
    for query in queries:
        for row in session.execute(query.execution_options(yield_per=1000)):
            yield row[0], row[1], row[2]
