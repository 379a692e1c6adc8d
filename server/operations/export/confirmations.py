"""Who stood at a device (unlocked as whom, and how), and doubts about the whole inspection."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from media.findings.model import Finding
from server.operations.export.case import CaseState
from server.operations.export.chains import Placed, acting
from server.operations.inspection_doubts import inspection_doubts
from server.operations.peers import Upto
from sync.evidence import acts

#: Ways to unlock a device that the report has words for.
_METHODS = ("pin", "none")


@dataclass(frozen=True, kw_only=True)
class Unlocked:
    """How an officer had unlocked the device on which a line was written.

    ``key`` names the sentence: by PIN, by name alone, otherwise, or not at all.
    """

    key: str
    device: str
    method: str


class Sessions:
    """The officers' sessions that the journals of a case hold, each journal read once."""

    def __init__(self, case: CaseState) -> None:
        self._names = {device.id: device.name for device in case.devices}
        self._opened: dict[tuple[str, str, str], list[tuple[int, str, str]]] = {}
        self._closed: dict[str, int] = {}
        for line, act in acting(case.chains, acts.SESSION_OPENED):
            place = (line.chain.device, line.chain.epoch, str(act["officer"]))
            session = (line.seq, str(act["session"]), str(act["method"]))
            self._opened.setdefault(place, []).append(session)
        for line, act in acting(case.chains, acts.SESSION_CLOSED):
            self._closed[str(act["session"])] = line.seq

    def unlocked(self, line: Placed, officer: str) -> Unlocked:
        """How ``officer`` had unlocked the device when ``line`` was written."""
        device = line.chain.device
        method = ""
        for seq, session, how in self._opened.get((device, line.chain.epoch, officer), ()):
            if seq < line.seq <= self._closed.get(session, line.seq):
                method = how
        known = method if method in _METHODS else "otherwise" if method else "nobody"
        return Unlocked(
            key=f"report.unlocked.{known}", device=self._names.get(device, device), method=method
        )


def doubts_about(session: Session, case: CaseState) -> tuple[Finding, ...]:
    """The findings about the inspection as a whole, at the size of the ledger that is packed."""
    if case.erased is not None:
        # What the rules miss of a case without text says nothing about the case.
        return ()
    upto = Upto(case.moment.generation, case.moment.size)
    return tuple(
        Finding(
            code=doubt.code,
            severity=doubt.severity,
            evidence=doubt.evidence,
            rule_version=doubt.rule_version,
        )
        for doubt in inspection_doubts(session, case.inspection, upto).doubts
    )
