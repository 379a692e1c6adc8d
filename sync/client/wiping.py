"""Emptying a device that was told to: everything is handed in first, the key goes last.

What stays is a statement with the receipts, so that whoever finds the device can
see what it was and that its evidence is elsewhere (docs/protocol.md §4.2). On
flash memory nothing that runs here can promise that no trace is left.
"""

import json
import os
import shutil
from pathlib import Path

from sync.client.clock import Clock
from sync.client.errors import DeviceWiped
from sync.client.folder import DeviceFolder, sync_directory
from sync.client.journal import Journal
from sync.client.outbox import LOST, M_SAFE, M_UPLOADED, RESTATED, SAFE, Outbox
from sync.client.trust import Enrolment
from sync.evidence import acts

_WIPING = "wiping"
_STATEMENT = "wiped.json"


def is_wiping(outbox: Outbox) -> bool:
    """Whether the last line, ``device.wiped``, is written."""
    return outbox.meta(_WIPING) is not None


def is_handed_in(outbox: Outbox) -> bool:
    """Whether the server has given its receipt for every line and has every file."""
    waiting = outbox.count(
        "SELECT EXISTS (SELECT 1 FROM line WHERE state NOT IN (?, ?, ?))"
        " OR EXISTS (SELECT 1 FROM medium WHERE state NOT IN (?, ?))",
        *(SAFE, RESTATED, LOST, M_SAFE, M_UPLOADED),
    )
    return not waiting


def say_farewell(outbox: Outbox, journal: Journal) -> None:
    """Write the last line; from then on this device will be wiped, whatever happens meanwhile."""
    act = {
        "type": acts.DEVICE_WIPED,
        "lines": outbox.count("SELECT COUNT(*) FROM line"),
        "media": outbox.count("SELECT COUNT(*) FROM medium"),
    }
    journal.append(act, alongside=lambda _: outbox.remember(_WIPING, True))


def erase(folder: DeviceFolder, outbox: Outbox, enrolment: Enrolment, clock: Clock) -> None:
    """Leave the statement and the receipts, and delete all else; closes ``outbox``."""
    heads = [(epoch, outbox.head(epoch)) for epoch in outbox.epochs()]
    statement = {
        "device": enrolment.device,
        "name": enrolment.name,
        "organization": enrolment.organization_name,
        "server": enrolment.server,
        "wiped_at_ms": clock.read().wall_ms,
        "epochs": [{"epoch": e, "last_seq": h.next_seq - 1, "head": h.digest} for e, h in heads],
        "receipts": [
            row[0] for row in outbox.db.execute("SELECT note FROM receipt ORDER BY rowid")
        ],
    }
    _write(folder.path / _STATEMENT, json.dumps(statement, ensure_ascii=False, indent=1))
    outbox.close()
    _delete(folder)


def refuse_wiped(folder: DeviceFolder) -> None:
    """Finish a wipe that was cut short, and refuse to work in what is left.

    Raises:
        DeviceWiped: if the folder was wiped.
    """
    path = folder.path / _STATEMENT
    if path.exists():
        _delete(folder)
        raise DeviceWiped(str(folder.path), _device_of(path))


def _device_of(path: Path) -> str:
    try:
        return str(json.loads(path.read_text("utf-8")).get("device", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all, behind an fsync."""
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def _delete(folder: DeviceFolder) -> None:
    """Delete what the folder holds; the key is last, since a device without one is no device."""
    kept = {_STATEMENT, folder.key.name, "lock"}
    for entry in sorted(folder.path.iterdir()):
        if entry.name in kept:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if folder.key.exists():
        _overwrite(folder.key)
        folder.key.unlink()
    sync_directory(folder.path)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
