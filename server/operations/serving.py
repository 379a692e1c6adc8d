"""How an item's bytes may leave: by what our reader saw in them, never by what a device says."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.orm import Session

from media.findings.forms import RUNS, calls_medium
from server.models.base import table_of
from server.models.inspections import Derivative, EvidenceItem, MediaFacts
from server.models.journal import QuarantineDecision
from server.models.ledger import LedgerEvent, LedgerSubject
from server.models.uploads import UnsafeMedia

DOWNLOAD = "application/octet-stream"

#: What browsers show as picture, sound or film and as nothing else, by the reader's type.
_SHOWN = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "Extended WEBP": "image/webp",
    "GIF": "image/gif",
    "AVIF": "image/avif",
    "MP3": "audio/mpeg",
    "M4A": "audio/mp4",
    "WAV": "audio/wav",
    "OPUS": "audio/ogg",
    "MP4": "video/mp4",
    "M4V": "video/mp4",
    "F4V": "video/mp4",
    "MOV": "video/quicktime",
    "WEBM": "video/webm",
}
_KINDS = {"image": "picture", "audio": "sound", "video": "film"}
#: What holds files of any kind, by the reader's type. Whoever adds to this or to ``RUNS``
#: raises the reader's version too: files are judged when they are read.
_HOLDS = frozenset({"ZIP", "RAR", "7Z", "GZIP", "OLE", "XML", "PDF"})
_MEDIA_NAME = re.compile(
    r"\.(?:jpe?g|jfif|png|gif|webp|hei[cf]|avif|bmp|tiff?|dng|mp4|m4v|mov|3gp|avi|mkv|webm|wmv|mpe?g"
    r"|ts|flv|mp3|wav|m4a|aac|amr|og[ga]|opus|flac)$",
    re.IGNORECASE,
)
#: Places of a danger: the whole file; a second way to read it; what stands behind the picture.
ITSELF, SECOND, BEHIND = "itself", "second", "behind"
UNSAFE, RELEASED = "unsafe", "released"


@dataclass(frozen=True, kw_only=True)
class Danger:
    """What in a file could run somewhere: ``kind`` is ``HTML``, ``PE``, ``ZIP`` and the like."""

    kind: str
    where: str
    offset: int


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How bytes are answered: as ``media_type``, shown as ``picture``, ``sound``, ``film`` or "".

    ``unsafe`` is what was recognised in bytes that are only ever downloaded, ``released`` what
    was recognised in those that a reviewer has let through. ``read`` says whether a reader has
    seen the file yet; ``derived`` are the purposes of the pictures and copies made from it.
    """

    media_type: str
    shown_as: str
    unsafe: str
    released: str
    read: bool
    derived: frozenset[str]

    @property
    def is_recording(self) -> bool:
        """Whether there is something to play, the original or a copy."""
        return self.shown_as in ("sound", "film") or "playback" in self.derived


def serving_of(session: Session, item: EvidenceItem) -> Serving:
    """How the stored file of an item is served; what nobody has read yet is not shown."""
    unsafe = session.get(UnsafeMedia, item.sha256)
    released = unsafe is not None and session.scalar(select(let_through(item.id)))
    facts = newest_facts(session, item.sha256)
    shown = ""
    if facts is not None and (unsafe is None or released):
        shown = _SHOWN.get(json.loads(facts.facts)["type"] or "", "")
    derived = select(Derivative.purpose).where(Derivative.source_sha256 == item.sha256)
    code = unsafe.code if unsafe else ""
    return Serving(
        media_type=shown or DOWNLOAD,
        shown_as=_KINDS.get(shown.partition("/")[0], ""),
        unsafe="" if released else code,
        released=code if released else "",
        read=facts is not None,
        derived=frozenset(session.scalars(derived)),
    )


def newest_facts(session: Session, sha256: str) -> MediaFacts | None:
    """What was read last of a file."""
    return session.scalars(
        select(MediaFacts)
        .where(MediaFacts.sha256 == sha256)
        .order_by(MediaFacts.generation.desc(), MediaFacts.ledger_index.desc())
        .limit(1)
    ).first()


def let_through(item_id: Any) -> ColumnElement[bool]:
    """Whether the newest word on an unsafe item, a column or a value, is its release.

    It is one of what was found by then: what is found later asks for another.
    """
    said, later = table_of(QuarantineDecision).alias(), table_of(QuarantineDecision).alias()
    newest = (
        select(func.max(later.c.id))
        .where(later.c.kind == UNSAFE, later.c.subject == item_id)
        .scalar_subquery()
    )
    item, about = table_of(EvidenceItem).alias(), table_of(LedgerSubject).alias()
    event = table_of(LedgerEvent).alias()
    place = (about.c.generation, about.c.leaf_index)
    # Only the reader writes such a leaf about a file by its digest.
    since = (
        select(item.c.id)
        .join(about, about.c.about == "media:" + item.c.sha256)
        .join(event, tuple_(event.c.generation, event.c.leaf_index) == tuple_(*place))
        .where(
            item.c.id == item_id,
            event.c.kind == "quarantine",
            tuple_(*place) > tuple_(said.c.generation, said.c.ledger_index),
        )
        .exists()
    )
    released = (said.c.id == newest, said.c.decision == RELEASED, ~since)
    return select(said.c.id).where(*released).exists()


def may_be_shown(facts: MediaFacts) -> bool:
    """Whether a file is, by itself, a picture, sound or film that is whole.

    Then what else it can be read as, or holds behind its end, stays asleep in a browser that
    is told its type and may not guess. Never so for a page, a program or an archive.
    """
    plain = json.loads(facts.facts)
    if plain["type"] in RUNS | _HOLDS or not calls_medium(plain["mime"] or ""):
        return False
    decoded = json.loads(facts.pixels).get("width") if facts.pixels else None
    return decoded is not None or not plain["faults"]


def dangers(facts: str, media_type: str, name: str) -> tuple[Danger, ...]:
    """What in a file could run somewhere, and where; empty if nothing.

    ``facts`` is the reader's JSON, ``media_type`` and ``name`` are what the device calls the
    file. A file is what its first bytes say, also what was found as a second valid reading
    (``File:Polyglot``), and what stands behind the end of its picture (``File:TrailingData``).
    Documents and archives are dangerous only where they pass for pictures, sound or film, by
    type or by name: of a type that says nothing (``application/octet-stream``) they do not.
    """
    return tuple(_dangers(json.loads(facts), media_type, name))


def _dangers(plain: dict[str, Any], media_type: str, name: str) -> Iterator[Danger]:
    kind = plain["type"] or ""
    passing = calls_medium(media_type) or bool(_MEDIA_NAME.search(name))
    if kind in RUNS or (kind in _HOLDS and passing):
        yield Danger(kind=kind, where=ITSELF, offset=0)
    if kind in _HOLDS:
        # What a paper or an archive holds is no second reading of it.
        return
    for value in plain["values"]:
        found = str(value["raw"])
        if value["tag"] == "File:Polyglot":
            yield Danger(kind=found, where=SECOND, offset=value["offset"])
        elif value["tag"] == "File:TrailingData" and found in RUNS | _HOLDS:
            yield Danger(kind=found, where=BEHIND, offset=value["offset"])


def recognised_danger(facts: str, media_type: str, name: str) -> str:
    """The kind of the first danger in a file; "" if there is none."""
    found = dangers(facts, media_type, name)
    return found[0].kind if found else ""
