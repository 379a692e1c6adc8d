"""What the device knows from its own journal: open sessions, inspections, items, revisions."""

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from sync.evidence import acts
from sync.evidence.line import Line

Act = dict[str, Any]


def fold(db: sqlite3.Connection, line: Line, act: Act) -> None:
    """Bring the device's own tables up to ``line``, in the line's transaction.

    A line that says again what a refused one said adds nothing: it takes the
    place of that line in what later acts refer to.
    """
    restates = act.get("restates")
    if isinstance(restates, dict):
        for table, column in (("item", "line"), ("revision", "digest")):
            db.execute(
                f"UPDATE {table} SET {column} = ? WHERE {column} = ?",  # noqa: S608 - constants
                (line.digest, restates["digest"]),
            )
        return
    rule = _RULES.get(act["type"])
    if rule is not None:
        rule(db, line, act)


def _open_session(db: sqlite3.Connection, line: Line, act: Act) -> None:
    db.execute(
        "INSERT INTO session (id, officer, method, certificate_no, epoch, opened)"
        " SELECT ?, ?, ?, ?, ?, COUNT(*) FROM session",
        (act["session"], act["officer"], act["method"], act["certificate_no"], line.header.epoch),
    )


def _close_session(db: sqlite3.Connection, _line: Line, act: Act) -> None:
    db.execute("UPDATE session SET open = 0 WHERE id = ?", (act["session"],))


def _open_inspection(db: sqlite3.Connection, line: Line, act: Act) -> None:
    db.execute(
        "INSERT OR IGNORE INTO inspection (id, title, officers, opened_at_ms) VALUES (?, ?, ?, ?)",
        (
            act["inspection"],
            act.get("title", ""),
            json.dumps(act["officers"]),
            line.header.t.wall_ms,
        ),
    )


def _seal_inspection(db: sqlite3.Connection, _line: Line, act: Act) -> None:
    db.execute("UPDATE inspection SET sealed = 1 WHERE id = ?", (act["inspection"],))


def _keep_item(db: sqlite3.Connection, line: Line, act: Act) -> None:
    db.execute(
        "INSERT INTO item (id, inspection, sha256, line) VALUES (?, ?, ?, ?)",
        (act["item"], act.get("inspection"), act["sha256"], line.digest),
    )


def _discard_item(db: sqlite3.Connection, _line: Line, act: Act) -> None:
    db.execute("UPDATE item SET discarded = 1 WHERE id = ?", (act["item"],))


def _keep_revision(db: sqlite3.Connection, line: Line, act: Act) -> None:
    db.execute(
        "INSERT INTO revision (digest, inspection, record, template, fields)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            line.digest,
            act["inspection"],
            act["record"],
            act["template"]["id"],
            json.dumps(act["fields"], ensure_ascii=False),
        ),
    )


def _keep_peer(db: sqlite3.Connection, _line: Line, act: Act) -> None:
    if "code" in act:
        # A typed code names no place: only the server can say which line it means.
        return
    # Only the longest chain that was seen: a shorter head says nothing more.
    db.execute(
        "INSERT INTO peer VALUES (?, ?, ?, ?) ON CONFLICT (device, epoch)"
        " DO UPDATE SET seq = excluded.seq, head = excluded.head WHERE excluded.seq >= peer.seq",
        (act["device"], act["epoch"], act["seq"], act["head"]),
    )


def _keep_clock(db: sqlite3.Connection, _line: Line, act: Act) -> None:
    db.execute(
        "INSERT INTO clock (server_ms, offset_ms, error_ms) VALUES (?, ?, ?)",
        (act["server_ms"], act["offset_ms"], act["error_ms"]),
    )


_RULES: dict[str, Callable[[sqlite3.Connection, Line, Act], None]] = {
    acts.SESSION_OPENED: _open_session,
    acts.SESSION_CLOSED: _close_session,
    acts.INSPECTION_OPENED: _open_inspection,
    acts.INSPECTION_SEALED: _seal_inspection,
    acts.MEDIA_CAPTURED: _keep_item,
    acts.MEDIA_IMPORTED: _keep_item,
    acts.MEDIA_DISCARDED: _discard_item,
    acts.RECORD_SAVED: _keep_revision,
    acts.PEER_HEAD: _keep_peer,
    acts.CLOCK_COMPARED: _keep_clock,
}
