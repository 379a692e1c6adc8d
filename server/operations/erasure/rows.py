"""Taking rows away: each deletion has its row in ``erasure`` first, else the database refuses."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update
from sqlalchemy.orm import Session

from server.models.base import Base, table_of
from server.models.erasure import ErasedItem, ErasureObject, ErasureOrder
from server.models.handover import PackageReceipt
from server.models.inspections import (
    Addendum,
    Derivative,
    EvidenceItem,
    EvidencePackage,
    Finding,
    Inspection,
    ItemCheck,
    Judgement,
    MediaFacts,
    RecordRevision,
)
from server.models.journal import (
    JournalLine,
    JournalPart,
    LineOutcome,
    QuarantineDecision,
    same_line,
)
from server.models.ledger import Erasure, LedgerEvent, LedgerSubject
from server.models.process import ExplainedGap, ProcessStep
from server.models.redaction import Redaction
from server.models.traits import MediaTrait
from server.models.uploads import (
    MediaObject,
    ObjectFixity,
    QuarantinedMedia,
    UnreadableObject,
    Upload,
)
from server.operations.erased import ERASED
from server.operations.erasure.listing import pages_of
from server.operations.insert import insert_rows
from sync.evidence import acts, canonical
from sync.wire import Projection

#: Events of these kinds hold words of persons; those of all others hold digests and places.
_WORDED = (
    "alarm",
    "decide",
    "derive",
    "document",
    "export",
    "policy",
    "quarantine",
    "receipt",
    "review",
    "view",
)
#: What an event about something else too is found under: it stays.
_FOREIGN = ("organization", "entity", "task", "officer", "device", "key", "server")


@dataclass
class Reaper:
    """Erases rows in the name of one order, and counts what went."""

    session: Session
    order: ErasureOrder
    now_ms: int
    counts: dict[str, int] = field(default_factory=dict)

    def reap(self, model: type[Base], query: Select[*tuple[Any, ...]]) -> int:
        """Delete the rows of ``model`` whose primary keys ``query`` gives, in its order."""
        keys = [tuple(row) for row in self.session.execute(query)]
        table = table_of(model)
        columns = list(table.primary_key)
        self._permit(":".join([table.name, *map(str, key)]) for key in keys)
        statement = delete(table).where(
            *(column == bindparam(f"key_{column.name}") for column in columns)
        )
        if keys:
            names = [f"key_{column.name}" for column in columns]
            self.session.execute(statement, [dict(zip(names, key, strict=True)) for key in keys])
        self.counts[table.name] = self.counts.get(table.name, 0) + len(keys)
        return len(keys)

    def keep_for_deletion(self, objects: Iterable[tuple[str, int]]) -> None:
        """Write down which objects (key and size) the store must give up."""
        wanted = dict(objects)
        known = set(
            self.session.scalars(
                select(ErasureObject.key).where(ErasureObject.order_id == self.order.id)
            )
        )
        self.session.add_all(
            ErasureObject(order_id=self.order.id, key=key, size=size, state="pending", code="")
            for key, size in sorted(wanted.items())
            if key not in known
        )
        self.session.flush()

    def _permit(self, targets: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(targets))
        known: set[str] = set()
        for page in pages_of(wanted):
            known.update(
                self.session.scalars(select(Erasure.target).where(Erasure.target.in_(page)))
            )
        basis = f"{self.order.law}: {self.order.basis}"
        approved = f"{self.order.requested_by},{self.order.decided_by}"
        self.session.flush()
        insert_rows(
            self.session,
            Erasure,
            ("target", "basis", "approved_by", "erased_at_ms"),
            [(target, basis, approved, self.now_ms) for target in wanted if target not in known],
        )


def erase_lines(reaper: Reaper, inspection_id: str) -> str:
    """The parts of every line of the inspection; returns a digest over the lines' digests."""
    own = LineOutcome.inspection_id == inspection_id
    digests = reaper.session.scalars(
        select(JournalLine.digest)
        .join(LineOutcome, same_line(LineOutcome, JournalLine))
        .where(own)
        .order_by(JournalLine.generation, JournalLine.ledger_index)
    ).all()
    reaper.reap(
        JournalPart,
        select(*table_of(JournalPart).primary_key)
        .join(LineOutcome, same_line(LineOutcome, JournalPart))
        .where(own),
    )
    for page in pages_of(digests):
        reaper.reap(
            QuarantineDecision,
            select(QuarantineDecision.id).where(
                QuarantineDecision.kind == "line", QuarantineDecision.subject.in_(page)
            ),
        )
    reaper.counts["lines"] = len(digests)
    return hashlib.sha256("".join(digests).encode("ascii")).hexdigest()


