"""The evidence chain of one item: what is claimed, what is proved, and who touched it since."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from server.failures import NotFound
from server.models.inspections import (
    EvidenceItem,
    Inspection,
    Judgement,
    RegulatedEntity,
)
from server.models.journal import LineOutcome
from server.models.ledger import LedgerEvent, LedgerSubject
from server.models.uploads import MediaObject
from server.operations.access import Actor
from server.operations.cards import (
    DeviceCard,
    OfficerCard,
    device_cards,
    officer_cards,
    person_names,
)
from server.operations.doubts import Doubt, doubts_of
from server.operations.erased import Mark, is_erased, marks_of_items
from server.operations.holding import held
from server.operations.line_view import LineView, read_line
from server.operations.review import stands_elsewhere
from server.operations.serving import Serving, serving_of
from server.operations.standing import StandingCheck, standing_checks
from sync.evidence import canonical
from sync.evidence.note import VerifierKey

#: The five sources of the time check, in the order of the table (docs/console.md §4).
SOURCES = ("device", "exif", "gps", "container", "receipt")
_CONTAINER = frozenset({"keys", "movie", "matroska", "bext", "idit", "day", "xmp", "png"})
_CASE_EVENTS = frozenset({"export", "decide", "erase", "receipt"})


@dataclass(frozen=True, kw_only=True)
class TimeRow:
    """What one source says of the time.

    ``lo_ms``–``hi_ms`` is None where the source is silent. ``assumed`` names the
    assumption under which a local time was read. ``difference_ms`` is to the
    device's corrected clock. ``proven_lo_ms``–``proven_hi_ms`` is what comparisons of
    clocks prove, whatever the device's wall clock said. ``own`` marks what this
    system wrote itself.
    """

    source: str
    tag: str = ""
    raw: str = ""
    lo_ms: int | None = None
    hi_ms: int | None = None
    assumed: str = ""
    corrected_by_ms: int | None = None
    proven_lo_ms: int | None = None
    proven_hi_ms: int | None = None
    difference_ms: int | None = None
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class CustodyRow:
    """One ledger event about the item (流转). ``actor`` is a name, ``detail`` in plain values."""

    generation: int
    index: int
    at_ms: int
    kind: str
    actor_kind: str
    actor: str
    detail: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class JudgementRow:
    """One reviewer's word, as it was given."""

    person: str
    verdict: str
    reason: str
    judged_at_ms: int
    ledger_index: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """The position that the device signed, WGS-84 in 1e-7 degrees."""

    lat_e7: int
    lon_e7: int
    accuracy_cm: int | None
    fix_at_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Received:
    """The bytes in the store, whose digest was taken again as they came."""

    sha256: str
    size: int
    stored_at_ms: int


@dataclass(frozen=True, kw_only=True)
class EvidencePage:
    """Everything that the evidence chain of one item shows."""

    id: str
    inspection_id: str | None
    inspection_title: str
    entity: str
    title: str
    name: str
    fact_to_prove: str
    method: str
    media_type: str
    capture_class: str
    state: str
    discard_reason: str
    outside_seal: bool
    #: Whether a reviewer released its line from quarantine.
    released: bool
    sha256: str
    size: int
    received: Received | None
    #: Why its bytes are not here any more, where they were erased by law.
    erased: Mark | None
    #: How its bytes may be shown; None while they are not here.
    serving: Serving | None
    place: Place | None
    officer: OfficerCard | None
    certificate_valid: bool
    device: DeviceCard
    line: LineView
    times: tuple[TimeRow, ...]
    verdict: str | None
    rule_version: str
    doubts: tuple[Doubt, ...]
    custody: tuple[CustodyRow, ...]
    judgements: tuple[JudgementRow, ...]
    on_other_side: bool
    previous_id: str | None
    next_id: str | None


def owned_item(session: Session, actor: Actor, item_id: str) -> EvidenceItem:
    """The item of that id if it belongs to the actor's organisation.

    Raises:
        NotFound: otherwise; that it exists elsewhere is not told.
    """
    row = session.get(EvidenceItem, item_id)
    if row is None or row.organization_id != actor.organization_id:
        raise NotFound("item", item_id)
    return row


def stored_media(session: Session, item: EvidenceItem) -> MediaObject | None:
    """The bytes of an item once its own organisation has sent them, and while it may keep them."""
    return session.scalars(
        select(MediaObject).where(
            MediaObject.sha256 == item.sha256,
            MediaObject.status == "stored",
            held(MediaObject.sha256, item.organization_id),
            # Equal bytes of an item that is kept are no reason to show those of this one.
            ~is_erased(item.id),
        )
    ).one_or_none()


