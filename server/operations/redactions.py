"""Making redacted copies (脱敏副本): the original stays, withheld by digest where the copy goes.

Bytes go into the store first, leaf and row second, as with every derivative.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings.reading import Reading
from media.second import REQUEST_LIMIT_BYTES, Picture, Region, SecondFailed, SecondReader
from media.store import derived_key
from server.db import reading, transaction
from server.failures import Conflict, Invalid, NotFound
from server.models.inspections import Derivative, EvidenceItem
from server.models.people import Person
from server.models.redaction import Redaction
from server.operations import ledger
from server.operations.access import Actor, require
from server.operations.erased import erase_too, is_here
from server.operations.evidence_view import owned_item, stored_media
from server.operations.serving import newest_facts, serving_of
from server.services import Services

REDACTED: Final = "redacted"
MAX_REGIONS: Final = 100
#: Regions are given in parts of so many of the picture's width and height.
SCALE: Final = 10_000

_MAX_REASON = 1000
_METHODS = ("black", "mosaic")
#: EXIF orientations of pictures that lie on their side.
_ON_ITS_SIDE = ("5", "6", "7", "8")


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A redacted copy as pages show it."""

    id: str
    sha256: str
    size: int
    regions: int
    reason: str
    made_by: str
    made_at_ms: int
    ledger_index: int


def picture_shape(session: Session, item: EvidenceItem) -> tuple[int, int] | None:
    """Width and height of the upright picture; None where regions of it cannot be covered."""
    facts = newest_facts(session, item.sha256)
    pixels = json.loads(facts.pixels) if facts is not None and facts.pixels else {}
    if facts is None or "width" not in pixels or stored_media(session, item) is None:
        return None
    if serving_of(session, item).unsafe:
        return None
    turned = Reading(json.loads(facts.facts)).stored("IFD0:Orientation")
    shape = pixels["width"], pixels["height"]
    return shape[::-1] if turned is not None and turned.raw in _ON_ITS_SIDE else shape


def parse_regions(text: str) -> list[Region]:
    """Regions as ``x.y.width.height.how`` joined by ``_``, in 1/10,000 of the picture.

    Raises:
        Invalid: for anything else, or more than 100.
    """
    parts = [part for part in text.split("_") if part]
    if len(parts) > MAX_REGIONS:
        raise Invalid("regions", f"at most {MAX_REGIONS}")
    return [_parse_region(part) for part in parts]


def redact(
    services: Services, actor: Actor, item_id: str, regions: Sequence[Region], *, reason: str
) -> str:
    """Make a redacted copy of a picture and return its id.

    Raises:
        Forbidden: if the actor is neither reviewer nor administrator.
        NotFound: if there is no such item in the actor's organisation.
        Invalid: without regions or a reason.
        Conflict: if the bytes are not here, or no picture can be made from them.
        MediaError: if the store does not give or take the bytes.
    """
    require(actor, "reviewer", "administrator")
    reason = reason.strip()
    if not regions:
        raise Invalid("regions", "needed")
    if not 0 < len(reason) <= _MAX_REASON:
        raise Invalid("reason", f"between 1 and {_MAX_REASON} characters")
    with reading() as session:
        item = owned_item(session, actor, item_id)
        sha256, key, source = item.sha256, *picture_of(session, item)
    drawn = _draw(b"".join(services.store.stream(key)), regions)
    digest = hashlib.sha256(drawn.jpeg).hexdigest()
    store_key = derived_key(digest)
    services.store.put_once(store_key, drawn.jpeg, size=len(drawn.jpeg), sha256=digest)
    made = Redaction(
        id=str(uuid.uuid4()),
        item_id=item_id,
        source_sha256=sha256,
        sha256=digest,
        size=len(drawn.jpeg),
        key=store_key,
        regions=json.dumps([asdict(region) for region in regions]),
        reason=reason,
        made_by=actor.person_id,
        made_with=drawn.made_with,
        recipe=f"{drawn.recipe}, from the {source}",
        made_at_ms=services.now_ms(),
    )
    with transaction() as session:
        kept = _write_down(session, made)
    if kept is None:
        raise Conflict("the original was erased meanwhile")
    return kept


def _write_down(session: Session, made: Redaction) -> str | None:
    """Leaf and row of a stored copy, and its id; None if its original was erased meanwhile."""
    head = ledger.lock_head(session)
    item = session.get_one(EvidenceItem, made.item_id, populate_existing=True)
    if not is_here(session, item):
        erase_too(session, made.source_sha256, [(made.key, made.size)])
        return None
    person = session.get_one(Person, made.made_by)
    made.generation = head.generation
    made.ledger_index = ledger.append(
        session,
        "derive",
        actor={"person": person.id, "name": person.name},
        subject={"source": made.source_sha256, "sha256": made.sha256, "item": made.item_id},
        snapshot={
            "purpose": REDACTED,
            "made_with": made.made_with,
            "recipe": made.recipe,
            "regions": json.loads(made.regions),
            "reason": made.reason,
        },
        about=(f"item:{made.item_id}", f"media:{made.source_sha256}"),
        now_ms=made.made_at_ms,
    )
    session.add(made)
    session.flush()
    return made.id


def copies_of(session: Session, item_id: str) -> list[Copy]:
    """The redacted copies of an item, newest first."""
    rows = session.execute(
        select(Redaction, Person.name)
        .join(Person, Person.id == Redaction.made_by)
        .where(Redaction.item_id == item_id)
        .order_by(Redaction.generation.desc(), Redaction.ledger_index.desc())
    )
    return [
        Copy(
            id=row.id,
            sha256=row.sha256,
            size=row.size,
            regions=len(json.loads(row.regions)),
            reason=row.reason,
            made_by=name,
            made_at_ms=row.made_at_ms,
            ledger_index=row.ledger_index,
        )
        for row, name in rows
    ]


def owned_copy(session: Session, actor: Actor, redaction_id: str) -> Redaction:
    """The redacted copy of that id.

    Raises:
        NotFound: if its item is not the actor's organisation's.
    """
    row = session.get(Redaction, redaction_id)
    if row is None:
        raise NotFound("redaction", redaction_id)
    owned_item(session, actor, row.item_id)
    return row


def picture_of(session: Session, item: EvidenceItem) -> tuple[str, str]:
    """Key and name of the bytes that pixels are taken from: the original, else its preview."""
    media = stored_media(session, item)
    if media is not None and media.size <= REQUEST_LIMIT_BYTES:
        if serving_of(session, item).shown_as == "picture":
            return media.key, "original"
        preview = _preview(session, item)
        if preview is not None:
            return preview.key, f"preview {preview.sha256}"
    raise Conflict("no picture")


def _preview(session: Session, item: EvidenceItem) -> Derivative | None:
    return session.get(Derivative, (item.sha256, "preview"))


def _draw(content: bytes, regions: Sequence[Region]) -> Picture:
    with SecondReader() as second:
        drawn = second.redacted(content, regions)
    if isinstance(drawn, SecondFailed):
        raise Conflict(f"no picture: {drawn.reason}")
    return drawn


def _parse_region(text: str) -> Region:
    *numbers, how = text.split(".")
    if how not in _METHODS or len(numbers) != 4:
        raise Invalid("regions", "x.y.width.height.how")
    if not all(number.isascii() and number.isdigit() and len(number) <= 5 for number in numbers):
        raise Invalid("regions", "whole numbers")
    x, y, width, height = map(int, numbers)
    if not (width and height and x + width <= SCALE and y + height <= SCALE):
        raise Invalid("regions", "within the picture")
    return Region(x, y, width, height, "black" if how == "black" else "mosaic")
