"""When the recordings of a visit ran, by their files' own times and lengths."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from media.findings.reading import DURATION_TAGS, Reading, fraction
from server.models.inspections import Derivative, EvidenceItem, MediaFacts
from server.operations.coverage.core import Span
from server.operations.coverage.ledger_at import had_event
from server.operations.media_hints import SITE_ZONE_MIN
from server.operations.peers import Upto
from server.operations.recorder_clocks import recorder_offset
from server.operations.recordings import MEASURED

_MAX_SECONDS = 1e6
_SOUND_OR_FILM = ("video/", "audio/")


def called_recording(item: EvidenceItem) -> bool:
    """Whether the device calls the file sound or film."""
    return item.media_type.lower().startswith(_SOUND_OR_FILM)


@dataclass(frozen=True, kw_only=True)
class Footage:
    """What is known of files by digest; ``read`` are those that our reader has looked at.

    ``readings`` are of those in which it recognised sound or film; ``played`` is how many
    milliseconds files really play, of those that somebody has played (docs/evidence.md §7).
    """

    read: frozenset[str]
    readings: Mapping[str, Reading]
    played: Mapping[str, int]

    def shows(self, item: EvidenceItem) -> bool:
        """Whether the file is sound or film; its device is believed until somebody has looked."""
        if item.sha256 in self.readings or item.sha256 in self.played:
            return True
        return item.sha256 not in self.read and called_recording(item)

    def length_ms(self, sha256: str) -> int | None:
        """How long the file plays: as measured, else as its container says; None if neither."""
        reading = self.readings.get(sha256)
        return self.played.get(sha256) or (stated_ms(reading) if reading else None)


def read_footage(session: Session, digests: Sequence[str], upto: Upto | None) -> Footage:
    """What the newest reading of each file says, as the ledger of ``upto`` knew it."""
    known: ColumnElement[bool] = true()
    if upto:
        known = (MediaFacts.generation < upto.generation) | (
            (MediaFacts.generation == upto.generation) & (MediaFacts.ledger_index < upto.size)
        )
    rows = session.execute(
        select(MediaFacts.sha256, MediaFacts.facts)
        .where(MediaFacts.sha256.in_(digests), known)
        .order_by(MediaFacts.generation, MediaFacts.ledger_index)
    )
    readings: dict[str, Reading] = {}
    read = set()
    for sha256, facts in rows:
        read.add(sha256)
        readings.pop(sha256, None)
        # Most files are photos, whose facts need not be parsed.
        if any(f'"{kind}' in facts for kind in _SOUND_OR_FILM):
            reading = Reading(json.loads(facts))
            if (reading.mime or "").startswith(_SOUND_OR_FILM):
                readings[sha256] = reading
    return Footage(
        read=frozenset(read), readings=readings, played=_measured_ms(session, digests, upto)
    )


def _measured_ms(session: Session, digests: Sequence[str], upto: Upto | None) -> dict[str, int]:
    rows = session.execute(
        select(Derivative.source_sha256, Derivative.recipe).where(
            Derivative.source_sha256.in_(digests), Derivative.purpose.in_(MEASURED)
        )
    ).all()
    known = had_event(session, "derive", [row.source_sha256 for row in rows], upto)
    lengths: dict[str, int] = {}
    for sha256, recipe in rows:
        played = json.loads(recipe).get("played_ms") if recipe and sha256 in known else None
        if isinstance(played, int) and played > 0:
            lengths[sha256] = played
    return lengths


def stated_ms(reading: Reading) -> int | None:
    """How long the file plays as its container says; None if it does not."""
    stored = reading.stored(*DURATION_TAGS)
    seconds = fraction(stored.raw) if stored else None
    return int(seconds * 1000) if seconds is not None and 0 < seconds < _MAX_SECONDS else None


def span_of(
    session: Session,
    item: EvidenceItem,
    reading: Reading | None,
    *,
    played_ms: int | None,
    captured_at_ms: int,
    visit: Span,
    before_position: int | None,
) -> Span | None:
    """When the file was recorded; None if nothing says how long it is or when it began.

    A container's time may be local or UTC, of its start or of its end: of these
    readings the one that lies furthest within ``visit`` counts. A file of our own
    camera without a time ended when it was taken in. ``played_ms`` is how long it really
    plays; what its head states beyond that was not recorded. ``reading`` is None where our
    reader recognised nothing.
    """
    stated = stated_ms(reading) if reading else None
    length = played_ms or stated
    if length is None:
        return None
    starts = _starts(reading, stated or length) if reading else ()
    found = [Span(start, start + length) for start in starts]
    if item.capture_class == "C" and found:
        clock = recorder_offset(
            session,
            item.organization_id,
            item.recorder,
            found[0].from_ms,
            before_position=before_position,
        )
        shift = clock.offset_ms if clock else 0
        found = [Span(span.from_ms + shift, span.to_ms + shift) for span in found]
    elif not found and item.capture_class != "C":
        found = [Span(captured_at_ms - length, captured_at_ms)]
    return max(found, key=lambda span: span.within(visit).length_ms, default=None)


def _starts(reading: Reading, length: int) -> Iterator[int]:
    zone_ms = SITE_ZONE_MIN * 60_000
    key = reading.key_time()
    if key is not None and key.utc_ms is not None:
        # Apple's key names its zone and is of the start: nothing needs to be guessed.
        yield key.utc_ms
        return
    # Times of the start that may name a zone, and are the site's own where they do not.
    for clock in (key, reading.digitized_time(), reading.day_time()[1]):
        if clock is not None:
            yield clock.wall_ms - zone_ms if clock.utc_ms is None else clock.utc_ms
    movie = reading.movie_time()
    if movie is not None:
        for start in (movie.wall_ms, movie.wall_ms - zone_ms):
            yield from (start, start - length)
    for clock, zones in (
        (reading.riff_time(), (zone_ms,)),
        (reading.matroska_time(), (0, zone_ms)),
    ):
        if clock is not None:
            yield from (clock.wall_ms - zone for zone in zones)
