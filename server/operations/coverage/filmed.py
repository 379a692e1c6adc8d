"""The recordings of a visit: those whose file is here, and those that only the journal tells of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session, aliased

from server.models.base import position_of
from server.models.inspections import EvidenceItem, Inspection, MediaFacts
from server.models.journal import JournalLine
from server.models.process import Recording
from server.operations.coverage.clocks import DeviceClocks
from server.operations.coverage.core import TOLERANCE_MS, Announced, Recorded, Span
from server.operations.coverage.footage import (
    is_recording,
    measured_ms,
    plays,
    span_of,
    stated_ms,
)
from server.operations.peers import Upto, before


@dataclass(frozen=True, kw_only=True)
class Shot:
    """An item, when its line says it was taken by the bureau's clock, and whether it is here."""

    item: EvidenceItem
    at_ms: int
    received: bool


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The visit's files by item, with what was read and measured of each by digest."""

    shots: Mapping[str, Shot]
    discarded: frozenset[str]
    facts: Mapping[str, MediaFacts]
    played: Mapping[str, int]
    #: Digests of files that show a recording already: each shows one.
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
) -> tuple[tuple[Recorded, ...], tuple[Announced, ...]]:
    """Pair what apps say they recorded with the files; what is left goes by its own times."""
    digests = [shot.item.sha256 for shot in shots if shot.received and is_recording(shot.item)]
    files = _Files(
        shots={shot.item.id: shot for shot in shots},
        discarded=discarded,
        facts=_newest_facts(session, digests, upto),
        played=measured_ms(session, digests, upto),
    )
    recorded: list[Recorded] = []
    announced: list[Announced] = []
    for item_id, span, stopped in _rows(session, inspection, clocks, upto):
        match _paired(files, item_id, span, stopped=stopped):
            case Recorded() as shown:
                recorded.append(shown)
            case Announced() as told:
                announced.append(told)
    recorded += _by_their_own_times(session, files, visit, upto)
    return tuple(recorded), tuple(one for one in announced if not _borne_out(one, recorded))


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
    facts = files.facts.get(shot.item.sha256)
    if not is_recording(shot.item) or (facts is not None and not plays(facts)):
        return Announced(span=span, why="unreadable", item_id=shot.item.id)
    files.used.add(shot.item.sha256)
    length = files.played.get(shot.item.sha256) or (stated_ms(facts) if facts else None)
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
) -> list[Recorded]:
    """The files that no app speaks of, as far as they say when they ran."""
    found = []
    for shot in files.shots.values():
        facts = files.facts.get(shot.item.sha256)
        if facts is None or not plays(facts) or shot.item.sha256 in files.used:
            continue
        files.used.add(shot.item.sha256)
        span = span_of(
            session,
            shot.item,
            facts,
            played_ms=files.played.get(shot.item.sha256),
            captured_at_ms=shot.at_ms,
            visit=visit or Span(shot.at_ms, shot.at_ms),
            before_position=upto.position if upto else None,
        )
        if span is not None:
            found.append(Recorded(span=span, item_id=shot.item.id))
    return found


def _borne_out(one: Announced, recorded: Sequence[Recorded]) -> bool:
    """Whether a file shows after all what was begun and never stopped, as after a crash."""
    at_ms = one.span.from_ms
    return one.why == "unstopped" and any(
        other.span.from_ms - TOLERANCE_MS <= at_ms <= other.span.to_ms for other in recorded
    )


def _newest_facts(
    session: Session, digests: Sequence[str], upto: Upto | None
) -> dict[str, MediaFacts]:
    """The newest reading of each file, as the ledger of ``upto`` knew it."""
    known: ColumnElement[bool] = true()
    if upto:
        known = (MediaFacts.generation < upto.generation) | (
            (MediaFacts.generation == upto.generation) & (MediaFacts.ledger_index < upto.size)
        )
    rows = session.scalars(
        select(MediaFacts)
        .where(MediaFacts.sha256.in_(digests), known)
        .order_by(MediaFacts.generation, MediaFacts.ledger_index)
    )
    return {row.sha256: row for row in rows}
