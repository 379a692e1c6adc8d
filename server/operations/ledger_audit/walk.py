"""Walking the whole ledger in slices: the tree is rebuilt from the events, and compared.

Only a batch of rows and the right edge of the tree are in memory. What a walk covers
is fixed when it begins a generation, since a ledger at work goes on growing.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.journal import JournalLine
from server.models.ledger import (
    Checkpoint,
    Erasure,
    Generation,
    LedgerEvent,
    LedgerHead,
    LedgerLeaf,
    LedgerNode,
)
from server.operations import ledger
from server.operations.ledger_audit.outside import check_note
from server.operations.ledger_audit.reports import LISTED, Doubt, Report, Resumed
from server.operations.ledger_audit.rows import (
    OF_LINES,
    check_events,
    check_lines,
    raw,
    read_nodes,
    read_rows,
)
from server.operations.ledger_audit.tree import Misfit, TreeCheck, cover, leaves_of
from sync.evidence import merkle

_BATCH = 4096
#: No tree is higher.
_LEVELS = 48


@dataclass
class _Found:
    leaves: int = 0
    lines: int = 0
    checkpoints: int = 0
    sound: int = 0
    rewritten: bool = False
    doubts: list[Doubt] = field(default_factory=list)


def walk_slice(
    session: Session, keys: Sequence[bytes], at: Resumed, *, most: int, began_ms: int
) -> Report:
    """Look at ``most`` leaves of one generation at most, from where the last slice ended.

    Args:
        keys: the 32-byte public keys under which the ledger's checkpoints are signed.
    """
    generation = _where(session, at)
    start, sound = (at.end, at.sound) if generation.number == at.generation else (0, 0)
    head = session.get_one(LedgerHead, generation.number)
    size, edge = head.size, _edge(head)
    # A database that was put back has fewer leaves than the last slice saw.
    start = min(start, size)
    end = min(size, start + most)
    found = _Found(sound=sound)
    tree = TreeCheck(start, _stored_edge(session, generation.number, start))
    for first in range(start, end, _BATCH):
        _check_batch(session, generation, keys, tree, found, first, min(end, first + _BATCH))
    at_the_end = end >= size
    found.doubts += _told(generation.number, tree.settle(edge if at_the_end else ()))
    if at_the_end:
        found.doubts += _check_end(session, generation, size, edge)
    newest = session.scalar(select(func.max(Generation.number)))
    return Report(
        began_at_ms=began_ms,
        generation=generation.number,
        start=start,
        end=end,
        leaves=found.leaves,
        lines=found.lines,
        checkpoints=found.checkpoints,
        sound=found.sound,
        packages_after=at.packages_after,
        whole=at_the_end and generation.number == newest,
        doubts=tuple(found.doubts),
    )


def _edge(head: LedgerHead) -> list[bytes]:
    try:
        return ledger.edge_of(head)
    except ValueError:
        return []


def _where(session: Session, at: Resumed) -> Generation:
    """The generation that is next: the one of the last slice until it was seen to its end."""
    later = session.scalars(
        select(Generation).where(Generation.number >= at.generation).order_by(Generation.number)
    ).all()
    first = session.get_one(LedgerHead, later[0].number)
    seen = later[0].number == at.generation and at.end >= first.size
    return later[1] if seen and len(later) > 1 else later[0]


def _check_batch(
    session: Session,
    generation: Generation,
    keys: Sequence[bytes],
    tree: TreeCheck,
    found: _Found,
    start: int,
    end: int,
) -> None:
    number = generation.number
    rows = read_rows(session, number, start, end)
    nodes = read_nodes(session, number, start, end)
    checkpoints = _checkpoints(session, number, start, end)
    for row in rows:
        stored = None if row.entry is None else merkle.leaf_hash(row.entry)
        computed = None if row.event is None else merkle.leaf_hash(row.event.entry)
        found.doubts += _told(number, tree.add(stored, computed, nodes))
        checkpoint = checkpoints.get(tree.size)
        if checkpoint is not None:
            _check_checkpoint(generation, keys, tree, found, checkpoint)
    found.doubts += check_events(session, number, rows)
    lines, doubts = check_lines(session, number, rows)
    found.doubts += doubts
    found.lines += lines
    found.leaves += len(rows)


def _checkpoints(session: Session, number: int, start: int, end: int) -> dict[int, Checkpoint]:
    rows = session.scalars(
        select(Checkpoint)
        .where(Checkpoint.generation == number, Checkpoint.size.between(start + 1, end))
        .execution_options(populate_existing=True)
    ).all()
    return {row.size: row for row in rows}


def _check_checkpoint(
    generation: Generation,
    keys: Sequence[bytes],
    tree: TreeCheck,
    found: _Found,
    row: Checkpoint,
) -> None:
    found.checkpoints += 1
    head = check_note(row.note, keys)
    said = (generation.origin, row.size, row.root)
    if head is None or (head.origin, head.size, head.root.hex()) != said:
        found.doubts.append(
            Doubt(kind="checkpoint", generation=generation.number, place=str(row.size))
        )
    elif tree.leads_to(head.root):
        found.sound = row.size
    elif not found.rewritten:
        # Every later one differs as well: the first says where.
        found.rewritten = True
        place = f"{found.sound}–{row.size - 1}"
        found.doubts.append(Doubt(kind="rewritten", generation=generation.number, place=place))


def _check_end(
    session: Session, generation: Generation, size: int, edge: Sequence[bytes]
) -> Iterator[Doubt]:
    """Whether the counter row ends the tree that is stored, and nothing stands behind it."""
    number = generation.number
    stored = _stored_edge(session, number, size)
    fits = len(edge) == len(stored) and all(
        one is None or one == other for one, other in zip(stored, edge, strict=True)
    )
    if not fits:
        yield Doubt(kind="head", generation=number, place=str(size))
    yield from _check_beyond(session, number)
    yield from _check_successor(session, generation, size)
    yield from _check_lines_without_event(session)
    yield from _check_erasures(session)


def _check_beyond(session: Session, number: int) -> Iterator[Doubt]:
    """Rows behind the end; it is read in the same statement, or after them, since it grows."""
    end = select(LedgerHead.size).where(LedgerHead.generation == number).scalar_subquery()
    for name, index in (("leaf", LedgerLeaf.index), ("event", LedgerEvent.index)):
        of = LedgerLeaf.generation if name == "leaf" else LedgerEvent.generation
        beyond = session.scalar(select(func.min(index)).where(of == number, index >= end))
        if beyond is not None:
            yield Doubt(kind="surplus", generation=number, place=f"{name} {beyond}")
    for level in range(1, _LEVELS):
        last = session.scalar(
            select(func.max(LedgerNode.position)).where(
                LedgerNode.generation == number, LedgerNode.level == level
            )
        )
        if last is not None and (last + 1) << level > (session.scalar(select(end)) or 0):
            yield Doubt(kind="surplus", generation=number, place=f"node {level}/{last}")
    for size in session.scalars(
        select(Checkpoint.size).where(Checkpoint.generation == number, Checkpoint.size > end)
    ):
        yield Doubt(kind="behind", generation=number, place=str(size))


def _check_successor(session: Session, generation: Generation, size: int) -> Iterator[Doubt]:
    """Whether the next generation begins where this one ends, as its first leaf says."""
    later = session.scalar(
        select(func.min(Generation.number)).where(Generation.number > generation.number)
    )
    first = None if later is None else session.get(LedgerEvent, (later, 0))
    if later is None or first is None:
        return
    try:
        ended = json.loads(first.event)["subject"]
        root = ledger.tree_root(session, generation.number, size).hex()
        same = (ended["origin"], ended["size"], ended["root"]) == (generation.origin, size, root)
    except (ValueError, RecursionError, KeyError, TypeError, NotFound):
        same = False
    if not same:
        yield Doubt(kind="restored", generation=later, place=generation.origin)


def _check_lines_without_event(session: Session) -> Iterator[Doubt]:
    """Journal lines that no event stands for; each event's own line is compared with it."""
    counted = session.execute(
        select(
            select(func.count()).select_from(JournalLine).scalar_subquery(),
            select(func.count())
            .select_from(LedgerEvent)
            .where(LedgerEvent.kind.in_(OF_LINES))
            .scalar_subquery(),
            select(func.count())
            .select_from(Erasure)
            .where(Erasure.target.startswith("ledger_event:"))
            .scalar_subquery(),
        )
    ).one()
    if counted[0] <= counted[1] + counted[2]:
        return
    without = (
        select(JournalLine)
        .outerjoin(
            LedgerEvent,
            (LedgerEvent.generation == JournalLine.generation)
            & (LedgerEvent.index == JournalLine.ledger_index),
        )
        .where(LedgerEvent.index.is_(None) | LedgerEvent.kind.not_in(OF_LINES))
        .limit(LISTED)
    )
    named = session.scalars(without).all()
    for line in named:
        place = f"journal_line {line.device_id}:{line.epoch}:{line.branch}:{line.seq}"
        yield Doubt(kind="surplus", generation=line.generation, place=place)
    if not named:
        yield Doubt(kind="surplus", generation=0, place="journal_line")


