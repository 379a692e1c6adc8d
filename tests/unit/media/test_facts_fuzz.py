"""Thousands of damaged files: every one is answered, at once, and nothing is ever raised."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from media.facts import read_facts
from media.source import MemorySource
from tests.support import fuzz
from tests.unit.media.test_media_samples import SAMPLES

SHARDS = 8
MUTANTS = 20_000


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_damage_to_a_file_makes_reading_fail_or_last(shard):
    files = fuzz.seeds() + (fuzz.samples(SAMPLES) if SAMPLES.is_dir() else [])
    slowest = 0.0
    for data in fuzz.mutants(files, 20260504 + shard, MUTANTS // SHARDS):
        began = time.process_time()
        fuzz.read_and_compare(data)
        slowest = max(slowest, time.process_time() - began)

    assert slowest < 1


def test_many_threads_read_what_one_reads():
    files = list(fuzz.mutants(fuzz.seeds(), 7, 800))

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(lambda data: read_facts(MemorySource(data)).to_json(), files))

    assert at_once == [read_facts(MemorySource(data)).to_json() for data in files]
