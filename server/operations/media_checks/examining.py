"""Reading one file and letting the rules compare, without a transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy.orm import Session

from media import findings as rules
from media.facts import READER_VERSION, read_facts
from media.findings import model
from media.second import Picture, PixelFacts, SecondFacts, SecondFailed, SecondReader
from media.store import S3Source
from server.models.inspections import EvidenceItem, MediaFacts
from server.models.uploads import MediaObject
from server.operations.media_context import Seen
from server.services import Services

THUMBNAIL: Final = "thumbnail"
PREVIEW: Final = "preview"

#: The second reader and Pillow get the whole file; longer ones are recordings.
_WHOLE_LIMIT_BYTES = 64 << 20
#: Formats that the second reader or Pillow know.
_PICTURES = frozenset(
    ("JPEG", "MPO", "PNG", "WEBP", "Extended WEBP", "HEIC", "HEIF", "AVIF", "TIFF")
)
#: A picture whose long side is not longer than this is shown as it is.
_PREVIEW_PIXELS = 2048


@dataclass(frozen=True, kw_only=True)
class Work:
    """One item to check: where its bytes are, and what this version of the reader read before."""

    item_id: str
    capture_class: str
    sha256: str
    size: int
    key: str
    read: MediaFacts | None


def work_on(session: Session, item: EvidenceItem) -> Work:
    media = session.get_one(MediaObject, item.sha256)
    return Work(
        item_id=item.id,
        capture_class=item.capture_class,
        sha256=item.sha256,
        size=media.size,
        key=media.key,
        read=session.get(MediaFacts, (item.sha256, READER_VERSION)),
    )


@dataclass(frozen=True, kw_only=True)
class Read(Seen):
    """What reading a file gave; ``pictures`` are new, by purpose."""

    pictures: Mapping[str, Picture]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What the claims were compared with, and what that gave."""

    context: model.Context
    claims: tuple[model.Claim, ...]
    found: tuple[model.Finding, ...]


def examine(services: Services, second: SecondReader, work: Work) -> Read:
    """Read the file, unless this version of the reader has.

    Raises:
        MediaError: if the store does not give the bytes.
    """
    known = work.read
    if known is None:
        return _read(S3Source(services.store, work.key, work.size), work.size, second)
    return Read(facts=known.facts, second=known.second, pixels=known.pixels, pictures={})


def compare(read: Read, context: model.Context) -> Compared:
    """Let the rules compare."""
    claims = rules.claims(json.loads(read.facts), context.hints)
    return Compared(context=context, claims=claims, found=rules.compare(claims, context))


def _read(source: S3Source, size: int, second: SecondReader) -> Read:
    facts = read_facts(source)
    if size > _WHOLE_LIMIT_BYTES or facts.type not in _PICTURES:
        return Read(facts=facts.to_json(), second="", pixels="", pictures={})
    content = source.read(0, size)
    seen = second.pixels(content)
    pictures: dict[str, Picture] = {}
    if isinstance(seen, PixelFacts):
        purposes: list[Literal["thumbnail", "preview"]] = [THUMBNAIL]
        if max(seen.width, seen.height) > _PREVIEW_PIXELS:
            purposes.append(PREVIEW)
        for purpose in purposes:
            drawn = second.draw(content, purpose)
            if isinstance(drawn, Picture):
                pictures[purpose] = drawn
    return Read(
        facts=facts.to_json(),
        second=_second_json(second.read(content)),
        pixels=_pixels_json(seen),
        pictures=pictures,
    )


def _second_json(seen: SecondFacts | SecondFailed) -> str:
    match seen:
        case SecondFacts(reader=reader, values=values):
            return _json({"reader": reader, "values": values, "failed": ""})
        case SecondFailed(reason=reason):
            return _json({"reader": "exifread", "values": {}, "failed": reason})


def _pixels_json(seen: PixelFacts | SecondFailed) -> str:
    match seen:
        case SecondFailed(reason=reason):
            return _json({"failed": reason})
        case PixelFacts():
            return _json(
                {
                    "width": seen.width,
                    "height": seen.height,
                    "likeness": f"{seen.likeness:016x}",
                    "thumbnail_distance": seen.thumbnail_distance,
                }
            )


def _json(plain: Mapping[str, object]) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
