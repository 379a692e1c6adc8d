"""The other items that one is compared with: its neighbours, the same bytes, its camera."""

import json

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from media.facts import READER_VERSION
from media.findings import model
from media.findings.claims import signed_time
from media.findings.reading import Reading
from media.findings.timetext import exif_wall
from server.models.inspections import EvidenceItem, Finding, Inspection, MediaFacts
from server.models.journal import JournalLine, same_line
from server.models.traits import MediaTrait
from server.operations.clocks import line_clock
from server.operations.media_hints import hints_of

#: Only what the device took itself says something about its clock, its place and its camera.
_TAKEN = (model.IN_APP, model.SYSTEM_CAMERA)
#: So many items with the same bytes are named, whichever were announced first.
MOST = 10
#: By so many of its last photos a device's camera is known, among so many lines.
_CAMERA_PHOTOS, _CAMERA_LINES = 50, 2000


def neighbours(session: Session, item: EvidenceItem) -> tuple[model.Neighbour, ...]:
    """What the same device took just before and just after, in the order of its journal."""
    if item.capture_class not in _TAKEN:
        return ()
    found = []
    for relation, side, order in (
        ("previous", EvidenceItem.seq < item.seq, EvidenceItem.seq.desc()),
        ("next", EvidenceItem.seq > item.seq, EvidenceItem.seq.asc()),
    ):
        other = session.scalars(
            select(EvidenceItem)
            .where(_same_chain(item), side, EvidenceItem.capture_class.in_(_TAKEN))
            .order_by(order)
            .limit(1)
        ).first()
        if other is not None:
            found.append(_neighbour(session, relation, other))
    return tuple(found)


def _neighbour(session: Session, relation: str, other: EvidenceItem) -> model.Neighbour:
    line = session.get_one(JournalLine, (other.device_id, other.epoch, other.branch, other.seq))
    hints = hints_of(other, line_clock(session, line))
    signed = signed_time(hints)
    lo_ms, hi_ms = (signed.lo_ms, signed.hi_ms) if signed else (other.captured_at_ms,) * 2
    camera_ms, camera_zone_min = _camera_time(session, other.sha256)
    return model.Neighbour(
        relation=relation,
        item=other.id,
        name=other.name,
        seq=other.seq,
        lo_ms=lo_ms,
        hi_ms=hi_ms,
        camera_ms=camera_ms,
        lat_e7=other.lat_e7,
        lon_e7=other.lon_e7,
        accuracy_cm=other.accuracy_cm,
        proven=hints.bounds is not None,
        camera_zone_min=camera_zone_min,
    )


def _camera_time(session: Session, sha256: str) -> tuple[int | None, int | None]:
    """What the camera's clock said and the zone that it named, as far as the file has been read."""
    facts = session.scalar(
        select(MediaFacts.facts).where(
            MediaFacts.sha256 == sha256, MediaFacts.reader_version == READER_VERSION
        )
    )
    if facts is None:
        return None, None
    reading = Reading(json.loads(facts))
    original = reading.stored("ExifIFD:DateTimeOriginal")
    return exif_wall(original.raw) if original else None, reading.zone("OffsetTimeOriginal")


def reuse(session: Session, item: EvidenceItem) -> tuple[model.SameBytes, ...]:
    """The items of other inspections of the organisation that announce the same bytes.

    Sending again within one inspection does not count, nor does what was discarded.
    """
    if item.inspection_id is None or item.state == "discarded":
        return ()
    case = _case(session.get_one(Inspection, item.inspection_id).external_ids)
    rows = session.execute(
        select(
            EvidenceItem.id,
            EvidenceItem.inspection_id,
            JournalLine.received_at_ms,
            Inspection.external_ids,
        )
        .join(JournalLine, same_line(EvidenceItem, JournalLine))
        .join(Inspection, Inspection.id == EvidenceItem.inspection_id)
        .where(
            EvidenceItem.sha256 == item.sha256,
            of_organization(item.organization_id),
            EvidenceItem.inspection_id != item.inspection_id,
            EvidenceItem.state != "discarded",
        )
        .order_by(JournalLine.received_at_ms, EvidenceItem.id)
        .limit(MOST)
    )
    found = []
    for row in rows:
        shared = case if _case(row.external_ids) == case else ""
        found.append(
            model.SameBytes(
                item=row.id,
                inspection=row.inspection_id,
                announced_at_ms=row.received_at_ms,
                same_case=bool(shared),
                case=shared,
            )
        )
    return tuple(found)


def _case(external_ids: str) -> str:
    """The number of the case that an inspection says it is for; "" if it names none.

    As long as no case is filed, each inspection is one.
    """
    return str(json.loads(external_ids).get("case", ""))


def of_organization(organization_id: str) -> ColumnElement[bool]:
    """Whether an item is of the organisation, without an index: it holds nearly all of them,
    and SQLite takes that index before the one of digests while it has no statistics."""
    return func.coalesce(EvidenceItem.organization_id, "") == organization_id


def camera(session: Session, item: EvidenceItem) -> model.KnownCamera | None:
    """What the device's last photos before this one, taken in the same way, say of its camera.

    Photos in which another camera was found do not count until a reviewer accepts them.
    """
    if item.capture_class not in _TAKEN:
        return None
    doubted = exists().where(Finding.item_id == EvidenceItem.id, Finding.code == "DEVICE_MISMATCH")
    rows = session.execute(
        select(MediaTrait.make, MediaTrait.model, MediaTrait.serial, MediaTrait.quant_tables)
        .join(EvidenceItem, EvidenceItem.sha256 == MediaTrait.sha256)
        .where(
            _same_chain(item),
            EvidenceItem.seq.between(item.seq - _CAMERA_LINES, item.seq - 1),
            EvidenceItem.capture_class == item.capture_class,
            or_(MediaTrait.make != "", MediaTrait.model != "", MediaTrait.quant_tables != ""),
            or_(EvidenceItem.state == "accepted", ~doubted),
        )
        .order_by(EvidenceItem.seq.desc())
        .limit(_CAMERA_PHOTOS)
    ).all()
    if not rows:
        return None
    makes, models, serials, tables = (
        tuple(sorted({row[n] for row in rows} - {""})) for n in range(4)
    )
    return model.KnownCamera(
        makes=makes, models=models, serials=serials, quant_tables=tables, photos=len(rows)
    )


def _same_chain(item: EvidenceItem) -> ColumnElement[bool]:
    return and_(
        EvidenceItem.device_id == item.device_id,
        EvidenceItem.epoch == item.epoch,
        EvidenceItem.branch == item.branch,
    )
