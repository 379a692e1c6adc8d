"""Checking stored media: read the facts, compare them with all that is known, keep the doubts.

The reading is done without a transaction; its results are added in one, beside
whatever an older run or rule version had found (docs/evidence.md §6).
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from media import findings as rules
from media.errors import MediaError
from media.facts import READER_VERSION, read_facts
from media.findings import model
from media.findings.rules import digest_mismatch
from media.second import SecondFacts, SecondFailed, SecondReader, Thumbnail
from media.store import S3Source
from server.db import reading, transaction
from server.models.base import position_of
from server.models.inspections import (
    Derivative,
    EvidenceItem,
    Finding,
    ItemCheck,
    MediaFacts,
)
from server.models.uploads import MediaObject, QuarantinedMedia
from server.operations import ledger
from server.operations.holding import held
from server.operations.media_context import THUMBNAIL, Work, gather
from server.operations.visit_documents import items_changed
from server.services import Services
from sync.evidence.encoding import sha256_hex

_log = logging.getLogger(__name__)

_BATCH = 20
#: The second reader and the thumbnail get the whole file; longer ones are recordings.
_SECOND_LIMIT_BYTES = 64 << 20
#: Formats that the second reader and the thumbnails know.
_PICTURES = frozenset(
    ("JPEG", "MPO", "PNG", "WEBP", "Extended WEBP", "HEIC", "HEIF", "AVIF", "TIFF")
)


@dataclass(frozen=True, kw_only=True)
class _Result:
    facts: str
    second: str
    verdict: str
    claims: str
    found: tuple[model.Finding, ...]
    thumbnail: Thumbnail | None


def item_bytes_arrived(session: Session, sha256: str, position: int, now_ms: int) -> None:
    """Mark the items whose bytes are in the store now; called as the bytes are committed.

    ``position`` is the place in the ledger of the event that says so.
    """
    theirs = update(EvidenceItem).where(
        EvidenceItem.sha256 == sha256, held(EvidenceItem.sha256, EvidenceItem.organization_id)
    )
    session.execute(theirs.where(EvidenceItem.state == "captured").values(state="stored"))
    session.execute(theirs.values(check_wanted=True))
    items = session.scalars(
        select(EvidenceItem)
        .where(
            EvidenceItem.sha256 == sha256, held(EvidenceItem.sha256, EvidenceItem.organization_id)
        )
        .execution_options(populate_existing=True)
    ).all()
    items_changed(session, items, position=position, now_ms=now_ms)


def item_bytes_differed(session: Session, announced: str, found: str) -> None:
    """Raise DIGEST_MISMATCH at the items whose announced bytes came as others.

    Only at those of the sender's organisation that still lack their bytes: whoever
    sends rubbish under the digest of evidence that is here casts no doubt on it.
    """
    received = session.execute(
        select(QuarantinedMedia)
        .where(
            QuarantinedMedia.announced_sha256 == announced,
            QuarantinedMedia.found_sha256 == found,
        )
        .order_by(QuarantinedMedia.received_at_ms.desc())
        .limit(1)
    ).scalar_one()
    items = session.scalars(
        select(EvidenceItem).where(
            EvidenceItem.sha256 == announced,
            EvidenceItem.organization_id == received.organization_id,
            EvidenceItem.state == "captured",
        )
    )
    for item in items:
        context = model.Context(
            hints=model.Hints(capture_class=item.capture_class),
            announced=model.Content(sha256=announced, size=item.size),
            received=model.Content(sha256=found, size=received.size),
        )
        mismatch = tuple(digest_mismatch((), context))
        _keep_check(
            session,
            item,
            verdict=rules.verdict(mismatch),
            claims="[]",
            found=mismatch,
            now_ms=received.received_at_ms,
        )


def check_waiting_items(services: Services) -> None:
    """Check every item that wants it, until none is left or one batch cannot be read."""
    with SecondReader() as second:
        while True:
            with reading() as session:
                waiting = [
                    gather(session, item, tolerance_ms=services.settings.clock_skew_tolerance_ms)
                    for item in _waiting(session)
                ]
            if not waiting:
                return
            done = [_check_one(services, second, work) for work in waiting]
            if not any(done):
                return


def _check_one(services: Services, second: SecondReader, work: Work) -> bool:
    """Check one item and keep the result; False if its bytes cannot be read now."""
    try:
        result = _examine(services, second, work)
    except MediaError as error:
        _log.warning("check_postponed item=%s code=%s", work.item_id, error.code)
        return False
    thumbnail = _store_thumbnail(services, work, result.thumbnail)
    with transaction() as session:
        # The first lock: nothing the rules compare can change from here on.
        ledger.lock_head(session)
        item = session.get_one(EvidenceItem, work.item_id, populate_existing=True)
        if item.check_wanted:
            _keep(session, item, work, result, thumbnail, now_ms=services.now_ms())
            # Whatever came while the file was read is compared in another run.
            now = gather(session, item, tolerance_ms=work.context.tolerance_ms)
            item.check_wanted = now.context != work.context
    return True


def _waiting(session: Session) -> Sequence[EvidenceItem]:
    return (
        session.execute(
            select(EvidenceItem)
            .join(MediaObject, MediaObject.sha256 == EvidenceItem.sha256)
            .where(
                EvidenceItem.check_wanted,
                MediaObject.status == "stored",
                held(EvidenceItem.sha256, EvidenceItem.organization_id),
            )
            .order_by(EvidenceItem.captured_at_ms, EvidenceItem.id)
            .limit(_BATCH)
        )
        .scalars()
        .all()
    )


def _examine(services: Services, second: SecondReader, work: Work) -> _Result:
    """Read the file (where this version has not yet) and let the rules compare.

    Raises:
        MediaError: if the store does not give the bytes.
    """
    source = S3Source(services.store, work.key, work.size)
    facts = work.facts or read_facts(source).to_json()
    reading_two, thumbnail = work.second, None
    if work.size <= _SECOND_LIMIT_BYTES and json.loads(facts)["type"] in _PICTURES:
        content = b"" if reading_two and work.has_thumbnail else source.read(0, work.size)
        if reading_two is None:
            reading_two = _second_json(second.read(content))
        if not work.has_thumbnail:
            drawn = second.thumbnail(content)
            thumbnail = drawn if isinstance(drawn, Thumbnail) else None
    context = replace(work.context, second=_second_reading(reading_two))
    claims = rules.claims(json.loads(facts), context.hints)
    found = rules.compare(claims, context)
    return _Result(
        facts=facts,
        second=reading_two or "",
        verdict=rules.verdict(found),
        claims=rules.to_json(claims),
        found=found,
        thumbnail=thumbnail,
    )


def _second_json(seen: SecondFacts | SecondFailed) -> str:
    match seen:
        case SecondFacts(reader=reader, values=values):
            plain: dict[str, object] = {"reader": reader, "values": values, "failed": ""}
        case SecondFailed(reason=reason):
            plain = {"reader": "exifread", "values": {}, "failed": reason}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _second_reading(stored: str | None) -> model.SecondReading | None:
    if not stored:
        return None
    plain = json.loads(stored)
    return model.SecondReading(
        reader=plain["reader"],
        values=tuple(sorted(plain["values"].items())),
        failed=plain["failed"],
    )


def _store_thumbnail(services: Services, work: Work, drawn: Thumbnail | None) -> Derivative | None:
    """Put the thumbnail into the store, before any row names it."""
    if drawn is None:
        return None
    sha256 = sha256_hex(drawn.jpeg)
    key = f"derived/{sha256[:2]}/{sha256}"
    services.store.put_once(key, drawn.jpeg, size=len(drawn.jpeg), sha256=sha256)
    return Derivative(
        source_sha256=work.sha256,
        purpose=THUMBNAIL,
        sha256=sha256,
        size=len(drawn.jpeg),
        key=key,
        made_with=drawn.made_with,
    )


def _keep(
    session: Session,
    item: EvidenceItem,
    work: Work,
    result: _Result,
    thumbnail: Derivative | None,
    *,
    now_ms: int,
) -> None:
    """Add facts, thumbnail, claims and findings, each on the ledger first."""
    about = (f"item:{item.id}", f"media:{work.sha256}")
    if session.get(MediaFacts, (work.sha256, READER_VERSION)) is None:
        index = ledger.append(
            session,
            "verify",
            actor={"server": "reader"},
            subject={"sha256": work.sha256, "reader": READER_VERSION},
            snapshot={
                "facts": sha256_hex(result.facts.encode()),
                "second": sha256_hex(result.second.encode()),
            },
            about=about,
            now_ms=now_ms,
        )
        session.add(
            MediaFacts(
                sha256=work.sha256,
                reader_version=READER_VERSION,
                facts=result.facts,
                second=result.second,
                read_at_ms=now_ms,
                generation=ledger.current_generation(session).number,
                ledger_index=index,
            )
        )
    if thumbnail is not None and session.get(Derivative, (work.sha256, THUMBNAIL)) is None:
        ledger.append(
            session,
            "derive",
            actor={"server": "thumbnails"},
            subject={"source": work.sha256, "sha256": thumbnail.sha256},
            snapshot={"purpose": THUMBNAIL, "made_with": thumbnail.made_with},
            about=about,
            now_ms=now_ms,
        )
        session.add(thumbnail)
    if item.state == "stored":
        item.state = "checked"
    _keep_check(
        session,
        item,
        verdict=result.verdict,
        claims=result.claims,
        found=result.found,
        now_ms=now_ms,
    )


def _keep_check(
    session: Session,
    item: EvidenceItem,
    *,
    verdict: str,
    claims: str,
    found: Sequence[model.Finding],
    now_ms: int,
) -> None:
    """Add one run of the rules with its findings; older runs stay."""
    about = [f"item:{item.id}"]
    if item.inspection_id is not None:
        about.append(f"inspection:{item.inspection_id}")
    index = ledger.append(
        session,
        "verify",
        actor={"server": "rules"},
        subject={"item": item.id, "sha256": item.sha256, "rules": rules.RULE_VERSION},
        snapshot={
            "verdict": verdict,
            "claims": sha256_hex(claims.encode()),
            "findings": sha256_hex(rules.to_json(found).encode()),
            "codes": [f"{finding.code}:{finding.severity}" for finding in found],
        },
        about=about,
        now_ms=now_ms,
    )
    generation = ledger.current_generation(session).number
    check = ItemCheck(
        item_id=item.id,
        rule_version=rules.RULE_VERSION,
        verdict=verdict,
        claims=claims,
        checked_at_ms=now_ms,
        generation=generation,
        ledger_index=index,
    )
    session.add(check)
    session.flush()
    session.add_all(
        Finding(
            check_id=check.id,
            item_id=item.id,
            code=finding.code,
            severity=finding.severity,
            rule_version=finding.rule_version,
            evidence=json.dumps(
                finding.evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False
            ),
            found_at_ms=now_ms,
            generation=generation,
            ledger_index=index,
        )
        for finding in found
    )
    items_changed(session, [item], position=position_of(generation, index), now_ms=now_ms)
