"""Triggers by which the database itself refuses to change or drop evidence.

On SQLite a BEFORE INSERT guard stands beside them, because INSERT OR REPLACE
deletes a row without an ordinary delete (docs/evidence.md §5).
"""

from collections.abc import Iterator, Mapping, Sequence

#: Tables that take neither UPDATE nor DELETE, with their primary keys: those of the first schema.
FIRST: dict[str, Sequence[str]] = {
    "journal_line": ("device_id", "epoch", "branch", "seq"),
    "ingest_receipt": ("device_id", "epoch", "branch", "first_seq"),
    "quarantined_line": ("id",),
    "generation": ("number",),
    "ledger_leaf": ("generation", "leaf_index"),
    "ledger_node": ("generation", "level", "position"),
    "ledger_subject": ("about", "generation", "leaf_index"),
    "checkpoint": ("generation", "size"),
    "media_facts": ("sha256", "reader_version"),
    "item_check": ("id",),
    "finding": ("id",),
    "judgement": ("id",),
    "erasure": ("target",),
}

#: Those that came with the second.
SECOND: dict[str, Sequence[str]] = {
    "template_version": ("organization_id", "template_id", "version"),
    "addendum": ("line_digest",),
    "quarantine_decision": ("id",),
    "peer_head": ("line_digest",),
    "known_checkpoint": ("origin", "size", "root"),
    "backup": ("id",),
}

#: Those that came with the third.
THIRD: dict[str, Sequence[str]] = {
    "store_check": ("id",),
    "adopted_object": ("store_key",),
    "unsafe_media": ("sha256",),
    "process_step": ("line_digest",),
    "explained_gap": ("line_digest",),
    "recorder_clock": ("line_digest",),
}

#: Those that came with the fourth.
FOURTH: dict[str, Sequence[str]] = {
    "erased_item": ("item_id",),
    "foreign_package": ("id",),
    "ledger_audit": ("id",),
    "printed_sheet": ("line_digest",),
    "sheet_scan": ("item_id",),
    "time_stamp": ("sha256",),
    "witness_cosignature": ("covers_generation", "covers_size", "name", "key_hash"),
}

EVIDENCE = {**FIRST, **SECOND, **THIRD, **FOURTH}

#: Tables whose rows can only be erased, and only where ``erasure`` holds the lawful basis.
ERASABLE: dict[str, Sequence[str]] = {
    "ledger_event": ("generation", "leaf_index"),
    "journal_part": ("device_id", "epoch", "branch", "seq", "number"),
}

#: Of the tables before the fourth schema, those whose text became erasable with it.
ERASABLE_SINCE_FOURTH: dict[str, Sequence[str]] = {
    "media_facts": FIRST["media_facts"],
    "item_check": FIRST["item_check"],
    "finding": FIRST["finding"],
    "judgement": FIRST["judgement"],
    "addendum": SECOND["addendum"],
    "quarantine_decision": SECOND["quarantine_decision"],
    "process_step": THIRD["process_step"],
    "explained_gap": THIRD["explained_gap"],
}

#: Those that came with the fourth schema and are erasable from the start.
ERASABLE_OF_FOURTH: dict[str, Sequence[str]] = {
    "package_receipt": ("id",),
    "redaction": ("id",),
}

#: Stored objects stay as they are; one that is being committed may still change.
_STORED = "OLD.status = 'stored'"
#: Only where a lost one is kept may change, for bytes of the same digest that came again.
_BROUGHT_BACK = " AND ".join(
    [
        *(f"NEW.{name} = OLD.{name}" for name in ("sha256", "size", "crc32", "status")),
        "COALESCE(NEW.stored_at_ms, 0) = COALESCE(OLD.stored_at_ms, 0)",
        "EXISTS (SELECT 1 FROM object_fixity WHERE sha256 = OLD.sha256 AND outcome <> 'whole')",
    ]
)


def first_statements(dialect: str) -> Iterator[str]:
    """The DDL of the first schema for ``dialect``, ``sqlite`` or ``postgresql``."""
    if dialect == "postgresql":
        yield (
            "CREATE FUNCTION liuhen_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
        )
    yield from append_only(dialect, FIRST)
    for table, key in ERASABLE.items():
        yield from erasable(dialect, table, key)
    yield from _stored(dialect)


def replaceable_when_lost(dialect: str) -> Iterator[str]:
    """A stored object that a reading found lost may be named anew; every other stays as it is."""
    if dialect == "sqlite":
        yield "DROP TRIGGER media_object_no_update"
        yield _sqlite("media_object", "no_update", "UPDATE", f"{_STORED} AND NOT ({_BROUGHT_BACK})")
        return
    yield "DROP TRIGGER media_object_no_update ON media_object"
    yield (
        "CREATE FUNCTION media_object_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT ({_BROUGHT_BACK}) "
        "THEN RAISE EXCEPTION 'media_object is append-only'; END IF; RETURN NEW; END $$"
    )
    yield _postgresql(
        "media_object",
        "no_update",
        "UPDATE",
        when=f"WHEN ({_STORED}) ",
        function="media_object_guard",
    )
    yield _postgresql("media_object", "no_truncate", "TRUNCATE", each="STATEMENT")


