"""The device's own database: lines, media, receipts and documents, each change behind an fsync.

Lines and receipts are kept for good: a server that was restored from a backup
asks for them again (docs/evidence.md §5).
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync.client import search
from sync.client.errors import StorageFailed
from sync.evidence.line import GENESIS, Anchor

#: States of a line: only here; receipted; refused or behind a refused one; said again
#: in a later epoch; refused for good.
KEPT, SAFE, REFUSED, STRANDED, RESTATED, LOST = (
    "kept",
    "safe",
    "refused",
    "stranded",
    "restated",
    "lost",
)
#: States of a medium: only here; the server has it but shows no item; the server has it; stuck.
M_KEPT, M_UPLOADED, M_SAFE, M_FAILED = "kept", "uploaded", "safe", "failed"

_FIRST_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE epoch (
    epoch TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, reason TEXT NOT NULL
) STRICT;
CREATE TABLE line (
    epoch TEXT NOT NULL REFERENCES epoch, seq INTEGER NOT NULL,
    digest TEXT NOT NULL UNIQUE, raw BLOB NOT NULL, kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'kept', journal TEXT NOT NULL DEFAULT '',
    projection TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '',
    restated_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (epoch, seq)
) STRICT;
CREATE INDEX line_state ON line (state);
CREATE INDEX line_projection ON line (projection);
CREATE TRIGGER line_stays BEFORE DELETE ON line
    BEGIN SELECT RAISE(ABORT, 'journal lines are never deleted'); END;
CREATE TRIGGER line_is_fixed BEFORE UPDATE OF epoch, seq, digest, raw, kind ON line
    BEGIN SELECT RAISE(ABORT, 'journal lines are never changed'); END;
CREATE TABLE receipt (
    note TEXT PRIMARY KEY, epoch TEXT NOT NULL, branch TEXT NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL
) STRICT;
CREATE TABLE medium (
    sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL,
    media_type TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'kept',
    upload TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX medium_state ON medium (state);
CREATE TABLE source_file (
    path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ms INTEGER NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (path, size, mtime_ms)
) STRICT;
CREATE TABLE document (
    kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) STRICT;
CREATE TABLE clock (
    number INTEGER PRIMARY KEY, server_ms INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL, error_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE pin (officer TEXT PRIMARY KEY, salt BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE session (
    id TEXT PRIMARY KEY, officer TEXT NOT NULL, method TEXT NOT NULL,
    certificate_no TEXT NOT NULL, epoch TEXT NOT NULL, opened INTEGER NOT NULL,
    open INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE inspection (
    id TEXT PRIMARY KEY, title TEXT NOT NULL, officers TEXT NOT NULL,
    opened_at_ms INTEGER NOT NULL, sealed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE item (
    id TEXT PRIMARY KEY, inspection TEXT,
    sha256 TEXT NOT NULL REFERENCES medium DEFERRABLE INITIALLY DEFERRED,
    line TEXT NOT NULL, discarded INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX item_medium ON item (sha256);
CREATE INDEX item_inspection ON item (inspection);
CREATE TABLE revision (
    number INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, inspection TEXT NOT NULL,
    record TEXT NOT NULL, template TEXT NOT NULL, fields TEXT NOT NULL
) STRICT;
CREATE TABLE peer (
    device TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, head TEXT NOT NULL,
    PRIMARY KEY (device, epoch)
) STRICT;
"""
_COMPLETE_SYNC = """
ALTER TABLE document RENAME TO earlier_document;
CREATE TABLE document (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'held', UNIQUE (kind, id)
) STRICT;
INSERT INTO document (kind, id, body) SELECT kind, id, body FROM earlier_document;
DROP TABLE earlier_document;
ALTER TABLE line ADD COLUMN decision TEXT NOT NULL DEFAULT '';
ALTER TABLE line ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE medium ADD COLUMN stored_before INTEGER;
ALTER TABLE medium ADD COLUMN stored_generation INTEGER;
ALTER TABLE medium ADD COLUMN freed_at_ms INTEGER;
"""
#: What brings a database from each version to the next; a new one goes through all of them.
_VERSIONS = (_FIRST_SCHEMA, _COMPLETE_SYNC)
#: The version from which documents can be searched.
_SEARCHABLE = 2


