"""How much room the store has, and when recordings wait: they stop first, nothing else does."""

import shutil
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.uploads import MediaObject, QuarantinedMedia
from server.settings import Settings

_EXTENSION = "liuhen.room"
_RATE_DAYS = 14
_DAY_MS = 86_400_000
#: Uploads begin thousands of times a minute; the disk is asked this seldom.
_KEEP_S = 20.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes; None where the store's size is not known.

    ``days_left`` is how long the room above the stop mark lasts at the rate of the last
    14 days; ``recordings`` whether audio and video are taken.
    """

    capacity: int | None
    free: int | None
    stop_below: int | None
    daily: int
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
    since_ms = now_ms - _RATE_DAYS * _DAY_MS
    recent = session.scalar(
        select(func.sum(MediaObject.size)).where(MediaObject.stored_at_ms > since_ms)
    )
    daily = int(recent or 0) // _RATE_DAYS
    if capacity is None or free is None:
        return Room(
            capacity=None, free=None, stop_below=None, daily=daily, days_left=None, recordings=True
        )
    stop_below = capacity * settings.recordings_stop_percent // 100
    return Room(
        capacity=capacity,
        free=free,
        stop_below=stop_below,
        daily=daily,
        days_left=max(0, free - stop_below) // daily if daily else None,
        recordings=free >= stop_below,
    )


def _capacity(session: Session, settings: Settings) -> tuple[int | None, int | None]:
    if settings.store_capacity_bytes:
        used = sum(
            int(session.scalar(select(func.sum(column))) or 0)
            for column in (MediaObject.size, QuarantinedMedia.size)
        )
        return settings.store_capacity_bytes, max(0, settings.store_capacity_bytes - used)
    if urlsplit(settings.s3_endpoint).hostname not in _LOOPBACK or not settings.data_dir.exists():
        return None, None
    disk = shutil.disk_usage(settings.data_dir)
    return disk.total, disk.free
