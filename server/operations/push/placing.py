"""Deciding the place of each line: on its chain, on a branch, known already, or after a gap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.models.journal import MAIN
from server.operations.push.parsing import EpochNotOpened, Refused
from sync.evidence.errors import BadSignature
from sync.evidence.line import GENESIS, Line
from sync.wire import Journal


@dataclass(frozen=True)
class ChainHead:
    """Where one chain of an epoch stands."""

    branch: str
    key_id: str
    next_seq: int
    digest: str


@dataclass(frozen=True)
class Stored:
    """Where a line is that the server has."""

    branch: str
    seq: int


@dataclass(frozen=True)
class Placed:
    """A line with the chain it belongs to and what became of it."""

    line: Line
    branch: str
    journal: Journal

    @property
    def fresh(self) -> bool:
        """Whether the line is new here."""
        return self.journal is not Journal.ALREADY


@dataclass
class Plan:
    """The decisions over one push, in the order of its lines, and the heads they lead to."""

    heads: dict[str, ChainHead]
    placed: list[Placed] = field(default_factory=list)
    refused: Refused | None = None
    gap: Line | None = None


def place_lines(
    lines: Sequence[Line | Refused], heads: Mapping[str, ChainHead], known: Mapping[str, Stored]
) -> Plan:
    """Place ``lines`` after ``heads`` (by branch) until a refusal or a gap.

    Args:
        known: by digest, those of ``lines`` and of their predecessors that are stored.
    """
    plan = Plan(dict(heads))
    stored = dict(known)
    # A device that forks without end must not make each of its lines dearer than the last.
    tips = {(head.next_seq, head.digest): head.branch for head in heads.values()}
    for line in lines:
        if isinstance(line, Refused):
            plan.refused = line
            break
        if line.digest in stored:
            plan.placed.append(Placed(line, stored[line.digest].branch, Journal.ALREADY))
            continue
        head = _head_before(line, plan.heads, tips, stored)
        if head is None:
            if line.header.seq == 0:
                # Nothing comes before line 0: asking for it would be asking for ever.
                plan.refused = Refused(line.to_bytes(), EpochNotOpened.code)
            else:
                plan.gap = line
            break
        if head.key_id != line.key_id:
            # One key for each epoch: another key may not continue its chain.
            plan.refused = Refused(line.to_bytes(), BadSignature.code)
            break
        tips.pop((head.next_seq, head.digest), None)
        advanced = plan.heads[head.branch] = _advance(head, line)
        tips[advanced.next_seq, advanced.digest] = advanced.branch
        stored[line.digest] = Stored(head.branch, line.header.seq)
        journal = Journal.ACCEPTED if head.branch == MAIN else Journal.FORKED
        plan.placed.append(Placed(line, head.branch, journal))
    return plan


def _head_before(
    line: Line,
    heads: Mapping[str, ChainHead],
    tips: Mapping[tuple[int, str], str],
    stored: Mapping[str, Stored],
) -> ChainHead | None:
    """The chain that ``line`` continues; a new branch if it diverges; None after a gap."""
    seq, prev = line.header.seq, line.header.prev
    branch = tips.get((seq, prev))
    if branch is not None:
        return heads[branch]
    main = heads.get(MAIN)
    if main is None:
        begins = seq == 0 and prev == GENESIS
        return ChainHead(MAIN, line.key_id, 0, GENESIS) if begins else None
    before = stored.get(prev)
    # A branch may be longer than the main chain, and a line may diverge from it up there.
    diverges = seq <= main.next_seq or (before is not None and before.seq == seq - 1)
    return ChainHead(line.digest, line.key_id, seq, prev) if diverges else None


def _advance(head: ChainHead, line: Line) -> ChainHead:
    return ChainHead(
        branch=head.branch,
        key_id=head.key_id,
        next_seq=line.header.seq + 1,
        digest=line.digest,
    )
