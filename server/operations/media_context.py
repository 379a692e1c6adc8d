"""Everything that the rules compare with one item's file, gathered from one snapshot."""

import json
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from media import findings
from media.findings import model
from media.findings.claims import likeliest_ms
from media.findings.times import captures
from server.models.inspections import EvidenceItem, Inspection, RegulatedEntity
from server.models.journal import JournalLine
from server.models.uploads import MediaObject
from server.operations.clocks import line_clock
from server.operations.likeness import scenes
from server.operations.media_hints import hints_of, offset
from server.operations.media_others import camera, neighbours, reuse
from server.operations.recorder_clocks import recorder_offset
from server.operations.recordings import played_ms
from server.settings import Settings

#: How far a target reaches whose extent nobody has entered.
DEFAULT_RADIUS_CM = 20_000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What reading a file gave, as it is stored: ``second`` and ``pixels`` may be empty."""

    facts: str
    second: str
    pixels: str


def gather(session: Session, item: EvidenceItem, seen: Seen, settings: Settings) -> model.Context:
    """Everything that the rules compare with what was seen in this item's file."""
    own = gather_own(session, item, seen, settings)
    return replace(own, neighbours=neighbours(session, item), camera=camera(session, item))


def gather_own(
    session: Session, item: EvidenceItem, seen: Seen, settings: Settings
) -> model.Context:
    """All of it but the device's other photos.

    Those change with every photo; whoever finds a doubt in them tells the other.
    """
    media = session.get_one(MediaObject, item.sha256)
    line = session.get_one(JournalLine, (item.device_id, item.epoch, item.branch, item.seq))
    clock = line_clock(session, line)
    pixels: dict[str, Any] = json.loads(seen.pixels) if seen.pixels else {}
    pixels["duration_ms"] = played_ms(session, item.sha256)
    return model.Context(
        hints=_with_recorder(session, item, seen, hints_of(item, clock)),
        received_at_ms=line.received_at_ms,
        window=_window(session, item),
        not_before_ms=clock.interval.not_before_ms,
        site=_site(session, item),
        fix=_fix(item),
        announced=model.Content(sha256=item.sha256, size=item.size),
        received=model.Content(sha256=media.sha256, size=media.size),
        second=_second(seen),
        tolerance_ms=settings.clock_skew_tolerance_ms,
        reuse=reuse(session, item),
        scenes=scenes(session, item, int(pixels.get("likeness", "0"), 16)),
        pixels=_pixels(pixels),
        named=model.Named(name=item.name, media_type=item.media_type),
        policy=model.Policy(
            time_required=settings.require_time, place_required=settings.require_place
        ),
    )


def _with_recorder(
    session: Session, item: EvidenceItem, seen: Seen, hints: model.Hints
) -> model.Hints:
    """``hints`` with the comparison of the recorder's clock nearest to what the file says."""
    if item.capture_class != model.IMPORTED or not item.recorder:
        return hints
    claims = findings.claims(json.loads(seen.facts), hints)
    said = [claim for claim in captures(claims) if claim.source != "device"]
    at_ms = likeliest_ms(said[0]) if said else item.captured_at_ms
    found = recorder_offset(session, item.organization_id, item.recorder, at_ms)
    if found is None:
        return hints
    measured = offset(found.offset_ms, found.error_ms)
    return replace(hints, recorder=replace(measured, recorder_ms=found.recorder_ms))


def _second(seen: Seen) -> model.SecondReading | None:
    if not seen.second:
        return None
    plain = json.loads(seen.second)
    return model.SecondReading(
        reader=plain["reader"],
        values=tuple(sorted(plain["values"].items())),
        failed=plain["failed"],
    )


def _pixels(plain: dict[str, Any]) -> model.Pixels | None:
    """Size and length for the rules; None if nothing was decoded."""
    known = {
        name: plain.get(name) for name in ("width", "height", "thumbnail_distance", "duration_ms")
    }
    return model.Pixels(**known) if any(value is not None for value in known.values()) else None


def _window(session: Session, item: EvidenceItem) -> model.Window | None:
    if item.inspection_id is None:
        return None
    inspection = session.get_one(Inspection, item.inspection_id)
    return model.Window(
        open_ms=_corrected(session, inspection.opened_line, inspection.opened_at_ms),
        close_ms=(
            _corrected(session, inspection.sealed_line, inspection.sealed_at_ms)
            if inspection.sealed_line and inspection.sealed_at_ms is not None
            else None
        ),
    )


def _corrected(session: Session, line_digest: str, wall_ms: int) -> int:
    """A device's wall time by the server's clock, as last measured and within what is proven."""
    line = session.scalars(
        select(JournalLine).where(JournalLine.digest == line_digest).limit(1)
    ).one()
    clock = line_clock(session, line)
    if clock.offset_ms is None:
        return wall_ms
    bounds = clock.bounds
    at_ms = min(wall_ms + clock.offset_ms, bounds.hi_ms)
    return at_ms if bounds.lo_ms is None else max(at_ms, bounds.lo_ms)


def _site(session: Session, item: EvidenceItem) -> model.Site | None:
    entity = session.execute(
        select(RegulatedEntity)
        .join(Inspection, Inspection.entity_id == RegulatedEntity.id)
        .where(Inspection.id == item.inspection_id)
    ).scalar_one_or_none()
    if entity is None or entity.lat_e7 is None or entity.lon_e7 is None:
        return None
    return model.Site(entity.lat_e7, entity.lon_e7, entity.radius_cm or DEFAULT_RADIUS_CM)


def _fix(item: EvidenceItem) -> model.Fix | None:
    if item.lat_e7 is None or item.lon_e7 is None:
        return None
    return model.Fix(item.lat_e7, item.lon_e7, item.accuracy_cm, item.fix_at_ms)
