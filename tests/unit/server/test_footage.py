"""When a film ran, by the times that recorders and telephones write into it."""

import pytest

from media.facts import read_facts
from media.source import MemorySource
from server.models.inspections import EvidenceItem, MediaFacts
from server.operations.coverage.core import Span
from server.operations.coverage.footage import span_of
from tests.support import draw

#: 2026-05-04 09:02:03 in China.
_START_MS = 1_777_856_523_000
_VISIT = Span(_START_MS - 600_000, _START_MS + 600_000)


def _day(text):
    box = draw.box(b"\xa9day", len(text).to_bytes(2, "big") + b"\x15\xc7", text)
    return draw.movie(draw.box(b"udta", box))


@pytest.mark.parametrize(
    "data",
    [
        draw.avi(250, (b"IDIT", b"MON MAY 04 09:02:03 2026\n\0"), whole=250),
        _day(b"2026-05-04T09:02:03+0800"),
        _day(b"2026-05-04T09:02:03"),
    ],
    ids=["IDIT", "day with a zone", "day without"],
)
def test_a_film_with_a_time_of_any_kind_has_a_place_in_the_visit(data):
    facts = MediaFacts(facts=read_facts(MemorySource(data)).to_json())

    span = span_of(
        None,
        EvidenceItem(capture_class="B"),
        facts,
        played_ms=8000,
        captured_at_ms=0,
        visit=_VISIT,
        before_position=None,
    )

    assert span == Span(_START_MS, _START_MS + 8000)
