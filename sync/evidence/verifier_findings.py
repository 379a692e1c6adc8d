"""Step 6, the findings (核查提示): those that the ledger took in, all of them, and computed again.

Their texts are held against the digests in the ledger's ``verify`` events. With
``--findings`` the rules run once more over facts and context; these rules are not
of this package, and where they are not installed that is not checked.
"""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from . import canonical
from .encoding import sha256_hex
from .errors import NotCanonical, SyncError
from .package import FINDINGS
from .records import ERASED, CaseIndex
from .verifier_claims import Book, first_line
from .verifier_ledger import Ledger, ProvedEvent
from .verifier_source import Source, read

Row = Mapping[str, Any]

_RULES = "media.findings"
_FACTS = re.compile(r"\Adata/facts/([0-9a-f]{64})\.json\Z")

#: The place in the ledger that took a reader's facts in, and these.
Reading = Tuple[int, str]


@dataclass(frozen=True)
class Run:
    """One run of the rules over one item, with the event that took it in."""

    item: str
    sha256: str
    row: Row
    event: ProvedEvent


def check_findings(
    book: Book, source: Source, index: CaseIndex, ledger: Ledger, *, again: bool
) -> None:
    """Tie every run to its event, find those that were left out, and repeat them if ``again``."""
    try:
        told = list(_told(canonical.loads(read(source, FINDINGS))))
    except SyncError as error:
        book.failed("case.findings_unreadable", file=FINDINGS, reason=first_line(error))
        return
    if not ledger.events:
        book.not_checked("case.findings_untied", file=FINDINGS)
        return
    mark = book.mark
    runs = [run for run in (_tied(book, ledger, *one) for one in told) if run is not None]
    _name_left_out(book, index, ledger, {row["ledger_index"] for _, _, row in told})
    book.conclude(mark, "case.findings_tied", count=len(runs))
    facts = _all_facts(book, source, ledger)
    if again:
        _repeat(book, runs, facts)
    else:
        book.not_checked("case.findings_not_recomputed", file=FINDINGS)


def _told(value: Any) -> Iterator[Tuple[str, str, Row]]:
    """(item, its digest, run) for each run in the file.

    Raises:
        NotCanonical: for another form.
    """
    items = value.get("items") if isinstance(value, dict) else None
    for item in _objects(items):
        if not isinstance(item.get("item"), str) or not isinstance(item.get("sha256"), str):
            raise NotCanonical("an item without its digest")
        for row in _objects(item.get("checks")):
            texts = [row.get(name) for name in ("claims", "findings", "rule_version", "verdict")]
            if type(row.get("ledger_index")) is not int or not _are_texts(texts):
                raise NotCanonical("a run of another form")
            yield item["item"], item["sha256"], row


def _objects(value: Any) -> List[Row]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise NotCanonical("a list of objects")
    return value


def _are_texts(values: List[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _tied(book: Book, ledger: Ledger, item: str, sha256: str, row: Row) -> Optional[Run]:
    """The run with its event, if the event says the same of it."""
    index = row["ledger_index"]
    event = ledger.events.get(index)
    texts = ["claims", "findings", *(["context"] if "context" in row else [])]
    if (
        event is None
        or event.kind != "verify"
        or (event.body["subject"].get("item"), event.body["subject"].get("sha256"))
        != (item, sha256)
        or event.body["subject"].get("rules") != row["rule_version"]
        or event.body["snapshot"].get("verdict") != row["verdict"]
        or any(event.body["snapshot"].get(name) != _digest(row[name]) for name in texts)
    ):
        book.failed("case.findings_differ", file=FINDINGS, item=item, index=index)
        return None
    return Run(item, sha256, row, event)


def _digest(text: Any) -> Optional[str]:
    return sha256_hex(text.encode("utf-8")) if isinstance(text, str) else None


def _name_left_out(book: Book, index: CaseIndex, ledger: Ledger, told: "set[int]") -> None:
    """An unwelcome finding cannot be kept back: the ledger says how often the rules ran."""
    kept = {item.item for item in index.items if item.disposition != ERASED}
    for event in ledger.of_kind("verify"):
        item = event.body["subject"].get("item")
        if item in kept and "findings" in event.body["snapshot"] and event.index not in told:
            book.failed("case.findings_left_out", file=FINDINGS, item=item, index=event.index)


def _repeat(book: Book, runs: List[Run], facts: Mapping[str, List[Reading]]) -> None:
    """Let the rules run again, over the facts that were there and the context as it was."""
    rules = _rules()
    if rules is None:
        book.not_checked("case.findings_no_rules", file=FINDINGS)
        return
    mark = book.mark
    repeated = without = 0
    for run in runs:
        readings = [text for at, text in facts.get(run.sha256, ()) if at < run.event.index]
        if "context" not in run.row or not readings:
            without += 1
            continue
        repeated += 1
        # Of several readers the newest counted; an older one may have been asked for again.
        if not any(_is_repeated(rules, run.row, text) for text in reversed(readings)):
            book.failed(
                "case.findings_recomputed_differ",
                file=FINDINGS,
                item=run.item,
                index=run.event.index,
            )
    book.conclude(mark, "case.findings_recomputed", count=repeated)
    if without:
        book.not_checked("case.findings_without_context", count=without)


def _rules() -> Optional[Any]:
    # Rules and formats do not know each other; only here, and only if asked for, they meet.
    try:
        return importlib.import_module(_RULES)
    except ImportError:
        return None


def _all_facts(book: Book, source: Source, ledger: Ledger) -> Dict[str, List[Reading]]:
    """What was read from each file, by its digest, as far as the ledger took it in."""
    facts = {}
    for path in source.names:
        match = _FACTS.match(path)
        if match is not None:
            facts[match.group(1)] = _facts(book, source, ledger, path, match.group(1))
    return facts


def _facts(book: Book, source: Source, ledger: Ledger, path: str, sha256: str) -> List[Reading]:
    """What each reader read, by the place in the ledger that took it in."""
    found = []
    try:
        value = canonical.loads(read(source, path))
        readings = _objects(value.get("readings") if isinstance(value, dict) else None)
    except SyncError as error:
        book.failed("case.findings_unreadable", file=path, reason=first_line(error))
        return []
    for reading in readings:
        index = reading.get("ledger_index")
        event = ledger.events.get(index) if type(index) is int else None
        if event is None or not _was_read(event, sha256, reading):
            book.failed("case.facts_differ", file=path, sha256=sha256)
            continue
        found.append((event.index, str(reading["facts"])))
    return sorted(found)


def _was_read(event: ProvedEvent, sha256: str, reading: Row) -> bool:
    """Whether ``event`` took in these texts as read from this file by this reader."""
    subject, snapshot = event.body["subject"], event.body["snapshot"]
    return (
        (event.kind, subject.get("sha256")) == ("verify", sha256)
        and subject.get("reader") == reading.get("reader_version")
        and isinstance(reading.get("facts"), str)
        and all(snapshot.get(name) == _digest(reading.get(name)) for name in ("facts", "second"))
    )


def _is_repeated(rules: Any, row: Row, facts: str) -> bool:
    """Whether the same rules give the same claims and findings to the byte."""
    version = row["rule_version"]
    try:
        context = rules.context_from_json(row["context"])
        claims = rules.claims(json.loads(facts), context.hints, version)
        found = rules.compare(claims, context, version)
    except Exception:  # whatever the rules choke on, they did not give this
        return False
    return bool(rules.to_json(claims) == row["claims"] and rules.to_json(found) == row["findings"])
