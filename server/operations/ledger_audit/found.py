"""Whether pages and packages would still find what the ledger holds.

They look it up in rows that no leaf covers: whoever owns the database could take those
away, and the tree would still be whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from server.models.journal import LineOutcome
from server.models.ledger import Erasure, LedgerSubject
from server.models.uploads import MediaObject
from server.operations.ledger_audit.reports import Doubt

_PLACES = 400

Key = tuple[Any, ...]
#: Events by their index, each with its members.
Events = Sequence[tuple[int, Mapping[str, Any]]]


def check_names(session: Session, generation: int, events: Events) -> Iterator[Doubt]:
    """Whether each event is listed under what it is about, as far as it says so itself."""
    wanted: dict[str, list[int]] = {}
    for index, said in events:
        for name in _names(said):
            wanted.setdefault(name, []).append(index)
    if not wanted:
        return
    names, within = sorted(wanted), (events[0][0], events[-1][0])
    for start in range(0, len(names), _PLACES):
        some = names[start : start + _PLACES]
        listed = session.execute(
            select(LedgerSubject.about, LedgerSubject.index).where(
                LedgerSubject.about.in_(some),
                LedgerSubject.generation == generation,
                LedgerSubject.index.between(*within),
            )
        )
        there = {tuple(row) for row in listed}
        for name in some:
            for index in wanted[name]:
                if (name, index) not in there:
                    yield Doubt(
                        kind="unlisted", generation=generation, place=str(index), found=name
                    )


def check_originals(session: Session, generation: int, events: Events) -> Iterator[Doubt]:
    """Whether each original that was received has its row, unless it was lawfully erased."""
    received = {
        sha256: index
        for index, said in events
        if said.get("kind") == "verify"
        if (sha256 := _received(said.get("subject"))) is not None
    }
    digests = list(received)
    for start in range(0, len(digests), _PLACES):
        some = digests[start : start + _PLACES]
        there = set(session.scalars(select(MediaObject.sha256).where(MediaObject.sha256.in_(some))))
        gone = [sha256 for sha256 in some if sha256 not in there]
        lawful = session.scalars(
            select(Erasure.target).where(
                Erasure.target.in_([f"media_object:{sha256}" for sha256 in gone])
            )
        )
        for sha256 in sorted(set(gone) - {target.partition(":")[2] for target in lawful}):
            index = str(received[sha256])
            yield Doubt(kind="original", generation=generation, place=sha256, found=index)


def check_cases(
    session: Session, generation: int, acts: Mapping[Key, tuple[int, bytes]]
) -> Iterator[Doubt]:
    """Whether each line (by key: its leaf, and its act) belongs to the case that it names."""
    place = (LineOutcome.device_id, LineOutcome.epoch, LineOutcome.branch, LineOutcome.seq)
    rows = session.execute(
        select(*place, LineOutcome.inspection_id).where(tuple_(*place).in_(list(acts)))
    )
    cases = {tuple(row[:4]): row[4] for row in rows}
    for key, (index, body) in acts.items():
        named = _uuid(_members(body).get("inspection"))
        if key not in cases or (named is not None and cases[key] != named):
            where = ":".join(map(str, key))
            yield Doubt(kind="case", generation=generation, place=where, found=str(index))


def _names(said: Mapping[str, Any]) -> set[str]:
    """The names under which pages and packages look for an event."""
    subject, kind = said.get("subject"), said.get("kind")
    if not isinstance(subject, dict):
        return set()
    found = [(name, subject.get(name)) for name in ("inspection", "item", "foreign")]
    if kind == "view":
        found += [("inspection", name) for name in _list(subject.get("inspections"))]
        found += [("item", name) for name in _list(subject.get("items"))]
    if kind == "verify" and "rules" not in subject:
        found.append(("media", subject.get("sha256")))
    if kind == "derive":
        found.append(("media", subject.get("source")))
    return {f"{of}:{name}" for of, name in found if is_word(name)}


def is_word(value: object) -> bool:
    """Whether it is a text that databases can be asked for: no U+0000, no half of a sign."""
    return isinstance(value, str) and value.isprintable()


def _received(subject: object) -> str | None:
    if not isinstance(subject, dict) or subject.keys() != {"sha256", "size"}:
        return None
    sha256 = subject["sha256"]
    return str(sha256) if is_word(sha256) else None


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        act = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return act if isinstance(act, dict) else {}


def _uuid(value: object) -> str | None:
    try:
        return value if isinstance(value, str) and str(UUID(value)) == value else None
    except ValueError:
        return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
