"""The accelerated JSON of the push never takes what the profile refuses, nor reads it otherwise."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from server import quickjson
from sync.evidence import canonical
from sync.evidence.errors import NotCanonical
from sync.evidence.line import parse_any_line, parse_line
from tests.support.simdevice import SimDevice

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.text('\\"/\x00\x08\x1f\x7f\u2028\ud800é', max_size=4)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
_KINDS = st.sampled_from([(True, False, (",", ":")), (False, True, (",", ":")), (True, True, None)])


def _loads(parse, encode, data):
    """What is read from ``data`` where its encoding is ``data`` again; None where it is refused."""
    try:
        value = parse(data, max_depth=8)
        return [value] if encode(value) == data else None
    except NotCanonical:
        return None


def _typed(value):
    """As text, where Python's ``1 == True`` cannot hide a difference."""
    return repr(value)


@given(_VALUES, _KINDS, st.integers(0, 40), st.binary(max_size=2))
@example([[[[[[[[]]]]]]]], (True, False, (",", ":")), 40, b"")
@example([[[[[[[[[]]]]]]]]], (True, False, (",", ":")), 40, b"")
@example({"a": 2**53}, (True, False, (",", ":")), 40, b"")
@example({"a": 2**64}, (True, False, (",", ":")), 40, b"")
def test_what_it_takes_is_canonical_and_reads_the_same(value, kind, place, put):
    sort_keys, ensure_ascii, separators = kind
    text = json.dumps(
        value, sort_keys=sort_keys, ensure_ascii=ensure_ascii, separators=separators
    ).encode("utf-8", "surrogatepass")
    data = text[:place] + put + text[place:]

    quick = _loads(quickjson.parse, quickjson.encode, data)

    own = _loads(canonical.parse, canonical.encode, data)
    assert quick is None or _typed(quick) == _typed(own)


@given(_VALUES)
def test_a_value_of_the_profile_is_written_as_the_profile_says(value):
    try:
        expected = canonical.dumps(value)
    except NotCanonical:
        return

    assert quickjson.encode(value) == expected
    assert _typed(quickjson.parse(expected)) == _typed(canonical.parse(expected))


@given(st.dictionaries(st.text("abé", max_size=2), _SCALARS, max_size=3))
def test_a_line_is_read_the_same_with_it(fields):
    device = SimDevice()
    try:
        raw = device.write("note.added", **{f"x{name}": fields[name] for name in fields}).to_bytes()
    except NotCanonical:
        return

    line = parse_line(raw, codec=quickjson.CODEC)

    assert (line, line.act) == (parse_any_line(raw), parse_any_line(raw).act)
