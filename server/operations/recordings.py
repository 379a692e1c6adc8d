"""How long recordings play, their posters, and copies of those that browsers do not play.

Only where the machine has ``ffmpeg`` (docs/operations.md); everything else works without.
A copy stands beside its original and is never evidence itself (docs/evidence.md §7).
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.orm import Session

from media.errors import MediaError
from media.facts import READER_VERSION
from media.second import Picture, PixelFacts, SecondReader
from media.second.film import (
    COPY_LIMIT_MB,
    PICTURES,
    READERS,
    Ffmpeg,
    FilmFailed,
    Look,
    Made,
    is_whole,
    plays,
)
from media.store import StoreUnavailable
from server.db import reading, transaction
from server.locking import locked
from server.models.inspections import Derivative, EvidenceItem, MediaFacts
from server.models.uploads import MediaObject, UnsafeMedia
from server.operations import ledger
from server.operations.derivatives import keep_derivative, store_derivative
from server.operations.holding import held
from server.operations.serving import let_through
from server.services import Services

_log = logging.getLogger(__name__)

THUMBNAIL: Final = "thumbnail"
PREVIEW: Final = "preview"
POSTER: Final = "poster"
PLAYBACK: Final = "playback"
#: What was seen of a recording of which nothing need be made, or nothing could be: that is
#: tried again by a worker that starts anew, maybe with a better program.
LOOK: Final = "look"
TRIED: Final = "tried"
#: Each of these says how long the recording plays (``played_ms`` in its recipe).
MEASURED: Final = (POSTER, PLAYBACK, LOOK, TRIED)
_STEP = 1 << 20
#: A recording that cannot be fetched is tried again after a minute, then ever more seldom.
_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 3_600_000
#: After so many refusals in a row the store is away: the next round is soon.
_STORE_IS_AWAY = 3


@dataclass
class Recordings:
    """What one process remembers, by digest; nothing of it is needed for being right.

    ``settled`` need not be looked at again, ``again_at_ms`` and ``waits_ms`` are of those that
    could not be fetched, ``cramped`` lack room on this machine.
    """

    settled: set[str] = field(default_factory=set)
    again_at_ms: dict[str, int] = field(default_factory=dict)
    waits_ms: dict[str, int] = field(default_factory=dict)
    cramped: set[str] = field(default_factory=set)

    def postpone(self, sha256: str, now_ms: int) -> None:
        wait_ms = min(2 * self.waits_ms.get(sha256, _FIRST_WAIT_MS // 2), _LONGEST_WAIT_MS)
        self.waits_ms[sha256], self.again_at_ms[sha256] = wait_ms, now_ms + wait_ms

    def settle(self, sha256: str) -> None:
        self.settled.add(sha256)
        self.waits_ms.pop(sha256, None)
        self.again_at_ms.pop(sha256, None)
        self.cramped.discard(sha256)


@dataclass(frozen=True, kw_only=True)
class _Work:
    item_id: str
    sha256: str
    key: str
    size: int
    kind: str
    #: Width and height that a photo states; None where it does not.
    picture: tuple[int, int] | None


def _never() -> bool:
    return False


def derive_from_recordings(
    services: Services, memory: Recordings, *, until: Callable[[], bool] = _never
) -> None:
    """Make what is lacking, the newest recordings first; nothing without ``ffmpeg``.

    ``until`` is asked before each, since one may take hours: true ends the round.
    """
    ffmpeg = Ffmpeg.find()
    if ffmpeg is None:
        return
    with _alone(services) as (alone, folder):
        if not alone:
            return
        with SecondReader() as second:
            refused = 0
            for work in _waiting(memory, services.now_ms()):
                if until():
                    return
                try:
                    done = _derive(services, ffmpeg, second, memory, work, folder)
                # Whatever is wrong with one recording, or with its place, holds up no other.
                except (MediaError, OSError) as error:
                    code = getattr(error, "code", type(error).__name__)
                    _log.warning("derive_postponed item=%s code=%s", work.item_id, code)
                    memory.postpone(work.sha256, services.now_ms())
                    refused += isinstance(error, StoreUnavailable)
                    if refused == _STORE_IS_AWAY:
                        return
                else:
                    refused = 0
                    if done:
                        memory.settle(work.sha256)


def _waiting(memory: Recordings, now_ms: int) -> list[_Work]:
    """Recordings that a reader has seen, without anything made from them."""
    called = func.lower(EvidenceItem.media_type)
    passed = memory.settled | {one for one, at_ms in memory.again_at_ms.items() if at_ms > now_ms}
    with reading() as session:
        found = session.execute(
            select(EvidenceItem.id, MediaObject, MediaFacts.facts)
            .join(MediaObject, MediaObject.sha256 == EvidenceItem.sha256)
            .join(MediaFacts, MediaFacts.sha256 == EvidenceItem.sha256)
            .where(
                MediaFacts.reader_version == READER_VERSION,
                MediaObject.status == "stored",
                or_(*(called.startswith(name) for name in ("video/", "audio/", "image/hei"))),
                held(EvidenceItem.sha256, EvidenceItem.organization_id),
                ~exists().where(
                    Derivative.source_sha256 == EvidenceItem.sha256,
                    Derivative.purpose.in_((POSTER, PLAYBACK, LOOK, PREVIEW)),
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
            if media.sha256 in passed or media.sha256 in waiting:
                continue
            plain = json.loads(facts)
            kind, picture = plain["type"], _stated_size(plain)
            if kind not in READERS and (kind not in PICTURES or picture is None):
                memory.settle(media.sha256)
                continue
            waiting[media.sha256] = _Work(
                item_id=item_id,
                sha256=media.sha256,
                key=media.key,
                size=media.size,
                kind=kind,
                picture=picture,
            )
        # Photos are drawn at once, while a film may take hours.
        return sorted(waiting.values(), key=lambda work: work.kind not in PICTURES)


def _stated_size(plain: dict[str, Any]) -> tuple[int, int] | None:
    for value in plain["values"]:
        if value["tag"] == "File:ImageSize":
            width, height = map(int, str(value["raw"]).split())
            return width, height
    return None


def _derive(
    services: Services,
    ffmpeg: Ffmpeg,
    second: SecondReader,
    memory: Recordings,
    work: _Work,
    folder: Path,
) -> bool:
    """Look at one recording and keep what could be made of it; False if there is no room now.

    Raises:
        MediaError: if the store does not give or take bytes.
        OSError: if this machine's disk does not.
    """
    if shutil.disk_usage(folder).free < work.size + (2 * COPY_LIMIT_MB << 20):
        if work.sha256 not in memory.cramped:
            memory.cramped.add(work.sha256)
            _log.warning("derive_without_room item=%s size=%s", work.item_id, work.size)
        return False
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        source = place / "original"
        with source.open("wb") as file:
            for start in range(0, work.size, _STEP):
                size = min(_STEP, work.size - start)
                file.write(services.store.read(work.key, start, size))
        if work.kind in PICTURES:
            _keep_picture(services, ffmpeg, second, work, source)
            return True
        look = ffmpeg.look(source, work.kind, place)
        if isinstance(look, FilmFailed):
            _log.info("derive_nothing item=%s reason=%r", work.item_id, look.reason)
            return True
        made: dict[str, Made | Picture | FilmFailed] = {}
        if look.video:
            still = made[POSTER] = ffmpeg.still(source, work.kind, place)
            if isinstance(still, Made):
                drawn = second.draw(still.path, THUMBNAIL)
                if isinstance(drawn, Picture):
                    made[THUMBNAIL] = drawn
        if not plays(work.kind, look):
            made[PLAYBACK] = ffmpeg.playback(source, work.kind, place)
        _keep(services, work, look, made, seen_with=ffmpeg.version)
    return True


def _keep_picture(
    services: Services, ffmpeg: Ffmpeg, second: SecondReader, work: _Work, source: Path
) -> None:
    """A preview and a thumbnail of a photo that browsers do not show, if it is drawn whole."""
    drawn = ffmpeg.picture(source, work.kind, source.parent)
    if isinstance(drawn, FilmFailed):
        _log.info("derive_failed item=%s %s reason=%r", work.item_id, PREVIEW, drawn.reason)
        return
    seen = second.pixels(drawn.path)
    if not isinstance(seen, PixelFacts) or work.picture is None:
        return
    if not is_whole((seen.width, seen.height), work.picture):
        _log.info("derive_failed item=%s %s reason='a tile only'", work.item_id, PREVIEW)
        return
    rows = []
    for purpose in (PREVIEW, THUMBNAIL):
        small = second.draw(drawn.path, purpose)
        if isinstance(small, Picture):
            steps = {"command": drawn.command, "then": small.recipe}
            rows.append(
                store_derivative(
                    services,
                    small.jpeg,
                    source_sha256=work.sha256,
                    purpose=purpose,
                    media_type="image/jpeg",
                    made_with=f"{drawn.made_with}, {small.made_with}",
                    recipe=json.dumps(steps, sort_keys=True, separators=(",", ":")),
                )
            )
    with transaction() as session:
        ledger.lock_head(session)
        for row in rows:
            keep_derivative(session, row, item_id=work.item_id, now_ms=services.now_ms())


def _keep(
    services: Services,
    work: _Work,
    look: Look,
    made: dict[str, Made | Picture | FilmFailed],
    *,
    seen_with: str,
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
                recipe = _recipe(one.command, look)
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
    if not rows and look.played_ms is not None:
        recipe = _recipe(look.command, look)
        rows.append(
            store_derivative(
                services,
                recipe.encode(),
                source_sha256=work.sha256,
                purpose=TRIED if made else LOOK,
                media_type="application/json",
                made_with=seen_with,
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
    """How long a recording plays by what is in it; None if nobody has looked."""
    recipe = session.scalars(
        select(Derivative.recipe)
        .where(
            Derivative.source_sha256 == sha256,
            Derivative.purpose.in_(MEASURED),
        )
        .limit(1)
    ).first()
    found: int | None = json.loads(recipe)["played_ms"] if recipe else None
    return found


def _recipe(command: tuple[str, ...], look: Look) -> str:
    """The command, and what the program saw in the original."""
    return json.dumps(
        {
            "command": command,
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
    with locked(folder / "lock") as mine:
        if mine:
            # What a killed process has left is of no use to anyone.
            for left in folder.glob("tmp*"):
                shutil.rmtree(left, ignore_errors=True)
        yield mine, folder
