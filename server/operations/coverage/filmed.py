"""The recordings of a visit: those whose file is here, and those that only the journal tells of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from server.models.base import position_of
from server.models.inspections import EvidenceItem, Inspection
from server.models.journal import JournalLine
from server.models.process import Recording
from server.operations.coverage.clocks import DeviceClocks
from server.operations.coverage.core import (
    TOLERANCE_MS,
    Announced,
    Recorded,
    Span,
    spans_at,
    union,
)
from server.operations.coverage.footage import Footage, called_recording, read_footage, span_of
from server.operations.peers import Upto, before

#: Rows of a kind (items, recordings, steps, reasons) that are looked at in one visit: beyond
#: them a page would take seconds. Whoever counts as many as this has been cut off.
ROW_LIMIT = 5000


@dataclass(frozen=True, kw_only=True)
class Shot:
    """An item, when its line says it was taken by the bureau's clock, and whether it is here."""

    item: EvidenceItem
    at_ms: int
    received: bool


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """What of a visit was recorded; ``undated`` are recordings that are here and fit nowhere.

    ``announced`` are those that only the journal tells of. An undated one is of no recording
    that an app speaks of, and says itself neither when it ran nor for how long.
    """

    recorded: tuple[Recorded, ...]
    announced: tuple[Announced, ...]
    undated: tuple[Shot, ...]
    #: Whether there are more recordings than were looked at.
    cut: bool


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The visit's files by item, with what is known of each by digest."""

    shots: Mapping[str, Shot]
    discarded: frozenset[str]
    footage: Footage
    #: Digests of files that a recording names already: each shows one.
    used: set[str] = field(default_factory=set)


def read_recordings(
    session: Session,
    inspection: Inspection,
    clocks: DeviceClocks,
    shots: Sequence[Shot],
    *,
    discarded: frozenset[str],
    visit: Span | None,
    upto: Upto | None,
) -> Filmed:
    """Pair what apps say they recorded with the files; what is left goes by its own times."""
    here = [shot.item.sha256 for shot in shots if shot.received]
    files = _Files(
        shots={shot.item.id: shot for shot in shots},
        discarded=discarded,
        footage=read_footage(session, here, upto),
    )
    recorded: list[Recorded] = []
    announced: list[Announced] = []
    rows = _rows(session, inspection, clocks, upto)
    for item_id, span, stopped in rows:
        match _paired(files, item_id, span, stopped=stopped):
            case Recorded() as shown:
                recorded.append(shown)
            case Announced() as told:
                announced.append(told)
    dated, undated = _by_their_own_times(session, files, visit, upto)
    recorded += dated
    return Filmed(
        recorded=tuple(recorded),
        announced=_not_borne_out(announced, recorded),
        undated=undated,
        cut=len(rows) == ROW_LIMIT,
    )


def _rows(
    session: Session, inspection: Inspection, clocks: DeviceClocks, upto: Upto | None
) -> list[tuple[str | None, Span, bool]]:
    """The item, the time and whether the end is known of each recording that was begun."""
    stop = aliased(JournalLine)
    rows = session.execute(
        select(Recording, stop.generation, stop.ledger_index)
        .join(JournalLine, JournalLine.digest == Recording.started_line)
        .outerjoin(stop, stop.digest == Recording.stopped_line)
        .where(Recording.inspection_id == inspection.id, before(upto))
        .order_by(Recording.started_at_ms, Recording.id)
        .limit(ROW_LIMIT)
    )
    found = []
    for row, generation, index in rows:
        start = clocks.corrected(row.device_id, row.started_at_ms)
        stopped = generation is not None and (
            upto is None or position_of(generation, index) < upto.position
        )
        end = row.stopped_at_ms if stopped and row.stopped_at_ms is not None else row.started_at_ms
        span = Span(start, clocks.corrected(row.device_id, end))
        found.append((row.item_id if stopped else None, span, stopped))
    return found


def _paired(
    files: _Files, item_id: str | None, span: Span, *, stopped: bool
) -> Recorded | Announced:
    """A recording with its file, or what is the matter with it."""
    shot = files.shots.get(item_id) if item_id else None
    if not stopped:
        return Announced(span=span, why="unstopped")
    if item_id in files.discarded:
        return Announced(span=span, why="discarded", item_id=item_id or "")
    if shot is None or shot.item.sha256 in files.used:
        return Announced(span=span, why="no_file")
    if not shot.received:
        return Announced(span=span, why="expected", item_id=shot.item.id)
    files.used.add(shot.item.sha256)
    if not files.footage.shows(shot.item):
        return Announced(span=span, why="unreadable", item_id=shot.item.id)
    length = files.footage.length_ms(shot.item.sha256)
    if length is None or length >= span.length_ms:
        return Recorded(span=span, item_id=shot.item.id)
    lacks = span.length_ms - length
    return Recorded(
        span=Span(span.from_ms, span.from_ms + length),
        item_id=shot.item.id,
        said=span if lacks >= TOLERANCE_MS else None,
    )


def _by_their_own_times(
    session: Session, files: _Files, visit: Span | None, upto: Upto | None
) -> tuple[list[Recorded], tuple[Shot, ...]]:
    """The files that no app speaks of: those that say when they ran, and the others."""
    found: list[Recorded] = []
    undated: list[Shot] = []
    for shot in files.shots.values():
        sha256 = shot.item.sha256
        if not shot.received or sha256 in files.used:
            continue
        if not (files.footage.shows(shot.item) or called_recording(shot.item)):
            continue
        files.used.add(sha256)
        span = span_of(
            session,
            shot.item,
            files.footage.readings.get(sha256),
            played_ms=files.footage.played.get(sha256),
            captured_at_ms=shot.at_ms,
            visit=visit or Span(shot.at_ms, shot.at_ms),
            before_position=upto.position if upto else None,
        )
        if span is not None:
            found.append(Recorded(span=span, item_id=shot.item.id))
        else:
            undated.append(shot)
    return found, tuple(undated)


def _not_borne_out(
    announced: Sequence[Announced], recorded: Sequence[Recorded]
) -> tuple[Announced, ...]:
    """Without what was begun, never stopped, and is shown by a file after all (a crash)."""
    near = union(Span(one.span.from_ms - TOLERANCE_MS, one.span.to_ms) for one in recorded)
    return tuple(
        one for one in announced if one.why != "unstopped" or not spans_at(near, one.span.from_ms)
    )
