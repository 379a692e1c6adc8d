"""The bytes of a body while they wait: the same from memory as from the file."""

import os

import pytest

from media.upload import PART_BYTES
from server.operations.uploads.spool import Buffers, Spool


@pytest.fixture
def buffers():
    return Buffers(2)


def receive(spool, data, step=3_000_000):
    """As a body does: as much as fits, or less."""
    while data:
        room = spool.room(min(step, len(data)))
        n = len(room)
        room[:], data = data[:n], data[n:]
        spool.took(n)


@pytest.mark.parametrize("size", [0, 1, 65_536, PART_BYTES, 2 * PART_BYTES])
def test_what_came_fast_is_what_came(buffers, size):
    data = os.urandom(size)
    with Spool(buffers) as spool:
        receive(spool, data)

        assert not spool.filed
        assert bytes(spool.content()) == data


@pytest.mark.parametrize("size", [0, 1, 70_000, PART_BYTES, PART_BYTES + 1])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_moving_out_in_the_middle_loses_nothing(buffers, size, share):
    data, cut = os.urandom(size), int(size * share)
    with Spool(buffers) as spool:
        receive(spool, data[:cut])
        spool.move_out()
        receive(spool, data[cut:])

        assert bytes(spool.content()) == data
        assert bytes(spool.content()) == data


def test_each_part_begins_anew_in_memory(buffers):
    with Spool(buffers) as spool:
        for size in (PART_BYTES, 100_000, 5):
            data = os.urandom(size)
            receive(spool, data[: size // 2])
            spool.move_out()
            receive(spool, data[size // 2 :])
            assert bytes(spool.content()) == data

            spool.clear()

            assert (spool.size, spool.filed) == (0, False)


def test_memory_is_bounded_and_whoever_gets_none_waits_on_disk(buffers):
    data = [os.urandom(200_000) for _ in range(5)]
    spools = [Spool(buffers) for _ in data]

    for spool, one in zip(spools, data, strict=True):
        receive(spool, one)

    assert [spool.filed for spool in spools] == [False, False, True, True, True]
    spools[0].move_out()
    for spool, one in zip(spools, data, strict=True):
        assert bytes(spool.content()) == one
        spool.clear()
    for spool in spools:
        with spool:
            pass
    assert buffers.take() is not buffers.take()
    assert buffers.take() is None


def test_memory_comes_back_from_whoever_fails(buffers):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), Spool(buffers) as spool:
            receive(spool, b"x" * 100)
            raise ZeroDivisionError

    assert None not in (buffers.take(), buffers.take())
