"""The journals that an inspection's lines stand in, and which of their lines a package may show.

A package carries each chain whole from its first line, because devices
interleave inspections; what belongs to another case is withheld part by part
while chain and signatures still verify (docs/protocol.md §4.1).
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.models.journal import (
    IngestReceipt,
    JournalLine,
    JournalPart,
    LineOutcome,
    QuarantineDecision,
    same_line,
)
from server.models.ledger import LedgerEvent
from server.models.stamps import TimeStamp
from server.operations.export.moment import Moment
from server.operations.intervals import bounds, outside_stamps, own_stamps
from server.operations.projection import is_uuid
from sync.evidence import acts, canonical
from sync.evidence.canonical import MAX_INTEGER
from sync.evidence.errors import LineMalformed
from sync.evidence.interval import Interval, OutsideStamps, line_interval
from sync.evidence.line import parse_header, signed_bytes
from sync.evidence.package import ChainName
from sync.templates import is_informant
from sync.wire import Projection

_STEP = 500

#: Acts that concern the device or its clocks, never another case.
_COMMON = frozenset({acts.EPOCH_OPENED, acts.CLOCK_COMPARED, acts.ANCHOR_SEEN, acts.PEER_HEAD})
_SESSIONS = frozenset({acts.SESSION_OPENED, acts.SESSION_CLOSED})

_DIGEST = re.compile(r"[0-9a-f]{64}")

Act = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One line of a chain: its place, its ledger index, and its act if the package shows it.

    ``anchor_size`` is the newest checkpoint embedded in this or an earlier line
    of the chain, None if there is none. ``received_at_ms`` is the server's clock.
    """

    chain: ChainName
    seq: int
    digest: str
    ledger_index: int
    received_at_ms: int
    wall_ms: int
    tz_min: int
    anchor_size: int | None
    applied: bool
    #: What a reviewer decided by then on a line in quarantine; empty without a decision.
    decision: str
    #: Whether it is a line of the case itself.
    own: bool
    act: Act | None


@dataclass(frozen=True, kw_only=True)
class Chain:
    """One chain as a package carries it; ``receipts`` are the notes over its lines.

    ``head_header`` and ``head_signature`` are those of the last line.
    """

    name: ChainName
    key_id: str
    lines: tuple[Placed, ...]
    receipts: tuple[str, ...]
    anchors: frozenset[tuple[int, str]]
    head_header: bytes
    head_signature: bytes

    @property
    def head(self) -> str:
        return self.lines[-1].digest