def append_only(dialect: str, tables: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The triggers by which ``tables`` (with their primary keys) refuse UPDATE and DELETE."""
    for table, key in tables.items():
        if dialect == "sqlite":
            yield _sqlite(table, "no_update", "UPDATE")
            yield _sqlite(table, "no_delete", "DELETE")
            yield _sqlite(table, "no_replace", "INSERT", _present(table, key))
        else:
            yield _postgresql(table, "no_update", "UPDATE")
            yield _postgresql(table, "no_truncate", "TRUNCATE", each="STATEMENT")
            yield _postgresql(table, "no_delete", "DELETE")


def erasable(dialect: str, table: str, key: Sequence[str]) -> Iterator[str]:
    """The triggers by which rows of ``table`` only go where ``erasure`` holds the lawful basis."""
    lawful = _lawful(table, key)
    if dialect == "sqlite":
        yield _sqlite(table, "no_update", "UPDATE")
        yield _sqlite(table, "no_delete", "DELETE", f"NOT {lawful}")
        yield _sqlite(table, "no_replace", "INSERT", _present(table, key))
        return
    yield _postgresql(table, "no_update", "UPDATE")
    yield _postgresql(table, "no_truncate", "TRUNCATE", each="STATEMENT")
    yield (
        f"CREATE FUNCTION {table}_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT {lawful} "
        f"THEN RAISE EXCEPTION '{table} is append-only'; END IF; RETURN OLD; END $$"
    )
    yield _postgresql(table, "no_delete", "DELETE", function=f"{table}_guard")


def erasable_since_fourth(dialect: str) -> Iterator[str]:
    """Text of earlier tables, and stored objects, may go where ``erasure`` holds the basis."""
    for table, key in ERASABLE_SINCE_FOURTH.items():
        yield from _gives_way(dialect, table, _lawful(table, key))
    stored = f"{_STORED} AND " if dialect == "sqlite" else ""
    lawful = _lawful("media_object", ("sha256",))
    yield from _gives_way(dialect, "media_object", lawful, before=stored)
    for table, key in ERASABLE_OF_FOURTH.items():
        yield from erasable(dialect, table, key)


def _gives_way(dialect: str, table: str, lawful: str, *, before: str = "") -> Iterator[str]:
    """Put the guard of an erasable table in the place of the one that refuses every DELETE."""
    if dialect == "sqlite":
        yield f"DROP TRIGGER {table}_no_delete"
        yield _sqlite(table, "no_delete", "DELETE", f"{before}NOT {lawful}")
        return
    yield f"DROP TRIGGER {table}_no_delete ON {table}"
    # What is only being committed may go without a word, as before.
    when = f"WHEN ({_STORED}) " if table == "media_object" else ""
    yield _lawful_only(table, lawful)
    yield _postgresql(table, "no_delete", "DELETE", when=when, function=f"{table}_erasure")


def _lawful_only(table: str, lawful: str) -> str:
    return (
        f"CREATE FUNCTION {table}_erasure() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF NOT {lawful} "
        f"THEN RAISE EXCEPTION '{table} is append-only'; END IF; RETURN OLD; END $$"
    )


def _lawful(table: str, key: Sequence[str]) -> str:
    columns = " || ':' || ".join(f"OLD.{column}" for column in key)
    return f"EXISTS (SELECT 1 FROM erasure WHERE target = '{table}:' || {columns})"


def _stored(dialect: str) -> Iterator[str]:
    for act in ("UPDATE", "DELETE"):
        name = f"no_{act.lower()}"
        if dialect == "sqlite":
            yield _sqlite("media_object", name, act, _STORED)
        else:
            yield _postgresql("media_object", name, act, when=f"WHEN ({_STORED}) ")


def _present(table: str, key: Sequence[str]) -> str:
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    return f"EXISTS (SELECT 1 FROM {table} WHERE {same})"


def _sqlite(table: str, name: str, act: str, when: str = "") -> str:
    condition = f"WHEN {when} " if when else ""
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE {act} ON {table} {condition}"
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _postgresql(
    table: str,
    name: str,
    act: str,
    *,
    each: str = "ROW",
    when: str = "",
    function: str = "liuhen_append_only",
) -> str:
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE {act} ON {table} "
        f"FOR EACH {each} {when}EXECUTE FUNCTION {function}()"
    )
