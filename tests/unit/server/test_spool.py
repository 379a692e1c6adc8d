"""The bytes of a body while they wait: the same from memory as from the file."""

import os
import tracemalloc

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


def held(content):
    """The bytes of what a spool gives to the store."""
    return content.read() if hasattr(content, "read") else bytes(content)


@pytest.mark.parametrize("size", [0, 1, 65_536, PART_BYTES, 2 * PART_BYTES])
def test_what_came_fast_is_what_came(buffers, tmp_path, size):
    data = os.urandom(size)
    with Spool(tmp_path, buffers) as spool:
        receive(spool, data)

        assert not spool.filed
        assert held(spool.content()) == data


@pytest.mark.parametrize("size", [0, 1, 70_000, PART_BYTES, PART_BYTES + 1])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_moving_out_in_the_middle_loses_nothing(buffers, tmp_path, size, share):
    data, cut = os.urandom(size), int(size * share)
    with Spool(tmp_path, buffers) as spool:
        receive(spool, data[:cut])
        spool.move_out()
        receive(spool, data[cut:])

        assert held(spool.content()) == data
        assert held(spool.content()) == data


def test_each_part_begins_anew_in_memory(buffers, tmp_path):
    with Spool(tmp_path, buffers) as spool:
        for size in (PART_BYTES, 100_000, 5):
            data = os.urandom(size)
            receive(spool, data[: size // 2])
            spool.move_out()
            receive(spool, data[size // 2 :])
            assert held(spool.content()) == data

            spool.clear()

            assert (spool.size, spool.filed) == (0, False)


def test_memory_is_bounded_and_whoever_gets_none_waits_on_disk(buffers, tmp_path):
    data = [os.urandom(200_000) for _ in range(5)]
    spools = [Spool(tmp_path, buffers) for _ in data]

    for spool, one in zip(spools, data, strict=True):
        receive(spool, one)

    assert [spool.filed for spool in spools] == [False, False, True, True, True]
    spools[0].move_out()
    for spool, one in zip(spools, data, strict=True):
        assert held(spool.content()) == one
        spool.clear()
    for spool in spools:
        with spool:
            pass
    assert buffers.take() is not buffers.take()
    assert buffers.take() is None


def test_memory_comes_back_from_whoever_fails(buffers, tmp_path):
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), Spool(tmp_path, buffers) as spool:
            receive(spool, b"x" * 100)
            raise ZeroDivisionError

    assert None not in (buffers.take(), buffers.take())


@pytest.mark.parametrize("size", [0, 1, 70_000, PART_BYTES])
@pytest.mark.parametrize("moved", [False, True])
def test_what_waited_in_tails_goes_before_it(buffers, tmp_path, size, moved):
    data, tails = os.urandom(size), [os.urandom(100_000), b"", os.urandom(7)]
    with Spool(tmp_path, buffers) as spool:
        receive(spool, data)
        if moved:
            spool.move_out()

        assert held(spool.content(iter(tails))) == b"".join(tails) + data
        assert held(spool.content(iter(tails))) == b"".join(tails) + data
        assert held(spool.content()) == data


def test_what_waits_on_disk_comes_into_memory_no_more_and_leaves_nothing_there(buffers, tmp_path):
    folder = tmp_path / "spool"
    spools = [Spool(folder, buffers) for _ in range(20)]
    tracemalloc.start()
    for spool in spools:
        receive(spool, bytes(PART_BYTES))
        spool.move_out()
    _, filled = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()

    contents = [spool.content([b"tail"]) for spool in spools]

    assert all(content.read(4) == b"tail" for content in contents)
    assert tracemalloc.get_traced_memory()[1] - filled < PART_BYTES
    tracemalloc.stop()
    assert list(folder.iterdir()) == []
    for spool in spools:
        with spool:
            pass
