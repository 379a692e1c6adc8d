"""How an item's bytes may leave: by what our reader saw in them, never by what a device says."""

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.inspections import Derivative, MediaFacts
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
#: What some program runs, and what holds files of any kind, by the reader's type.
_RUNS = frozenset({"HTML", "SVG", "PE", "ELF", "MACHO", "SCRIPT"})
_HOLDS = frozenset({"ZIP", "RAR", "7Z", "GZIP", "OLE", "XML", "PDF"})
_MEDIA = ("image/", "audio/", "video/")


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How bytes are answered: as ``media_type``, shown as ``picture``, ``sound``, ``film`` or "".

    ``unsafe`` is what was recognised in bytes that are only ever downloaded.
    ``read`` says whether a reader has seen the file yet; ``derived`` are the purposes of
    the pictures and copies made from it.
    """

    media_type: str
    shown_as: str
    unsafe: str
    read: bool
    derived: frozenset[str]

    @property
    def is_recording(self) -> bool:
        """Whether there is something to play, the original or a copy."""
        return self.shown_as in ("sound", "film") or "playback" in self.derived


def serving_of(session: Session, sha256: str) -> Serving:
    """How a stored file is served; what nobody has read yet is not shown."""
    unsafe = session.get(UnsafeMedia, sha256)
    facts = session.scalars(
        select(MediaFacts.facts)
        .where(MediaFacts.sha256 == sha256)
        .order_by(MediaFacts.generation.desc(), MediaFacts.ledger_index.desc())
        .limit(1)
    ).first()
    shown = "" if unsafe or facts is None else _SHOWN.get(json.loads(facts)["type"] or "", "")
    derived = select(Derivative.purpose).where(Derivative.source_sha256 == sha256)
    return Serving(
        media_type=shown or DOWNLOAD,
        shown_as=_KINDS.get(shown.partition("/")[0], ""),
        unsafe=unsafe.code if unsafe else "",
        read=facts is not None,
        derived=frozenset(session.scalars(derived)),
    )


def recognised_danger(facts: str, media_type: str) -> str:
    """What in a file could run somewhere: ``HTML``, ``SVG``, ``PE``, ``ZIP``, …; "" if nothing.

    ``facts`` is the reader's JSON, ``media_type`` what the device calls the file. A file is
    what its first bytes say, and also what was found as a second valid reading
    (``File:Polyglot``). Documents and archives are dangerous only where they pass for media.
    """
    plain = json.loads(facts)
    for value in plain["values"]:
        if value["tag"] == "File:Polyglot":
            return str(value["raw"])
    kind = plain["type"] or ""
    passing = kind in _HOLDS and media_type.startswith(_MEDIA)
    return kind if kind in _RUNS or passing else ""
