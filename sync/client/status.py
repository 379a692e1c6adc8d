"""What stands where: everything a person must know before they leave the site."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync.client.documents import sealed_inspections
from sync.client.errors import FolderDamaged, NotEnrolled
from sync.client.folder import DeviceFolder
from sync.client.outbox import Outbox
from sync.client.room import Room, read_room
from sync.client.stuck import Stuck, diagnose


@dataclass(frozen=True)
class Trouble:
    """A line or medium that a person should look at; ``code`` says why."""

    what: str
    where: str
    code: str


@dataclass(frozen=True)
class InspectionState:
    id: str
    title: str
    sealed: bool
    items: int
    discarded: int


@dataclass(frozen=True)
class Status:
    """Counts of the device's journal and media, and what is amiss.

    ``offset_ms`` is the server's clock minus ours when last compared, None if never.
    """

    server: str
    device: str
    organization: str
    epoch: str
    next_seq: int
    head: str
    lines: int
    lines_safe: int
    lines_unsent: int
    media: int
    media_safe: int
    media_unsent: int
    bytes_unsent: int
    officers: tuple[str, ...]
    inspections: tuple[InspectionState, ...]
    quarantined: tuple[Trouble, ...]
    stuck: tuple[Trouble, ...]
    alarms: tuple[str, ...]
    orphans: tuple[str, ...]
    offset_ms: int | None
    offset_error_ms: int | None
    worst: Stuck | None
    room: Room

    @property
    def clear(self) -> bool:
        """Whether everything is at the server and nothing is stuck or alarming."""
        return not (
            self.lines_unsent or self.media_unsent or self.stuck or self.alarms or self.orphans
        )


def read_status(path: Path) -> Status:
    """The status of the device folder at ``path``, without waiting for who works in it.

    Raises:
        NotEnrolled, FolderDamaged.
    """
    with closing(read_outbox(path)) as outbox:
        return _read(DeviceFolder(path), outbox)


def read_outbox(path: Path) -> Outbox:
    """The database of the device folder at ``path``, for reading alone.

    Raises:
        NotEnrolled, FolderDamaged.
    """
    folder = DeviceFolder(path)
    if not folder.database.exists():
        raise NotEnrolled(str(path))
    try:
        outbox = Outbox(folder.database, reading=True)
        if outbox.outdated():
            outbox.close()
            Outbox(folder.database).close()
            outbox = Outbox(folder.database, reading=True)
        return outbox
    except sqlite3.Error as error:
        raise FolderDamaged(str(path), str(error)) from error


def _read(folder: DeviceFolder, outbox: Outbox) -> Status:
    enrolment = outbox.meta("enrolment")
    if enrolment is None:
        raise NotEnrolled(str(folder.path))
    head = outbox.head()
    clock = outbox.db.execute(
        "SELECT offset_ms, error_ms FROM clock ORDER BY number DESC LIMIT 1"
    ).fetchone()
    count = outbox.count
    unsafe = "state NOT IN ('safe', 'restated')"
    return Status(
        server=enrolment["server"],
        device=enrolment["device"],
        organization=enrolment["organization_name"],
        epoch=head.epoch,
        next_seq=head.next_seq,
        head=head.digest,
        lines=count("SELECT COUNT(*) FROM line"),
        lines_safe=count("SELECT COUNT(*) FROM line WHERE state = 'safe'"),
        lines_unsent=count(f"SELECT COUNT(*) FROM line WHERE {unsafe}"),  # noqa: S608 - constant
        media=count("SELECT COUNT(*) FROM medium"),
        media_safe=count("SELECT COUNT(*) FROM medium WHERE state = 'safe'"),
        media_unsent=count("SELECT COUNT(*) FROM medium WHERE state <> 'safe'"),
        bytes_unsent=count("SELECT SUM(size) FROM medium WHERE state <> 'safe'"),
        officers=_column(
            outbox,
            "SELECT officer FROM session WHERE open = 1 AND epoch = ? ORDER BY opened",
            head.epoch,
        ),
        inspections=_inspections(outbox),
        quarantined=_lines(outbox, "projection = 'quarantined' AND state = 'safe'"),
        stuck=(*_lines(outbox, "state IN ('refused', 'stranded', 'lost')"), *_media(outbox)),
        alarms=tuple(folder.alarmed()),
        orphans=tuple(folder.orphaned()),
        offset_ms=clock[0] if clock else None,
        offset_error_ms=clock[1] if clock else None,
        room=read_room(folder, outbox),
        worst=diagnose(outbox, alarms=len(folder.alarmed()), orphans=len(folder.orphaned())),
    )


def _inspections(outbox: Outbox) -> tuple[InspectionState, ...]:
    rows = outbox.db.execute(
        "SELECT inspection.id, title, sealed, COUNT(item.id), COALESCE(SUM(discarded), 0)"
        " FROM inspection LEFT JOIN item ON item.inspection = inspection.id"
        " GROUP BY inspection.id ORDER BY opened_at_ms"
    )
    sealed = sealed_inspections(outbox)
    return tuple(InspectionState(r[0], r[1], bool(r[2]) or r[0] in sealed, *r[3:]) for r in rows)


def _lines(outbox: Outbox, where: str) -> tuple[Trouble, ...]:
    return tuple(
        Trouble(line.kind, f"{line.epoch}/{line.seq}", line.code or f"line.{line.state}")
        for line in outbox.lines(where)
    )


def _media(outbox: Outbox) -> tuple[Trouble, ...]:
    return tuple(
        Trouble("medium", medium.sha256, medium.code) for medium in outbox.media("state = 'failed'")
    )


def _column(outbox: Outbox, query: str, *values: Any) -> tuple[str, ...]:
    return tuple(row[0] for row in outbox.db.execute(query, values))