def read_evidence(
    session: Session, actor: Actor, item_id: str, *, key: VerifierKey
) -> EvidencePage:
    """Assemble the evidence chain of one item; signature, chain and proofs are checked now.

    ``key`` is the ledger's own verifier key.

    Raises:
        NotFound: if the item is not the actor's organisation's.
    """
    item = owned_item(session, actor, item_id)
    line = read_line(session, (item.device_id, item.epoch, item.branch, item.seq), key=key)
    inspection = session.get(Inspection, item.inspection_id) if item.inspection_id else None
    entity = (
        session.get(RegulatedEntity, inspection.entity_id)
        if inspection and inspection.entity_id
        else None
    )
    officer = officer_cards(session, [item.officer_id]).get(item.officer_id)
    check = standing_checks(session, [item.id]).get(item.id)
    media = stored_media(session, item)
    before, after = _neighbours(session, item)
    return EvidencePage(
        id=item.id,
        inspection_id=item.inspection_id,
        inspection_title=inspection.title if inspection else "",
        entity=entity.name if entity else "",
        title=item.title,
        name=item.name,
        fact_to_prove=item.fact_to_prove,
        method=item.method,
        media_type=item.media_type,
        capture_class=item.capture_class,
        state=item.state,
        discard_reason=item.discard_reason,
        outside_seal=item.outside_seal,
        released=session.get_one(
            LineOutcome, (item.device_id, item.epoch, item.branch, item.seq)
        ).released,
        sha256=item.sha256,
        size=item.size,
        received=_received(media),
        erased=marks_of_items(session, [item.id]).get(item.id),
        serving=serving_of(session, item) if media else None,
        place=_place(item),
        officer=officer,
        certificate_valid=officer is not None and officer.valid_at(item.captured_at_ms),
        device=device_cards(session, [item.device_id])[item.device_id],
        line=line,
        times=time_rows(_claims(check), item.captured_at_ms, line.chain.received_at_ms),
        verdict=check.verdict if check else None,
        rule_version=check.rule_version if check else "",
        doubts=doubts_of(session, [item.id]).get(item.id, ()),
        custody=_custody(session, item),
        judgements=_judgements(session, item.id),
        on_other_side=_on_other_side(session, actor, item, officer),
        previous_id=before,
        next_id=after,
    )


def time_rows(
    claims: Iterable[Mapping[str, Any]], wall_ms: int, received_at_ms: int
) -> tuple[TimeRow, ...]:
    """The five sources side by side; those that are silent stay in the table.

    Args:
        claims: the plain form of the time claims (``media.findings``).
        wall_ms: the device's clock in the signed line.
        received_at_ms: the server's clock when the line came in.
    """
    by_source: dict[str, Mapping[str, Any]] = {}
    for claim in claims:
        source = "container" if claim["source"] in _CONTAINER else claim["source"]
        by_source.setdefault(source, claim)
    device = by_source.get("device")
    # What the wall clock said is shown; what all comparisons prove of it stands beneath.
    narrower = device.get("assumed", ()) if device else ()
    reading = narrower[0] if narrower else device
    lo, hi = (reading["lo_ms"], reading["hi_ms"]) if reading else (wall_ms, wall_ms)
    corrected = reading is not None and reading["basis"] == "device clock corrected"
    proven = device if narrower else None
    middle = (lo + hi) // 2
    rows = [
        TimeRow(
            source="device",
            tag="journal:t.wall_ms",
            raw=str(wall_ms),
            lo_ms=lo,
            hi_ms=hi,
            corrected_by_ms=middle - wall_ms if corrected else None,
            proven_lo_ms=proven["lo_ms"] if proven else None,
            proven_hi_ms=proven["hi_ms"] if proven else None,
        )
    ]
    rows += [_time_row(source, by_source.get(source), middle) for source in SOURCES[1:4]]
    rows.append(
        TimeRow(
            source="receipt",
            tag="ledger:ingest",
            lo_ms=received_at_ms,
            hi_ms=received_at_ms,
            difference_ms=received_at_ms - middle,
        )
    )
    return tuple(rows)


