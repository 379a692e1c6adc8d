"""One journal file: which lines are missing, doubled, out of order, altered or cut off.

The lines are read in file order and judged by their own places, so that each
defect is named by the device, epoch and seq that it concerns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from .errors import SyncError
from .line import GENESIS, Anchor, DeviceTime, Line, parse_package_line
from .package import ChainName, journal_path
from .verifier_claims import Book, first_line

#: A hole of more lines than this is named by its ends.
NAMED_ONE_BY_ONE = 1000


class KeptLine(NamedTuple):
    """What later steps need of a line; ``act`` is None where it is withheld."""

    seq: int
    digest: str
    prev: str
    key_id: str
    anchor: Optional[Anchor]
    t: DeviceTime
    act: Optional[Dict[str, Any]]
    header_bytes: bytes
    signature: bytes


@dataclass(frozen=True)
class Chain:
    """The readable lines of one chain by seq, each once."""

    name: ChainName
    lines: Mapping[int, KeptLine]

    @property
    def file(self) -> str:
        return journal_path(self.name)

    @property
    def first(self) -> int:
        return min(self.lines, default=0)

    @property
    def last(self) -> Optional[KeptLine]:
        return self.lines[max(self.lines)] if self.lines else None

    def place(self, seq: int) -> Dict[str, Any]:
        """The values of a claim about the line at ``seq``."""
        return place_of(self.name, seq)


def place_of(name: ChainName, seq: int) -> Dict[str, Any]:
    return {
        "file": journal_path(name),
        "device": name.device,
        "epoch": name.epoch,
        "branch": name.branch,
        "seq": seq,
    }


def read_chain(book: Book, name: ChainName, raw_lines: Iterable[bytes]) -> Chain:
    """Read a journal file and name every line of it that is not as it should be."""
    read: List[KeptLine] = []
    spoiled = set()
    # Without holes the line after seq n is n + 1: the name of one that cannot be read.
    guess = 0
    for raw in raw_lines:
        try:
            line = parse_package_line(raw)
        except SyncError as error:
            book.failed("journal.unreadable", **place_of(name, guess), reason=_reason(error))
            spoiled.add(guess)
            guess += 1
            continue
        header = line.header
        if (header.device, header.epoch) != (name.device, name.epoch):
            belongs = {"belongs_device": header.device, "belongs_epoch": header.epoch}
            book.failed("journal.elsewhere", **place_of(name, header.seq), **belongs)
            continue
        read.append(_kept(line))
        guess = header.seq + 1
    once = _name_repeated(book, name, read)
    _name_swapped(book, name, once)
    lines = {line.seq: line for line in sorted(once, key=lambda line: line.seq)}
    _name_missing(book, name, lines, spoiled)
    _check_links(book, name, lines)
    return Chain(name, lines)


def _kept(line: Line) -> KeptLine:
    header = line.header
    return KeptLine(
        seq=header.seq,
        digest=line.digest,
        prev=header.prev,
        key_id=line.key_id,
        anchor=header.anchor,
        t=header.t,
        act=line.act,
        header_bytes=line.header_bytes,
        signature=line.signature,
    )


def _name_repeated(book: Book, name: ChainName, lines: Iterable[KeptLine]) -> List[KeptLine]:
    """Keep the first line of each place."""
    kept: Dict[int, KeptLine] = {}
    for line in lines:
        first = kept.setdefault(line.seq, line)
        if first is not line:
            same = first.digest == line.digest
            code = "journal.doubled" if same else "journal.two_for_one_place"
            book.failed(code, **place_of(name, line.seq))
    return list(kept.values())


def _name_swapped(book: Book, name: ChainName, lines: List[KeptLine]) -> None:
    # The lines that stand where sorting would put another one; both of a swapped pair.
    for line, expected in zip(lines, sorted(lines, key=lambda line: line.seq)):
        if line.seq != expected.seq:
            book.failed("journal.swapped", **place_of(name, line.seq))


def _name_missing(
    book: Book, name: ChainName, lines: Mapping[int, KeptLine], spoiled: Iterable[int]
) -> None:
    known = sorted({*lines, *spoiled})
    # A branch begins where it leaves the main chain.
    expected = known[0] if known and name.branch else 0
    for seq in known:
        name_missing(book, name, expected, seq)
        expected = seq + 1


def name_missing(book: Book, name: ChainName, start: int, end: int) -> None:
    """Name the lines from ``start`` up to, not including, ``end``."""
    if end - start > NAMED_ONE_BY_ONE:
        book.failed("journal.missing_range", **place_of(name, start), last=end - 1)
        return
    for seq in range(start, end):
        book.failed("journal.missing", **place_of(name, seq))


def _check_links(book: Book, name: ChainName, lines: Mapping[int, KeptLine]) -> None:
    sizes: Dict[str, int] = {}
    for seq, line in lines.items():
        before = lines.get(seq - 1)
        expected = GENESIS if seq == 0 else before.digest if before else line.prev
        if line.prev != expected:
            book.failed("journal.unlinked", **place_of(name, seq))
        if line.anchor is not None:
            if line.anchor.size < sizes.get(line.anchor.origin, 0):
                book.failed("journal.anchor_shrinks", **place_of(name, seq))
            sizes[line.anchor.origin] = line.anchor.size


def _reason(error: SyncError) -> str:
    return "%s (%s)" % (error.code, first_line(error))


def newest_anchors(chain: Chain) -> Dict[int, Anchor]:
    """For each seq the newest checkpoint embedded up to there."""
    anchors = {}
    newest: Optional[Anchor] = None
    for seq, line in chain.lines.items():
        newest = line.anchor or newest
        if newest is not None:
            anchors[seq] = newest
    return anchors


def listed(act: Mapping[str, Any], name: str) -> List[Any]:
    """The list in a field of an act, which a device may have filled with anything."""
    value = act.get(name)
    return value if isinstance(value, list) else []


def whole(value: Any) -> int:
    """A seq in an act; -1, which no line has, for anything that is not a whole number."""
    return value if type(value) is int else -1


def disclosed(chain: Chain) -> List[Tuple[KeptLine, Dict[str, Any]]]:
    """The lines of ``chain`` whose act can be read, with it."""
    return [(line, line.act) for line in chain.lines.values() if line.act is not None]
