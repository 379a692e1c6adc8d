"""What a witness remembers, in SQLite: whose ledgers it watches and how far it saw each.

Every commit is on the disk before it returns: a witness that forgot a
cosignature could be brought to sign a second history.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sync.evidence.checkpoint import Checkpoint
from sync.evidence.merkle import HASH_BYTES
from sync.evidence.note import VerifierKey, parse_verifier_key
from sync.witness.judging import Known
from sync.witness.submission import Submission

_SCHEMA = """
CREATE TABLE witness (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT NOT NULL
);
CREATE TABLE log_key (
    origin TEXT NOT NULL,
    vkey TEXT NOT NULL,
    added_at_s INTEGER NOT NULL,
    PRIMARY KEY (origin, vkey)
);
CREATE TABLE cosigned (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    time_s INTEGER NOT NULL,
    note TEXT NOT NULL
);
CREATE TRIGGER cosigned_grows BEFORE UPDATE ON cosigned WHEN NEW.size < OLD.size
BEGIN SELECT RAISE(ABORT, 'a cosigned ledger never shrinks'); END;
CREATE TRIGGER cosigned_stays BEFORE DELETE ON cosigned
BEGIN SELECT RAISE(ABORT, 'a cosigned ledger is never forgotten'); END;
CREATE TABLE refused (
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    reason TEXT NOT NULL,
    at_s INTEGER NOT NULL,
    path BLOB NOT NULL,
    kept TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (origin, size, root)
);
"""
_BUSY_S = 30.0
#: Of one ledger; whoever has its key could else fill the disk with histories.
_MOST_REFUSED = 1000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was cosigned last of one ledger; ``note`` bears the ledger's signature."""

    origin: str
    size: int
    time_s: int
    note: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A checkpoint with a good signature that does not continue what was ``kept``."""

    origin: str
    size: int
    reason: str
    at_s: int
    kept: str
    note: str
    #: The hashes of the consistency proof that came with it.
    path: tuple[bytes, ...] = ()


class Register:
    """The memory of one witness at ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, name: str) -> None:
        """Lay out an empty memory for the witness called ``name``.

        Raises:
            sqlite3.Error: if there is one already.
        """
        with self._connection() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            database.execute("INSERT INTO witness VALUES (1, ?)", (name,))

    def name(self) -> str:
        with self._connection() as database:
            return str(database.execute("SELECT name FROM witness").fetchone()[0])

    def add_key(self, key: VerifierKey, *, now_s: int) -> None:
        """Trust ``key`` to sign for the ledger that it is named after."""
        with self._connection() as database:
            database.execute(
                "INSERT OR IGNORE INTO log_key VALUES (?, ?, ?)", (key.name, str(key), now_s)
            )

    def keys(self, origin: str) -> Sequence[VerifierKey]:
        """The keys that may sign for ``origin``; none for a ledger that is not watched."""
        with self._connection() as database:
            rows = database.execute("SELECT vkey FROM log_key WHERE origin = ?", (origin,))
            return [parse_verifier_key(vkey) for (vkey,) in rows]

    def logs(self) -> Sequence[tuple[str, str, Seen | None]]:
        """Every trusted key with its ledger and what was cosigned last of it."""
        with self._connection() as database:
            rows = database.execute(
                "SELECT log_key.origin, vkey, size, time_s, note FROM log_key"
                " LEFT JOIN cosigned ON cosigned.origin = log_key.origin ORDER BY 1, added_at_s"
            ).fetchall()
        return [
            (
                origin,
                vkey,
                None if note is None else Seen(origin=origin, size=size, time_s=time_s, note=note),
            )
            for origin, vkey, size, time_s, note in rows
        ]

    def refused(self) -> Sequence[Refused]:
        """Every checkpoint that was refused though its signature holds, oldest first."""
        with self._connection() as database:
            rows = database.execute(
                "SELECT origin, size, reason, at_s, kept, note, path FROM refused"
                " ORDER BY at_s, size"
            ).fetchall()
        return [
            Refused(
                origin=origin,
                size=size,
                reason=reason,
                at_s=at_s,
                kept=kept,
                note=note,
                path=tuple(
                    path[start : start + HASH_BYTES] for start in range(0, len(path), HASH_BYTES)
                ),
            )
            for origin, size, reason, at_s, kept, note, path in rows
        ]

    @contextmanager
    def deciding(self, origin: str) -> "Iterator[Decision]":
        """Hold the memory for one decision; what it writes is on the disk when the block ends."""
        with self._connection() as database:
            # The lock is taken before the look, so that two submissions never see the same size.
            database.execute("BEGIN IMMEDIATE")
            try:
                yield Decision(database, origin)
                database.execute("COMMIT")
            except BaseException:
                database.execute("ROLLBACK")
                raise

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(
            sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        ) as database:
            database.execute("PRAGMA synchronous = FULL")
            yield database


class Decision:
    """One look at what is known of a ledger, and one entry, under one lock."""

    def __init__(self, database: sqlite3.Connection, origin: str) -> None:
        self._database = database
        self._origin = origin
        row = database.execute(
            "SELECT size, root, note FROM cosigned WHERE origin = ?", (origin,)
        ).fetchone()
        self.known = Known() if row is None else Known(row[0], row[1])
        self._kept = "" if row is None else str(row[2])

    def cosign(self, shown: Checkpoint, note: str, *, now_s: int) -> None:
        """Remember ``shown`` as the largest tree seen."""
        self._database.execute(
            "INSERT INTO cosigned VALUES (?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, time_s = excluded.time_s,"
            " note = excluded.note",
            (self._origin, shown.size, shown.root, now_s, note),
        )

    def refuse(self, shown: Checkpoint, submission: Submission, reason: str, *, now_s: int) -> None:
        """Keep a checkpoint that may show two histories, once."""
        self._database.execute(
            "INSERT OR IGNORE INTO refused SELECT ?, ?, ?, ?, ?, ?, ?, ?"
            " WHERE (SELECT count(*) FROM refused WHERE origin = ?) < ?",
            (
                self._origin,
                shown.size,
                shown.root,
                reason,
                now_s,
                b"".join(submission.path),
                self._kept,
                submission.note,
                self._origin,
                _MOST_REFUSED,
            ),
        )
