"""When the recordings of a visit ran, by their files' own times and lengths."""

import json
from collections.abc import Iterator

from sqlalchemy.orm import Session

from media.findings.reading import DURATION_TAGS, Reading, fraction
from server.models.inspections import EvidenceItem, MediaFacts
from server.operations.coverage.core import Span
from server.operations.media_hints import SITE_ZONE_MIN
from server.operations.recorder_clocks import recorder_offset

_MAX_SECONDS = 1e6


def is_recording(item: EvidenceItem) -> bool:
    return item.media_type.startswith(("video/", "audio/"))


def playing_ms(facts: MediaFacts) -> int | None:
    """How long the file plays as decoded, else as its container says; None if unknown."""
    return _length(facts, Reading(json.loads(facts.facts))) or None


def _length(facts: MediaFacts, reading: Reading) -> int:
    decoded = json.loads(facts.pixels).get("duration_ms") if facts.pixels else None
    if isinstance(decoded, int) and decoded > 0:
        return decoded
    stored = reading.stored(*DURATION_TAGS)
    seconds = fraction(stored.raw) if stored else None
    return int(seconds * 1000) if seconds is not None and 0 < seconds < _MAX_SECONDS else 0


def span_of(
    session: Session,
    item: EvidenceItem,
    facts: MediaFacts,
    *,
    captured_at_ms: int,
    visit: Span,
    before_position: int | None,
) -> Span | None:
    """When the file was recorded; None if nothing says how long it is or when it began.

    A container's time may be local or UTC, of its start or of its end: of these
    readings the one that lies furthest within ``visit`` counts. A file of our own
    camera without a time ended when it was taken in.
    """
    reading = Reading(json.loads(facts.facts))
    length = _length(facts, reading)
    if not length:
        return None
    found = [Span(start, start + length) for start in _starts(reading, length)]
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
    return max(found, key=lambda span: _overlap(span, visit), default=None)


def _starts(reading: Reading, length: int) -> Iterator[int]:
    zone_ms = SITE_ZONE_MIN * 60_000
    key = reading.key_time()
    if key is not None and key.utc_ms is not None:
        # Apple's key names its zone and is of the start: nothing needs to be guessed.
        yield key.utc_ms
        return
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


def _overlap(span: Span, visit: Span) -> int:
    """How long ``span`` lies within ``visit``; negative by how far it is off."""
    return min(span.to_ms, visit.to_ms) - max(span.from_ms, visit.from_ms)
