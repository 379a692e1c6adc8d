"""Re-hashing: stored originals are read whole, those first that nobody has read for longest."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.store import ObjectMissing, Store
from server.db import reading, transaction
from server.models.uploads import MediaObject, ObjectFixity
from server.operations import ledger
from server.operations.storekeeping.reports import REHASH, Doubt, Report, keep_report
from server.services import Services

WHOLE, CHANGED, MISSING = "whole", "changed", "missing"
#: What one report covers: a run that is killed loses no more than this.
_SLICE_BYTES = 2 << 30
_SLICE_OBJECTS = 2000


@dataclass(frozen=True)
class _Seen:
    sha256: str
    key: str
    size: int
    outcome: str
    found: str


def rehash(
    services: Services, *, budget_bytes: int | None = None, before_ms: int | None = None
) -> tuple[Report, ...]:
    """Read at most ``budget_bytes`` of originals (None: no bound) last read before ``before_ms``.

    Every slice of 2 GiB is a report with a leaf of its own.

    Raises:
        StoreUnavailable: if the store does not answer; what was read before is kept.
    """
    reports = []
    left = budget_bytes
    # What this run has read comes no more: without a bound everything is read just once.
    before_ms = services.now_ms() if before_ms is None else before_ms
    while left is None or left > 0:
        with reading() as session:
            due = list(_due(session, before_ms, min(left or _SLICE_BYTES, _SLICE_BYTES)))
        if not due:
            break
        began_ms = services.now_ms()
        seen = [_read(services.store, *row) for row in due]
        reports.append(_keep(services, [one for one in seen if one is not None], began_ms))
        if left is not None:
            left -= sum(size for _, _, size in due)
        if any(one is None for one in seen):
            break
    return tuple(reports)


def _due(session: Session, before_ms: int, most: int) -> Iterator[tuple[str, str, int]]:
    """Originals in the order in which they are due, up to ``most`` bytes but at least one."""
    last = func.coalesce(ObjectFixity.checked_at_ms, 0)
    rows = session.execute(
        select(MediaObject.sha256, MediaObject.key, MediaObject.size)
        .outerjoin(ObjectFixity, ObjectFixity.sha256 == MediaObject.sha256)
        .where(MediaObject.status == "stored", last < before_ms)
        .order_by(last, MediaObject.sha256)
        .limit(_SLICE_OBJECTS)
    )
    total = 0
    for sha256, key, size in rows:
        if total and total + size > most:
            return
        total += size
        yield sha256, key, size


def _read(store: Store, sha256: str, key: str, size: int) -> _Seen | None:
    """Read one object whole; None if the store does not give it now."""
    digest = hashlib.sha256()
    try:
        for piece in store.stream(key):
            digest.update(piece)
    except ObjectMissing:
        return _Seen(sha256, key, size, MISSING, "")
    except MediaError:
        return None
    found = digest.hexdigest()
    return _Seen(sha256, key, size, WHOLE if found == sha256 else CHANGED, found)


def _keep(services: Services, seen: list[_Seen], began_ms: int) -> Report:
    report = Report(
        kind=REHASH,
        repair=False,
        began_at_ms=began_ms,
        objects=len(seen),
        bytes=sum(one.size for one in seen),
        done={},
        adopted=(),
        doubts=tuple(
            Doubt(kind=one.outcome, key=one.key, sha256=one.sha256, found=one.found)
            for one in seen
            if one.outcome != WHOLE
        ),
    )
    with transaction() as session:
        ledger.lock_head(session)
        now_ms = services.now_ms()
        row = keep_report(session, report, now_ms=now_ms)
        for one in seen:
            session.merge(
                ObjectFixity(
                    sha256=one.sha256,
                    outcome=one.outcome,
                    found_sha256=one.found or None,
                    checked_at_ms=now_ms,
                    generation=row.generation,
                    ledger_index=row.ledger_index,
                )
            )
    return report