class Stamps:
    """The ``stamp`` leaves of the ledger up to the moment of the package."""

    def __init__(self, session: Session, moment: Moment) -> None:
        # Unpacked by place: ``index`` of a row is the method of a tuple.
        stamps = session.execute(
            select(LedgerEvent.index, LedgerEvent.at_ms)
            .where(
                LedgerEvent.generation == moment.generation,
                own_stamps(),
                LedgerEvent.index < moment.size,
            )
            .order_by(LedgerEvent.index)
        ).all()
        self._stamps = [(index, at_ms) for index, at_ms in stamps]
        before = bounds(moment.generation).where(TimeStamp.ledger_index < moment.size)
        self._outside = OutsideStamps(outside_stamps(session, before))

    def interval(self, line: Placed) -> Interval:
        """Between which stamps ``line`` was written."""
        # Of all stamps only two can matter; the rule itself is the verifier's own.
        before = bisect_left(self._stamps, (line.anchor_size or 0, 0))
        after = bisect_right(self._stamps, (line.ledger_index, MAX_INTEGER))
        near = self._stamps[max(0, before - 1) : before] + self._stamps[after : after + 1]
        return line_interval(
            anchor_size=line.anchor_size,
            ingest_index=line.ledger_index,
            ingest_at_ms=line.received_at_ms,
            stamps=sorted(set(near)),
            outside=filter(None, self._outside.deciding(line.anchor_size, line.ledger_index)),
        )


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a package may show: an inspection, its officers, and the items announced for it."""

    inspection_id: str
    officers: frozenset[str]
    items: frozenset[str]

    def shows(self, act: Act) -> bool:
        """Whether ``act`` belongs into the package.

        An announcement that no item can be made of stays withheld: it is
        present by digest, and quarantined (待核) on the screens.
        """
        kind = act.get("type")
        if kind in _COMMON:
            return True
        if kind in _SESSIONS:
            return act.get("officer") in self.officers
        if act.get("inspection") != self.inspection_id:
            return False
        if kind in acts.MEDIA_ACTS:
            return _is_announcement(act)
        if kind == acts.MEDIA_DISCARDED:
            return not acts.missing_fields(act) and act["item"] in self.items
        return True


def read_chains(session: Session, moment: Moment, inspection_id: str) -> tuple[Chain, ...]:
    """Every chain with a line of the inspection, to the end of its last line's receipt.

    Where a line notes how far another device's journal went, that one goes as
    far at least (docs/protocol.md §4.1).
    """
    ends = _last_lines(session, moment, inspection_id)
    while True:
        whole = [
            _read_chain(session, moment, name, last, inspection_id) for name, last in ends.items()
        ]
        scope = _scope(whole, inspection_id)
        shown = tuple(
            replace(chain, lines=tuple(_shown(line, scope) for line in chain.lines))
            for chain in whole
        )
        further = _noted_heads(session, moment, shown, ends)
        if further == ends:
            return shown
        ends = further


def officers_of(chains: Iterable[Chain]) -> frozenset[str]:
    """The ids of the officers that the inspection was opened with, on any device."""
    return frozenset(
        officer
        for _, act in acting(chains, acts.INSPECTION_OPENED)
        for officer in act["officers"]
        if isinstance(officer, str)
    )


def announcements(chains: Iterable[Chain]) -> dict[str, tuple[Placed, Act]]:
    """The line that announces each item, by item id; of several the first that took effect."""
    found: dict[str, tuple[Placed, Act]] = {}
    for applied in (True, False):
        for chain in chains:
            for line in chain.lines:
                act = line.act
                if act is None or act.get("type") not in acts.MEDIA_ACTS:
                    continue
                if line.applied or not applied:
                    found.setdefault(str(act["item"]), (line, act))
    return found


def acting(
    chains: Iterable[Chain], kind: str, *, applied: bool = True
) -> Iterator[tuple[Placed, Act]]:
    """The shown lines of one kind in ledger order; only those that took effect if ``applied``."""
    lines = [
        (line, line.act)
        for chain in chains
        for line in chain.lines
        if line.act is not None and line.act.get("type") == kind and (line.applied or not applied)
    ]
    return iter(sorted(lines, key=lambda pair: pair[0].ledger_index))


def _last_lines(session: Session, moment: Moment, inspection_id: str) -> dict[ChainName, int]:
    places = session.execute(
        select(
            LineOutcome.device_id,
            LineOutcome.epoch,
            LineOutcome.branch,
            func.max(LineOutcome.seq).label("last"),
        )
        .join(JournalLine, same_line(JournalLine, LineOutcome))
        .where(
            LineOutcome.inspection_id == inspection_id,
            JournalLine.generation == moment.generation,
            JournalLine.ledger_index < moment.size,
        )
        .group_by(LineOutcome.device_id, LineOutcome.epoch, LineOutcome.branch)
        .order_by(LineOutcome.device_id, LineOutcome.epoch, LineOutcome.branch)
    ).all()
    return {ChainName(row.device_id, row.epoch, row.branch): row.last for row in places}


def _noted_heads(
    session: Session, moment: Moment, chains: Sequence[Chain], ends: Mapping[ChainName, int]
) -> dict[ChainName, int]:
    """How far each chain must go so that every head noted of it can be compared."""
    further = dict(ends)
    known = {chain.name: chain.lines[-1].seq for chain in chains}
    for chain in chains:
        for line in chain.lines:
            for head in _heads(line.act or {}):
                name = ChainName(str(head.get("device")), str(head.get("epoch")))
                seq = head.get("seq")
                if name in known and type(seq) is int and seq > known[name]:
                    known[name] = further[name] = min(seq, _end(session, moment, name))
    return further


def _end(session: Session, moment: Moment, name: ChainName) -> int:
    """The last line of a chain that the ledger held at the moment."""
    last: int = session.execute(
        select(func.max(JournalLine.seq)).where(
            _of(JournalLine, name),
            JournalLine.generation == moment.generation,
            JournalLine.ledger_index < moment.size,
        )
    ).scalar_one()
    return last


def _heads(act: Act) -> list[Act]:
    if act.get("type") == acts.PEER_HEAD:
        return [act]
    heads = act.get("heads", ()) if act.get("type") == acts.INSPECTION_SEALED else ()
    return [head for head in heads if isinstance(head, dict)]


def _scope(chains: Sequence[Chain], inspection_id: str) -> Scope:
    """What the inspection's own lines say of its officers and items."""
    own = [
        replace(
            chain,
            lines=tuple(
                line
                for line in chain.lines
                if line.act is not None and line.act.get("inspection") == inspection_id
            ),
        )
        for chain in chains
    ]
    items = [
        str(line.act["item"])
        for chain in own
        for line in chain.lines
        if line.act is not None
        and line.act.get("type") in acts.MEDIA_ACTS
        and _is_announcement(line.act)
    ]
    return Scope(inspection_id=inspection_id, officers=officers_of(own), items=frozenset(items))


