"""The canonical JSON that every signature rests on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.evidence import canonical
from sync.evidence.errors import NotCanonical

_KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES)
def test_whatever_the_profile_allows_survives_a_round_trip(value):
    assert canonical.loads(canonical.dumps(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b' {"a":1}',
        b'{"a":1}\n',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":null}',
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        '{"é":1}'.encode(),
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\/"}',
        b'{"a":"\xff"}',
        b'{"a"',
        b"",
        b"\xef\xbb\xbf{}",
        b"[" * 40 + b"]" * 40,
        b"[" * 100_000,
    ],
)
def test_anything_that_two_programs_could_write_differently_is_refused(text):
    with pytest.raises(NotCanonical):
        canonical.loads(text)


@pytest.mark.parametrize("value", [1.5, None, 2**53, {"é": 1}, {1: 2}, "\ud800", b"bytes"])
def test_values_outside_the_profile_cannot_be_written(value):
    with pytest.raises(NotCanonical):
        canonical.dumps(value)


def test_text_is_written_as_it_is_and_only_controls_are_escaped():
    assert (
        canonical.dumps({"t": '检查"\\\n\x01\x7f'}) == '{"t":"检查\\"\\\\\\n\\u0001\x7f"}'.encode()
    )


def test_the_shared_vectors_hold(vectors):
    for case in vectors("canonical.json")["valid"]:
        assert canonical.dumps(case["value"]) == case["text"].encode()
    for case in vectors("canonical.json")["invalid"]:
        with pytest.raises(NotCanonical):
            canonical.loads(bytes.fromhex(case["hex"]))


def test_a_copy_written_by_another_encoder_is_the_same_bytes():
    value = {"z": [1, True, "线"], "a": {"k": -5}}

    other = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    assert canonical.dumps(value) == other.encode()
