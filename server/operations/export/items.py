"""The items of a case with all that was known of each at the moment of the package."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings import model
from server.models.inspections import (
    EvidenceItem,
    Finding,
    Inspection,
    ItemCheck,
    Judgement,
    MediaFacts,
)
from server.models.journal import MAIN, JournalLine
from server.models.ledger import LedgerEvent
from server.models.people import Person
from server.models.redaction import Redaction
from server.models.uploads import MediaObject
from server.operations.erased import Mark, is_erased, marks_of_items
from server.operations.export.chains import Act, Chain, Placed, Stamps, acting, announcements
from server.operations.export.moment import Moment
from server.operations.export.proofs import events_named, kinds_of, pages_of
from server.operations.holding import held
from server.operations.standing import FAILED
from sync.evidence import acts, canonical, records
from sync.evidence.interval import Interval
from sync.evidence.package import derived_path, original_path
from sync.evidence.seal import read_seal


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
    """One run of the rules over an item; the ledger holds the digests of its texts."""

    rule_version: str
    verdict: str
    claims: str
    context: str
    checked_at_ms: int
    ledger_index: int
    findings: tuple[model.Finding, ...]


def standing(checks: Sequence[Check]) -> Sequence[Check]:
    """Of an item's runs, oldest first, those that speak for it (``server.operations.standing``)."""
    whole = [
        n for n, check in enumerate(checks) if all(one.code != FAILED for one in check.findings)
    ]
    return checks[whole[-1] if whole else -1 :]


@dataclass(frozen=True, kw_only=True)
class ItemState:
    """One item, from the line that announced it; ``source`` is None while its bytes are missing.

    ``discard`` is the line that threw it away, if one did. Lines that wait for a
    person's decision (待核) announce items too: nothing is left out.
    """

    id: str
    line: Placed
    act: Act
    interval: Interval
    discard: Placed | None
    outside_seal: bool
    source: Source | None
    words: tuple[Word, ...]
    checks: tuple[Check, ...]
    facts: tuple[MediaFacts, ...]
    #: Why its bytes are not here any more, where they were erased by law.
    erased: Mark | None = None
    #: The copy that stands for it in a redacted package.
    redaction: Redaction | None = None

    @property
    def sha256(self) -> str:
        return str(self.act["sha256"])

    @property
    def media_type(self) -> str:
        return str(self.act["media_type"])

    @property
    def discarded(self) -> bool:
        """Whether the discarding took effect; one that waits for a decision did not."""
        return self.discard is not None and self.discard.applied

    @property
    def released(self) -> bool:
        """Whether the item is shown because a reviewer released its line."""
        return self.line.applied and self.line.decision == "released"

    @property
    def disposition(self) -> str:
        """Whether the package holds the bytes, withholds them, never got or no longer has them."""
        if self.erased is not None:
            return records.ERASED
        if self.discarded or (self.redaction is not None and self.source is not None):
            return records.WITHHELD
        return records.MISSING if self.source is None else records.ENCLOSED

    @property
    def file(self) -> str:
        """The item's file in the package; empty if it has none."""
        enclosed = self.disposition == records.ENCLOSED
        return original_path(self.sha256, self.media_type) if enclosed else ""

    @property
    def copy(self) -> str:
        """The file of its redacted copy, where the original is withheld for it; else empty."""
        if self.redaction is None or self.discarded or self.disposition != records.WITHHELD:
            return ""
        return derived_path(self.redaction.sha256)

    @property
    def discard_reason(self) -> str:
        act = self.discard.act if self.discard is not None else None
        return str(act["reason"]) if act is not None else ""

    @property
    def state(self) -> str:
        """The item's state as lines and events before the moment make it."""
        if self.erased is not None:
            return "erased"
        if self.discarded:
            return "discarded"
        if not self.line.applied:
            return "quarantined"
        if self.words:
            return self.words[-1].verdict
        if self.source is None:
            return "captured"
        return "checked" if self.checks else "stored"

    def text(self, name: str) -> str:
        """A text field of the announcement; empty where it has none."""
        value = self.act.get(name, "")
        return value if isinstance(value, str) else ""

    def position(self, name: str) -> int | None:
        """``lat``, ``lon`` (1e-7 degrees) or ``acc`` (cm) of the claimed position."""
        position = self.act.get("pos")
        value = position.get(name) if isinstance(position, dict) else None
        return value if type(value) is int else None


def read_items(
    session: Session,
    moment: Moment,
    inspection_id: str,
    chains: Sequence[Chain],
    stamps: Stamps,
    seal: Placed | None,
) -> Iterator[ItemState]:
    """The items that the lines of ``chains`` announce, in ledger order.

    Of one whose line was erased by law the digest and size that its row keeps remain.
    """
    announced = {**_without_text(session, inspection_id, chains), **announcements(chains)}
    erased = marks_of_items(session, announced)
    digests = {str(act["sha256"]) for _, act in announced.values()}
    discards = {
        str(act["item"]): line for line, act in acting(chains, acts.MEDIA_DISCARDED, applied=False)
    }
    # One that took effect counts before one that waits for a decision.
    discards.update({str(act["item"]): line for line, act in acting(chains, acts.MEDIA_DISCARDED)})
    case = session.get_one(Inspection, inspection_id)
    sources = _sources(session, moment, case.organization_id, digests)
    words = _by(_words(session, moment, inspection_id), "item_id")
    checks = _checks(session, moment, list(announced))
    facts = _by(_facts(session, moment, digests), "sha256")
    is_outside = outside_of(session, moment, seal)
    copies = _redactions(session, moment, list(announced)) if moment.redacted else {}
    for item_id, (line, act) in sorted(announced.items(), key=lambda i: i[1][0].ledger_index):
        sha256 = str(act["sha256"])
        item = ItemState(
            id=item_id,
            line=line,
            act=act,
            interval=stamps.interval(line),
            discard=discards.get(item_id),
            outside_seal=is_outside(sha256, line),
            source=None if item_id in erased else sources.get(sha256),
            erased=erased.get(item_id),
            redaction=copies.get(item_id),
            words=tuple(_word(session, moment, word) for word in words.get(item_id, ())),
            checks=tuple(checks.get(item_id, ())),
            facts=tuple(
                facts.get(sha256, ()) if sha256 in sources and item_id not in erased else ()
            ),
        )
        yield item


