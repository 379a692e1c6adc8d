"""What an upload may do next is decided without touching anything."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.store import Part
from media.upload import (
    DEAD_AFTER_MS,
    PART_BYTES,
    RELEASE_WAIT_MS,
    SINGLE_LIMIT_BYTES,
    AskAndWait,
    Free,
    HeaderInvalid,
    Tail,
    TakeOver,
    TooLarge,
    UploadGone,
    WrongOffset,
    check_open,
    check_patch,
    decide_tenure,
    dump_parts,
    dump_tails,
    load_parts,
    load_tails,
    parts_end,
    room_in_buffer,
)
from media.upload_headers import (
    Checksum,
    Metadata,
    read_checksum,
    read_metadata,
    read_number,
)

DIGEST = hashlib.sha256(b"").hexdigest()


def b64(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("owned", "age", "waited", "expected"),
    [
        pytest.param(False, None, 0, Free(), id="nobody writes"),
        pytest.param(True, 0, 0, AskAndWait(), id="alive"),
        pytest.param(True, DEAD_AFTER_MS, 0, AskAndWait(), id="slow, not dead"),
        pytest.param(True, DEAD_AFTER_MS + 1, 0, TakeOver(), id="dead"),
        pytest.param(True, None, 0, TakeOver(), id="never lived"),
        pytest.param(True, 0, RELEASE_WAIT_MS, TakeOver(), id="alive but does not let go"),
    ],
)
def test_a_living_writer_is_asked_and_a_dead_one_replaced(owned, age, waited, expected):
    assert decide_tenure(owned=owned, beat_age_ms=age, waited_ms=waited) == expected


@pytest.mark.parametrize("status", ["terminated", "expired", "quarantined"])
def test_what_has_ended_takes_no_more(status):
    with pytest.raises(UploadGone):
        check_open(status)


def test_a_patch_begins_where_the_upload_stands_and_ends_within_it():
    check_patch(stands_at=5, given=5, length=10, body=5)
    check_patch(stands_at=5, given=5, length=10, body=None)
    with pytest.raises(WrongOffset) as wrong:
        check_patch(stands_at=5, given=4, length=10, body=1)
    with pytest.raises(TooLarge) as large:
        check_patch(stands_at=5, given=5, length=10, body=6)

    assert wrong.value.offset == 5
    assert (large.value.limit, large.value.got) == (5, 6)


@given(st.integers(1, 6 * PART_BYTES), st.data())
def test_no_buffer_ever_goes_beyond_a_part_or_the_file(length, data):
    full = data.draw(st.integers(0, max(0, (length - 1) // PART_BYTES)))
    if length <= SINGLE_LIMIT_BYTES:
        full = 0
    parts = [Part(n + 1, PART_BYTES, "e", DIGEST) for n in range(full)]
    start = full * PART_BYTES
    offset = data.draw(st.integers(start, min(start + PART_BYTES - 1, length)))

    room = room_in_buffer(offset=offset, parts=parts, length=length)

    assert 0 <= room <= length - offset
    if length > SINGLE_LIMIT_BYTES:
        assert offset + room - parts_end(parts) <= PART_BYTES
        assert room > 0 or offset == length


def test_parts_and_tails_survive_the_row():
    parts = (Part(1, 5, '"e"', DIGEST), Part(3, 6, '"f"', DIGEST))
    tails = (Tail("tail/a/0-1", 0, 5),)

    assert load_parts(dump_parts(parts)) == parts
    assert load_tails(dump_tails(tails)) == tails


def test_metadata_names_the_digest_and_lets_the_rest_pass():
    name = b64("照\x00片.jpg".encode())
    header = f"sha256 {b64(DIGEST.encode())}, filename {name},is_private"

    assert read_metadata(header) == Metadata(
        sha256=DIGEST, filename="照片.jpg", filetype="", said=header
    )


@pytest.mark.parametrize(
    "header",
    [
        "sha256",
        "sha256 ***",
        f"sha256 {b64(DIGEST.upper().encode())}",
        f"sha256 {b64(DIGEST.encode())} x",
        f"sha256 {b64(bytes.fromhex(DIGEST))}",
        f"sha256 {b64(DIGEST.encode())},sha256 {b64(DIGEST.encode())}",
        f"sch\u00fc eA==,sha256 {b64(DIGEST.encode())}",
    ],
)
def test_metadata_with_an_unusable_digest_is_refused(header):
    with pytest.raises(HeaderInvalid):
        read_metadata(header)


@pytest.mark.parametrize("header", [None, "", "filename eA=="])
def test_metadata_may_leave_the_digest_to_be_found(header):
    assert read_metadata(header).sha256 is None


@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "0x10", "٣", "9" * 19, "1 "])
def test_a_byte_count_is_digits_and_nothing_else(value):
    with pytest.raises(HeaderInvalid):
        read_number("Upload-Length", value)


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_a_checksum_is_of_an_algorithm_on_offer(algorithm):
    found = hashlib.new(algorithm, b"x").digest()

    checksum = read_checksum(f"{algorithm} {b64(found)}")

    assert checksum == Checksum(algorithm, found)
    assert checksum.agrees_with(found)
    assert not checksum.agrees_with(found[::-1])


@pytest.mark.parametrize("value", ["", "md5 eA==", "sha256 eA==", "sha256", "sha1 !!"])
def test_any_other_checksum_is_refused(value):
    with pytest.raises(HeaderInvalid):
        read_checksum(value)


def test_no_checksum_is_no_checksum():
    assert read_checksum(None) is None
