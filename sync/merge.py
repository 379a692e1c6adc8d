"""Merging the revisions of one record, the same on every side (docs/protocol.md §4.3).

Who saw what decides, never a clock and never the order of arrival; only which of
several candidates is shown first follows their places in the ledger. No value is
ever dropped: what a person passed over stands among the candidates still.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any

from sync.evidence import canonical

#: The place of a line that has none in the ledger yet: after all that have.
UNSENT = 2**53


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The fields that one saved revision changed, and the digests of what its author saw."""

    digest: str
    base: Sequence[str]
    fields: Mapping[str, Any]
    position: int = UNSENT
    outside_seal: bool = False


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An addendum that says whose value of a field stands: that of the line ``chosen``."""

    digest: str
    base: Sequence[str]
    field: str
    chosen: str
    position: int = UNSENT


class Standing(StrEnum):
    """How a revision or choice stands to the others of its record."""

    APPLIED = "applied"
    MERGED = "merged"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Candidate:
    """A value that a field was given, and the digest of the line that gave it."""

    digest: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field of a record: what is shown, what else was said, and who settled it.

    ``candidates`` begin with the one that is shown. Without a conflict there are
    several only where ``settled_by``, a line's digest, chose between them.
    """

    candidates: tuple[Candidate, ...]
    conflict: bool
    settled_by: str = ""

    @property
    def value(self) -> Any:
        return self.candidates[0].value


