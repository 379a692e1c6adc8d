"""Revisions of records and addenda, and how each line stands to the others of its record.

A patrol is mostly revisions. They are gathered, written together, and merged once
for each push, so that no line costs a query of its own (docs/protocol.md §4.3).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from server.models.base import table_of
from server.models.inspections import Addendum, Inspection, RecordRevision
from server.models.journal import JournalLine, LineOutcome, same_line
from server.operations.insert import insert_rows
from server.operations.outcomes import mark_changed
from server.operations.projection.act import Act, NotShown, within
from server.operations.projection.lookup import Lookup
from server.quickjson import encode
from sync.evidence import acts
from sync.evidence.errors import LineMalformed
from sync.merge import Choice, Revision, Standing, standings_of
from sync.wire import Projection

#: What a column of 32 bits holds; no template has had so many versions.
_MAX_VERSION = 2**31 - 1
_MAX_NAME = 64
_DIGEST = re.compile(r"[0-9a-f]{64}")

#: What is told of a line that stands so.
_OUTCOMES = {
    Standing.APPLIED: (Projection.APPLIED, ""),
    Standing.MERGED: (Projection.MERGED, "projection.merged"),
    Standing.CONFLICT: (Projection.CONFLICT, "projection.conflict"),
}


_PLACE = (
    *("line_digest", "inspection_id", "officer_id", "device_id"),
    *("epoch", "seq", "position", "saved_at_ms"),
)
_REVISION = (
    *_PLACE,
    *("record_id", "template_id", "template_version", "fields", "base", "outside_seal"),
)


class Records:
    """Projects what saves and explains records, and judges it once all of a push is here."""

    def __init__(self, session: Session, lookup: Lookup) -> None:
        self._session = session
        self._lookup = lookup
        self._revisions: list[tuple[object, ...]] = []
        self._addenda: list[dict[str, Any]] = []
        #: Addenda of which the officers' devices are to be told.
        self.added: set[str] = set()
        self._touched: dict[str, str] = {}
        #: Base and fields of the revisions of this push, which need no reading again.
        self._fresh: dict[str, tuple[list[str], Mapping[str, Any]]] = {}

    def save(self, act: Act) -> str:
        """Keep one revision; its sensitive fields stand in parts of their own."""
        inspection = self._lookup.inspection(act)
        template = act.body["template"]
        template_id, version = template.get("id"), within(template.get("version"), _MAX_VERSION)
        if not isinstance(template_id, str) or "\0" in template_id or version is None:
            raise NotShown("projection.malformed_act")
        record_id, fields = act.uuid("record"), _all_fields(act)
        base = _base(act)
        if not act.released:
            self._lookup.need_template(template_id, version)
        self._fresh[act.digest] = (act.body.get("base", []), fields)
        self._revisions.append(
            (
                *_place(act, inspection),
                record_id,
                template_id[:_MAX_NAME],
                version,
                encode(fields).decode(),
                base,
                inspection.sealed_line is not None,
            )
        )
        self.touch(record_id, inspection.id)
        return inspection.id

    def add(self, act: Act) -> str:
        """Keep an addendum; one that names a field settles it by a revision's value."""
        inspection = self._lookup.inspection(act)
        record_id, field, chosen = None, act.body.get("field"), act.body.get("chosen")
        if field is not None or chosen is not None:
            if not isinstance(field, str) or not 0 < len(field) <= _MAX_NAME or "\0" in field:
                raise NotShown("projection.malformed_act")
            if not isinstance(chosen, str) or not _DIGEST.fullmatch(chosen):
                raise NotShown("projection.malformed_act")
        if "record" in act.body or field is not None:
            record_id = act.uuid("record") if "record" in act.body else None
            if record_id is None:
                raise NotShown("projection.malformed_act")
            self.touch(record_id, inspection.id)
        self.added.add(act.digest)
        self._addenda.append(
            {
                **dict(zip(_PLACE, _place(act, inspection), strict=True)),
                "record_id": record_id,
                "field": field,
                "chosen": chosen,
                "base": _base(act),
                "text": act.text("text", 4000),
            }
        )
        return inspection.id

    def touch(self, record_id: str, inspection_id: str) -> None:
        """Judge the lines of that record again."""
        self._touched[record_id] = inspection_id

    @property
    def touched(self) -> bool:
        return bool(self._touched)

    def write(self) -> None:
        """Write what was gathered."""
        insert_rows(self._session, RecordRevision, _REVISION, self._revisions)
        self._revisions.clear()
        if self._addenda:
            self._session.execute(insert(table_of(Addendum)), self._addenda)
            self._addenda.clear()

    def judge(self) -> dict[str, tuple[Projection, str]]:
        """How the lines of every touched record stand, by line digest.

        The stored outcomes of lines that stand otherwise than before are changed.
        """
        if not self._touched:
            return {}
        self.write()
        inspections = set(self._touched.values())
        standings = self._standings(sorted(self._touched))
        self._touched.clear()
        self._fresh.clear()
        outcomes = {digest: _OUTCOMES[standing] for digest, standing in standings.items()}
        self._change_stored(outcomes, inspections)
        return outcomes

    def _standings(self, records: list[str]) -> dict[str, Standing]:
        revisions: dict[str, list[Revision]] = defaultdict(list)
        choices: dict[str, list[Choice]] = defaultdict(list)
        for digest, inspection, record, base, fields, position, outside in self._session.execute(
            select(
                RecordRevision.line_digest,
                RecordRevision.inspection_id,
                RecordRevision.record_id,
                RecordRevision.base,
                RecordRevision.fields,
                RecordRevision.position,
                RecordRevision.outside_seal,
            ).where(RecordRevision.record_id.in_(records))
        ):
            seen, changed = self._fresh.get(digest) or (json.loads(base), json.loads(fields))
            # Two inspections that claim one record id have a record each.
            revisions[inspection + record].append(
                Revision(
                    digest=digest,
                    base=seen,
                    fields=changed,
                    position=position,
                    outside_seal=outside,
                )
            )
        for addendum in self._session.execute(
            select(
                Addendum.line_digest,
                Addendum.inspection_id,
                Addendum.record_id,
                Addendum.base,
                Addendum.field,
                Addendum.chosen,
                Addendum.position,
            ).where(Addendum.record_id.in_(records), Addendum.chosen.is_not(None))
        ):
            choices[addendum.inspection_id + addendum.record_id].append(
                Choice(
                    digest=addendum.line_digest,
                    base=json.loads(addendum.base),
                    field=addendum.field,
                    chosen=addendum.chosen,
                    position=addendum.position,
                )
            )
        standings: dict[str, Standing] = {}
        for name in revisions.keys() | choices.keys():
            standings |= standings_of(revisions[name], choices[name])
        return standings

    def _change_stored(
        self, outcomes: Mapping[str, tuple[Projection, str]], inspections: Iterable[str]
    ) -> None:
        """Correct the stored outcomes; lines of this push that have none yet are left to it."""
        standing = LineOutcome.projection.in_((Projection.MERGED.value, Projection.CONFLICT.value))
        apart = [digest for digest, (how, _) in outcomes.items() if how is not Projection.APPLIED]
        rows = select(LineOutcome, JournalLine.digest).join(
            JournalLine, same_line(JournalLine, LineOutcome)
        )
        changed: int | None = None
        questions: list[ColumnElement[bool]] = [
            standing & LineOutcome.inspection_id.in_(sorted(inspections))
        ]
        if apart:
            questions.append(JournalLine.digest.in_(apart))
        for which in questions:
            for row, digest in self._session.execute(rows.where(which)).all():
                projection, code = outcomes.get(digest, (Projection.QUARANTINED, ""))
                if Projection.QUARANTINED in (projection, row.projection):
                    continue
                if row.projection == projection:
                    continue
                row.projection, row.code = projection.value, code
                if changed is None:
                    mark_changed(self._session, row)
                    changed = row.changed
                row.changed = changed


def _all_fields(act: Act) -> dict[str, Any]:
    if len(act.parts) < 2:
        return dict(act.body["fields"])
    try:
        return acts.record_fields(act.parts)
    except LineMalformed as error:
        raise NotShown("projection.malformed_act") from error


def _base(act: Act) -> str:
    base = act.body.get("base", [])
    if not isinstance(base, list) or not all(isinstance(digest, str) for digest in base):
        raise NotShown("projection.malformed_act")
    return encode(base).decode()


def _place(act: Act, inspection: Inspection) -> tuple[object, ...]:
    """The values of ``_PLACE``."""
    header = act.header
    author = (act.digest, inspection.id, act.uuid("officer"), header.device)
    return (*author, header.epoch, header.seq, act.position, header.t.wall_ms)
