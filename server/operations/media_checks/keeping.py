"""Rows and leaves of one check: facts, pictures, traits, claims, findings; nothing is replaced."""

import json
from collections.abc import Mapping, Sequence

from sqlalchemy.orm import Session

from media import findings as rules
from media.facts import READER_VERSION
from media.findings import model
from media.findings.reading import Reading
from media.findings.stored import context_to_json
from media.second import Picture
from server.models.base import position_of
from server.models.inspections import Derivative, EvidenceItem, Finding, ItemCheck, MediaFacts
from server.models.traits import MediaTrait
from server.models.uploads import UnsafeMedia
from server.operations import ledger
from server.operations.derivatives import keep_derivative, store_derivative
from server.operations.media_checks.examining import Compared, Read
from server.operations.serving import dangers, newest_facts, recognised_danger
from server.operations.visit_documents import items_changed
from server.services import Services
from sync.evidence.encoding import sha256_hex

_QUARTER_BITS = 16


def store_pictures(
    services: Services, source_sha256: str, pictures: Mapping[str, Picture]
) -> tuple[Derivative, ...]:
    """Put pictures made from an original into the store, before any row names them."""
    return tuple(
        store_derivative(
            services,
            drawn.jpeg,
            source_sha256=source_sha256,
            purpose=purpose,
            media_type="image/jpeg",
            made_with=drawn.made_with,
            recipe=drawn.recipe,
        )
        for purpose, drawn in pictures.items()
    )


def keep_read(
    session: Session, item: EvidenceItem, read: Read, made: Sequence[Derivative], *, now_ms: int
) -> None:
    """Add what this version of the reader read, unless another process was faster."""
    about = (f"item:{item.id}", f"media:{item.sha256}")
    before = newest_facts(session, item.sha256)
    if session.get(MediaFacts, (item.sha256, READER_VERSION)) is None:
        index = ledger.append(
            session,
            "verify",
            actor={"server": "reader"},
            subject={"sha256": item.sha256, "reader": READER_VERSION},
            snapshot={
                "facts": sha256_hex(read.facts.encode()),
                "second": sha256_hex(read.second.encode()),
                "pixels": sha256_hex(read.pixels.encode()),
            },
            about=about,
            now_ms=now_ms,
        )
        session.add(
            MediaFacts(
                sha256=item.sha256,
                reader_version=READER_VERSION,
                facts=read.facts,
                second=read.second,
                pixels=read.pixels,
                read_at_ms=now_ms,
                generation=ledger.current_generation(session).number,
                ledger_index=index,
            )
        )
        session.merge(_trait(item.sha256, read))
    danger = recognised_danger(read.facts, item.media_type, item.name)
    more = before is not None and bool(_places(read.facts) - _places(before.facts))
    _keep_unsafe(session, item, danger, more=more, now_ms=now_ms)
    for derivative in made:
        keep_derivative(session, derivative, item_id=item.id, now_ms=now_ms)


def _places(facts: str) -> frozenset[tuple[str, str]]:
    """What could run somewhere in a file that passes for a picture, and where."""
    return frozenset((danger.kind, danger.where) for danger in dangers(facts, "image/", ""))


def _keep_unsafe(
    session: Session, item: EvidenceItem, danger: str, *, more: bool, now_ms: int
) -> None:
    """Set aside (待核) what could run somewhere: from now on it is only ever downloaded.

    Where a newer reader finds ``more`` in it, its leaf ends releases of what was known before.
    """
    known = session.get(UnsafeMedia, item.sha256)
    danger = danger or (known.code if known else "")
    if not danger or (known is not None and not more):
        return
    index = ledger.append(
        session,
        "quarantine",
        actor={"server": "reader"},
        subject={"sha256": item.sha256},
        snapshot={"code": "media.unsafe", "type": danger, "reader": READER_VERSION},
        about=(f"item:{item.id}", f"media:{item.sha256}"),
        now_ms=now_ms,
    )
    if known is not None:
        return
    session.add(
        UnsafeMedia(
            sha256=item.sha256,
            code=danger[:32],
            found_at_ms=now_ms,
            generation=ledger.current_generation(session).number,
            ledger_index=index,
        )
    )


def _trait(sha256: str, read: Read) -> MediaTrait:
    """The file's camera and likeness, for comparison with others."""
    reading = Reading(json.loads(read.facts))
    plain = json.loads(read.pixels) if read.pixels else {}
    likeness = int(plain["likeness"], 16) if "likeness" in plain else None
    quarters: list[int | None] = [None] * 4
    if likeness is not None:
        mask = (1 << _QUARTER_BITS) - 1
        quarters = [likeness >> _QUARTER_BITS * (3 - n) & mask for n in range(4)]
    return MediaTrait(
        sha256=sha256,
        make=_raw(reading, "IFD0:Make"),
        model=_raw(reading, "IFD0:Model"),
        serial=_raw(reading, "ExifIFD:BodySerialNumber"),
        quant_tables=_raw(reading, "JPEG:QuantTables")[:64],
        likeness=None if likeness is None else (likeness ^ 1 << 63) - (1 << 63),
        quarter0=quarters[0],
        quarter1=quarters[1],
        quarter2=quarters[2],
        quarter3=quarters[3],
    )


def _raw(reading: Reading, tag: str) -> str:
    value = reading.stored(tag)
    return value.raw.strip()[:100] if value else ""


def keep_check(session: Session, item: EvidenceItem, compared: Compared, *, now_ms: int) -> None:
    """Add one run of the rules with its findings; older runs stay."""
    about = [f"item:{item.id}"]
    if item.inspection_id is not None:
        about.append(f"inspection:{item.inspection_id}")
    claims, context = rules.to_json(compared.claims), context_to_json(compared.context)
    verdict = rules.verdict(compared.found)
    index = ledger.append(
        session,
        "verify",
        actor={"server": "rules"},
        subject={"item": item.id, "sha256": item.sha256, "rules": rules.RULE_VERSION},
        snapshot={
            "verdict": verdict,
            "claims": sha256_hex(claims.encode()),
            "context": sha256_hex(context.encode()),
            "findings": sha256_hex(rules.to_json(compared.found).encode()),
            "codes": [f"{finding.code}:{finding.severity}" for finding in compared.found],
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
        context=context,
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
            evidence=_json(finding),
            found_at_ms=now_ms,
            generation=generation,
            ledger_index=index,
        )
        for finding in compared.found
    )
    items_changed(session, [item], position=position_of(generation, index), now_ms=now_ms)


def _json(finding: model.Finding) -> str:
    return json.dumps(finding.evidence, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
