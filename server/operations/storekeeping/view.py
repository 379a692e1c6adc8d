"""What the store's page shows: the last runs, what is doubtful, what has not come, and room."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import JournalLine
from server.models.uploads import (
    AdoptedObject,
    MediaObject,
    ObjectFixity,
    StoreCheck,
    UnreadableObject,
)
from server.operations import ledger
from server.operations.access import Actor
from server.operations.cards import device_cards
from server.operations.erased import is_erased
from server.operations.storekeeping.reports import REHASH, SWEEP, newest_rows

_SHOWN = 200
#: Slices of one night: of 100 GiB, at 2 GiB each.
_SLICES = 500

Items = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One whole run over the store, all its slices taken together.

    ``report`` has what :class:`reports.Report` keeps, summed; its ``doubts`` are the first
    of each slice, ``doubt_kinds`` counts all.
    """

    began_at_ms: int
    ended_at_ms: int
    report: Mapping[str, Any]
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A kind of run that is broken off each time since then; ``code`` is the error's."""

    kind: str
    code: str
    since_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An original that changed or vanished, until a later reading finds it whole."""

    sha256: str
    outcome: str
    checked_at_ms: int
    ledger_index: int
    items: Items


@dataclass(frozen=True, kw_only=True)
class Refused:
    """An original that the store does not give; ``code`` is the error's."""

    sha256: str
    code: str
    since_ms: int
    tried_at_ms: int
    items: Items


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Announced, not received."""

    item_id: str
    title: str
    media_type: str
    size: int
    device: str
    inspection_id: str | None
    inspection: str
    announced_at_ms: int


@dataclass(frozen=True, kw_only=True)
class StoreView:
    """``items`` are those of the doubts of both runs, by digest."""

    sweep: Run | None
    rehash: Run | None
    failures: tuple[Failure, ...]
    items: Mapping[str, Items]
    stored: int
    never_read: int
    oldest_read_ms: int | None
    lost: tuple[Lost, ...]
    refused: tuple[Refused, ...]
    adopted: tuple[AdoptedObject, ...]
    expected: tuple[Expected, ...]
    expected_count: int

    @property
    def shown_items(self) -> set[str]:
        """The ids of all items that the page names."""
        groups = [
            *self.items.values(),
            *(one.items for one in self.lost),
            *(one.items for one in self.refused),
        ]
        named = {item for group in groups for item, _ in group}
        return named | {one.item_id for one in self.expected}


def read_store(session: Session, actor: Actor) -> StoreView:
    """The state of the store; items and what is expected are the actor's organisation's."""
    stored = session.scalar(
        select(func.count()).select_from(MediaObject).where(MediaObject.status == "stored")
    )
    read, oldest = session.execute(select(func.count(), func.min(ObjectFixity.checked_at_ms))).one()
    waiting = (EvidenceItem.organization_id == actor.organization_id) & (
        EvidenceItem.state == "captured"
    )
    waiting &= ~is_erased(EvidenceItem.id)
    runs = {kind: _newest_run(session, kind) for kind in (SWEEP, REHASH)}
    doubted = [
        doubt["sha256"]
        for run in runs.values()
        if run is not None
        for doubt in run.report["doubts"][:_SHOWN]
        if doubt["sha256"]
    ]
    return StoreView(
        sweep=runs[SWEEP],
        rehash=runs[REHASH],
        failures=tuple(
            failure for kind in runs if (failure := _failure(session, kind)) is not None
        ),
        items=_items(session, actor, doubted),
        stored=stored or 0,
        never_read=max(0, (stored or 0) - read),
        oldest_read_ms=oldest,
        lost=_lost(session, actor),
        refused=_refused(session, actor),
        adopted=tuple(
            session.scalars(
                select(AdoptedObject).order_by(AdoptedObject.adopted_at_ms.desc()).limit(_SHOWN)
            )
        ),
        expected=_expected(session, waiting),
        expected_count=session.scalar(select(func.count()).select_from(EvidenceItem).where(waiting))
        or 0,
    )


def _newest_run(session: Session, kind: str) -> Run | None:
    """The newest run of that kind that was not broken off, with all its slices."""
    rows = [row for row in newest_rows(session, kind, _SLICES) if not _failed(row)]
    if not rows:
        return None
    return _run([row for row in rows if row.began_at_ms == rows[0].began_at_ms])


def has_run(session: Session, kind: str, *, since_ms: int) -> bool:
    """Whether the last run that began since then was not broken off; only looking is no sweep.

    A run that was broken off has reports of the slices before: the last report tells.
    """
    rows = newest_rows(session, kind, since_ms=since_ms)
    # When it began says the report: the column beside it is not in the leaf.
    reports = (
        json.loads(row.report)
        for row in rows
        if ledger.bears_out(session, row.generation, row.ledger_index, row.report)
    )
    runs = (one for one in reports if one["began_at_ms"] >= since_ms)
    last = next((one for one in runs if one["repair"] or kind == REHASH), None)
    return last is not None and not last["failed"]


def _run(slices: Sequence[StoreCheck]) -> Run:
    """One run of its slices, the newest first."""
    reports = [json.loads(row.report) for row in slices]
    newest = reports[0]
    return Run(
        began_at_ms=slices[0].began_at_ms,
        ended_at_ms=slices[0].ended_at_ms,
        report={
            **newest,
            "objects": sum(row.objects for row in slices),
            "bytes": sum(row.bytes for row in slices),
            "doubt_count": sum(report["doubt_count"] for report in reports),
            "doubt_kinds": sum((Counter(report["doubt_kinds"]) for report in reports), Counter()),
            "doubts": [doubt for report in reports for doubt in report["doubts"]],
        },
        ledger_index=slices[0].ledger_index,
    )


def _failure(session: Session, kind: str) -> Failure | None:
    """Why the newest run of that kind was broken off; None if it was not."""
    failed = None
    for row in newest_rows(session, kind, 1):
        if code := _failed(row):
            failed = Failure(
                kind=kind, code=code, since_ms=row.ended_at_ms, ledger_index=row.ledger_index
            )
    return failed


def _failed(row: StoreCheck) -> str:
    code: str = json.loads(row.report)["failed"]
    return code


def _lost(session: Session, actor: Actor) -> tuple[Lost, ...]:
    rows = session.scalars(
        select(ObjectFixity)
        .where(ObjectFixity.outcome != "whole")
        .order_by(ObjectFixity.checked_at_ms, ObjectFixity.sha256)
        .limit(_SHOWN)
    ).all()
    items = _items(session, actor, (row.sha256 for row in rows))
    return tuple(
        Lost(
            sha256=row.sha256,
            outcome=row.outcome,
            checked_at_ms=row.checked_at_ms,
            ledger_index=row.ledger_index,
            items=items.get(row.sha256, ()),
        )
        for row in rows
    )


def _refused(session: Session, actor: Actor) -> tuple[Refused, ...]:
    rows = session.scalars(
        select(UnreadableObject)
        .order_by(UnreadableObject.since_ms, UnreadableObject.sha256)
        .limit(_SHOWN)
    ).all()
    items = _items(session, actor, (row.sha256 for row in rows))
    return tuple(
        Refused(
            sha256=row.sha256,
            code=row.code,
            since_ms=row.since_ms,
            tried_at_ms=row.tried_at_ms,
            items=items.get(row.sha256, ()),
        )
        for row in rows
    )


def _items(session: Session, actor: Actor, digests: Iterable[str]) -> dict[str, Items]:
    """Id and title of the organisation's items of these files."""
    items: dict[str, list[tuple[str, str]]] = {}
    for sha256, item_id, title in session.execute(
        select(EvidenceItem.sha256, EvidenceItem.id, EvidenceItem.title).where(
            EvidenceItem.sha256.in_(list(digests)),
            EvidenceItem.organization_id == actor.organization_id,
        )
    ):
        items.setdefault(sha256, []).append((item_id, title))
    return {sha256: tuple(named) for sha256, named in items.items()}


def _expected(session: Session, waiting: Any) -> tuple[Expected, ...]:
    rows = session.execute(
        select(EvidenceItem, JournalLine.received_at_ms, Inspection.title)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .outerjoin(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .where(waiting)
        .order_by(JournalLine.received_at_ms, EvidenceItem.id)
        .limit(_SHOWN)
    ).all()
    devices = device_cards(session, {item.device_id for item, _, _ in rows})
    return tuple(
        Expected(
            item_id=item.id,
            title=item.title or item.name,
            media_type=item.media_type,
            size=item.size,
            device=devices[item.device_id].name,
            inspection_id=item.inspection_id,
            inspection=title or "",
            announced_at_ms=received_at_ms,
        )
        for item, received_at_ms, title in rows
    )
