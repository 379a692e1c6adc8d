"""The records of an inspection as this device knows them: its own lines and what came down."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sync.client.outbox import RESTATED, Outbox
from sync.errors import SyncError
from sync.evidence import acts
from sync.evidence.line import parse_line
from sync.merge import UNSENT, Choice, Merged, Revision, merge

_KINDS = {"revision": acts.RECORD_SAVED, "addendum": acts.ADDENDUM_ADDED}


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record with the version of the form that it was begun or last saved on."""

    id: str
    template: str
    version: int
    own: bool
    merged: Merged
    revisions: tuple[str, ...]


def read_records(outbox: Outbox, inspection: str) -> list[Record]:
    """The records of ``inspection``; those with a revision of this device first."""
    revisions: dict[str, dict[str, Revision]] = defaultdict(dict)
    choices: dict[str, list[Choice]] = defaultdict(list)
    forms: dict[str, tuple[int, str]] = {}
    own: set[str] = set()
    for digest, act, is_own in _said(outbox, inspection):
        record = act.get("record")
        if not isinstance(record, str):
            continue
        # What came down has its place in the ledger before what was not sent yet.
        position = UNSENT if is_own else 0
        if act["type"] == acts.RECORD_SAVED:
            revisions[record][digest] = Revision(
                digest=digest, base=act["base"], fields=act["fields"], position=position
            )
            form = act["template"]
            forms[record] = max(forms.get(record, (0, "")), (form["version"], form["id"]))
            own |= {record} if is_own else set()
        elif "chosen" in act:
            choices[record].append(
                Choice(
                    digest=digest,
                    base=act.get("base", ()),
                    field=act["field"],
                    chosen=act["chosen"],
                    position=position,
                )
            )
    records = [
        Record(
            id=record,
            template=forms[record][1],
            version=forms[record][0],
            own=record in own,
            merged=merge(found.values(), choices[record]),
            revisions=tuple(found),
        )
        for record, found in revisions.items()
    ]
    return sorted(records, key=lambda one: (not one.own, one.id))


def _said(outbox: Outbox, inspection: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Revisions and addenda of ``inspection``: line digest, act, and whether it is our own."""
    lines = outbox.lines(
        "kind IN (?, ?) AND state <> ? AND CAST(raw AS TEXT) LIKE ?",
        (acts.RECORD_SAVED, acts.ADDENDUM_ADDED, RESTATED, f"%{inspection}%"),
    )
    for kept in lines:
        try:
            line = parse_line(kept.raw, limit=len(kept.raw))
        except SyncError:
            # Bytes that went bad on the disk are for `status` to name.
            continue
        act = dict(line.act or {})
        if act.get("inspection") != inspection:
            continue
        if act["type"] == acts.RECORD_SAVED:
            act["fields"] = acts.record_fields(line.parts)
        yield line.digest, act, True
    rows = outbox.db.execute(
        "SELECT kind, id, body FROM document WHERE kind IN ('revision', 'addendum') ORDER BY id"
    )
    for kind, digest, text in rows:
        body = json.loads(text)
        if body.get("inspection") == inspection:
            yield digest, {**body, "type": _KINDS[kind]}, False
