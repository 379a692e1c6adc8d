"""The short code of a journal's head, as printed, read aloud, typed and scanned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import shortcode
from sync.shortcode import FullHead, Mistyped, ShortHead

HEAD = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
SEQS = st.integers(0, 10**15 - 1)


def test_a_head_is_spelled_as_a_number_and_four_groups_of_five():
    assert shortcode.spell(412, HEAD) == "412-KY3D1-0C89H-YPB6H-FXAGC"


@given(SEQS, DIGESTS)
def test_what_is_spelled_is_read_again_however_it_is_typed(seq, digest):
    said = shortcode.spell(seq, digest)
    typed = said.lower().replace("0", "o").replace("1", "l")
    head = ShortHead(seq, shortcode.code_of(digest))

    assert shortcode.parse(said) == head
    assert shortcode.parse(f"  {typed.replace('-', ' - ')} ") == head
    assert digest.startswith(shortcode.digest_prefix(head.code))


@given(st.uuids(), st.binary(min_size=16, max_size=16), SEQS, DIGESTS)
def test_a_scanned_head_comes_back_whole(device, epoch, seq, digest):
    head = FullHead(str(device), epoch.hex(), seq, digest)

    assert shortcode.parse(shortcode.spell_full(head)) == head


@pytest.mark.parametrize(
    ("text", "count", "foreign"),
    [
        ("KY3D1-0C89H-YPB6H-FXAGC", 15, ""),
        ("412", 0, ""),
        ("", 0, ""),
        ("412-KY3D1-0C89H-YPB6H-FXAG", 19, ""),
        ("412-KY3D1-0C89H-YPB6H-FXAGCC", 21, ""),
        ("412-KY3D1-0C89H-YPB6H-FXAGU", 20, "U"),
        ("412-留痕D1-0C89H-YPB6H-FXAGC", 19, "留痕"),
        ("9" * 16 + "-KY3D1-0C89H-YPB6H-FXAGC", 20, ""),
        ("²-KY3D1-0C89H-YPB6H-FXAGC", 20, ""),
        ("LIUHEN-HEAD/1:0F:1:2:3", 15, "/::::"),
    ],
)
def test_a_mistyped_code_is_refused_and_says_what_was_read(text, count, foreign):
    with pytest.raises(Mistyped) as caught:
        shortcode.parse(text)

    assert (caught.value.count, caught.value.foreign) == (count, foreign)


def test_one_or_two_wrong_letters_are_a_slip_and_three_are_not():
    code = shortcode.code_of(HEAD)

    assert shortcode.slipped("X" + code[1:], code)
    assert shortcode.slipped(code[1] + code[0] + code[2:], code)
    assert not shortcode.slipped("XXX" + code[3:], code)
