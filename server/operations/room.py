"""How much room the store has, and when recordings wait: they stop first, nothing else does."""

import shutil
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from server.models.inspections import Derivative, EvidencePackage
from server.models.uploads import UNDER_WAY, AdoptedObject, MediaObject, QuarantinedMedia, Upload
from server.settings import Settings

_EXTENSION = "liuhen.room"
_DAY_MS = 86_400_000
_RATE_MS = 14 * _DAY_MS
#: What pages and devices are told is looked up this seldom.
_KEEP_S = 20.0
#: What is kept for photos and journals at the most: some 5,000 photos.
_MOST_KEPT_BYTES = 20 << 30
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes; None where the store's size is not known.

    ``promised`` is what uploads under way still bring. ``daily`` is the rate of the last
    ``days`` (14, or as many as there are), ``days_left`` how long the room above the stop
    mark lasts at that rate, ``recordings`` whether audio and video are taken.
    """

    capacity: int | None
    free: int | None
    stop_below: int | None
    promised: int
    daily: int
    days: int
    days_left: int | None
    recordings: bool


class Gauge:
    """The room of one installation, looked at every 20 seconds at most."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._room: Room | None = None
        self._looked_at = 0.0

    def room(self, session: Session, now_ms: int) -> Room:
        with self._lock:
            now_s = time.monotonic()
            if self._room is None or now_s - self._looked_at > _KEEP_S:
                self._room = measure(session, self._settings, now_ms=now_ms)
                self._looked_at = now_s
            return self._room


def gauge_of(app: Flask, settings: Settings) -> Gauge:
    """The one gauge of a running program."""
    gauge: Gauge = app.extensions.setdefault(_EXTENSION, Gauge(settings))
    return gauge


def measure(session: Session, settings: Settings, *, now_ms: int) -> Room:
    """The room now.

    The capacity is what ``LIUHEN_STORE_CAPACITY_BYTES`` says, less what the tables count;
    without it the disk under the data folder, if the store is on this machine.
    """
    capacity, free = _capacity(session, settings)
    promised = _promised(session)
    daily, days = _rate(session, now_ms)
    if capacity is None or free is None:
        return Room(
            capacity=None,
            free=None,
            stop_below=None,
            promised=promised,
            daily=daily,
            days=days,
            days_left=None,
            recordings=True,
        )
    stop_below = _mark(settings, capacity)
    left = free - promised - stop_below
    return Room(
        capacity=capacity,
        free=max(0, free),
        stop_below=stop_below,
        promised=promised,
        daily=daily,
        days=days,
        days_left=max(0, left) // daily if daily else None,
        recordings=left >= 0,
    )


def above_mark(session: Session, settings: Settings) -> int | None:
    """Bytes free above the mark, without a thought for what is promised; None if unknown.

    It is slow where the tables are summed up, so it is asked before the ledger's head is
    held; what arrives between then and the question below is small beside the mark.
    """
    capacity, free = _capacity(session, settings)
    return None if capacity is None or free is None else free - _mark(settings, capacity)


def takes_recording(session: Session, above: int, *, size: int) -> bool:
    """Whether of what is ``above`` the mark ``size`` bytes more can be promised.

    Looked up anew each time: a morning's recorders begin within seconds.
    """
    return above - _promised(session) >= size


def _mark(settings: Settings, capacity: int) -> int:
    return min(capacity * settings.recordings_stop_percent // 100, _MOST_KEPT_BYTES)


def _capacity(session: Session, settings: Settings) -> tuple[int | None, int | None]:
    if settings.store_capacity_bytes:
        return settings.store_capacity_bytes, settings.store_capacity_bytes - _used(session)
    if urlsplit(settings.s3_endpoint).hostname not in _LOOPBACK or not settings.data_dir.exists():
        return None, None
    disk = shutil.disk_usage(settings.data_dir)
    return disk.total, disk.free


def _used(session: Session) -> int:
    """What the tables know to lie in the store, received parts and tails included."""
    sums = (
        select(func.sum(MediaObject.size)).where(MediaObject.status == "stored"),
        select(func.sum(QuarantinedMedia.size)),
        select(func.sum(Derivative.size)),
        select(func.sum(EvidencePackage.size)).where(EvidencePackage.key.is_not(None)),
        select(func.sum(Upload.offset)).where(
            or_(
                Upload.status.in_(UNDER_WAY),
                # Pieces that wait for the others of their file.
                and_(Upload.status == "stored", Upload.concat == "partial"),
            )
        ),
    )
    return sum(int(session.scalar(query) or 0) for query in sums)


def _promised(session: Session) -> int:
    """What uploads under way still bring.

    A file that a device has begun twice, since an answer was lost, comes once; one whose
    bytes are here by now does not come any more.
    """
    rest = (
        select(
            (func.max(Upload.length) - func.max(Upload.offset)).label("bytes"),
        )
        .where(
            Upload.status.in_(UNDER_WAY),
            Upload.length.is_not(None),
            ~exists().where(MediaObject.sha256 == Upload.sha256, MediaObject.status == "stored"),
        )
        .group_by(Upload.device_id, func.coalesce(Upload.sha256, Upload.id))
        .subquery()
    )
    positive = case((rest.c.bytes > 0, rest.c.bytes), else_=0)
    return int(session.scalar(select(func.sum(positive))) or 0)


def _rate(session: Session, now_ms: int) -> tuple[int, int]:
    """Bytes that came a day, and over how many days that was looked at: at most 14.

    Adopted objects did not come: they were there.
    """
    received = and_(
        MediaObject.stored_at_ms.is_not(None),
        ~exists().where(AdoptedObject.sha256 == MediaObject.sha256),
    )
    first_ms = session.scalar(select(func.min(MediaObject.stored_at_ms)).where(received))
    covered_ms = min(max(now_ms - (first_ms or now_ms), _DAY_MS), _RATE_MS)
    recent = session.scalar(
        select(func.sum(MediaObject.size)).where(
            received, MediaObject.stored_at_ms > now_ms - _RATE_MS
        )
    )
    return int(recent or 0) * _DAY_MS // covered_ms, round(covered_ms / _DAY_MS)