def _without_text(
    session: Session, inspection_id: str, chains: Sequence[Chain]
) -> dict[str, tuple[Placed, Act]]:
    """The erased items whose announcing line has no text any more, by item id."""
    lines = {line.digest: line for chain in chains for line in chain.lines if line.act is None}
    rows = session.scalars(
        select(EvidenceItem).where(
            EvidenceItem.inspection_id == inspection_id, is_erased(EvidenceItem.id)
        )
    )
    return {
        row.id: (
            lines[row.line_digest],
            {
                "type": acts.MEDIA_CAPTURED,
                "item": row.id,
                "officer": row.officer_id,
                "sha256": row.sha256,
                "size": row.size,
                "media_type": row.media_type,
                "class": row.capture_class,
            },
        )
        for row in rows
        if row.line_digest in lines
    }


def outside_of(
    session: Session, moment: Moment, seal: Placed | None
) -> Callable[[str, Placed], bool]:
    """Says whether what a line announced under a digest stands outside the seal."""
    sealed = read_seal(seal.act) if seal is not None and seal.act is not None else None
    if sealed is None:
        return lambda _digest, _line: False
    reach = sealed.reach(lambda *head: _is_head(session, moment, *head))

    def is_outside(digest: str, line: Placed) -> bool:
        place = {"device": line.chain.device, "epoch": line.chain.epoch}
        # A head reaches along the main chain; a released line of a branch is none of it.
        own = {} if line.chain.branch else reach
        return not sealed.covers(digest, **place, seq=line.seq, reach=own)

    return is_outside


def _is_head(
    session: Session, moment: Moment, device: str, epoch: str, seq: int, digest: str
) -> bool:
    """Whether the main chain held this line at this place at the moment."""
    row = session.get(JournalLine, (device, epoch, MAIN, seq))
    if row is None or (row.digest, row.generation) != (digest, moment.generation):
        return False
    return row.ledger_index < moment.size


def _sources(
    session: Session, moment: Moment, organization_id: str, digests: set[str]
) -> dict[str, Source]:
    """Where the bytes are that had arrived by the moment, sent by this organisation."""
    names = {f"media:{digest}": digest for digest in sorted(digests)}
    named = list(events_named(session, moment, list(names)))
    kinds = kinds_of(session, moment, (index for _, index in named))
    arrived = sorted({names[name] for name, index in named if kinds.get(index) == "verify"})
    found: dict[str, Source] = {}
    for page in pages_of(arrived):
        rows = session.execute(
            select(MediaObject).where(
                MediaObject.sha256.in_(page),
                MediaObject.status == "stored",
                held(MediaObject.sha256, organization_id),
            )
        ).scalars()
        found.update(
            (row.sha256, Source(key=row.key, size=row.size, crc32=row.crc32)) for row in rows
        )
    return found


def _words(session: Session, moment: Moment, inspection_id: str) -> Iterable[Judgement]:
    return session.execute(
        select(Judgement)
        .where(
            Judgement.case_id == inspection_id,
            Judgement.generation == moment.generation,
            Judgement.ledger_index < moment.size,
        )
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


def _checks(session: Session, moment: Moment, items: Sequence[str]) -> dict[str, list[Check]]:
    """Every run of the rules before the moment, oldest first, by item."""
    checks: dict[str, list[Check]] = {}
    for page in pages_of(items):
        found = _by(
            session.execute(
                select(Finding).where(Finding.item_id.in_(page)).order_by(Finding.id)
            ).scalars(),
            "check_id",
        )
        runs = session.execute(
            select(ItemCheck)
            .where(
                ItemCheck.item_id.in_(page),
                ItemCheck.generation == moment.generation,
                ItemCheck.ledger_index < moment.size,
            )
            .order_by(ItemCheck.ledger_index)
        ).scalars()
        for run in runs:
            checks.setdefault(run.item_id, []).append(
                Check(
                    rule_version=run.rule_version,
                    verdict=run.verdict,
                    claims=run.claims,
                    context=run.context,
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


def _redactions(session: Session, moment: Moment, items: Sequence[str]) -> dict[str, Redaction]:
    """The newest redacted copy of each item that was made by the moment."""
    found: dict[str, Redaction] = {}
    for page in pages_of(items):
        rows = session.scalars(
            select(Redaction)
            .where(
                Redaction.item_id.in_(page),
                Redaction.generation == moment.generation,
                Redaction.ledger_index < moment.size,
            )
            .order_by(Redaction.ledger_index)
        )
        found.update((row.item_id, row) for row in rows)
    return found


def _facts(session: Session, moment: Moment, digests: set[str]) -> Iterator[MediaFacts]:
    for page in pages_of(sorted(digests)):
        yield from session.execute(
            select(MediaFacts)
            .where(
                MediaFacts.sha256.in_(page),
                MediaFacts.generation == moment.generation,
                MediaFacts.ledger_index < moment.size,
            )
            .order_by(MediaFacts.ledger_index)
        ).scalars()


def _by(rows: Iterable[Any], name: str) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = {}
    for row in rows:
        grouped.setdefault(getattr(row, name), []).append(row)
    return grouped