def _check_erasures(session: Session) -> Iterator[Doubt]:
    """Whether the ledger accounts for all that counts as lawfully erased.

    A row in ``erasure`` is what lets a body go. Whoever owns the database can put one in,
    but not the ``erase`` event that says how much was erased on whose word.
    """
    # The rows first: what is erased meanwhile has its event by the time that events are read.
    events, lines = 0, set()
    rows = session.execute(
        select(Erasure.target)
        .where(
            Erasure.target.startswith("ledger_event:") | Erasure.target.startswith("journal_part:")
        )
        .execution_options(yield_per=_BATCH)
    )
    for (target,) in rows:
        table, _, key = target.partition(":")
        if table == "ledger_event":
            events += 1
        else:
            lines.add(key.rpartition(":")[0])
    told: Counter[str] = Counter()
    for body in session.scalars(select(LedgerEvent.event).where(LedgerEvent.kind == "erase")):
        with suppress(ValueError, RecursionError, KeyError, TypeError):
            snapshot = json.loads(body)["snapshot"]
            if snapshot["act"] == "erased" and snapshot["page"] == 1:
                told.update(events=int(snapshot["events"]), lines=int(snapshot["lines"]))
    for table, count, name in (
        ("ledger_event", events, "events"),
        ("journal_part", len(lines), "lines"),
    ):
        if count > told[name]:
            yield Doubt(kind="erasure", generation=0, place=table, found=f"{count} > {told[name]}")


def _stored_edge(session: Session, number: int, size: int) -> list[bytes | None]:
    """The stored hashes of the subtrees that cover the first ``size`` leaves."""
    edge: list[bytes | None] = []
    for level, position in cover(size):
        if level:
            node = session.scalar(
                select(raw(LedgerNode.hash)).where(
                    LedgerNode.generation == number,
                    LedgerNode.level == level,
                    LedgerNode.position == position,
                )
            )
            edge.append(node)
            continue
        entry = session.scalar(
            select(raw(LedgerLeaf.entry)).where(
                LedgerLeaf.generation == number, LedgerLeaf.index == position
            )
        )
        edge.append(None if entry is None else merkle.leaf_hash(entry))
    return edge


def _told(number: int, misfits: Iterable[Misfit]) -> list[Doubt]:
    """Misfits by the numbers that people look rows up with."""
    doubts = []
    for misfit in misfits:
        place, found = str(misfit.position), ""
        if misfit.level:
            place = f"{misfit.level}/{misfit.position}"
            found = "–".join(map(str, leaves_of(misfit)))
        doubts.append(Doubt(kind=misfit.kind, generation=number, place=place, found=found))
    return doubts