def _time_row(source: str, claim: Mapping[str, Any] | None, reference_ms: int) -> TimeRow:
    if claim is None:
        return TimeRow(source=source)
    # A local time without a zone spans 28 hours: show the reading that rests on the
    # assumption that fits best, and name the assumption.
    readings = claim["assumed"] or [claim]
    nearest = min(readings, key=lambda one: abs((one["lo_ms"] + one["hi_ms"]) // 2 - reference_ms))
    return TimeRow(
        source=source,
        tag=claim["tag"],
        raw=claim["raw"],
        lo_ms=nearest["lo_ms"],
        hi_ms=nearest["hi_ms"],
        assumed=nearest["basis"] if claim["assumed"] else "",
        difference_ms=(nearest["lo_ms"] + nearest["hi_ms"]) // 2 - reference_ms,
        own=claim["own"],
    )


def _claims(check: StandingCheck | None) -> list[dict[str, Any]]:
    plain = json.loads(check.claims) if check else []
    return [claim for claim in plain if claim["kind"] == "TimeClaim"]


def _received(media: MediaObject | None) -> Received | None:
    if media is None or media.stored_at_ms is None:
        return None
    return Received(sha256=media.sha256, size=media.size, stored_at_ms=media.stored_at_ms)


def _place(item: EvidenceItem) -> Place | None:
    if item.lat_e7 is None or item.lon_e7 is None:
        return None
    return Place(
        lat_e7=item.lat_e7,
        lon_e7=item.lon_e7,
        accuracy_cm=item.accuracy_cm,
        fix_at_ms=item.fix_at_ms,
    )


def _neighbours(session: Session, item: EvidenceItem) -> tuple[str | None, str | None]:
    """The items before and after this one in the order of the inspection's list."""
    here = (EvidenceItem.captured_at_ms, EvidenceItem.id)
    own = (item.captured_at_ms, item.id)
    same = EvidenceItem.inspection_id == item.inspection_id
    earlier = or_(here[0] < own[0], (here[0] == own[0]) & (here[1] < own[1]))
    later = or_(here[0] > own[0], (here[0] == own[0]) & (here[1] > own[1]))
    before = session.scalar(
        select(EvidenceItem.id)
        .where(same, earlier)
        .order_by(here[0].desc(), here[1].desc())
        .limit(1)
    )
    after = session.scalar(select(EvidenceItem.id).where(same, later).order_by(*here).limit(1))
    return before, after


def _custody(session: Session, item: EvidenceItem) -> tuple[CustodyRow, ...]:
    """Every event about the item or its bytes, and the exports of its case, oldest first."""
    names = [f"item:{item.id}", f"media:{item.sha256}"]
    case = f"inspection:{item.inspection_id}"
    places = (
        select(LedgerSubject.generation, LedgerSubject.index.label("place"))
        .join(
            LedgerEvent,
            (LedgerEvent.generation == LedgerSubject.generation)
            & (LedgerEvent.index == LedgerSubject.index),
        )
        .where(
            or_(
                LedgerSubject.about.in_(names),
                (LedgerSubject.about == case) & LedgerEvent.kind.in_(_CASE_EVENTS),
            )
        )
        .distinct()
        .subquery()
    )
    rows = session.scalars(
        select(LedgerEvent)
        .join(
            places,
            (LedgerEvent.generation == places.c.generation) & (LedgerEvent.index == places.c.place),
        )
        .order_by(LedgerEvent.generation, LedgerEvent.index)
    ).all()
    events = [(row, canonical.loads(row.event)) for row in rows]
    devices = device_cards(session, (event["actor"].get("device", "") for _, event in events))
    return tuple(_custody_row(row, event, devices) for row, event in events)


def _custody_row(
    row: LedgerEvent, event: dict[str, Any], devices: Mapping[str, DeviceCard]
) -> CustodyRow:
    actor = event["actor"]
    if "device" in actor:
        device = devices.get(actor["device"])
        kind, name = "device", device.name if device else actor["device"]
    elif "server" in actor:
        kind, name = "server", actor["server"]
    else:
        kind, name = "person", actor.get("name", actor.get("person", ""))
    told = {**event["subject"], **event["snapshot"]}
    return CustodyRow(
        generation=row.generation,
        index=row.index,
        at_ms=row.at_ms,
        kind=row.kind,
        actor_kind=kind,
        actor=name,
        detail={key: value for key, value in told.items() if isinstance(value, str)},
    )


def _judgements(session: Session, item_id: str) -> tuple[JudgementRow, ...]:
    rows = session.scalars(
        select(Judgement)
        .where(Judgement.item_id == item_id)
        .order_by(Judgement.judged_at_ms, Judgement.ledger_index)
    ).all()
    names = person_names(session, (row.person_id for row in rows))
    return tuple(
        JudgementRow(
            person=names.get(row.person_id, ""),
            verdict=row.verdict,
            reason=row.reason,
            judged_at_ms=row.judged_at_ms,
            ledger_index=row.ledger_index,
        )
        for row in rows
    )


def _on_other_side(
    session: Session, actor: Actor, item: EvidenceItem, officer: OfficerCard | None
) -> bool:
    if officer is not None and officer.person_id == actor.person_id:
        return True
    return item.inspection_id is not None and stands_elsewhere(session, actor, item.inspection_id)
