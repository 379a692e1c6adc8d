"""Re-hashing: stored originals are read whole, those first that nobody has read for longest."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.hashing import sha256_of
from media.store import MEDIA_PREFIX, ObjectMissing, Store, StoreUnavailable
from server.db import reading, transaction
from server.models.uploads import MediaObject, ObjectFixity, UnreadableObject
from server.operations import ledger
from server.operations.storekeeping.reports import DOUBTED, REHASH, Doubt, Report, keep_report
from server.operations.upsert import upsert
from server.services import Services

WHOLE, CHANGED, MISSING, UNREADABLE = "whole", "changed", "missing", "unreadable"
#: What one report covers: a run that is killed loses no more than this.
_SLICE_BYTES = 2 << 30
_SLICE_OBJECTS = 2000
#: After so many in a row that were not given we ask for others: is it they, or the store?
_SUSPICIOUS = 10
_OTHERS = 5


@dataclass(frozen=True)
class _Seen:
    sha256: str
    key: str
    size: int
    outcome: str
    #: The digest that was found, or why the store did not give the bytes.
    found: str


@dataclass(frozen=True)
class _Slice:
    seen: tuple[_Seen, ...]
    #: What the store said when it gave nothing any more; None if it went on answering.
    away: StoreUnavailable | None


def rehash(
    services: Services, *, budget_bytes: int | None = None, before_ms: int | None = None
) -> Iterator[Report]:
    """Read at most ``budget_bytes`` of originals (None: no bound) last read before ``before_ms``.

    Every slice of 2 GiB is a report with a leaf of its own; there is one even if nothing
    was due. An original that the store does not give is a doubt, and the next one is read.
    The next slice is read when its report is asked for.

    Raises:
        StoreUnavailable: if the store gives nothing; what was read before is kept.
    """
    left = budget_bytes
    reported = False
    began_ms = services.now_ms()
    # What this run has read comes no more: without a bound everything is read just once.
    before_ms = began_ms if before_ms is None else before_ms
    while left is None or left > 0:
        with reading() as session:
            since = ledger.place(session)
            most = min(left or _SLICE_BYTES, _SLICE_BYTES)
            due = list(_due(session, most, read_before_ms=before_ms, tried_before_ms=began_ms))
        if reported and not due:
            break
        read = _read_slice(services.store, due)
        if read.seen or not due:
            # Should our clock be set back meanwhile, what was read is still read.
            now_ms = max(began_ms, services.now_ms())
            yield _keep(read.seen, began_ms, since=since, now_ms=now_ms)
            reported = True
        if read.away is not None:
            raise read.away
        if left is not None:
            left -= sum(one.size for one in read.seen if one.outcome != UNREADABLE)


def read_again(store: Store, digests: Sequence[str], *, now_ms: Callable[[], int]) -> None:
    """Read those of ``digests`` that are stored originals, whenever they were read last.

    Raises:
        StoreUnavailable: if the store gives nothing; what was read before is kept.
    """
    began_ms = now_ms()
    for start in range(0, len(digests), _SLICE_OBJECTS):
        some = digests[start : start + _SLICE_OBJECTS]
        with reading() as session:
            since = ledger.place(session)
            rows = session.execute(
                select(MediaObject.sha256, MediaObject.key, MediaObject.size).where(
                    MediaObject.status == "stored", MediaObject.sha256.in_(some)
                )
            ).all()
        read = _read_slice(store, [(row.sha256, row.key, row.size) for row in rows])
        if read.seen:
            now = max(began_ms, now_ms())
            _keep(read.seen, began_ms, since=since, now_ms=now, doubted=True)
        if read.away is not None:
            raise read.away


def _due(
    session: Session, most: int, *, read_before_ms: int, tried_before_ms: int
) -> Iterator[tuple[str, str, int]]:
    """Originals in the order in which they are due, up to ``most`` bytes but at least one.

    What the store did not give takes its place by when it was asked for, so that it does
    not keep the others from being read.
    """
    read = func.coalesce(ObjectFixity.checked_at_ms, 0)
    tried = func.coalesce(UnreadableObject.tried_at_ms, 0)
    last = func.coalesce(UnreadableObject.tried_at_ms, ObjectFixity.checked_at_ms, 0)
    rows = session.execute(
        select(MediaObject.sha256, MediaObject.key, MediaObject.size)
        .outerjoin(ObjectFixity, ObjectFixity.sha256 == MediaObject.sha256)
        .outerjoin(UnreadableObject, UnreadableObject.sha256 == MediaObject.sha256)
        .where(MediaObject.status == "stored", read < read_before_ms, tried < tried_before_ms)
        .order_by(last, MediaObject.sha256)
        .limit(_SLICE_OBJECTS)
    )
    total = 0
    for sha256, key, size in rows:
        if total and total + size > most:
            return
        total += size
        yield sha256, key, size


def _read_slice(store: Store, due: Iterable[tuple[str, str, int]]) -> _Slice:
    seen: list[_Seen] = []
    #: Those that were not given since the last that was.
    refused: list[_Seen] = []
    for row in due:
        one = _read(store, *row)
        if one.outcome != UNREADABLE:
            seen += (*refused, one)
            refused = []
            continue
        refused.append(one)
        if len(refused) == _SUSPICIOUS:
            if away := _silence(store, refused):
                return _Slice(tuple(seen), away)
            seen += refused
            refused = []
    if refused and (away := _silence(store, refused)):
        return _Slice(tuple(seen), away)
    return _Slice((*seen, *refused), None)


def _read(store: Store, sha256: str, key: str, size: int) -> _Seen:
    """Read one object whole."""
    try:
        found = sha256_of(store.stream(key))
    except ObjectMissing:
        return _Seen(sha256, key, size, MISSING, "")
    except MediaError as error:
        return _Seen(sha256, key, size, UNREADABLE, error.code)
    return _Seen(sha256, key, size, WHOLE if found == sha256 else CHANGED, found)


def _silence(store: Store, refused: Sequence[_Seen]) -> StoreUnavailable | None:
    """What the store says if it gives none of some others either; None if it gives one.

    Where there are no others, it answers if it says what it holds.
    """
    away = None
    others = _others({one.sha256 for one in refused})
    for key in others:
        try:
            store.read(key, 0, 1)
        except ObjectMissing:
            return None
        except StoreUnavailable as error:
            away = error
        else:
            return None
    if others:
        return away
    try:
        next(store.list(MEDIA_PREFIX), None)
    except StoreUnavailable as error:
        return error
    return None


def _others(refused: set[str]) -> list[str]:
    """Keys of a few other stored originals: those read last, and some from all over."""
    others = select(MediaObject.key).where(
        MediaObject.status == "stored", MediaObject.sha256.not_in(refused)
    )
    read_last = (
        others.join(ObjectFixity, ObjectFixity.sha256 == MediaObject.sha256)
        .where(ObjectFixity.outcome == WHOLE)
        .order_by(ObjectFixity.checked_at_ms.desc())
        .limit(_OTHERS)
    )
    first = others.order_by(MediaObject.sha256).limit(1)
    last = others.order_by(MediaObject.sha256.desc()).limit(1)
    with reading() as session:
        found = [key for some in (read_last, first, last) for key in session.scalars(some)]
        for _ in range(_OTHERS):
            found += session.scalars(first.where(MediaObject.sha256 >= secrets.token_hex(32)))
    return list(dict.fromkeys(found))


def _keep(
    seen: Sequence[_Seen],
    began_ms: int,
    *,
    since: tuple[int, int],
    now_ms: int,
    doubted: bool = False,
) -> Report:
    """Write down a slice of a run since ``began_ms``; as it was read the ledger was at ``since``.

    ``doubted`` ones were read because a sweep named them: that is no run of the re-hash.
    """
    with transaction() as session:
        ledger.lock_head(session)
        later = _known_since(session, seen, since)
        seen = [one for one in seen if one.sha256 not in later]
        given = [one for one in seen if one.outcome != UNREADABLE]
        report = Report(
            kind=REHASH,
            repair=False,
            began_at_ms=began_ms,
            objects=len(given),
            bytes=sum(one.size for one in given),
            done={DOUBTED: len(given)} if doubted else {},
            doubts=tuple(
                Doubt(kind=one.outcome, key=one.key, sha256=one.sha256, found=one.found)
                for one in seen
                if one.outcome != WHOLE
            ),
        )
        row = keep_report(session, report, now_ms=now_ms)
        known = [
            {
                "sha256": one.sha256,
                "outcome": one.outcome,
                "found_sha256": one.found or None,
                "checked_at_ms": now_ms,
                "generation": row.generation,
                "ledger_index": row.ledger_index,
            }
            for one in given
        ]
        upsert(session, ObjectFixity, known)
        _note_unreadable(session, seen, now_ms=now_ms)
    return report


def _known_since(session: Session, seen: Sequence[_Seen], since: tuple[int, int]) -> set[str]:
    """Those of which somebody knows better by now: a lost one was brought back meanwhile.

    The ledger's order tells, not the clocks of two machines.
    """
    return set(
        session.scalars(
            select(ObjectFixity.sha256).where(
                ObjectFixity.sha256.in_([one.sha256 for one in seen]),
                tuple_(ObjectFixity.generation, ObjectFixity.ledger_index) >= since,
            )
        )
    )


def _note_unreadable(session: Session, seen: Sequence[_Seen], *, now_ms: int) -> None:
    """Since when the store does not give an original; what it gives is forgotten again."""
    known = {
        row.sha256: row
        for row in session.scalars(
            select(UnreadableObject).where(
                UnreadableObject.sha256.in_([one.sha256 for one in seen])
            )
        )
    }
    for one in seen:
        if one.outcome != UNREADABLE:
            continue
        row = known.pop(one.sha256, None)
        if row is None:
            row = UnreadableObject(sha256=one.sha256, since_ms=now_ms)
            session.add(row)
        row.code, row.tried_at_ms = one.found, now_ms
    for given in known.values():
        session.delete(given)
