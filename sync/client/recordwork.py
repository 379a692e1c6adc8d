"""Records on the device: saving revisions, settling conflicts, and what is lacking still."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from sync.client import forms
from sync.client.documents import Documents
from sync.client.errors import (
    ReasonMissing,
    UnknownCandidate,
    UnknownDocument,
    UnknownInspection,
)
from sync.client.journal import Journal, in_normal_form
from sync.client.outbox import Outbox
from sync.client.records import Record, read_records
from sync.client.results import Lacking, Place, Saved, Unchanged, place_of
from sync.client.sessions import Sessions
from sync.evidence import acts, canonical
from sync.templates import Gap, Template, lacking

#: The record that every inspection needs (生态环境行政处罚办法 art. 28).
_NEEDED_RECORD = "site_inspection_record"


class Recordwork:
    """What is said of an inspection in writing; each revision is one durable line."""

    def __init__(
        self, outbox: Outbox, journal: Journal, documents: Documents, sessions: Sessions
    ) -> None:
        self._outbox = outbox
        self._journal = journal
        self._documents = documents
        self._sessions = sessions

    def save_record(
        self,
        inspection: str,
        template: str,
        values: Mapping[str, Any],
        *,
        record: str | None = None,
        officer: str | None = None,
    ) -> Saved | Unchanged:
        """Save the fields of ``values`` that changed, in the inspection's record of ``template``.

        Without ``record`` the inspection has one record for each template, and officers who begin
        the site inspection record apart from each other begin the same one. A record
        goes on with the version that it was begun on; a new one takes the version in
        force on the day of the inspection. Fellow officers' revisions that came down
        count as seen.

        Raises:
            UnknownField: for a field that the form does not have, or a value of another type.
            UnknownDocument: if the form has not been pulled.
        """
        acting = self.acting(inspection, officer)
        known = self._record(inspection, template, record)
        form = self.form(inspection, template, known)
        forms.check_values(form, values)
        merged = known.merged if known else None
        changed = {
            name: value
            for name, value in in_normal_form(dict(values)).items()
            if merged is None
            or name not in merged.fields
            or merged.fields[name].conflict
            or canonical.dumps(merged.fields[name].value) != canonical.dumps(value)
        }
        record = record or (known.id if known else _new_id(inspection, template))
        if not changed:
            return Unchanged(record)
        sensitive = {field.id for field in form.fields if field.sensitive}
        line = self._journal.append(
            {
                "type": acts.RECORD_SAVED,
                "officer": acting,
                "inspection": inspection,
                "record": record,
                "template": {"id": form.id, "version": form.version},
                "fields": {k: v for k, v in changed.items() if k not in sensitive},
                "base": list(merged.heads) if merged else [],
            },
            apart={k: v for k, v in changed.items() if k in sensitive},
        )
        return Saved(record, tuple(sorted(changed)), place_of(line))

    def form(self, inspection: str, template: str, record: Record | None = None) -> Template:
        """The version of ``template`` on which that record of ``inspection`` is written.

        Raises:
            UnknownDocument: if it has not been pulled.
        """
        record = record or self._record(inspection, template, None)
        if record is not None:
            return forms.form_version(self._documents, template, record.version)
        opened = self._outbox.count("SELECT opened_at_ms FROM inspection WHERE id = ?", inspection)
        return forms.form_in_force(self._documents, template, opened)

    def records(self, inspection: str) -> list[Record]:
        """The records of ``inspection`` as they stand here."""
        return read_records(self._outbox, inspection)

    def lacking(self, inspection: str) -> list[Lacking]:
        """What the records of ``inspection`` still lack; nothing of it hinders the seal."""
        records = self.records(inspection)
        found = []
        for record in records:
            try:
                form = forms.form_version(self._documents, record.template, record.version)
            except UnknownDocument:
                # The form left with the documents of a scope; the server knows it still.
                continue
            gaps = lacking(form, record.merged.values)
            found += [Lacking(record.id, form.title, gap) for gap in gaps]
        if all(record.template != _NEEDED_RECORD for record in records):
            found += self._lacking_record(inspection)
        return found

    def _lacking_record(self, inspection: str) -> list[Lacking]:
        try:
            form = self.form(inspection, _NEEDED_RECORD)
        except UnknownDocument:
            return []
        return [Lacking("", form.title, Gap(path=(), kind="no_record", labels=form.title))]

    def settle(
        self,
        inspection: str,
        text: str,
        *,
        record: str,
        field: str,
        chosen: str,
        officer: str | None = None,
    ) -> Place:
        """Settle a field on which revisions differ: the value of the line ``chosen`` stands.

        ``chosen`` is the digest of one of the candidates, or its beginning; ``text`` says why.

        Raises:
            UnknownCandidate: if that names none, or several, of the field's values.
            ReasonMissing: without a text.
        """
        if not text.strip():
            raise ReasonMissing
        known = next((one for one in self.records(inspection) if one.id == record), None)
        state = known.merged.fields.get(field) if known else None
        candidates = {one.digest for one in state.candidates} if state else set()
        named = [digest for digest in candidates if digest.startswith(chosen)]
        if known is None or len(named) != 1:
            raise UnknownCandidate(record, field, chosen)
        more = {
            "text": text,
            "record": record,
            "field": field,
            "chosen": named[0],
            "base": list(known.merged.heads),
        }
        return self._say(acts.ADDENDUM_ADDED, inspection, officer, more)

    def _record(self, inspection: str, template: str, record: str | None) -> Record | None:
        """The record of that id; without one the inspection's record of that form, if any."""
        for known in self.records(inspection):
            if known.id == record or (record is None and known.template == template):
                return known
        return None

    def _say(
        self, kind: str, inspection: str, officer: str | None, more: Mapping[str, Any]
    ) -> Place:
        acting = self.acting(inspection, officer)
        act = {"type": kind, "officer": acting, "inspection": inspection, **more}
        return place_of(self._journal.append(act))

    def acting(self, inspection: str, officer: str | None) -> str:
        """The officer in whose name an act of ``inspection`` is written.

        Raises:
            UnknownInspection, NoSession.
        """
        return self._sessions.acting(officer, among=self._officers(inspection)).officer

    def _officers(self, inspection: str) -> tuple[str, ...]:
        row = self._outbox.db.execute(
            "SELECT officers FROM inspection WHERE id = ?", (inspection,)
        ).fetchone()
        if row is None:
            raise UnknownInspection(inspection)
        return tuple(json.loads(row[0]))


def _new_id(inspection: str, template: str) -> str:
    """The id of a first record; the one that an inspection has once is named after it.

    So two officers who begin it without a network write one record, and what they wrote
    merges (docs/protocol.md §4.3). Of other forms there may be several, one for each person.
    """
    if template != _NEEDED_RECORD:
        return str(uuid.uuid4())
    return str(uuid.uuid5(uuid.UUID(inspection), template))
