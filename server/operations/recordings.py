"""Posters of recordings, and playback copies of those that browsers do not play.

Only where the machine has ``ffmpeg`` (docs/operations.md); everything else works without.
A copy stands beside its original and is never evidence itself (docs/evidence.md §7).
"""

import fcntl
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.facts import READER_VERSION
from media.second import Picture, SecondReader
from media.second.film import COPY_LIMIT_MB, READERS, Ffmpeg, FilmFailed, Look, Made, plays
from server.db import reading, transaction
from server.models.inspections import Derivative, EvidenceItem, MediaFacts
from server.models.uploads import MediaObject, UnsafeMedia
from server.operations import ledger
from server.operations.derivatives import keep_derivative, store_derivative
from server.operations.holding import held
from server.operations.serving import let_through
from server.services import Services

_log = logging.getLogger(__name__)

THUMBNAIL: Final = "thumbnail"
POSTER: Final = "poster"
PLAYBACK: Final = "playback"
_STEP = 1 << 20
#: Sound that browsers play in this container nearly always; not worth fetching each to look.
_SOUND_THAT_PLAYS = frozenset({"M4A", "F4A"})


@dataclass
class Recordings:
    """What one process remembers: recordings that it need not look at again."""

    settled: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class _Work:
    item_id: str
    sha256: str
    key: str
    size: int
    kind: str


def derive_from_recordings(services: Services, memory: Recordings) -> None:
    """Make what is lacking, the newest recordings first; nothing without ``ffmpeg``."""
    ffmpeg = Ffmpeg.find()
    if ffmpeg is None:
        return
    with _alone(services) as (alone, folder):
        if not alone:
            return
        with SecondReader() as second:
            for work in _waiting(memory):
                try:
                    _derive(services, ffmpeg, second, work, folder)
                except MediaError as error:
                    # The store is away: this one and the rest are tried in the next round.
                    _log.warning("derive_postponed item=%s code=%s", work.item_id, error.code)
                    return
                memory.settled.add(work.sha256)


def _waiting(memory: Recordings) -> list[_Work]:
    """Recordings that a reader has seen, without anything made from them."""
    with reading() as session:
        found = session.execute(
            select(EvidenceItem.id, MediaObject, MediaFacts.facts)
            .join(MediaObject, MediaObject.sha256 == EvidenceItem.sha256)
            .join(MediaFacts, MediaFacts.sha256 == EvidenceItem.sha256)
            .where(
                MediaFacts.reader_version == READER_VERSION,
                MediaObject.status == "stored",
                or_(
                    EvidenceItem.media_type.startswith("video/"),
                    EvidenceItem.media_type.startswith("audio/"),
                ),
                held(EvidenceItem.sha256, EvidenceItem.organization_id),
                ~exists().where(
                    Derivative.source_sha256 == EvidenceItem.sha256,
                    Derivative.purpose.in_((POSTER, PLAYBACK)),
                ),
                or_(
                    ~exists().where(UnsafeMedia.sha256 == EvidenceItem.sha256),
                    let_through(EvidenceItem.id),
                ),
            )
            .order_by(EvidenceItem.captured_at_ms.desc(), EvidenceItem.id)
        )
        waiting: dict[str, _Work] = {}
        for item_id, media, facts in found:
            if media.sha256 in memory.settled or media.sha256 in waiting:
                continue
            kind = json.loads(facts)["type"]
            if kind not in READERS or kind in _SOUND_THAT_PLAYS:
                memory.settled.add(media.sha256)
                continue
            waiting[media.sha256] = _Work(
                item_id=item_id, sha256=media.sha256, key=media.key, size=media.size, kind=kind
            )
        return list(waiting.values())


def _derive(
    services: Services, ffmpeg: Ffmpeg, second: SecondReader, work: _Work, folder: Path
) -> None:
    """Look at one recording and keep what could be made of it.

    Raises:
        MediaError: if the store does not give or take bytes.
    """
    if shutil.disk_usage(folder).free < work.size + (2 * COPY_LIMIT_MB << 20):
        _log.warning("derive_without_room item=%s size=%s", work.item_id, work.size)
        return
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        source = place / "original"
        with source.open("wb") as file:
            for start in range(0, work.size, _STEP):
                size = min(_STEP, work.size - start)
                file.write(services.store.read(work.key, start, size))
        look = ffmpeg.look(source, work.kind, place)
        if isinstance(look, FilmFailed):
            _log.info("derive_nothing item=%s reason=%r", work.item_id, look.reason)
            return
        made: dict[str, Made | Picture | FilmFailed] = {}
        if look.video:
            still = made[POSTER] = ffmpeg.still(source, work.kind, place)
            if isinstance(still, Made):
                drawn = second.draw(still.path, THUMBNAIL)
                if isinstance(drawn, Picture):
                    made[THUMBNAIL] = drawn
        if not plays(work.kind, look):
            made[PLAYBACK] = ffmpeg.playback(source, work.kind, place)
        _keep(services, work, look, made)


def _keep(
    services: Services, work: _Work, look: Look, made: dict[str, Made | Picture | FilmFailed]
) -> None:
    rows = []
    content: bytes | Path
    for purpose, one in made.items():
        match one:
            case FilmFailed(reason=reason):
                _log.info("derive_failed item=%s %s reason=%r", work.item_id, purpose, reason)
                continue
            case Picture():
                content, media_type, recipe = one.jpeg, "image/jpeg", f"of the poster: {one.recipe}"
            case Made():
                content, media_type = one.path, one.media_type
                recipe = _recipe(one, look)
        rows.append(
            store_derivative(
                services,
                content,
                source_sha256=work.sha256,
                purpose=purpose,
                media_type=media_type,
                made_with=one.made_with,
                recipe=recipe,
            )
        )
    if not rows:
        return
    with transaction() as session:
        ledger.lock_head(session)
        for row in rows:
            keep_derivative(session, row, item_id=work.item_id, now_ms=services.now_ms())
        if look.played_ms is not None:
            # The rules compare it with the length that the file states.
            session.execute(
                update(EvidenceItem)
                .where(
                    EvidenceItem.sha256 == work.sha256,
                    held(EvidenceItem.sha256, EvidenceItem.organization_id),
                )
                .values(check_wanted=True)
            )


def played_ms(session: Session, sha256: str) -> int | None:
    """How long a recording is that something was made from, by what is in it."""
    recipe = session.scalars(
        select(Derivative.recipe)
        .where(
            Derivative.source_sha256 == sha256,
            Derivative.purpose.in_((POSTER, PLAYBACK)),
        )
        .limit(1)
    ).first()
    found: int | None = json.loads(recipe)["played_ms"] if recipe else None
    return found


def _recipe(one: Made, look: Look) -> str:
    """The command, and what the program saw in the original."""
    return json.dumps(
        {
            "command": one.command,
            "stated_ms": look.stated_ms,
            "played_ms": look.played_ms,
            "video": look.video,
            "audio": look.audio,
        },
        sort_keys=True,
        separators=(",", ":"),
    )


@contextmanager
def _alone(services: Services) -> Iterator[tuple[bool, Path]]:
    """Whether no other process or thread of this machine is at it, and an empty folder."""
    folder = services.settings.data_dir / "recordings"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False, folder
    else:
        # What a killed process has left is of no use to anyone.
        for left in folder.glob("tmp*"):
            shutil.rmtree(left, ignore_errors=True)
        yield True, folder
    finally:
        os.close(descriptor)
