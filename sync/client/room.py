"""Room on the device: recordings stop first, photos at the very end, the journal never."""

import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sync.client.errors import RecordingsStopped, SourceUnreadable
from sync.client.folder import DeviceFolder
from sync.client.mediatype import HEAD_BYTES, is_recording, media_type_of
from sync.client.outbox import Outbox

#: Below this much free room no recording is taken in: 5 % of the disk, within these bounds.
_FLOOR_BYTES = 1 << 30
_CEILING_BYTES = 4 << 30
_PERCENT = 5
_RATE_DAYS = 14
_DAY_S = 86_400


@dataclass(frozen=True)
class Room:
    """Bytes. ``days_left`` is how long the room above the mark lasts at the rate of the last
    14 days, None where nothing was taken in; ``freeable`` is what the server already has.
    """

    free: int
    stop_below: int
    recordings: bool
    days_left: int | None
    freeable: int


def check_room(folder: DeviceFolder, source: Path) -> None:
    """Refuse to take in a recording for which there is no room above the mark.

    Raises:
        RecordingsStopped: it is one, and there is none; nothing was taken in.
        SourceUnreadable: if it cannot be read.
    """
    try:
        with open(source, "rb") as file:
            head, size = file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise SourceUnreadable(str(source), error.strerror or str(error)) from error
    if not is_recording(media_type_of(head, source.name)):
        return
    disk = shutil.disk_usage(folder.media)
    if disk.free - size < _mark(disk.total):
        raise RecordingsStopped(str(source), size, disk.free)


def read_room(folder: DeviceFolder, outbox: Outbox) -> Room:
    """How much room there is, and how long it will last."""
    disk = shutil.disk_usage(folder.media)
    mark = _mark(disk.total)
    daily = _recent_bytes(folder.media) // _RATE_DAYS
    return Room(
        free=disk.free,
        stop_below=mark,
        recordings=disk.free >= mark,
        days_left=max(0, disk.free - mark) // daily if daily else None,
        freeable=outbox.count(
            "SELECT SUM(size) FROM medium WHERE state = 'safe' AND freed_at_ms IS NULL"
        ),
    )


def _mark(total: int) -> int:
    return min(_CEILING_BYTES, max(_FLOOR_BYTES, total * _PERCENT // 100))


def _recent_bytes(media: Path) -> int:
    """What was taken in within the last 14 days and is still here."""
    since, total = time.time() - _RATE_DAYS * _DAY_S, 0
    for entry in os.scandir(media):
        # Another command may be taking a file in: its half copy goes at any moment.
        with suppress(FileNotFoundError):
            state = entry.stat()
            total += state.st_size if state.st_mtime >= since else 0
    return total
