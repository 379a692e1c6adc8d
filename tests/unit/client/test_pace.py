"""Batches follow the link; what is packed can be read up to any cut."""

import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sync.client.pace import FIRST_BYTES, SMALLEST_BYTES, TARGET_S, Pace
from sync.client.packing import pack

MOST = 8 << 20


def carried(pace, bytes_per_s, exchanges):
    for _ in range(exchanges):
        pace.went(pace.bytes, max(1, int(pace.bytes / bytes_per_s * 1000)))
    return pace.bytes


def test_a_slow_link_gets_what_it_carries_in_a_few_seconds():
    assert carried(Pace(MOST), 1000, 20) == pytest.approx(1000 * TARGET_S, rel=0.01)


def test_a_fast_link_gets_all_that_may_be_sent_at_once():
    assert carried(Pace(MOST), 10_000_000, 12) == MOST


def test_a_small_rest_sent_over_a_long_way_does_not_shrink_the_next_batch():
    pace = Pace(MOST)

    pace.went(200, 3000)

    assert pace.bytes == FIRST_BYTES


def test_only_a_cut_that_brought_nothing_forward_halves_the_batch():
    pace = Pace(MOST)

    pace.failed(some_arrived=True)
    assert pace.bytes == FIRST_BYTES
    for _ in range(20):
        pace.failed(some_arrived=False)
    assert pace.bytes == SMALLEST_BYTES


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, MOST), st.integers(-5, 10**9))),
    st.integers(1, MOST),
)
def test_whatever_the_link_does_a_batch_stays_within_its_bounds(history, most):
    pace = Pace(most)

    for went, sent, took_ms in history:
        pace.went(sent, took_ms) if went else pace.failed(some_arrived=False)
        assert min(SMALLEST_BYTES, most) <= pace.bytes <= most


@given(
    st.lists(st.binary(min_size=1, max_size=9000).map(lambda b: b.hex().encode()), min_size=1),
    st.integers(1, 100_000),
    st.integers(1, 100_000),
    st.integers(1, 50),
)
def test_what_is_packed_is_the_first_lines_within_the_limits(lines, packed, plain, count):
    made = pack(lines, packed_bytes=packed, plain_bytes=plain, count=count)

    expanded = zstandard.ZstdDecompressor().decompressobj().decompress(made.body)
    assert expanded == b"".join(line + b"\n" for line in lines[: made.lines])
    assert 1 <= made.lines <= count
    assert made.lines == 1 or len(expanded) <= plain


def test_a_body_stops_near_the_size_that_was_asked_for():
    lines = [os.urandom(500).hex().encode() for _ in range(200)]

    made = pack(lines, packed_bytes=20_000, plain_bytes=MOST, count=1000)

    assert 20_000 <= len(made.body) <= 24_000
