"""What devices noted of each other's journals, against what came in (docs/evidence.md §6).

A noted head proves that the line existed: if it or one before it never comes,
somebody withheld it. That nobody noted a head is a finding, never an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

from sqlalchemy import ColumnElement, func, or_, select, true
from sqlalchemy.orm import Session

from server.models.base import position_of
from server.models.devices import Device
from server.models.inspections import Inspection
from server.models.journal import MAIN, JournalHead, JournalLine, LineOutcome, PeerHead, same_line
from server.operations.projection import act_of_digest
from sync import shortcode
from sync.evidence.seal import read_seal
from sync.wire import Projection


@dataclass(frozen=True)
class Upto:
    """The ledger of ``generation`` at ``size`` leaves: what came later is not looked at."""

    generation: int
    size: int

    @property
    def position(self) -> int:
        return position_of(self.generation, self.size)


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A head as a device noted it: scanned with place and digest, or typed as a ``code``."""

    observer_id: str
    device_id: str | None
    epoch: str | None
    seq: int
    head: str | None
    code: str | None
    line_digest: str
    position: int


@dataclass(frozen=True)
class Covers:
    """The journal here has the line; ``slip``: a letter or the number was typed wrong."""

    device_id: str
    epoch: str
    slip: bool = False


@dataclass(frozen=True)
class LinesMissing:
    """The lines ``first`` to ``last`` were written and are not here."""

    device_id: str
    epoch: str | None
    first: int
    last: int


@dataclass(frozen=True)
class Contradicts:
    """The journal has another line at that place. Which of the two devices errs nobody can tell."""

    device_id: str
    epoch: str | None


@dataclass(frozen=True)
class Unmatched:
    """No journal here has this line, and whose it is was not said."""


Comparison = Covers | LinesMissing | Contradicts | Unmatched


@dataclass(frozen=True, kw_only=True)
class PeerCheck:
    """A noted head and what comparing it came to."""

    noted: Noted
    outcome: Comparison

    @property
    def about(self) -> str | None:
        """The device whose journal it is, as far as that is known."""
        match self.outcome:
            case Covers(device_id) | LinesMissing(device_id) | Contradicts(device_id):
                return device_id
            case Unmatched():
                return self.noted.device_id
            case _:
                assert_never(self.outcome)


@dataclass(frozen=True, kw_only=True)
class PeerView:
    """The devices of an inspection and what they noted of each other.

    ``unseen`` are the pairs (observer, other) of which the first noted no head of
    the second.
    """

    devices: tuple[str, ...]
    checks: tuple[PeerCheck, ...]
    unseen: tuple[tuple[str, str], ...]


def read_peers(session: Session, inspection: Inspection, upto: Upto | None = None) -> PeerView:
    """Compare every head that was noted in or for an inspection."""
    devices = _devices(session, inspection, upto)
    noted = [*_noted(session, inspection, devices, upto), *_sealed(session, inspection, upto)]
    comparer = _Comparer(session, inspection.organization_id, upto)
    checks = tuple(
        PeerCheck(
            noted=one,
            outcome=comparer.compare(one, [d for d in devices if d != one.observer_id]),
        )
        for one in noted
    )
    seen = {(check.noted.observer_id, check.about) for check in checks}
    unseen = tuple((a, b) for a in devices for b in devices if a != b and (a, b) not in seen)
    return PeerView(devices=devices, checks=checks, unseen=unseen)


def compare_head(
    session: Session,
    organization_id: str,
    head: shortcode.FullHead | shortcode.ShortHead,
    upto: Upto | None = None,
) -> Comparison:
    """Compare a head that was seen elsewhere with the organisation's journals."""
    match head:
        case shortcode.FullHead(device, epoch, seq, digest):
            place: dict[str, str | None] = {"device_id": device, "epoch": epoch, "head": digest}
            code = None
        case shortcode.ShortHead(seq, code):
            place = {"device_id": None, "epoch": None, "head": None}
    noted = Noted(observer_id="", seq=seq, code=code, line_digest="", position=0, **place)
    return _Comparer(session, organization_id, upto).compare(noted, ())


def heads_seen_of(session: Session, device_id: str) -> tuple[PeerCheck, ...]:
    """What other devices noted of one device's journal, compared."""
    organization_id = session.get_one(Device, device_id).organization_id
    rows = session.scalars(
        select(PeerHead)
        .join(Device, Device.id == PeerHead.observer_id)
        .where(
            Device.organization_id == organization_id,
            PeerHead.observer_id != device_id,
            or_(PeerHead.device_id == device_id, PeerHead.device_id.is_(None)),
        )
        .order_by(PeerHead.position)
    ).all()
    comparer = _Comparer(session, organization_id, None)
    checks = (
        PeerCheck(noted=_of_row(row), outcome=comparer.compare(_of_row(row), [])) for row in rows
    )
    return tuple(check for check in checks if check.about == device_id)


def _devices(session: Session, inspection: Inspection, upto: Upto | None) -> tuple[str, ...]:
    """The organisation's devices that wrote lines of the inspection."""
    rows = session.scalars(
        select(JournalLine.device_id)
        .distinct()
        .join(
            LineOutcome,
            same_line(LineOutcome, JournalLine),
        )
        .join(Device, Device.id == JournalLine.device_id)
        .where(
            LineOutcome.inspection_id == inspection.id,
            LineOutcome.projection != Projection.QUARANTINED.value,
            Device.organization_id == inspection.organization_id,
            before(upto),
        )
        .order_by(JournalLine.device_id)
    )
    return tuple(rows)