def _is_announcement(act: Act) -> bool:
    return (
        not acts.missing_fields(act)
        and is_uuid(act["item"])
        and _DIGEST.fullmatch(act["sha256"]) is not None
        and act["size"] >= 0
        and act["class"] in acts.CLASSES
    )


def _shown(line: Placed, scope: Scope) -> Placed:
    return line if line.act is None or scope.shows(line.act) else replace(line, act=None)


def package_lines(session: Session, moment: Moment, chain: Chain) -> Iterator[bytes]:
    """The lines of ``chain`` as the package carries them, in order, without newlines."""
    shown = {line.seq for line in chain.lines if line.act is not None}
    for row, parts in _rows(session, moment, chain.name, chain.lines[-1].seq):
        signed = signed_bytes(row.header, row.key_id, row.signature)
        # Stored parts are canonical bytes; keys of canonical JSON are in the order of text.
        bodies = [
            b'"%d":%s' % (number, parts[number])
            for number in sorted(parts if row.seq in shown else (), key=str)
        ]
        yield b'{"b":{%s},%s' % (b",".join(bodies), signed[1:])


def _read_chain(
    session: Session, moment: Moment, name: ChainName, last: int, inspection_id: str
) -> Chain:
    receipts = _receipts(session, name, last)
    # A receipt covers one transaction, which a checkpoint never cuts in two.
    end = max([last, *(row.last_seq for row in receipts)])
    outcomes = _outcomes(session, name)
    decisions = _decisions(session, moment, name)
    lines: list[Placed] = []
    anchors: set[tuple[int, str]] = set()
    anchor_size: int | None = None
    key_id, head_header, head_signature = "", b"", b""
    for row, parts in _rows(session, moment, name, end):
        header = parse_header(row.header)
        if header.anchor is not None and header.anchor.origin == moment.origin:
            anchor_size = max(anchor_size or 0, header.anchor.size)
            anchors.add((header.anchor.size, header.anchor.root))
        key_id, head_header, head_signature = row.key_id, row.header, row.signature
        lines.append(
            Placed(
                chain=name,
                seq=row.seq,
                digest=row.digest,
                ledger_index=row.ledger_index,
                received_at_ms=row.received_at_ms,
                wall_ms=header.t.wall_ms,
                tz_min=header.t.tz_min,
                anchor_size=anchor_size,
                applied=_took_effect(outcomes[row.seq], decisions.get(row.digest, "")),
                decision=decisions.get(row.digest, ""),
                own=outcomes[row.seq].inspection_id == inspection_id,
                act=_whole_act(parts),
            )
        )
    return Chain(
        name=name,
        key_id=key_id,
        lines=tuple(lines),
        receipts=tuple(row.note for row in receipts),
        anchors=frozenset(anchors),
        head_header=head_header,
        head_signature=head_signature,
    )


