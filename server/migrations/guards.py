"""Triggers by which the database itself refuses to change or drop evidence.

On SQLite a BEFORE INSERT guard stands beside them, because INSERT OR REPLACE
deletes a row without an ordinary delete (docs/evidence.md §5).
"""

from collections.abc import Iterator, Sequence

#: Tables that take neither UPDATE nor DELETE, with their primary keys.
EVIDENCE: dict[str, Sequence[str]] = {
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

#: Tables whose rows can only be erased, and only where ``erasure`` holds the lawful basis.
ERASABLE: dict[str, Sequence[str]] = {
    "ledger_event": ("generation", "leaf_index"),
    "journal_part": ("device_id", "epoch", "branch", "seq", "number"),
}

#: Stored objects stay as they are; one that is being committed may still change.
_STORED = "OLD.status = 'stored'"


def statements(dialect: str) -> Iterator[str]:
    """The DDL for ``dialect``, ``sqlite`` or ``postgresql``."""
    if dialect == "sqlite":
        yield from _sqlite()
    else:
        yield from _postgresql()


def _target(table: str, columns: Sequence[str]) -> str:
    parts = " || ':' || ".join(f"OLD.{column}" for column in columns)
    return f"'{table}:' || {parts}"


def _sqlite() -> Iterator[str]:
    for table, key in {**EVIDENCE, **ERASABLE}.items():
        refuse = f"SELECT RAISE(ABORT, '{table} is append-only');"
        same = " AND ".join(f"{column} = NEW.{column}" for column in key)
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN {refuse} END"
        condition = ""
        if table in ERASABLE:
            condition = (
                f"WHEN NOT EXISTS (SELECT 1 FROM erasure WHERE target = {_target(table, key)}) "
            )
        yield (
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {condition}"
            f"BEGIN {refuse} END"
        )
        yield (
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) BEGIN {refuse} END"
        )
    refuse = "SELECT RAISE(ABORT, 'media_object is append-only');"
    for act in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER media_object_no_{act.lower()} BEFORE {act} ON media_object "
            f"WHEN {_STORED} BEGIN {refuse} END"
        )


def _postgresql() -> Iterator[str]:
    yield (
        "CREATE FUNCTION liuhen_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in {**EVIDENCE, **ERASABLE}:
        yield (
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION liuhen_append_only()"
        )
        yield (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION liuhen_append_only()"
        )
    for table in EVIDENCE:
        yield (
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION liuhen_append_only()"
        )
    for act in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER media_object_no_{act.lower()} BEFORE {act} ON media_object "
            f"FOR EACH ROW WHEN ({_STORED}) EXECUTE FUNCTION liuhen_append_only()"
        )
    for table, key in ERASABLE.items():
        yield (
            f"CREATE FUNCTION {table}_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NOT EXISTS (SELECT 1 FROM erasure WHERE target = {_target(table, key)}) "
            f"THEN RAISE EXCEPTION '{table} is append-only'; END IF; RETURN OLD; END $$"
        )
        yield (
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_guard()"
        )