@dataclass(frozen=True, kw_only=True)
class Merged:
    """A record as it stands, the standing of each of its lines, and what nobody has followed.

    ``heads`` is what the next revision or choice names as its ``base``.
    """

    fields: Mapping[str, Field] = field(default_factory=dict)
    standing: Mapping[str, Standing] = field(default_factory=dict)
    heads: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What is shown of each field, without those that were cleared."""
        return {name: one.value for name, one in self.fields.items() if one.value != ""}

    @property
    def conflicts(self) -> tuple[str, ...]:
        return tuple(name for name, one in self.fields.items() if one.conflict)


@dataclass(frozen=True, kw_only=True)
class _Node:
    """A line among its fellows, which are numbered: a set of them is the bits of an integer.

    ``source`` is the revision whose values these are; ``after`` are the lines that
    saw this one, and ``follows`` are those of ``seen`` whose values it replaces.
    """

    line: Revision | Choice
    source: str
    fields: Mapping[str, Any]
    seen: int
    after: int
    follows: int


def merge(revisions: Iterable[Revision], choices: Iterable[Choice] = ()) -> Merged:
    """Merge all that is known of one record; repetitions and order change nothing."""
    lines: dict[str, Revision | Choice] = {line.digest: line for line in revisions}
    lines |= {line.digest: line for line in choices}
    nodes = _nodes(lines)
    fields, disputed = {}, 0
    for name in sorted({name for node in nodes for name in node.fields}):
        fields[name], tips = _field(nodes, name)
        disputed |= tips if fields[name].conflict else 0
    return Merged(
        fields=fields,
        standing={
            node.line.digest: _standing(node, nodes, disputed=bool(disputed >> n & 1))
            for n, node in enumerate(nodes)
        },
        heads=tuple(node.line.digest for node in nodes if not node.after),
    )


def standings_of(
    revisions: Sequence[Revision], choices: Sequence[Choice] = ()
) -> Mapping[str, Standing]:
    """The ``standing`` of :func:`merge`, at once where each revision saw the one before it."""
    line = sorted(revisions, key=lambda revision: revision.position)
    straight = all(before.digest in after.base for before, after in pairwise(line))
    if choices or not straight or any(revision.outside_seal for revision in revisions):
        return merge(revisions, choices).standing
    return {revision.digest: Standing.APPLIED for revision in revisions}


def _nodes(lines: Mapping[str, Revision | Choice]) -> list[_Node]:
    """The lines in the order of their digests, with what each saw, directly or through others."""
    ordered = [lines[digest] for digest in sorted(lines)]
    number = {line.digest: n for n, line in enumerate(ordered)}
    parents = {
        n: [number[digest] for digest in line.base if digest in number]
        for n, line in enumerate(ordered)
    }
    # A base names digests of lines that were there before: there is no circle.
    order = list(TopologicalSorter(parents).static_order())
    seen, after = [0] * len(ordered), [0] * len(ordered)
    for n in order:
        for parent in parents[n]:
            seen[n] |= seen[parent] | 1 << parent
    for n in reversed(order):
        for parent in parents[n]:
            after[parent] |= after[n] | 1 << n
    outside = sum(1 << n for n, line in enumerate(ordered) if _is_outside(line))
    nodes = []
    for n, line in enumerate(ordered):
        source, fields = _given(line, lines)
        # What came after the seal stands beside what was sealed and never replaces it.
        follows = seen[n] & outside if _is_outside(line) else seen[n]
        nodes.append(
            _Node(
                line=line,
                source=source,
                fields=fields,
                seen=seen[n],
                after=after[n],
                follows=follows,
            )
        )
    return nodes


def _given(
    line: Revision | Choice, lines: Mapping[str, Revision | Choice]
) -> tuple[str, Mapping[str, Any]]:
    """Whose values a line gives, and which; a choice waits until what it chose is here."""
    if isinstance(line, Revision):
        return line.digest, line.fields
    chosen = lines.get(line.chosen)
    if isinstance(chosen, Revision) and line.field in chosen.fields:
        return line.chosen, {line.field: chosen.fields[line.field]}
    return line.chosen, {}


def _is_outside(line: Revision | Choice) -> bool:
    return isinstance(line, Revision) and line.outside_seal


def _field(nodes: Sequence[_Node], name: str) -> tuple[Field, int]:
    """How one field stands, and which lines gave the values that nobody has replaced."""
    setters = sum(1 << n for n, node in enumerate(nodes) if name in node.fields)
    tips = _unfollowed(nodes, setters)
    standing = _shown_first(nodes, tips)
    candidates = [Candidate(node.source, node.fields[name]) for node in standing]
    if len(_different(candidates)) > 1:
        return Field(candidates=tuple(candidates), conflict=True), tips
    last = standing[0].line
    if len(standing) > 1:
        return Field(candidates=tuple(candidates), conflict=False), tips
    before = [
        Candidate(node.source, node.fields[name])
        for node in _shown_first(nodes, _unfollowed(nodes, setters & ~tips))
    ]
    if not isinstance(last, Choice) and len(_different(before)) < 2:
        return Field(candidates=tuple(candidates), conflict=False), tips
    chosen = _different(candidates)
    passed_over = [one for one in before if not chosen & _different([one])]
    return Field(
        candidates=(*candidates, *passed_over), conflict=False, settled_by=last.digest
    ), tips


def _unfollowed(nodes: Sequence[_Node], among: int) -> int:
    """Those of a set of lines whose values no other line of it replaces."""
    replaced = 0
    for n in _members(among):
        replaced |= nodes[n].follows
    return among & ~replaced


def _shown_first(nodes: Sequence[_Node], among: int) -> list[_Node]:
    """What was sealed before what was not, the later place in the ledger before the earlier."""
    chosen = [nodes[n] for n in _members(among)]
    return sorted(
        chosen,
        key=lambda node: (not _is_outside(node.line), node.line.position, node.line.digest),
        reverse=True,
    )


def _different(candidates: Iterable[Candidate]) -> set[bytes]:
    """The values that differ as signed: to Python ``True`` equals 1, on paper it does not."""
    return {canonical.dumps(one.value) for one in candidates}


def _standing(node: _Node, nodes: Sequence[_Node], *, disputed: bool) -> Standing:
    if disputed:
        return Standing.CONFLICT
    known = node.seen.bit_count() + node.after.bit_count() + 1
    if isinstance(node.line, Revision) and known < len(nodes):
        return Standing.MERGED
    return Standing.APPLIED


def _members(bits: int) -> Iterable[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