def _whole_act(parts: Mapping[int, bytes]) -> Act | None:
    """The act of a line, a record's with the fields that stand in parts of their own."""
    if 0 not in parts:
        return None
    act: Act = canonical.loads(parts[0])
    if len(parts) > 1 and act["type"] == acts.RECORD_SAVED and not acts.missing_fields(act):
        with suppress(LineMalformed):
            return {**act, "fields": acts.record_fields(parts)}
    return act


def _rows(
    session: Session, moment: Moment, name: ChainName, last: int
) -> Iterator[tuple[Any, dict[int, bytes]]]:
    """The stored lines of a chain up to ``last`` with what the package may show of their parts.

    They are read a page at a time.
    """
    start = -1
    while True:
        lines = session.execute(
            select(
                JournalLine.seq,
                JournalLine.digest,
                JournalLine.key_id,
                JournalLine.header,
                JournalLine.signature,
                JournalLine.ledger_index,
                JournalLine.received_at_ms,
            )
            .where(_of(JournalLine, name), JournalLine.seq > start, JournalLine.seq <= last)
            .order_by(JournalLine.seq)
            .limit(_STEP)
        ).all()
        if not lines:
            return
        parts: dict[int, dict[int, bytes]] = {}
        for part in session.execute(
            select(JournalPart.seq, JournalPart.number, JournalPart.body).where(
                _of(JournalPart, name),
                JournalPart.seq >= lines[0].seq,
                JournalPart.seq <= lines[-1].seq,
            )
        ):
            if part.number == 0 or _may_leave(part.body, redacted=moment.redacted):
                parts.setdefault(part.seq, {})[part.number] = part.body
        for line in lines:
            yield line, parts.get(line.seq, {})
        start = lines[-1].seq


def _may_leave(part: bytes, *, redacted: bool) -> bool:
    """Whether a package shows a further part of a line: a field that its form calls sensitive.

    Who reported something is never shown, whatever was asked for (docs/forms.md).
    """
    return not redacted and not is_informant(canonical.loads(part).get("field"))


def _receipts(session: Session, name: ChainName, last: int) -> Sequence[IngestReceipt]:
    return (
        session.execute(
            select(IngestReceipt)
            .where(_of(IngestReceipt, name), IngestReceipt.first_seq <= last)
            .order_by(IngestReceipt.first_seq)
        )
        .scalars()
        .all()
    )


def _outcomes(session: Session, name: ChainName) -> dict[int, LineOutcome]:
    rows = session.scalars(select(LineOutcome).where(_of(LineOutcome, name)))
    return {row.seq: row for row in rows}


def _decisions(session: Session, moment: Moment, name: ChainName) -> dict[str, str]:
    """What was decided by the moment on each line of the chain, by digest; the newest counts."""
    rows = session.execute(
        select(QuarantineDecision.subject, QuarantineDecision.decision)
        .join(JournalLine, JournalLine.digest == QuarantineDecision.subject)
        .where(
            _of(JournalLine, name),
            QuarantineDecision.kind == "line",
            QuarantineDecision.generation == moment.generation,
            QuarantineDecision.ledger_index < moment.size,
        )
        .order_by(QuarantineDecision.id)
    )
    return {row.subject: row.decision for row in rows}


def _took_effect(outcome: LineOutcome, decision: str) -> bool:
    """Whether the line was shown; one that was released only later was not yet."""
    if outcome.released and decision != "released":
        return False
    return outcome.projection != Projection.QUARANTINED.value


def _of(table: Any, name: ChainName) -> Any:
    return (
        (table.device_id == name.device)
        & (table.epoch == name.epoch)
        & (table.branch == name.branch)
    )