def announced_in_quarantine(session: Session, inspection_id: str) -> set[str]:
    """The digests of files that lines of the inspection announce in vain: they made no item."""
    rows = session.scalars(
        select(JournalPart.body)
        .join(LineOutcome, same_line(LineOutcome, JournalPart))
        .where(
            LineOutcome.inspection_id == inspection_id,
            LineOutcome.projection == Projection.QUARANTINED.value,
            JournalPart.number == 0,
        )
    )
    told = (canonical.loads(body) for body in rows)
    return {
        act["sha256"]
        for act in told
        if act.get("type") in acts.MEDIA_ACTS and isinstance(act.get("sha256"), str)
    }


def erase_writings(reaper: Reaper, inspection: Inspection) -> None:
    """Records, addenda, steps, gaps, and the words of the inspection itself."""
    for model in (Addendum, ProcessStep, ExplainedGap):
        about = model.inspection_id == inspection.id
        reaper.reap(model, select(model.line_digest).where(about))
    session = reaper.session
    session.execute(delete(RecordRevision).where(RecordRevision.inspection_id == inspection.id))
    reaper.reap(Judgement, select(Judgement.id).where(Judgement.case_id == inspection.id))
    inspection.title = inspection.purpose = ""
    inspection.external_ids, inspection.state = "{}", ERASED
    session.flush()


def erase_item_words(session: Session, items: Sequence[EvidenceItem]) -> None:
    """What the announcements said of items; ids, digests and times of capture stay."""
    for item in items:
        item.name = item.title = item.fact_to_prove = item.method = ""
        item.discard_reason = item.recorder = ""
        item.lat_e7 = item.lon_e7 = item.accuracy_cm = item.fix_at_ms = None
    session.flush()


def erase_events(reaper: Reaper, names: Sequence[str]) -> int:
    """The worded events about ``names`` (``kind:id``) alone; what others share with them stays."""
    session, own = reaper.session, set(names)
    found: set[tuple[int, int]] = set()
    for page in pages_of(sorted(own)):
        rows = session.execute(
            select(LedgerSubject.generation, LedgerSubject.index)
            .join(
                LedgerEvent,
                (LedgerEvent.generation == LedgerSubject.generation)
                & (LedgerEvent.index == LedgerSubject.index),
            )
            .where(LedgerSubject.about.in_(page), LedgerEvent.kind.in_(_WORDED))
        )
        found.update((generation, index) for generation, index in rows)
    alone = [place for place in sorted(found) if _is_alone(session, place, own)]
    for places in pages_of(alone):
        for generation in sorted({place[0] for place in places}):
            indexes = [index for of, index in places if of == generation]
            reaper.reap(
                LedgerEvent,
                select(LedgerEvent.generation, LedgerEvent.index).where(
                    LedgerEvent.generation == generation, LedgerEvent.index.in_(indexes)
                ),
            )
    return len(alone)