def _noted(
    session: Session, inspection: Inspection, devices: Sequence[str], upto: Upto | None
) -> Iterator[Noted]:
    """Heads noted for the inspection, or by its devices without naming one."""
    rows = session.scalars(
        select(PeerHead)
        .where(
            PeerHead.observer_id.in_(devices),
            or_(
                PeerHead.inspection_id == inspection.id,
                PeerHead.inspection_id.is_(None) & PeerHead.device_id.in_(devices),
            ),
            PeerHead.position < upto.position if upto else true(),
        )
        .order_by(PeerHead.position)
    )
    return (_of_row(row) for row in rows)


def _of_row(row: PeerHead) -> Noted:
    return Noted(
        observer_id=row.observer_id,
        device_id=row.device_id,
        epoch=row.epoch,
        seq=row.seq,
        head=row.head,
        code=row.code,
        line_digest=row.line_digest,
        position=row.position,
    )


def _sealed(session: Session, inspection: Inspection, upto: Upto | None) -> Iterator[Noted]:
    """The heads of other devices that the seal names: it is signed like any other note."""
    line = session.scalars(
        select(JournalLine).where(JournalLine.digest == inspection.sealed_line, before(upto))
    ).first()
    act = act_of_digest(session, line.digest) if line else None
    if line is None or act is None:
        return
    for device, epoch, seq, head in read_seal(act).heads:
        if device != line.device_id and "\0" not in device + epoch:
            yield Noted(
                observer_id=line.device_id,
                device_id=device,
                epoch=epoch,
                seq=seq,
                head=head,
                code=None,
                line_digest=line.digest,
                position=position_of(line.generation, line.ledger_index),
            )


def before(upto: Upto | None) -> ColumnElement[bool]:
    """Whether a line stood in the ledger at ``upto``; always true without it."""
    if upto is None:
        return true()
    return (JournalLine.generation < upto.generation) | (
        (JournalLine.generation == upto.generation) & (JournalLine.ledger_index < upto.size)
    )


class _Comparer:
    """Compares noted heads with the main chains of one organisation's devices."""

    def __init__(self, session: Session, organization_id: str, upto: Upto | None) -> None:
        self._session = session
        self._organization_id = organization_id
        self._upto = upto

    def compare(self, noted: Noted, candidates: Sequence[str]) -> Comparison:
        """Find the line that ``noted`` speaks of; a typed code may be of any of ``candidates``."""
        if noted.code is not None:
            return self._typed(noted, noted.code, candidates)
        device, epoch = noted.device_id or "", noted.epoch or ""
        found = self._digest_at(device, epoch, noted.seq)
        if found == noted.head:
            return Covers(device, epoch)
        if found is not None:
            return Contradicts(device, epoch)
        return LinesMissing(device, epoch, self._next_seq(device, epoch), noted.seq)

    def _typed(self, noted: Noted, code: str, candidates: Sequence[str]) -> Comparison:
        for line in self._beginning_with(shortcode.digest_prefix(code)):
            if noted.device_id in (None, line.device_id):
                return Covers(line.device_id, line.epoch, slip=line.seq != noted.seq)
        whose = [noted.device_id] if noted.device_id else list(candidates)
        here = False
        for device in whose:
            for epoch in self._epochs(device):
                digest = self._digest_at(device, epoch, noted.seq)
                here = here or digest is not None
                if digest and shortcode.slipped(code, shortcode.code_of(digest)):
                    return Covers(device, epoch, slip=True)
        if len(whose) != 1:
            return Unmatched()
        if here:
            return Contradicts(whose[0], None)
        last = [self._next_seq(whose[0], epoch) for epoch in self._epochs(whose[0])]
        return LinesMissing(whose[0], None, max(last, default=0), noted.seq)

    def _beginning_with(self, prefix: str) -> Sequence[JournalLine]:
        return self._session.scalars(
            select(JournalLine)
            .join(Device, Device.id == JournalLine.device_id)
            .where(
                # "g" follows every hexadecimal digit.
                JournalLine.digest >= prefix,
                JournalLine.digest < prefix + "g",
                JournalLine.branch == MAIN,
                Device.organization_id == self._organization_id,
                before(self._upto),
            )
        ).all()

    def _digest_at(self, device: str, epoch: str, seq: int) -> str | None:
        return self._session.scalar(
            select(JournalLine.digest)
            .join(Device, Device.id == JournalLine.device_id)
            .where(
                JournalLine.device_id == device,
                JournalLine.epoch == epoch,
                JournalLine.branch == MAIN,
                JournalLine.seq == seq,
                Device.organization_id == self._organization_id,
                before(self._upto),
            )
        )

    def _epochs(self, device: str) -> Sequence[str]:
        return self._session.scalars(
            select(JournalHead.epoch)
            .join(Device, Device.id == JournalHead.device_id)
            .where(
                JournalHead.device_id == device,
                JournalHead.branch == MAIN,
                Device.organization_id == self._organization_id,
            )
            .order_by(JournalHead.epoch)
        ).all()

    def _next_seq(self, device: str, epoch: str) -> int:
        last = self._session.scalar(
            select(func.max(JournalLine.seq))
            .join(Device, Device.id == JournalLine.device_id)
            .where(
                JournalLine.device_id == device,
                JournalLine.epoch == epoch,
                JournalLine.branch == MAIN,
                Device.organization_id == self._organization_id,
                before(self._upto),
            )
        )
        return 0 if last is None else last + 1
