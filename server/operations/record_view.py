"""Records and their revisions as a page shows them, with the fields on which they disagree."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.base import place_of
from server.models.inspections import Document, RecordRevision
from server.operations.cards import DeviceCard, OfficerCard, device_cards, officer_cards


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One saved revision: the fields it changed, and who saved it on which device."""

    line_digest: str
    saved_at_ms: int
    officer: str
    device: str
    seq: int
    ledger_index: int
    fields: tuple[tuple[str, str | bool], ...]
    outside_seal: bool


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record and its revisions in ledger order; ``conflicts`` are fields saved apart."""

    id: str
    template_id: str
    template_version: int
    revisions: tuple[Revision, ...]
    conflicts: tuple[str, ...]


def read_records(session: Session, inspection_id: str) -> tuple[Record, ...]:
    rows = session.scalars(
        select(RecordRevision)
        .where(RecordRevision.inspection_id == inspection_id)
        .order_by(RecordRevision.position)
    ).all()
    officers = officer_cards(session, (row.officer_id for row in rows))
    devices = device_cards(session, (row.device_id for row in rows))
    by_record: dict[str, list[RecordRevision]] = {}
    for row in rows:
        by_record.setdefault(row.record_id, []).append(row)
    return tuple(
        Record(
            id=record_id,
            template_id=revisions[-1].template_id,
            template_version=revisions[-1].template_version,
            revisions=tuple(_revision(row, officers, devices) for row in revisions),
            conflicts=conflicts(
                [
                    (row.line_digest, json.loads(row.base), json.loads(row.fields))
                    for row in revisions
                ]
            ),
        )
        for record_id, revisions in by_record.items()
    )


def conflicts(
    revisions: Sequence[tuple[str, Sequence[str], dict[str, object]]],
) -> tuple[str, ...]:
    """The fields that two revisions set to different values without having seen each other.

    Each revision is (digest, base digests, changed fields). A field is settled
    once a later revision that saw both sets it again (docs/protocol.md §4.3).
    """
    seen: dict[str, set[str]] = {}
    known = {digest: base for digest, base, _ in revisions}
    for digest, _, _ in revisions:
        reached, waiting = {digest}, list(known[digest])
        while waiting:
            name = waiting.pop()
            if name in known and name not in reached:
                reached.add(name)
                waiting += known[name]
        seen[digest] = reached
    apart = set()
    for name in {field for _, _, fields in revisions for field in fields}:
        setters = [(digest, fields[name]) for digest, _, fields in revisions if name in fields]
        tips = [
            (digest, value)
            for digest, value in setters
            if not any(digest != other and digest in seen[other] for other, _ in setters)
        ]
        if any(value != tips[0][1] for _, value in tips):
            apart.add(name)
    return tuple(sorted(apart))


def _revision(
    row: RecordRevision, officers: dict[str, OfficerCard], devices: dict[str, DeviceCard]
) -> Revision:
    officer, device = officers.get(row.officer_id), devices.get(row.device_id)
    return Revision(
        line_digest=row.line_digest,
        saved_at_ms=row.saved_at_ms,
        officer=officer.name if officer else row.officer_id,
        device=device.name if device else row.device_id,
        seq=row.seq,
        ledger_index=place_of(row.position)[1],
        fields=tuple((name, _plain(value)) for name, value in json.loads(row.fields).items()),
        outside_seal=row.outside_seal,
    )


def _plain(value: object) -> str | bool:
    return value if isinstance(value, str | bool) else json.dumps(value, ensure_ascii=False)


def read_labels(session: Session, template_ids: set[str]) -> dict[str, dict[str, dict[str, str]]]:
    """Titles and field labels of templates, by template id; the title under an empty name."""
    rows = session.scalars(
        select(Document.body).where(Document.kind == "template", Document.id.in_(template_ids))
    )
    labels = {}
    for body in map(json.loads, rows):
        fields = {field["id"]: field["label"] for field in body.get("fields", ())}
        labels[body["id"]] = {"": body.get("title", {}), **fields}
    return labels
