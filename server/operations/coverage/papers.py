"""The records of visits as they stand, for the rules about a visit as a whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from server.models.inspections import Addendum, RecordRevision
from server.operations.media_hints import SITE_ZONE_MIN
from server.operations.peers import Upto
from server.operations.record_view import merged_record


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A record as it stands: ``names`` are all values that its revisions gave ``interviewee``."""

    record_id: str
    template_id: str
    inspection_id: str
    values: Mapping[str, Any]
    names: frozenset[str] = frozenset()

    def at_ms(self, field: str) -> int | None:
        """A ``datetime`` field as milliseconds; None if it is empty or no time on a calendar."""
        try:
            moment = datetime.fromisoformat(str(self.values.get(field, "")))
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC) - timedelta(minutes=SITE_ZONE_MIN)
            return int(moment.timestamp() * 1000)
        except (ValueError, OverflowError):
            return None

    def text(self, field: str) -> str:
        """A text field; empty where a hand-made line gave something else."""
        value = self.values.get(field)
        return value if isinstance(value, str) else ""

    def rows(self, group: str) -> list[dict[str, Any]]:
        """The rows of a group; none where a hand-made line gave something else."""
        value = self.values.get(group)
        return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def read_papers(
    session: Session, which: ColumnElement[bool], upto: Upto | None
) -> tuple[Paper, ...]:
    """The records whose revisions satisfy ``which``, each as it stands."""
    limit = RecordRevision.position < upto.position if upto else true()
    rows = session.scalars(
        select(RecordRevision)
        .where(which, limit)
        .order_by(RecordRevision.position, RecordRevision.line_digest)
    ).all()
    by_record: dict[str, list[RecordRevision]] = {}
    for row in rows:
        by_record.setdefault(row.record_id, []).append(row)
    chosen: dict[str, list[Addendum]] = {}
    for addendum in session.scalars(
        select(Addendum).where(
            Addendum.record_id.in_(by_record),
            Addendum.position < upto.position if upto else true(),
        )
    ):
        chosen.setdefault(addendum.record_id or "", []).append(addendum)
    return tuple(_paper(own, chosen.get(record, ())) for record, own in by_record.items())


def _paper(rows: Sequence[RecordRevision], addenda: Sequence[Addendum]) -> Paper:
    return Paper(
        record_id=rows[0].record_id,
        template_id=rows[0].template_id,
        inspection_id=rows[0].inspection_id,
        values=merged_record(rows, addenda).values,
        names=frozenset(name for row in rows if (name := _interviewee(row))),
    )


def _interviewee(row: RecordRevision) -> str:
    person = json.loads(row.fields).get("interviewee")
    return str(person.get("name", "")) if isinstance(person, dict) else ""
