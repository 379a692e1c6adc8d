"""What the verifier says: numbered steps, each with claims that hold, fail or were not checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Dict, List, Mapping, Optional, Tuple

#: Step names in order; the number of a step is its place here, from 1.
STEPS = (
    "container",
    "bag",
    "trust",
    "ledger",
    "journal",
    "case",
    "receipts",
    "time",
    "duties",
    "outside",
)
#: Of a longer value only so many letters are shown.
_SHOWN = 1000


class Verdict(Enum):
    """The only three answers; what could not be checked is never passed over."""

    PASS = "PASS"  # noqa: S105  # a verdict, no password
    FAIL = "FAIL"
    NOT_CHECKED = "NOT CHECKED"


@dataclass(frozen=True)
class Claim:
    """One answer. ``values`` fill the text of ``code``.

    ``place`` are those values that say where: file, device, epoch, branch, seq,
    item, index. Missing ones were not applicable.
    """

    step: str
    code: str
    verdict: Verdict
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return STEPS.index(self.step) + 1

    def text(self, texts: Mapping[str, Mapping[str, str]], lang: str) -> str:
        """The sentence for people.

        Raises:
            KeyError: if the catalogue lacks it, which is a fault of the program.
        """
        values = {name: shown(str(value)) for name, value in self.values.items()}
        return texts["verify." + self.code][lang].format(**values)

    def to_json(self, texts: Mapping[str, Mapping[str, str]], lang: str) -> Dict[str, Any]:
        return {
            "step": self.number,
            "code": self.code,
            "verdict": self.verdict.value,
            "text": self.text(texts, lang),
            **self.values,
        }


@dataclass(frozen=True)
class Result:
    """All claims about one package, in step order."""

    claims: Tuple[Claim, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL if any claim fails, else PASS; the claims say what was not checked."""
        failed = any(claim.verdict is Verdict.FAIL for claim in self.claims)
        return Verdict.FAIL if failed else Verdict.PASS

    def count(self, verdict: Verdict) -> int:
        return sum(claim.verdict is verdict for claim in self.claims)


class Book:
    """Collects the claims of one step."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.claims: List[Claim] = []

    def passed(self, code: str, **values: Any) -> None:
        self._add(code, Verdict.PASS, values)

    def failed(self, code: str, **values: Any) -> None:
        self._add(code, Verdict.FAIL, values)

    def not_checked(self, code: str, **values: Any) -> None:
        self._add(code, Verdict.NOT_CHECKED, values)

    def conclude(self, before: int, code: str, **values: Any) -> None:
        """Pass ``code`` if nothing failed since the book held ``before`` claims."""
        if not any(claim.verdict is Verdict.FAIL for claim in self.claims[before:]):
            self.passed(code, **values)

    @property
    def mark(self) -> int:
        return len(self.claims)

    def _add(self, code: str, verdict: Verdict, values: Mapping[str, Any]) -> None:
        self.claims.append(Claim(self.step, code, verdict, dict(values)))


def shown(value: str) -> str:
    """``value``, which may be anything that a package holds, as it can stand in a line.

    Whoever made the package must not move the reader's cursor, begin a line of their
    own, or turn the order of letters round: such letters are spelled out.
    """
    line = " ".join(value.split())
    return "".join(
        letter if letter.isprintable() else "〔U+%04X〕" % ord(letter) for letter in line[:_SHOWN]
    )


def first_line(error: Optional[BaseException]) -> str:
    """The reason in an error, on one line, for the ``reason`` of a claim."""
    return " ".join(str(error).split())[:200]
