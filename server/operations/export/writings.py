"""What was written down on a case, as the report shows it: records and addenda."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from server.operations import forms
from server.operations.export.case import CaseState
from server.operations.export.chains import Placed
from server.operations.export.documents import read_document
from sync import catalogue
from sync.merge import Choice, Merged, Revision, merge
from sync.templates import Gap, Template, lacking, parse_template, value_text

Words = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ShownValue:
    """One value of a field, with the revision that it comes from."""

    words: Words
    officer: str
    saved_at_ms: int
    line: str
    outside_seal: bool


@dataclass(frozen=True, kw_only=True)
class ShownField:
    """A field as it stands; further values disagree, or were passed over by ``settled_by``."""

    label: Words
    values: tuple[ShownValue, ...]
    conflict: bool
    settled_by: str


@dataclass(frozen=True, kw_only=True)
class ShownRecord:
    title: Words
    version: int
    fields: tuple[ShownField, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, kw_only=True)
class ShownAddendum:
    """A later word; ``label`` is the field's that it settles, or None."""

    text: str
    label: Words | None
    officer: str
    saved_at_ms: int
    line: str


@dataclass(frozen=True, kw_only=True)
class StandingRecord:
    """A record as it stands: its revisions oldest first, merged, and its form if it is known."""

    id: str
    template_id: str
    version: int
    form: Template | None
    lines: tuple[Placed, ...]
    merged: Merged

    @property
    def title(self) -> Words:
        return self.form.title if self.form else _plain(self.template_id)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        return lacking(self.form, self.merged.values) if self.form else ()


def maker_of(case: CaseState, officer_id: str) -> str:
    for officer in case.officers:
        if officer.id == officer_id:
            return f"{officer.name} ({officer.certificate_no})"
    return officer_id


def standing_records(session: Session, case: CaseState) -> list[StandingRecord]:
    """The records of the case, each as it stands, in the order in which they were begun."""
    return [_standing(session, case, lines) for lines in _by_record(case).values()]


def shown_addenda(session: Session, case: CaseState) -> list[ShownAddendum]:
    records = _by_record(case)
    shown = []
    for line in case.addenda:
        act = _act(line)
        field, label = act.get("field"), None
        if isinstance(field, str):
            revisions = records.get(str(act.get("record")), [])
            label = _label(_form(session, case, revisions), field)
        shown.append(
            ShownAddendum(
                text=str(act["text"]),
                label=label,
                officer=maker_of(case, str(act["officer"])),
                saved_at_ms=line.wall_ms,
                line=line.digest,
            )
        )
    return shown


def _by_record(case: CaseState) -> dict[str, list[Placed]]:
    grouped: dict[str, list[Placed]] = {}
    for line in case.revisions:
        grouped.setdefault(str(_act(line)["record"]), []).append(line)
    return grouped


def _standing(session: Session, case: CaseState, lines: Sequence[Placed]) -> StandingRecord:
    record = _act(lines[0])["record"]
    merged = merge(
        [
            Revision(
                digest=line.digest,
                base=_act(line)["base"],
                fields=_act(line)["fields"],
                position=line.ledger_index,
                outside_seal=line.digest in case.outside_seal,
            )
            for line in lines
        ],
        [
            Choice(
                digest=line.digest,
                base=act.get("base", ()),
                field=act["field"],
                chosen=act["chosen"],
                position=line.ledger_index,
            )
            for line in case.addenda
            for act in [_act(line)]
            if act.get("record") == record and "chosen" in act
        ],
    )
    template = _act(lines[-1])["template"]
    return StandingRecord(
        id=str(record),
        template_id=str(template["id"]),
        version=template["version"],
        form=_form(session, case, lines),
        lines=tuple(lines),
        merged=merged,
    )


def shown_record(case: CaseState, record: StandingRecord) -> ShownRecord:
    form, merged = record.form, record.merged
    by_digest = {line.digest: line for line in (*record.lines, *case.addenda)}
    order = [field.id for field in form.fields] if form else []
    names = [*(n for n in order if n in merged.fields), *sorted(merged.fields.keys() - set(order))]
    return ShownRecord(
        title=record.title,
        version=record.version,
        fields=tuple(
            ShownField(
                label=_label(form, name),
                values=tuple(
                    _shown_value(case, form, name, one.value, by_digest[one.digest])
                    for one in merged.fields[name].candidates
                ),
                conflict=merged.fields[name].conflict,
                settled_by=merged.fields[name].settled_by,
            )
            for name in names
        ),
        gaps=record.gaps,
    )


def _shown_value(
    case: CaseState, form: Template | None, name: str, value: Any, line: Placed
) -> ShownValue:
    field = form.field(name) if form else None
    return ShownValue(
        words={lang: value_text(field, value, lang) for lang in catalogue.LANGUAGES},
        officer=maker_of(case, str(_act(line)["officer"])),
        saved_at_ms=line.wall_ms,
        line=line.digest,
        outside_seal=line.digest in case.outside_seal,
    )


def _form(session: Session, case: CaseState, lines: Sequence[Placed]) -> Template | None:
    """The newest version that the record was written on, as it was published by the moment."""
    named = [_act(line)["template"] for line in lines]
    for version, template_id in sorted({(x["version"], x["id"]) for x in named}, reverse=True):
        for identifier in (forms.document_id(template_id, version), template_id):
            body = read_document(session, case.moment, "template", identifier)
            if body is not None and body["version"] == version:
                return parse_template(body)
    return None


def _label(form: Template | None, name: str) -> Words:
    field = form.field(name) if form else None
    return field.label if field else _plain(name)


def _plain(text: str) -> Words:
    return dict.fromkeys(catalogue.LANGUAGES, text)


def _act(line: Placed) -> Mapping[str, Any]:
    """The act of a line that the case itself shows."""
    return line.act or {}
