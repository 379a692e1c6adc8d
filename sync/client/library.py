"""The local copy, read offline: tasks, one document with all that belongs to it, and search.

Everything comes from the device's own database: what was pulled, and what this
device wrote itself and may not have handed in yet.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sync.client import search
from sync.client.documents import LEAVING
from sync.client.errors import AmbiguousName, UnknownDocument
from sync.client.outbox import RESTATED, Outbox
from sync.client.records import read_records
from sync.errors import SyncError
from sync.evidence import acts
from sync.evidence.line import Line, parse_line
from sync.templates.model import Template, parse_template

Body = Mapping[str, Any]

#: What a person may call a document by, apart from its id.
_NAMES = ("name", "title", "certificate_no", "uscc")
#: Members by which a document names another one that is shown with it.
_NAMED = ("task", "entity", "inspection", "item", "grid_cell")
#: Kinds that much names: of that, only deadlines are shown with them.
_PEOPLE = ("officer", "organization", "template")
#: Own acts that are shown as documents of these kinds, under the id in that member.
_OWN = {
    acts.INSPECTION_OPENED: "inspection",
    acts.MEDIA_CAPTURED: "item",
    acts.MEDIA_IMPORTED: "item",
}
_SPOKEN = (*_OWN, acts.RECORD_SAVED, acts.NOTE_ADDED, acts.ADDENDUM_ADDED)
_MOST_FOUND = 100


@dataclass(frozen=True)
class Found:
    """A document, or what this device wrote; ``leaving``: kept only until own work is sent."""

    kind: str
    id: str
    name: str
    leaving: bool = False


@dataclass(frozen=True)
class Entry:
    found: Found
    body: Body


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """A task as a list shows it; ``due_at_ms`` is None where none is set."""

    id: str
    title: str
    target: str
    officers: tuple[str, ...]
    state: str
    due_at_ms: int | None
    leaving: bool


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record as it stands: what is shown of each field, and every value of a conflict."""

    id: str
    template: str
    version: int
    values: Mapping[str, Any]
    conflicts: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """One document, what it names or what names it, and an inspection's records.

    ``names`` says what the ids in them are called, ``forms`` what fields the records have.
    """

    found: Found
    body: Body
    related: tuple[Entry, ...]
    records: tuple[Record, ...]
    names: Mapping[str, str]
    forms: Mapping[tuple[str, int], Template]


