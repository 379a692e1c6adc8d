"""Thousands of damaged files: every one is answered, at once and in little memory."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from media.facts import read_facts
from media.source import MemorySource
from tests.support import fuzz
from tests.unit.media.test_media_samples import SAMPLES

SHARDS = 8
MUTANTS = 20_000
#: Of so many files together the memory is looked at, which no single one may fill alone.
WEIGHED = 50
LARGEST_BYTES = 64 * 1024 * 1024


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_damage_to_a_file_makes_reading_fail_or_last_or_grow(shard):
    files = fuzz.files(SAMPLES)
    slowest, largest, memory = 0.0, 0, fuzz.Memory()
    for number, data in enumerate(fuzz.mutants(files, 20260504 + shard, MUTANTS // SHARDS)):
        if number % WEIGHED == 0:
            largest = max(largest, memory.grown_bytes()) if number else 0
            memory.begin()
        began = time.process_time()
        fuzz.read_and_compare(data)
        slowest = max(slowest, time.process_time() - began)

    assert slowest < 1
    assert max(largest, memory.grown_bytes()) <= LARGEST_BYTES


def test_memory_that_was_given_back_is_counted():
    memory = fuzz.Memory()
    # What lies free in the heap, as after many tests, must hide nothing.
    pieces = [bytes(64_000) for _ in range(2_000)]
    del pieces
    memory.begin()

    # Every page is written to: what is only asked for takes no memory.
    assert len(b"x" * 80_000_000) == 80_000_000

    assert memory.grown_bytes() > 64 * 1024 * 1024


def test_every_format_that_is_read_has_a_seed():
    read = {read_facts(MemorySource(seed)).type for seed in fuzz.seeds()}

    assert read >= {
        *("JPEG", "MPO", "PNG", "WEBP", "Extended WEBP", "HEIC", "AVIF", "TIFF", "DNG"),
        *("CR2", "CR3", "ORF", "RAF", "RW2"),
        *("MP4", "MOV", "M4A", "3GP", "MKV", "WEBM", "AVI", "WAV", "MP3"),
    }


def test_many_threads_read_what_one_reads():
    files = list(fuzz.mutants(fuzz.seeds(), 7, 800))

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(lambda data: read_facts(MemorySource(data)).to_json(), files))

    assert at_once == [read_facts(MemorySource(data)).to_json() for data in files]
