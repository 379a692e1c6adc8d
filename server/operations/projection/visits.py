"""Opening and sealing an inspection."""

import json
import re

from sqlalchemy.orm import Session

from server.models.inspections import (
    CaseSide,
    Inspection,
    InspectionOfficer,
    RegulatedEntity,
    Task,
)
from server.models.people import Officer
from server.operations.projection.act import Act, NotShown
from server.operations.projection.lookup import Lookup, need_text
from server.operations.projection.sealing import seals_line

#: The reason of a line that would change what is sealed or judged.
TOO_LATE = "projection.too_late"

_SCHEME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_MAX_EXTERNAL_IDS = 16
_MAX_EXTERNAL_ID = 200


class Visits:
    """Projects what opens, joins and seals an inspection."""

    def __init__(self, session: Session, lookup: Lookup) -> None:
        self._session = session
        self._lookup = lookup
        #: Inspections that came or changed: lines may have waited for them.
        self.opened: set[str] = set()
        #: Those of which their officers' devices are to be told anew.
        self.changed: set[str] = set()

    def open(self, act: Act) -> str:
        """Open a visit, or join the one that a fellow officer's device opened."""
        inspection_id = act.uuid("inspection")
        officers = self._lookup.officers(act.body["officers"])
        existing = self._session.get(Inspection, inspection_id)
        if existing is not None and existing.organization_id != self._lookup.organization_id:
            raise NotShown("projection.unknown_inspection")
        if existing is not None:
            need_text(existing)
        if existing is None:
            self._session.add(self._inspection(inspection_id, act))
            self._session.flush()
        elif too_late(self._session, existing, act) and not act.released:
            self._need_listed(inspection_id, officers)
        for officer in officers:
            self._session.merge(
                InspectionOfficer(inspection_id=inspection_id, officer_id=officer.id)
            )
            if self._session.get(CaseSide, (inspection_id, officer.person_id)) is None:
                self._session.add(
                    CaseSide(case_id=inspection_id, person_id=officer.person_id, side="investigate")
                )
        self._session.flush()
        self.opened.add(inspection_id)
        self.changed.add(inspection_id)
        return inspection_id

    def _inspection(self, inspection_id: str, act: Act) -> Inspection:
        task = self._lookup.named(Task, act, "task")
        entity = self._lookup.named(RegulatedEntity, act, "entity")
        entity_id = entity.id if entity else task.entity_id if task else None
        return Inspection(
            id=inspection_id,
            organization_id=self._lookup.organization_id,
            task_id=task.id if task else None,
            entity_id=entity_id,
            title=act.text("title") or (task.title if task else ""),
            purpose=act.text("purpose", 4000),
            state="open",
            opened_at_ms=act.header.t.wall_ms,
            opened_line=act.digest,
            external_ids=_external_ids(act),
        )

    def _need_listed(self, inspection_id: str, officers: list[Officer]) -> None:
        """Nobody joins a sealed inspection; that someone listed says so again changes nothing."""
        for officer in officers:
            if self._session.get(InspectionOfficer, (inspection_id, officer.id)) is None:
                raise NotShown(TOO_LATE)

    def seal(self, act: Act) -> Inspection:
        inspection = self._lookup.inspection(act)
        if inspection.sealed_line is not None:
            raise NotShown("projection.already_sealed")
        inspection.state = "sealed"
        inspection.sealed_at_ms = act.header.t.wall_ms
        inspection.sealed_line = act.digest
        self._session.flush()
        self.changed.add(inspection.id)
        return inspection


def too_late(session: Session, inspection: Inspection, act: Act) -> bool:
    """Whether the inspection is sealed and the act was not before the seal."""
    return inspection.sealed_line is not None and not seals_line(session, inspection, act.header)


def _external_ids(act: Act) -> str:
    """Names in other systems, by scheme; the signed line keeps what is not of this form."""
    given = act.body.get("external_ids")
    known = {
        scheme: name.replace("\0", "\ufffd")
        for scheme, name in (given.items() if isinstance(given, dict) else ())
        if _SCHEME.fullmatch(scheme) and isinstance(name, str) and 0 < len(name) <= _MAX_EXTERNAL_ID
    }
    first = dict(sorted(known.items())[:_MAX_EXTERNAL_IDS])
    return json.dumps(first, ensure_ascii=False, sort_keys=True)