class Library:
    """Answers from the device's database alone."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def tasks(self) -> list[TaskRow]:
        """Every task, what is due first first, without a date last."""
        entries = list(self._pulled("kind IN ('officer', 'entity', 'task')"))
        names = {(entry.found.kind, entry.found.id): entry.found.name for entry in entries}
        rows = [
            TaskRow(
                id=entry.found.id,
                title=str(entry.body.get("title", "")),
                target=names.get(("entity", str(entry.body.get("entity"))), ""),
                officers=tuple(
                    names.get(("officer", str(who)), str(who))
                    for who in entry.body.get("officers", ())
                ),
                state=str(entry.body.get("state", "")),
                due_at_ms=entry.body.get("due_at_ms"),
                leaving=entry.found.leaving,
            )
            for entry in entries
            if entry.found.kind == "task"
        ]
        return sorted(rows, key=lambda row: (row.due_at_ms is None, row.due_at_ms or 0, row.id))

    def show(self, wanted: str) -> Whole:
        """What ``wanted`` names, by its id, else by its whole name, else by a piece of it.

        Raises:
            UnknownDocument: if nothing here is called that.
            AmbiguousName: if several are.
        """
        entries = self._all()
        entry = _one(wanted, entries)
        named = {str(entry.body[member]) for member in _NAMED if member in entry.body}
        related = [
            other
            for other in entries
            if other is not entry
            and (other.found.id in named or entry.found.id in _naming(entry.found, other))
        ]
        is_inspection = entry.found.kind == "inspection"
        records = tuple(self._records(entry.found.id)) if is_inspection else ()
        return Whole(
            found=entry.found,
            body=entry.body,
            related=tuple(related),
            records=records,
            names={other.found.id: other.found.name for other in entries if other.found.name},
            forms=_forms(entries, records),
        )

    def find(self, words: Sequence[str]) -> list[Found]:
        """What contains every one of ``words`` as a piece of its text; at most 100."""
        numbers = search.find(self._outbox.db, words, limit=_MOST_FOUND)
        marks = ",".join("?" * len(numbers))
        found = dict.fromkeys(e.found for e in self._pulled(f"number IN ({marks})", *numbers))
        for line in self._own_lines(words):
            act = line.act or {}
            said = "\n".join(search.texts(act)).casefold()
            if all(word.casefold() in said for word in words):
                kind = _OWN.get(str(act["type"]), "inspection")
                found |= {Found(kind, str(act.get(kind, "")), name_of(act)): None}
        return list(found)[:_MOST_FOUND]

    def _all(self) -> list[Entry]:
        """Pulled documents, and of this device's own what has no document yet."""
        entries = {(e.found.kind, e.found.id): e for e in self._pulled()}
        for line in self._own_lines(()):
            act = {name: value for name, value in (line.act or {}).items() if name != "salt"}
            kind = _OWN.get(str(act["type"]))
            if kind is not None:
                found = Found(kind, str(act[kind]), name_of(act))
                entries.setdefault((kind, found.id), Entry(found, act))
        return list(entries.values())

    def _pulled(self, where: str = "1", *values: object) -> Iterator[Entry]:
        rows = self._outbox.db.execute(
            f"SELECT kind, id, body, state FROM document WHERE {where}"  # noqa: S608 - constants
            " ORDER BY kind, id",
            values,
        )
        for kind, identifier, text, state in rows:
            body = json.loads(text)
            yield Entry(Found(kind, identifier, name_of(body), state == LEAVING), body)

    def _own_lines(self, words: Sequence[str]) -> Iterator[Line]:
        """Own lines whose bytes contain every one of ``words``, oldest first."""
        kinds = ",".join("?" * len(_SPOKEN))
        likes = " AND CAST(raw AS TEXT) LIKE ?" * len(words)
        lines = self._outbox.lines(
            f"kind IN ({kinds}) AND state <> ?{likes}",
            (*_SPOKEN, RESTATED, *map(search.pattern, words)),
        )
        for line in lines:
            # Bytes that went bad on the disk are for `status` to name.
            with suppress(SyncError):
                yield parse_line(line.raw, limit=len(line.raw))

    def _records(self, inspection: str) -> Iterator[Record]:
        """The records of ``inspection``, merged from own revisions and those that came down."""
        for record in read_records(self._outbox, inspection):
            merged = record.merged
            yield Record(
                id=record.id,
                template=record.template,
                version=record.version,
                values=merged.values,
                conflicts={
                    name: tuple(one.value for one in merged.fields[name].candidates)
                    for name in merged.conflicts
                },
            )


def name_of(body: Body) -> str:
    """What a document is called: its name or title, Chinese where it has several languages."""
    for member in _NAMES:
        name = body.get(member)
        if isinstance(name, Mapping):
            name = name.get("zh")
        if isinstance(name, str) and name:
            return name
    return ""


def _one(wanted: str, entries: Sequence[Entry]) -> Entry:
    for is_meant in (
        lambda e: e.found.id == wanted,
        lambda e: wanted in (e.body.get(member) for member in _NAMES) or e.found.name == wanted,
        lambda e: wanted in e.found.name,
    ):
        matching = [entry for entry in entries if is_meant(entry)]
        if len(matching) > 1:
            some = "; ".join(f"{e.found.kind} {e.found.id} {e.found.name}" for e in matching[:5])
            raise AmbiguousName(wanted, some)
        if matching:
            return matching[0]
    raise UnknownDocument("any", wanted)


def _forms(entries: Sequence[Entry], records: Sequence[Record]) -> dict[tuple[str, int], Template]:
    """The versions of forms on which ``records`` are written, as far as they were pulled."""
    wanted = {f"{record.template}.v{record.version}" for record in records}
    bodies = [e.body for e in entries if e.found.kind == "template" and e.found.id in wanted]
    return {(form.id, form.version): form for form in map(parse_template, bodies)}


def _naming(found: Found, other: Entry) -> tuple[str, ...]:
    """What ``other`` names by the member that speaks of documents like ``found``."""
    if other.found.kind == "revision":
        return ()
    if found.kind in _PEOPLE and other.found.kind != "deadline":
        return ()
    return (str(other.body.get(found.kind, "")),)
