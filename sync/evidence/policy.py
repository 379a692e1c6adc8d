"""C2SP ``tlog-policy``: whose signatures make a checkpoint worth believing.

Implements https://c2sp.org/tlog-policy: logs, witnesses, groups of them (k of
n, nested), and the quorum. Witness keys of a type that this program cannot
check are refused, never passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, Iterable, List, Sequence, Tuple

from .cosignature import CosignerKey, parse_cosigner_key
from .errors import SyncError
from .note import VerifierKey, parse_verifier_key

#: The quorum that asks for no witness.
NONE = "none"
MAX_BYTES = 1 << 18

_FORBIDDEN = re.compile(b"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(r"\A[1-9][0-9]{0,5}\Z")


class PolicyMalformed(SyncError):
    """A file is not a C2SP ``tlog-policy``; ``line`` counts from 1, 0 for the whole file."""

    code = "policy.malformed"

    def __init__(self, reason: str, *, line: int = 0) -> None:
        super().__init__("line %d: %s" % (line, reason) if line else reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True)
class Log:
    """A ledger that the policy accepts; ``url`` is empty where none is given."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True)
class Witness:
    """A witness under its ``name`` in this policy, with the prefix where it takes checkpoints."""

    name: str
    key: CosignerKey
    url: str = ""


@dataclass(frozen=True)
class Group:
    """Witnesses as soon as ``threshold`` of its ``members`` do."""

    name: str
    threshold: int
    members: Tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """A policy, its parts in the order of the file."""

    logs: Tuple[Log, ...]
    witnesses: Tuple[Witness, ...]
    groups: Tuple[Group, ...]
    quorum: str

    @property
    def cosigners(self) -> Tuple[CosignerKey, ...]:
        return tuple(witness.key for witness in self.witnesses)

    def is_met_by(self, signers: Iterable[CosignerKey]) -> bool:
        """Whether cosignatures by ``signers`` are a quorum."""
        keys = set(signers)
        met = {witness.name for witness in self.witnesses if witness.key in keys}
        # A group is defined after its members, so that one pass over them is enough.
        for group in self.groups:
            if sum(member in met for member in group.members) >= group.threshold:
                met.add(group.name)
        return self.quorum == NONE or self.quorum in met


def parse_policy(data: bytes) -> Policy:
    """Parse a policy file.

    Raises:
        PolicyMalformed.
    """
    if len(data) > MAX_BYTES:
        raise PolicyMalformed("longer than %d bytes" % MAX_BYTES)
    if _FORBIDDEN.search(data):
        raise PolicyMalformed("a control character other than tab and newline")
    reader = _Reader()
    # Names are octets to the specification; what is no UTF-8 survives the round trip.
    for number, row in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
        words = [word for word in re.split("[ \t]+", row) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.read(words[0], words[1:])
        except SyncError as error:
            raise PolicyMalformed(str(error), line=number) from error
    return reader.policy()


def format_policy(policy: Policy) -> bytes:
    """The file that :func:`parse_policy` reads back as ``policy``."""
    rows = [_row("log", str(log.key), log.url) for log in policy.logs]
    rows += [_row("witness", w.name, str(w.key), w.url) for w in policy.witnesses]
    rows += [_row("group", g.name, str(g.threshold), *g.members) for g in policy.groups]
    rows.append(_row("quorum", policy.quorum))
    return "".join(rows).encode("utf-8", "surrogateescape")


def _row(*words: str) -> str:
    return " ".join(word for word in words if word) + "\n"


class _Reader:
    """Takes the lines of a policy one by one."""

    def __init__(self) -> None:
        self._logs: List[Log] = []
        self._witnesses: List[Witness] = []
        self._groups: List[Group] = []
        self._quorums: List[str] = []
        #: Every defined name, and whether a group already counts it.
        self._counted: Dict[str, bool] = {}

    def read(self, keyword: str, words: Sequence[str]) -> None:
        kinds: Dict[str, Tuple[FrozenSet[int], Callable[..., None]]] = {
            "log": (frozenset((1, 2)), self._log),
            "witness": (frozenset((2, 3)), self._witness),
            "quorum": (frozenset((1,)), self._quorum),
        }
        if keyword == "group":
            self._group(words)
        elif keyword not in kinds:
            raise PolicyMalformed("an unknown keyword")
        elif len(words) not in kinds[keyword][0]:
            raise PolicyMalformed("a %s line of another form" % keyword)
        else:
            kinds[keyword][1](*words)

    def policy(self) -> Policy:
        if len(self._quorums) != 1:
            raise PolicyMalformed("exactly one quorum")
        return Policy(
            tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorums[0]
        )

    def _log(self, key: str, url: str = "") -> None:
        log = Log(parse_verifier_key(key), url)
        if any(other.key.public_key == log.key.public_key for other in self._logs):
            raise PolicyMalformed("one log key twice")
        self._logs.append(log)

    def _witness(self, name: str, key: str, url: str = "") -> None:
        witness = Witness(name, parse_cosigner_key(key), url)
        # One key under two names would count twice towards a quorum.
        if any(w.key.public_key == witness.key.public_key for w in self._witnesses):
            raise PolicyMalformed("one witness key twice")
        self._define(name)
        self._witnesses.append(witness)

    def _group(self, words: Sequence[str]) -> None:
        if len(words) < 3:
            raise PolicyMalformed("a group line of another form")
        name, threshold, members = words[0], words[1], tuple(words[2:])
        for member in members:
            if self._counted.get(member) is None:
                raise PolicyMalformed("a member that no line above defines")
            if self._counted[member]:
                raise PolicyMalformed("a member counted more than once")
            self._counted[member] = True
        self._define(name)
        self._groups.append(Group(name, _threshold(threshold, len(members)), members))

    def _quorum(self, name: str) -> None:
        if name != NONE and name not in self._counted:
            raise PolicyMalformed("a quorum that no line above defines")
        self._quorums.append(name)

    def _define(self, name: str) -> None:
        if name == NONE or name in self._counted:
            raise PolicyMalformed("a name that is taken")
        self._counted[name] = False


def _threshold(word: str, members: int) -> int:
    if word in ("any", "all"):
        return 1 if word == "any" else members
    if not _THRESHOLD.match(word) or int(word) > members:
        raise PolicyMalformed("a threshold between 1 and the number of members")
    return int(word)
