"""Records as a page shows them: each field as it stands, its conflicts, gaps and history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.inspections import Addendum, Inspection, RecordRevision
from server.models.journal import JournalLine
from server.operations import forms
from server.operations.cards import DeviceCard, OfficerCard, device_cards, officer_cards
from sync import catalogue
from sync.merge import Choice, Field, Merged, merge
from sync.merge import Revision as MergedRevision
from sync.templates import Gap, Template, lacking, value_text

#: A text by language.
Words = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Said:
    """Who wrote a line on which device, and its places in the journal and in the ledger."""

    line_digest: str
    saved_at_ms: int
    officer: str
    device: str
    seq: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One saved revision: the fields it changed, each with its title."""

    said: Said
    fields: tuple[tuple[Words, Words], ...]
    outside_seal: bool

    @property
    def line_digest(self) -> str:
        return self.said.line_digest


@dataclass(frozen=True, kw_only=True)
class Value:
    """One value that a field was given, and by whom."""

    words: Words
    said: Said
    outside_seal: bool


@dataclass(frozen=True, kw_only=True)
class FieldRow:
    """A field as it stands: ``values`` begin with the one that is shown.

    Without a conflict there are several only where ``settled_by`` chose between them.
    """

    label: Words
    values: tuple[Value, ...]
    conflict: bool
    settled_by: Said | None


@dataclass(frozen=True, kw_only=True)
class AddendumRow:
    """A later word (补充说明); ``label`` is the field's that it settles, if any."""

    said: Said
    text: str
    label: Words | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record as it stands, what it lacks, and its revisions in ledger order."""

    id: str
    title: Words
    template_version: int
    fields: tuple[FieldRow, ...]
    gaps: tuple[Gap, ...]
    revisions: tuple[Revision, ...]

    @property
    def conflicts(self) -> tuple[Words, ...]:
        return tuple(row.label for row in self.fields if row.conflict)


@dataclass(frozen=True, kw_only=True)
class Writings:
    """All that was written down on an inspection."""

    records: tuple[Record, ...]
    addenda: tuple[AddendumRow, ...]


def read_writings(session: Session, inspection: Inspection) -> Writings:
    """The records and addenda of an inspection."""
    revisions = session.scalars(
        select(RecordRevision)
        .where(RecordRevision.inspection_id == inspection.id)
        .order_by(RecordRevision.position, RecordRevision.line_digest)
    ).all()
    addenda = session.scalars(
        select(Addendum)
        .where(Addendum.inspection_id == inspection.id)
        .order_by(Addendum.position, Addendum.line_digest)
    ).all()
    said = _said(session, [*revisions, *addenda])
    by_record: dict[str, list[RecordRevision]] = {}
    for row in revisions:
        by_record.setdefault(row.record_id, []).append(row)
    templates = forms.read_templates(
        session,
        inspection.organization_id,
        {(row.template_id, row.template_version) for row in revisions},
    )
    records = {
        record: _record(rows, [one for one in addenda if one.record_id == record], templates, said)
        for record, rows in by_record.items()
    }
    return Writings(
        records=tuple(records.values()),
        addenda=tuple(
            AddendumRow(
                said=said[row.line_digest],
                text=row.text,
                label=_label(_form(by_record.get(row.record_id or "", ()), templates), row.field)
                if row.field
                else None,
            )
            for row in addenda
        ),
    )


def merged_record(revisions: Sequence[RecordRevision], addenda: Sequence[Addendum]) -> Merged:
    """The rows of one record, merged."""
    return merge(
        [
            MergedRevision(
                digest=row.line_digest,
                base=json.loads(row.base),
                fields=json.loads(row.fields),
                position=row.position,
                outside_seal=row.outside_seal,
            )
            for row in revisions
        ],
        [
            Choice(
                digest=row.line_digest,
                base=json.loads(row.base),
                field=row.field,
                chosen=row.chosen,
                position=row.position,
            )
            for row in addenda
            if row.field is not None and row.chosen is not None
        ],
    )


_Templates = Mapping[tuple[str, int], Template]


def _record(
    rows: Sequence[RecordRevision],
    addenda: Sequence[Addendum],
    templates: _Templates,
    said: Mapping[str, Said],
) -> Record:
    form = _form(rows, templates)
    merged = merged_record(rows, addenda)
    outside = {row.line_digest for row in rows if row.outside_seal}
    order = [field.id for field in form.fields] if form else []
    names = [*(n for n in order if n in merged.fields), *sorted(merged.fields.keys() - set(order))]
    title = form.title if form else dict.fromkeys(catalogue.LANGUAGES, rows[-1].template_id)
    return Record(
        id=rows[0].record_id,
        title=title,
        template_version=max(row.template_version for row in rows),
        fields=tuple(_row(form, name, merged.fields[name], said, outside) for name in names),
        gaps=lacking(form, merged.values) if form else (),
        revisions=tuple(
            Revision(
                said=said[row.line_digest],
                fields=tuple(
                    (_label(form, name), _words(form, name, value))
                    for name, value in json.loads(row.fields).items()
                ),
                outside_seal=row.outside_seal,
            )
            for row in rows
        ),
    )


def _form(rows: Sequence[RecordRevision], templates: _Templates) -> Template | None:
    """The newest version that the record was written on, if it was published."""
    versions = sorted({(row.template_version, row.template_id) for row in rows}, reverse=True)
    known = [templates[name, number] for number, name in versions if (name, number) in templates]
    return known[0] if known else None


def _row(
    form: Template | None,
    name: str,
    field: Field,
    said: Mapping[str, Said],
    outside: set[str],
) -> FieldRow:
    return FieldRow(
        label=_label(form, name),
        values=tuple(
            Value(
                words=_words(form, name, one.value),
                said=said[one.digest],
                outside_seal=one.digest in outside,
            )
            for one in field.candidates
        ),
        conflict=field.conflict,
        settled_by=said.get(field.settled_by),
    )


def _label(form: Template | None, name: str) -> Words:
    field = form.field(name) if form else None
    return field.label if field else dict.fromkeys(catalogue.LANGUAGES, name)


def _words(form: Template | None, name: str, value: object) -> Words:
    field = form.field(name) if form else None
    return {lang: value_text(field, value, lang) for lang in catalogue.LANGUAGES}


def _said(session: Session, rows: Sequence[RecordRevision | Addendum]) -> dict[str, Said]:
    officers: dict[str, OfficerCard] = officer_cards(session, (row.officer_id for row in rows))
    devices: dict[str, DeviceCard] = device_cards(session, (row.device_id for row in rows))
    indexes = {
        line.digest: line.ledger_index
        for line in session.execute(
            select(JournalLine.digest, JournalLine.ledger_index).where(
                JournalLine.digest.in_([row.line_digest for row in rows])
            )
        )
    }
    found = {}
    for row in rows:
        officer, device = officers.get(row.officer_id), devices.get(row.device_id)
        found[row.line_digest] = Said(
            line_digest=row.line_digest,
            saved_at_ms=row.saved_at_ms,
            officer=officer.name if officer else row.officer_id,
            device=device.name if device else row.device_id,
            seq=row.seq,
            ledger_index=indexes[row.line_digest],
        )
    return found