def erase_files(reaper: Reaper, items: Sequence[EvidenceItem], digests: set[str]) -> None:
    """What was read, found, made and kept of files; ``digests`` are those that nobody else has."""
    session, ids = reaper.session, [item.id for item in items]
    for page in pages_of(ids):
        reaper.reap(Finding, select(Finding.id).where(Finding.item_id.in_(page)))
        reaper.reap(ItemCheck, select(ItemCheck.id).where(ItemCheck.item_id.in_(page)))
        reaper.reap(
            QuarantineDecision,
            select(QuarantineDecision.id).where(
                QuarantineDecision.kind == "unsafe", QuarantineDecision.subject.in_(page)
            ),
        )
        copies = session.execute(
            select(Redaction.key, Redaction.size).where(Redaction.item_id.in_(page))
        )
        made = {row.key: row.size for row in copies}
        reaper.reap(Redaction, select(Redaction.id).where(Redaction.item_id.in_(page)))
        reaper.keep_for_deletion(_named_no_more(session, made).items())
    for item in items:
        item.check_wanted = False
    known = {
        item_id
        for page in pages_of(ids)
        for item_id in session.scalars(
            select(ErasedItem.item_id).where(ErasedItem.item_id.in_(page))
        )
    }
    session.add_all(
        ErasedItem(
            item_id=item.id,
            order_id=reaper.order.id,
            sha256=item.sha256,
            erased_at_ms=reaper.now_ms,
        )
        for item in items
        if item.id not in known
    )
    session.flush()
    for wanted in pages_of(sorted(digests)):
        _erase_bytes(reaper, wanted)


def erase_packages(reaper: Reaper, inspection_id: str, *, words: bool) -> None:
    """The stored packages of the inspection and, with ``words``, what was said of them."""
    session = reaper.session
    rows = session.scalars(
        select(EvidencePackage).where(EvidencePackage.inspection_id == inspection_id)
    ).all()
    for row in rows:
        if row.key is not None:
            reaper.keep_for_deletion([(row.key, row.size or 0)])
        row.state, row.key = ERASED, None
        if words:
            row.reason, row.failure = "", None
    session.flush()
    if not words:
        return
    receipts = session.scalars(
        select(PackageReceipt).where(PackageReceipt.package_id.in_([row.id for row in rows]))
    ).all()
    own = {row.id for row in receipts}
    for receipt in receipts:
        elsewhere = session.scalars(
            select(PackageReceipt.id).where(PackageReceipt.key == receipt.key)
        )
        if set(elsewhere) <= own:
            reaper.keep_for_deletion([(receipt.key, receipt.size)])
    reaper.reap(PackageReceipt, select(PackageReceipt.id).where(PackageReceipt.id.in_(own)))


def _erase_bytes(reaper: Reaper, digests: Sequence[str]) -> None:
    session = reaper.session
    derived = session.scalars(select(Derivative).where(Derivative.source_sha256.in_(digests))).all()
    for made in derived:
        session.delete(made)
    session.flush()
    keys = {made.key: made.size for made in derived}
    keys = _named_no_more(session, keys)
    for media in session.scalars(select(MediaObject).where(MediaObject.sha256.in_(digests))):
        keys[media.key] = media.size
    for aside in session.scalars(
        select(QuarantinedMedia).where(QuarantinedMedia.announced_sha256.in_(digests))
    ).all():
        keys[aside.key] = aside.size
        session.delete(aside)
    session.flush()
    reaper.keep_for_deletion(keys.items())
    reaper.reap(
        MediaFacts,
        select(MediaFacts.sha256, MediaFacts.reader_version).where(MediaFacts.sha256.in_(digests)),
    )
    for model in (MediaTrait, ObjectFixity, UnreadableObject):
        session.execute(delete(model).where(model.sha256.in_(digests)))
    reaper.reap(MediaObject, select(MediaObject.sha256).where(MediaObject.sha256.in_(digests)))
    session.execute(
        update(Upload)
        .where(Upload.sha256.in_(digests))
        .values(filename="", metadata_header="", concat_header="")
    )


def _named_no_more(session: Session, keys: dict[str, int]) -> dict[str, int]:
    """Those of ``keys``, with their sizes, that nothing else was made as."""
    kept: set[str] = set()
    for page in pages_of(sorted(keys)):
        for model in (Derivative, Redaction):
            kept.update(session.scalars(select(model.key).where(model.key.in_(page))))
    return {key: size for key, size in keys.items() if key not in kept}


def _is_alone(session: Session, place: tuple[int, int], own: set[str]) -> bool:
    names = session.scalars(
        select(LedgerSubject.about).where(
            LedgerSubject.generation == place[0], LedgerSubject.index == place[1]
        )
    )
    for name in names:
        kind = name.partition(":")[0]
        if kind in _FOREIGN or (kind in ("inspection", "item") and name not in own):
            return False
    return True
