"""Finding documents by any piece of their text, offline: Chinese has no spaces to cut words at.

The index is SQLite's FTS5 with trigrams; where SQLite was built without, a plain
table of the same name is read from end to end. The query is the same for both.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

_INDEXED = "CREATE VIRTUAL TABLE document_words USING fts5(words, tokenize='trigram')"
_PLAIN = "CREATE TABLE document_words (words TEXT NOT NULL)"

_TRIGRAM = 3


def build(db: sqlite3.Connection) -> None:
    """Make the index, and fill it from the documents that are there."""
    try:
        db.execute(_INDEXED)
    except sqlite3.OperationalError:
        db.execute(_PLAIN)
    db.create_function("liuhen_words", 1, _words_of_json, deterministic=True)
    db.execute(
        "INSERT INTO document_words (rowid, words) SELECT number, liuhen_words(body) FROM document"
    )


def index(db: sqlite3.Connection, number: int, body: dict[str, Any]) -> None:
    """Make the document in row ``number`` findable by its present text alone."""
    drop(db, [number])
    words = "\n".join(texts(body))
    db.execute("INSERT INTO document_words (rowid, words) VALUES (?, ?)", (number, words))


def drop(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    db.executemany("DELETE FROM document_words WHERE rowid = ?", [(n,) for n in numbers])


def find(db: sqlite3.Connection, words: Sequence[str], *, limit: int) -> list[int]:
    """The rows of documents that contain every one of ``words``, as pieces of text."""
    # By trigrams SQLite finds nothing shorter than three characters; "+" keeps it from trying.
    where = " AND ".join(
        f"{'' if _has_trigram(word) else '+'}words LIKE ?" for word in map(pattern, words)
    )
    rows = db.execute(
        f"SELECT rowid FROM document_words WHERE {where}"  # noqa: S608 - question marks only
        " ORDER BY rowid LIMIT ?",
        (*(pattern(word) for word in words), limit),
    )
    return [row[0] for row in rows]


def pattern(word: str) -> str:
    """A LIKE pattern for ``word``; without ESCAPE, because that would bypass the index.

    A typed ``%`` or ``_`` therefore stands for any one character.
    """
    plain = unicodedata.normalize("NFC", word).replace("%", "_")
    return f"%{plain}%"


def _has_trigram(like: str) -> bool:
    return any(len(piece) >= _TRIGRAM for piece in re.split("[%_]", like))


def texts(value: Any) -> Iterator[str]:
    """Every text and number inside ``value``, not the names of its members."""
    match value:
        case str():
            yield value
        case bool() | None:
            return
        case int():
            yield str(value)
        case dict():
            for member in value.values():
                yield from texts(member)
        case list():
            for member in value:
                yield from texts(member)


def _words_of_json(body: str) -> str:
    return "\n".join(texts(json.loads(body)))
