"""Encrypting a stream on its way out: what breaks off the one breaks off the other."""

import threading

import pyrage
import pytest

from server.operations.export.encrypting import encrypted, parse_recipient


def _recipient():
    return parse_recipient(str(pyrage.x25519.Identity.generate().to_public()))


def test_a_source_that_fails_is_no_whole_file():
    def pieces():
        yield bytes(1 << 20)
        raise OSError("the store is away")

    with pytest.raises(Exception, match="the store is away"):
        b"".join(encrypted(pieces(), _recipient()))


def test_a_reader_who_goes_away_leaves_nothing_running():
    running = threading.active_count()
    stream = encrypted((bytes(1 << 20) for _ in range(1000)), _recipient())
    next(stream)

    stream.close()

    assert threading.active_count() == running
