"""The materials of a case as lists name them: its records, and every item that was announced.

What an officer wrote about an item on a 证据单 (``evidence_form``) stands in for what the
item's own line leaves empty. Nothing is left out, also what was discarded or never came.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from server.operations.coverage.footage import read_footage
from server.operations.export.case import CaseState
from server.operations.export.items import ItemState
from server.operations.export.proofs import pages_of
from server.operations.export.writings import StandingRecord, Words, maker_of
from server.operations.media_hints import SITE_ZONE_MIN
from server.operations.peers import Upto
from sync.evidence.interval import Interval

EVIDENCE_FORM = "evidence_form"
SITE_RECORD = "site_inspection_record"
_SORTS = ("image", "video", "audio")


@dataclass(frozen=True, kw_only=True)
class Material:
    """One thing that a list names; ``sort`` is what a section of a list takes.

    ``maker_known`` is false for a file that somebody imported without saying who had made it.
    ``original`` is ``device`` or ``imported`` for files, ``journal`` for records, and
    ``original`` or ``copy`` where an officer said so on a form. ``made_ms`` is a claim.
    """

    sort: str
    id: str
    title: str
    titles: Words
    media_type: str
    fact: str
    maker: str
    maker_known: bool
    method: str
    capture_class: str
    device: str
    medium: str
    made_ms: int | None
    ended_ms: int | None
    interval: Interval | None
    place: str
    position: tuple[int, int] | None
    original: str
    size: int | None
    duration_ms: int | None
    sha256: str
    disposition: str
    discard_reason: str
    file: str
    outside_seal: bool
    transcript: bool
    sound_relied_on: bool


def read_materials(
    session: Session, case: CaseState, records: Sequence[StandingRecord]
) -> list[Material]:
    """The records first, then the items in ledger order."""
    told = _told(records)
    lengths = _lengths(session, case)
    place = next(
        (text for r in records if r.template_id == SITE_RECORD and (text := _text(r, "place"))), ""
    )
    devices = {device.id: device.name for device in case.devices}
    return [
        *(_of_record(case, record) for record in records),
        *(
            _of_item(
                case,
                item,
                told.get(item.id, {}),
                place=place,
                device=devices.get(item.line.chain.device, ""),
                duration_ms=lengths.get(item.sha256),
            )
            for item in case.items
        ),
    ]


def _told(records: Sequence[StandingRecord]) -> dict[str, Mapping[str, Any]]:
    """What the 证据单 say, by item; of several the first form that names an item counts."""
    told: dict[str, Mapping[str, Any]] = {}
    for record in records:
        if record.template_id != EVIDENCE_FORM:
            continue
        values = record.merged.values
        for row in _rows(values.get("items")):
            medium = row.get("item")
            named = medium.get("item") if isinstance(medium, dict) else None
            if isinstance(named, str):
                told.setdefault(named, {**values, "title": row.get("title", "")})
    return told


def _of_item(
    case: CaseState,
    item: ItemState,
    told: Mapping[str, Any],
    *,
    place: str,
    device: str,
    duration_ms: int | None,
) -> Material:
    kind = item.media_type.partition("/")[0]
    lat, lon = item.position("lat"), item.position("lon")
    imported = item.act["class"] == "C"
    said = told.get("original")
    source = item.act.get("source")
    medium = source.get("recorder") if isinstance(source, dict) else None
    wearer = source.get("wearer") if isinstance(source, dict) else None
    title = item.text("title") or _string(told.get("title")) or item.text("name") or item.id
    return Material(
        sort=kind if kind in _SORTS else "other",
        id=item.id,
        title=title,
        titles={},
        media_type=item.media_type,
        fact=item.text("fact_to_prove") or _string(told.get("fact_to_prove")),
        maker=_person(told.get("maker")) or maker_of(case, item.text("officer")),
        # Who imports a file is not who made it.
        maker_known=not imported or bool(_person(told.get("maker"))) or bool(_string(wearer)),
        method=item.text("method") or _string(told.get("method")),
        capture_class=str(item.act["class"]),
        device=device,
        medium=_string(told.get("original_medium")) or _string(medium),
        made_ms=item.line.wall_ms,
        ended_ms=None,
        interval=item.interval,
        place=_string(told.get("place")) or place,
        position=(lat, lon) if lat is not None and lon is not None else None,
        original=said if said in ("original", "copy") else "imported" if imported else "device",
        size=item.act["size"],
        duration_ms=duration_ms,
        sha256=item.sha256,
        disposition=item.disposition,
        discard_reason=item.discard_reason,
        file=item.copy or item.file,
        outside_seal=item.outside_seal,
        transcript=bool(_string(told.get("transcript")).strip()),
        sound_relied_on=told.get("sound_relied_on") is True,
    )


def _of_record(case: CaseState, record: StandingRecord) -> Material:
    last = record.lines[-1]
    begun = moment_of(record, "started_at") or moment_of(record, "sampled_at")
    officers = {str(line.act["officer"]) for line in record.lines if line.act}
    return Material(
        sort=f"record:{record.template_id}",
        id=record.id,
        title="",
        titles=record.title,
        media_type="",
        fact=_text(record, "fact_to_prove"),
        maker="、".join(sorted(maker_of(case, officer) for officer in officers)),
        maker_known=True,
        method="",
        capture_class="",
        device="",
        medium="",
        made_ms=begun if begun is not None else record.lines[0].wall_ms,
        ended_ms=moment_of(record, "ended_at"),
        interval=None,
        place=_text(record, "place") or _text(record, "point"),
        position=None,
        original="journal",
        size=None,
        duration_ms=None,
        sha256=last.digest,
        disposition="",
        discard_reason="",
        file="",
        outside_seal=any(line.digest in case.outside_seal for line in record.lines),
        transcript=False,
        sound_relied_on=False,
    )


def moment_of(record: StandingRecord, field: str) -> int | None:
    """A ``datetime`` field as milliseconds; None if it is empty or no time on a calendar."""
    try:
        moment = datetime.fromisoformat(_text(record, field))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC) - timedelta(minutes=SITE_ZONE_MIN)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None


def _lengths(session: Session, case: CaseState) -> dict[str, int]:
    """How long recordings play, as the ledger knew it: measured, else as the container says."""
    upto = Upto(case.moment.generation, case.moment.size)
    digests = sorted({item.sha256 for item in case.items if item.source is not None})
    return dict(_known_lengths(session, digests, upto))


def _known_lengths(
    session: Session, digests: Sequence[str], upto: Upto
) -> Iterator[tuple[str, int]]:
    for page in pages_of(digests):
        footage = read_footage(session, page, upto)
        for sha256 in page:
            length = footage.length_ms(sha256)
            if length is not None:
                yield sha256, length


def _text(record: StandingRecord, field: str) -> str:
    return _string(record.merged.values.get(field))


def _string(value: object) -> str:
    """A text; empty where a hand-made line gave something else."""
    return value if isinstance(value, str) else ""


def _person(value: object) -> str:
    if not isinstance(value, dict):
        return ""
    name, number = _string(value.get("name")), _string(value.get("certificate_no"))
    return f"{name} ({number})" if name and number else name


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
