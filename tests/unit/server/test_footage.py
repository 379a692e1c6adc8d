"""When a film ran, by the times that recorders and telephones write into it."""

import pytest

from media.facts import read_facts
from media.findings.reading import Reading
from media.source import MemorySource
from server.models.inspections import EvidenceItem
from server.operations.coverage.core import Span
from server.operations.coverage.footage import span_of
from tests.support import draw

#: 2026-05-04 09:02:03 in China.
_START_MS = 1_777_856_523_000
_VISIT = Span(_START_MS - 600_000, _START_MS + 600_000)


def _day(text):
    box = draw.box(b"\xa9day", len(text).to_bytes(2, "big") + b"\x15\xc7", text)
    return draw.movie(draw.box(b"udta", box))


def _place(reading, capture_class="B", played_ms=8000):
    return span_of(
        None,
        EvidenceItem(capture_class=capture_class),
        reading,
        played_ms=played_ms,
        captured_at_ms=_START_MS + 60_000,
        visit=_VISIT,
        before_position=None,
    )


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
    reading = Reading(read_facts(MemorySource(data)).to_dict())

    assert _place(reading) == Span(_START_MS, _START_MS + 8000)


@pytest.mark.parametrize("zone", ["+0800", ""], ids=["with its zone", "without"])
def test_apples_own_time_is_of_the_start_and_the_sites_where_it_names_no_zone(zone):
    key = {
        "tag": "Keys:com.apple.quicktime.creationdate",
        "raw": f"2026-05-04T09:02:03{zone}",
        "offset": 0,
    }
    reading = Reading({"type": "MOV", "mime": "video/quicktime", "size": 5, "values": [key]})

    assert _place(reading) == Span(_START_MS, _START_MS + 8000)


def test_what_our_own_camera_took_and_we_cannot_read_ended_when_it_was_taken_in():
    assert _place(None) == Span(_START_MS + 52_000, _START_MS + 60_000)
    assert _place(None, capture_class="C") is None
    assert _place(None, played_ms=None) is None
