"""The items of a case with all that was known of each at the moment of the package."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings import model
from server.models.inspections import EvidenceItem, Finding, ItemCheck, Judgement, MediaFacts
from server.models.journal import JournalLine
from server.models.ledger import LedgerEvent, LedgerSubject
from server.models.people import Person
from server.models.uploads import MediaObject
from server.operations.export.chains import Chain, Placed, Stamps, acting
from server.operations.export.moment import Moment
from server.operations.export.proofs import pages_of, same_leaf
from sync.evidence import acts, canonical
from sync.evidence.interval import Interval


@dataclass(frozen=True, kw_only=True)
class Word:
    """A reviewer's judgement, named as the ledger's event names the person."""

    person_id: str
    name: str
    verdict: str
    reason: str
    judged_at_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where an item's bytes are, and their CRC-32, known since they arrived."""

    key: str
    size: int
    crc32: int


@dataclass(frozen=True, kw_only=True)
class Check:
    """One run of the rules over an item; the ledger holds the digests of claims and findings."""

    rule_version: str
    verdict: str
    claims: str
    checked_at_ms: int
    ledger_index: int
    findings: tuple[model.Finding, ...]


@dataclass(frozen=True, kw_only=True)
class ItemState:
    """One item; ``source`` is None while its bytes are missing or where they are withheld."""

    row: EvidenceItem
    line: Placed
    interval: Interval
    discard: Placed | None
    outside_seal: bool
    source: Source | None
    words: tuple[Word, ...]
    checks: tuple[Check, ...]
    facts: tuple[MediaFacts, ...]

    @property
    def judged(self) -> str:
        """The state that the case side of the moment gives the item."""
        if self.discard is not None:
            return "discarded"
        if self.words:
            return self.words[-1].verdict
        if self.source is None:
            return "captured"
        return "checked" if self.checks else "stored"


def read_items(
    session: Session,
    moment: Moment,
    inspection_id: str,
    chains: Sequence[Chain],
    stamps: Stamps,
    seal: Placed | None,
) -> Iterator[ItemState]:
    places = {(*chain.name, line.seq): line for chain in chains for line in chain.lines}
    discards = {
        line.act["item"]: line
        for line in acting(chains, acts.MEDIA_DISCARDED)
        if line.act is not None
    }
    rows = session.execute(
        select(EvidenceItem)
        .join(JournalLine, JournalLine.digest == EvidenceItem.line_digest)
        .where(
            EvidenceItem.inspection_id == inspection_id,
            JournalLine.device_id == EvidenceItem.device_id,
            JournalLine.generation == moment.generation,
            JournalLine.ledger_index < moment.size,
        )
        .order_by(JournalLine.ledger_index)
    ).scalars()
    items = rows.all()
    sources = _sources(session, moment, {row.sha256 for row in items})
    words = _by(_words(session, moment, inspection_id), "item_id")
    checks = _checks(session, moment, items)
    facts = _by(_facts(session, moment, {row.sha256 for row in items}), "sha256")
    listed = set(seal.act["media"]) if seal is not None and seal.act is not None else None
    for row in items:
        line = places[row.device_id, row.epoch, row.branch, row.seq]
        discard = discards.get(row.id)
        yield ItemState(
            row=row,
            line=line,
            interval=stamps.interval(line),
            discard=discard,
            outside_seal=listed is not None and row.sha256 not in listed,
            source=None if discard is not None else sources.get(row.sha256),
            words=tuple(_word(session, moment, word) for word in words.get(row.id, ())),
            checks=tuple(checks.get(row.id, ())),
            facts=tuple(facts.get(row.sha256, ())),
        )


def _sources(session: Session, moment: Moment, digests: set[str]) -> dict[str, Source]:
    """Where the bytes are that had arrived by the moment."""
    found: dict[str, Source] = {}
    for page in pages_of(sorted(digests)):
        arrived = set(
            session.execute(
                select(LedgerSubject.about)
                .join(LedgerEvent, same_leaf())
                .where(
                    LedgerSubject.about.in_([f"media:{digest}" for digest in page]),
                    LedgerEvent.kind == "verify",
                    LedgerEvent.generation == moment.generation,
                    LedgerEvent.index < moment.size,
                )
            ).scalars()
        )
        rows = session.execute(
            select(MediaObject).where(MediaObject.sha256.in_(page), MediaObject.status == "stored")
        ).scalars()
        found.update(
            {
                row.sha256: Source(key=row.key, size=row.size, crc32=row.crc32)
                for row in rows
                if f"media:{row.sha256}" in arrived
            }
        )
    return found


def _words(session: Session, moment: Moment, inspection_id: str) -> Iterable[Judgement]:
    return session.execute(
        select(Judgement)
        .where(Judgement.case_id == inspection_id, Judgement.ledger_index < moment.size)
        .order_by(Judgement.ledger_index)
    ).scalars()


def _word(session: Session, moment: Moment, row: Judgement) -> Word:
    event = session.get(LedgerEvent, (moment.generation, row.ledger_index))
    actor = canonical.loads(event.event)["actor"] if event is not None else {}
    return Word(
        person_id=row.person_id,
        name=actor.get("name") or session.get_one(Person, row.person_id).name,
        verdict=row.verdict,
        reason=row.reason,
        judged_at_ms=row.judged_at_ms,
        ledger_index=row.ledger_index,
    )


def _checks(
    session: Session, moment: Moment, items: Sequence[EvidenceItem]
) -> dict[str, list[Check]]:
    """Every run of the rules before the moment, oldest first, by item."""
    checks: dict[str, list[Check]] = {}
    for page in pages_of([item.id for item in items]):
        found = _by(
            session.execute(
                select(Finding).where(Finding.item_id.in_(page)).order_by(Finding.id)
            ).scalars(),
            "check_id",
        )
        runs = session.execute(
            select(ItemCheck)
            .where(ItemCheck.item_id.in_(page), ItemCheck.ledger_index < moment.size)
            .order_by(ItemCheck.ledger_index)
        ).scalars()
        for run in runs:
            checks.setdefault(run.item_id, []).append(
                Check(
                    rule_version=run.rule_version,
                    verdict=run.verdict,
                    claims=run.claims,
                    checked_at_ms=run.checked_at_ms,
                    ledger_index=run.ledger_index,
                    findings=tuple(
                        model.Finding(
                            row.code, row.severity, json.loads(row.evidence), row.rule_version
                        )
                        for row in found.get(run.id, ())
                    ),
                )
            )
    return checks


def _facts(session: Session, moment: Moment, digests: set[str]) -> Iterator[MediaFacts]:
    for page in pages_of(sorted(digests)):
        yield from session.execute(
            select(MediaFacts)
            .where(MediaFacts.sha256.in_(page), MediaFacts.ledger_index < moment.size)
            .order_by(MediaFacts.ledger_index)
        ).scalars()


def _by(rows: Iterable[Any], name: str) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = {}
    for row in rows:
        grouped.setdefault(getattr(row, name), []).append(row)
    return grouped
