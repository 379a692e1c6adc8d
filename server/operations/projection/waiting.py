"""Which quarantined lines may be shown by now; one that waits on costs no second try.

A device can leave any number of lines waiting. What each waits for is asked of all
of them together, or every push would cost as much as all that ever failed.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from server.models.devices import Device
from server.models.inspections import EvidenceItem, Inspection, RegulatedEntity, Task
from server.models.journal import JournalPart, LineOutcome, same_line
from server.models.people import Officer
from server.operations.projection.act import is_uuid
from server.operations.projection.lookup import Lookup
from server.operations.projection.process import FRAME_UNCONFIRMED
from server.operations.projection.sealing import seal_reach
from server.operations.projection.sessions import OfficerSessions
from server.operations.projection.visits import TOO_LATE
from sync.wire import Projection

_AT_ONCE = 500
#: What the members of an act must name before the reason beside them can go.
_NAMED: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "projection.unknown_officer": (Officer, ("officer", "officers")),
    "projection.unknown_task": (Task, ("task",)),
    "projection.unknown_entity": (RegulatedEntity, ("entity",)),
    "projection.unknown_item": (EvidenceItem, ("item",)),
    FRAME_UNCONFIRMED: (EvidenceItem, ("item",)),
}

#: A line's place, as ``LineOutcome`` is keyed.
Place = tuple[str, str, str, int]


class _Waiting(NamedTuple):
    place: Place
    code: str
    inspection_id: str | None
    act: dict[str, Any]

    def names(self, members: Sequence[str]) -> list[Any]:
        """What the act names in ``members``, one value or a list of them."""
        given = [self.act.get(member, []) for member in members]
        return [one for value in given for one in (value if isinstance(value, list) else [value])]


class WaitingLines:
    """Finds the lines of one organisation that are worth another try."""

    def __init__(self, session: Session, lookup: Lookup, sessions: OfficerSessions) -> None:
        self._session = session
        self._lookup = lookup
        self._sessions = sessions

    def ready(self, *which: ColumnElement[bool]) -> list[Place]:
        """The places of quarantined lines whose reason may have gone, in their order."""
        waiting = list(self._read(*which))
        known = {
            kind: self._known(kind, {name for line in waiting for name in self._asked(line, kind)})
            for kind in {_NAMED[line.code][0] for line in waiting if line.code in _NAMED}
        }
        reaches = {
            inspection: self._reach(inspection)
            for inspection in {line.inspection_id for line in waiting if line.code == TOO_LATE}
        }
        return [line.place for line in waiting if self._is_ready(line, known, reaches)]

    def _read(self, *which: ColumnElement[bool]) -> Iterator[_Waiting]:
        # Only the bureau's own: whoever has learnt an id elsewhere waits for nothing here.
        own = select(Device.id).where(Device.organization_id == self._lookup.organization_id)
        rows = self._session.execute(
            select(
                LineOutcome.device_id,
                LineOutcome.epoch,
                LineOutcome.branch,
                LineOutcome.seq,
                LineOutcome.code,
                LineOutcome.inspection_id,
                JournalPart.body,
            )
            .join(
                JournalPart,
                same_line(JournalPart, LineOutcome) & (JournalPart.number == 0),
            )
            .where(
                LineOutcome.projection == Projection.QUARANTINED.value,
                LineOutcome.device_id.in_(own),
                *which,
            )
            .order_by(LineOutcome.device_id, LineOutcome.epoch, LineOutcome.seq)
        )
        for device, epoch, branch, seq, code, inspection, body in rows:
            yield _Waiting((device, epoch, branch, seq), code, inspection, json.loads(body))

    def _asked(self, line: _Waiting, kind: type[Any]) -> list[str]:
        asked, members = _NAMED.get(line.code, (None, ()))
        return [name for name in line.names(members) if is_uuid(name)] if asked is kind else []

    def _known(self, kind: type[Any], names: set[str]) -> set[str]:
        known: set[str] = set()
        wanted = sorted(names)
        for start in range(0, len(wanted), _AT_ONCE):
            known |= set(
                self._session.scalars(
                    select(kind.id).where(
                        kind.id.in_(wanted[start : start + _AT_ONCE]),
                        kind.organization_id == self._lookup.organization_id,
                    )
                )
            )
        return known

    def _reach(self, inspection_id: str | None) -> dict[tuple[str, str], int]:
        inspection = self._session.get(Inspection, inspection_id) if inspection_id else None
        return seal_reach(self._session, inspection) if inspection is not None else {}

    def _is_ready(
        self,
        line: _Waiting,
        known: dict[type[Any], set[str]],
        reaches: dict[str | None, dict[tuple[str, str], int]],
    ) -> bool:
        device, epoch, _, seq = line.place
        if line.code in _NAMED:
            kind, members = _NAMED[line.code]
            return all(is_uuid(name) and name in known[kind] for name in line.names(members))
        match line.code:
            case "projection.no_officer_session":
                return self._sessions.covers(device, epoch, seq, line.act.get("officer"))
            case "projection.unknown_template":
                template = line.act["template"]
                return self._lookup.has_template(template.get("id"), template.get("version"))
            case "projection.too_late":
                return seq <= reaches[line.inspection_id].get((device, epoch), -1)
            case _:
                return True
