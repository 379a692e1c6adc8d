"""Which officer stood at a device when a line was written."""

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from server.models.inspections import OfficerSession
from server.models.people import Officer
from server.operations.projection.act import Act, NotShown

# Built once: building a statement costs more than running it.
_OF_EPOCH = select(OfficerSession).where(
    OfficerSession.device_id == bindparam("device"), OfficerSession.epoch == bindparam("of")
)


class OfficerSessions:
    """The officer sessions of the epochs in one push, each epoch read once."""

    def __init__(self, session: Session, organization_id: str) -> None:
        self._session = session
        self._organization_id = organization_id
        self._known: dict[tuple[str, str], list[OfficerSession]] = {}

    def need(self, act: Act, officer: object) -> None:
        """Insist that ``officer`` had a session open where the act stands.

        Raises:
            NotShown: if they had none.
        """
        header = act.header
        if not self.covers(header.device, header.epoch, header.seq, officer):
            raise NotShown("projection.no_officer_session")

    def covers(self, device: str, epoch: str, seq: int, officer: object) -> bool:
        """Whether ``officer`` had a session open at that place."""
        return any(
            known.officer_id == officer
            and known.opened_seq < seq
            and (known.closed_seq is None or known.closed_seq >= seq)
            for known in self._of(device, epoch)
        )

    def open(self, act: Act) -> None:
        """Project ``session.opened``."""
        officer = self._session.get(Officer, act.uuid("officer"))
        if officer is None or officer.organization_id != self._organization_id:
            raise NotShown("projection.unknown_officer")
        if self._session.get(OfficerSession, act.uuid("session")) is not None:
            raise NotShown("projection.repeated_id")
        opened = OfficerSession(
            id=act.uuid("session"),
            device_id=act.header.device,
            epoch=act.header.epoch,
            officer_id=officer.id,
            method=act.text("method", 32),
            opened_seq=act.header.seq,
        )
        self._of(act.header.device, act.header.epoch).append(opened)
        self._session.add(opened)
        self._session.flush()

    def close(self, act: Act) -> None:
        """Project ``session.closed``: only the session's own officer ends it."""
        found = self._session.get(OfficerSession, act.uuid("session"))
        place = (act.header.device, act.header.epoch, act.uuid("officer"))
        if found is None or (found.device_id, found.epoch, found.officer_id) != place:
            raise NotShown("projection.no_officer_session")
        found.closed_seq = act.header.seq

    def _of(self, device: str, epoch: str) -> list[OfficerSession]:
        place = (device, epoch)
        if place not in self._known:
            self._known[place] = list(
                self._session.scalars(_OF_EPOCH, {"device": place[0], "of": place[1]})
            )
        return self._known[place]
