"""The canonical JSON that every signature rests on."""

import json
import re

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


def _spelled_out(data):
    """The profile's rules one after another, as the protocol lists them: what a parser may do."""

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs), "a duplicate key"
        assert all(key.isascii() for key, _ in pairs), "a key outside ASCII"
        return dict(pairs)

    def depth(value):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0

    def refuse(text):
        raise ValueError(text)

    try:
        value = json.loads(
            data.decode(), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse
        )
        assert depth(value) <= 32
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        numbers = re.findall(r"-?[0-9]+", re.sub(r'"(?:[^"\\]|\\.)*"', "", text))
        assert all(abs(int(number)) < 2**53 for number in numbers)
        assert "null" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
        assert text.encode() == data
    except (AssertionError, ValueError, RecursionError):
        return None
    return value


_FOREIGN = st.recursive(
    _VALUES | st.none() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=10,
)
_SPELLINGS = st.fixed_dictionaries(
    {
        "sort_keys": st.booleans(),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([(",", ":"), (", ", ":"), (",", ": ")]),
    }
)
_CHANGES = st.lists(
    st.tuples(st.integers(0, 200), st.binary(max_size=1), st.integers(0, 1)), max_size=2
)


@given(_VALUES | _FOREIGN, _SPELLINGS | st.just({"separators": (",", ":")}), _CHANGES)
def test_the_fast_parser_takes_exactly_what_the_rules_allow(value, spelling, changes):
    spelling = {"sort_keys": True, "ensure_ascii": False, **spelling}
    data = json.dumps(value, **spelling).encode("utf-8", "surrogatepass")
    for place, byte, gone in changes:
        data = data[:place] + byte + data[place + gone :]

    expected = _spelled_out(data)

    if expected is None:
        with pytest.raises(NotCanonical):
            canonical.loads(data)
    else:
        assert canonical.loads(data) == expected
