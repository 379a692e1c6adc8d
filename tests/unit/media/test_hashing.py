"""A running digest is the same whether or not the process survived in the middle."""

import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import hashing
from media.hashing import DigestState, HashStateUnusable, RunningDigest, sha256_of


@given(st.lists(st.binary(max_size=200), max_size=12))
def test_a_digest_carried_over_any_cuts_equals_hashlib(pieces):
    digest = RunningDigest()

    for piece in pieces:
        digest = RunningDigest(digest.state())
        digest.update(piece)

    whole = b"".join(pieces)
    assert digest.hexdigest() == hashlib.sha256(whole).hexdigest()
    assert (digest.crc32, digest.size) == (zlib.crc32(whole), len(whole))


@given(st.lists(st.binary(max_size=200), max_size=12))
def test_bytes_that_come_in_pieces_have_one_digest(pieces):
    assert sha256_of(iter(pieces)) == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_the_digest_may_be_asked_for_in_the_middle():
    digest = RunningDigest()
    digest.update(b"first")

    middle = digest.hexdigest()
    digest.update(b"second")

    assert middle == hashlib.sha256(b"first").hexdigest()
    assert digest.hexdigest() == hashlib.sha256(b"firstsecond").hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_memory_is_hashed_alike(kind):
    digest = RunningDigest()

    digest.update(kind(b"x" * 1000))

    assert digest.hexdigest() == hashlib.sha256(b"x" * 1000).hexdigest()


def test_a_length_beyond_32_bits_of_bits_survives():
    # 2^29 bytes are 2^32 bits: the count spills into its upper word.
    digest, whole = RunningDigest(), hashlib.sha256()
    block = bytes(1 << 22)
    for _ in range(130):
        digest.update(block)
        whole.update(block)

    digest = RunningDigest(digest.state())
    digest.update(b"end")
    whole.update(b"end")

    assert digest.hexdigest() == whole.hexdigest()


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(lambda saved: None, id="never saved"),
        pytest.param(lambda saved: saved[:20], id="cut"),
        pytest.param(lambda saved: b"X" + saved[1:], id="another format"),
        pytest.param(lambda saved: saved + b"x", id="too long"),
    ],
)
def test_a_state_that_cannot_be_continued_says_so(damaged):
    digest = RunningDigest()
    digest.update(b"some bytes")
    state = digest.state()

    with pytest.raises(HashStateUnusable):
        RunningDigest(DigestState(state.size, state.crc32, damaged(state.sha256)))


def test_a_state_of_another_length_is_not_continued():
    digest = RunningDigest()
    digest.update(b"some bytes")
    saved = digest.state().sha256

    with pytest.raises(HashStateUnusable):
        RunningDigest(DigestState(size=11, crc32=0, sha256=saved))


def test_without_libcrypto_the_digest_is_right_but_cannot_be_carried(monkeypatch):
    monkeypatch.setattr(hashing, "carries_state", lambda: False)
    digest = RunningDigest()

    digest.update(b"some bytes")

    assert digest.hexdigest() == hashlib.sha256(b"some bytes").hexdigest()
    with pytest.raises(HashStateUnusable):
        RunningDigest(digest.state())


def test_this_machine_carries_the_state():
    assert hashing.carries_state()