@dataclass(frozen=True)
class Head:
    """The end of the current epoch's chain."""

    epoch: str
    next_seq: int
    digest: str


@dataclass(frozen=True)
class KeptLine:
    """A line as it is stored, with its fate so far."""

    epoch: str
    seq: int
    digest: str
    raw: bytes
    kind: str
    state: str
    journal: str
    projection: str
    code: str


@dataclass(frozen=True)
class Medium:
    """A file in ``media/``; ``upload`` is the path of its unfinished upload, if any."""

    sha256: str
    name: str
    size: int
    media_type: str
    state: str
    upload: str
    code: str


_LINE = "epoch, seq, digest, raw, kind, state, journal, projection, code"
_MEDIUM = "sha256, name, size, media_type, state, upload, code"


class Outbox:
    """The tables and what is asked of them; every write happens inside ``transaction``."""

    def __init__(self, path: Path, *, reading: bool = False) -> None:
        """Open the database at ``path``, making it unless ``reading`` only.

        Raises:
            sqlite3.Error: if it cannot be opened or is not one of ours.
        """
        mode = "ro" if reading else "rwc"
        uri = f"{path.resolve().as_uri()}?mode={mode}"
        self.db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=30)
        if reading:
            self.db.execute("SELECT 1 FROM meta LIMIT 1")
            return
        path.chmod(0o600)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "recursive_triggers=ON",
        ):
            self.db.execute(f"PRAGMA {pragma}")
        self._migrate()

    def close(self) -> None:
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit with an fsync if the block ends, roll back if it raises.

        Raises:
            StorageFailed: if the disk is full or fails; nothing was written.
        """
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db
            self.db.execute("COMMIT")
        except BaseException as error:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError):
                raise StorageFailed(str(error)) from error
            raise

    def meta(self, name: str) -> Any:
        """The remembered value of ``name``, or None."""
        row = self.db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def remember(self, name: str, value: object) -> None:
        self.db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (name, json.dumps(value, ensure_ascii=False)),
        )

    def anchor(self) -> Anchor | None:
        """The newest checkpoint that was verified, as a line embeds it."""
        value = self.meta("anchor")
        return None if value is None else Anchor(value["origin"], value["size"], value["root"])

    def remember_checkpoint(self, note: str, anchor: Anchor) -> None:
        self.remember("checkpoint", note)
        self.remember("anchor", anchor.to_json())

    def open_epoch(self, epoch: str, reason: str) -> None:
        self.db.execute(
            "INSERT INTO epoch SELECT ?, COALESCE(MAX(number) + 1, 0), ? FROM epoch",
            (epoch, reason),
        )

    def epochs(self) -> list[str]:
        """All epochs, oldest first; the last is the one being written."""
        return [row[0] for row in self.db.execute("SELECT epoch FROM epoch ORDER BY number")]

    def head(self, epoch: str | None = None) -> Head:
        """Where ``epoch``, or the epoch being written, stands."""
        if epoch is None:
            row = self.db.execute("SELECT epoch FROM epoch ORDER BY number DESC LIMIT 1").fetchone()
            epoch = "" if row is None else str(row[0])
        row = self.db.execute(
            "SELECT seq, digest FROM line WHERE epoch = ? ORDER BY seq DESC LIMIT 1", (epoch,)
        ).fetchone()
        return Head(epoch, 0, GENESIS) if row is None else Head(epoch, row[0] + 1, row[1])

    def insert_line(self, epoch: str, seq: int, digest: str, raw: bytes, kind: str) -> None:
        self.db.execute(
            "INSERT INTO line (epoch, seq, digest, raw, kind) VALUES (?, ?, ?, ?, ?)",
            (epoch, seq, digest, raw, kind),
        )

    def lines(
        self, where: str = "1", values: Sequence[object] = (), *, limit: int = -1
    ) -> Iterator[KeptLine]:
        """Lines that meet ``where`` (our own SQL, never a person's), oldest first."""
        rows = self.db.execute(
            f"SELECT {_LINE} FROM line JOIN epoch USING (epoch)"  # noqa: S608 - constants only
            f" WHERE {where} ORDER BY number, seq LIMIT ?",
            (*values, limit),
        )
        for row in rows:
            yield KeptLine(*row)

    def first_unsafe(self, epoch: str) -> int | None:
        """The first ``seq`` of ``epoch`` that waits for a receipt, or None."""
        row = self.db.execute(
            "SELECT MIN(seq) FROM line WHERE epoch = ? AND state = 'kept'", (epoch,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def digest_at(self, epoch: str, seq: int) -> str | None:
        row = self.db.execute(
            "SELECT digest FROM line WHERE epoch = ? AND seq = ?", (epoch, seq)
        ).fetchone()
        return None if row is None else str(row[0])

    def media(self, where: str = "1", values: Sequence[object] = ()) -> list[Medium]:
        """Media that meet ``where`` (our own SQL), small first."""
        rows = self.db.execute(
            f"SELECT {_MEDIUM} FROM medium"  # noqa: S608 - constants only
            f" WHERE {where} ORDER BY size, sha256",
            tuple(values),
        )
        return [Medium(*row) for row in rows]

    def in_order(self, where: str) -> list[Medium]:
        """Media that meet ``where`` (our own SQL) as they are sent, each class oldest first.

        Photos and whatever else is small go first, then recordings with a key mark of
        their wearer, then the others; in each class what failed before comes last.
        """
        rows = self.db.execute(
            f"SELECT {_MEDIUM} FROM medium JOIN ("  # noqa: S608 - constants only
            " SELECT item.sha256 AS of, MIN(epoch.number * 4294967296 + line.seq) AS place,"
            " MAX(instr(line.raw, CAST('\"key_mark\":true' AS BLOB)) > 0) AS marked"
            " FROM item JOIN line ON line.digest = item.line JOIN epoch USING (epoch)"
            " GROUP BY item.sha256) ON of = medium.sha256"
            f" WHERE {where}"
            " ORDER BY media_type LIKE 'video/%' OR media_type LIKE 'audio/%',"
            " (media_type LIKE 'video/%' OR media_type LIKE 'audio/%') AND NOT marked,"
            " medium.state = 'failed', place, medium.sha256"
        )
        return [Medium(*row) for row in rows]

    def medium(self, sha256: str) -> Medium | None:
        found = self.media("sha256 = ?", (sha256,))
        return found[0] if found else None

    def set_medium(self, sha256: str, *, state: str, upload: str = "", code: str = "") -> None:
        self.db.execute(
            "UPDATE medium SET state = ?, upload = ?, code = ? WHERE sha256 = ?",
            (state, upload, code, sha256),
        )

    def send_again(self, where: str, values: Sequence[object] = ()) -> None:
        """Media that meet ``where`` (our own SQL) were lost by the server, whatever it once said.

        Only lines that it takes from now on can show that a backup holds them.
        """
        self.db.execute(
            f"UPDATE medium SET state = '{M_KEPT}', upload = '', code = '',"  # noqa: S608 - ours
            f" stored_before = NULL WHERE {where}",
            tuple(values),
        )

    def names(self) -> set[str]:
        """The names of all files that lines speak of."""
        return {row[0] for row in self.db.execute("SELECT name FROM medium")}

    def count(self, query: str, *values: object) -> int:
        """One number of our own SQL, 0 for NULL."""
        row = self.db.execute(query, values).fetchone()
        return int(row[0] or 0)

    def outdated(self) -> bool:
        """Whether an earlier program made this database; opening it to write brings it up."""
        return self._version() < len(_VERSIONS)

    def _version(self) -> int:
        return int(self.db.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        if not self.outdated():
            return
        version = self._version()
        # One transaction for all of it: a device that is killed here begins again.
        self.db.executescript(f"BEGIN IMMEDIATE;{''.join(_VERSIONS[version:])}")
        if version < _SEARCHABLE:
            search.build(self.db)
        self.db.execute(f"PRAGMA user_version={len(_VERSIONS)}")
        self.db.execute("COMMIT")
