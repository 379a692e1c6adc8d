"""One journal line: its bytes, its digest, its signature, and what may be withheld."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.signatures import verifier
from sync.evidence import canonical
from sync.evidence.chain import Head, verify_chain
from sync.evidence.encoding import to_b64url
from sync.evidence.errors import (
    BadSignature,
    ChainBroken,
    LineMalformed,
    LineTooLong,
    NotCanonical,
    PartMismatch,
    SequenceGap,
    SyncError,
    WrongPlace,
)
from sync.evidence.line import (
    Anchor,
    check_signature,
    parse_any_line,
    parse_any_package_line,
    parse_header,
    parse_line,
    parse_package_line,
)
from tests.support.simdevice import SimDevice


@pytest.fixture(scope="module")
def device():
    device = SimDevice(anchor=Anchor("example/ledger", 7, "ab" * 32))
    device.open_epoch()
    device.write_parts(
        {"type": "note.added", "text": "排放口有泡沫"},
        {"name": "identity_no", "value": "110101199003070000"},
    )
    device.write("future.act", anything=[1, {"deep": True}])
    return device


def _resign(device, line, **changes):
    """The line's JSON with ``changes``, not signed again."""
    return canonical.dumps({**json.loads(line.to_bytes()), **changes})


def test_a_line_reads_back_to_the_byte(device):
    for line in device.lines:
        assert parse_line(line.to_bytes()) == line
        check_signature(line, verifier(device.spki))


def test_the_chain_of_a_device_verifies_from_its_start(device):
    head = verify_chain(device.lines, head=Head(device.id, device.epoch))

    assert head == device.head


def test_withholding_a_part_leaves_digest_signature_and_chain_valid(device):
    line = device.lines[1]

    shown = parse_package_line(line.to_package_bytes([0]))
    hidden = parse_package_line(line.to_package_bytes([]))

    assert shown.digest == hidden.digest == line.digest
    assert shown.act["text"] == "排放口有泡沫"
    assert hidden.act is None
    assert b"110101199003070000" not in line.to_package_bytes([0])
    check_signature(hidden, verifier(device.spki))


def test_a_changed_part_no_longer_matches_its_digest(device):
    value = json.loads(device.lines[1].to_bytes())
    value["b"][0]["text"] = "没有泡沫"

    with pytest.raises(PartMismatch):
        parse_line(canonical.dumps(value))


def test_a_changed_header_breaks_the_signature(device):
    value = json.loads(device.lines[1].to_bytes())
    value["e"]["t"]["wall_ms"] += 60_000

    with pytest.raises(BadSignature):
        check_signature(parse_line(canonical.dumps(value)), verifier(device.spki))


def test_a_signature_by_another_key_is_refused(device):
    with pytest.raises(BadSignature):
        check_signature(device.lines[0], verifier(SimDevice().spki))


def test_the_other_spelling_of_a_signature_is_refused(device):
    line = device.lines[0]
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    s = int.from_bytes(line.signature[32:], "big")
    high = to_b64url(line.signature[:32] + (order - s).to_bytes(32, "big"))

    with pytest.raises(LineMalformed):
        parse_line(_resign(device, line, s=high))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("k", "AB" * 32),
        ("k", 5),
        ("s", "AAAA"),
        ("s", "=" * 86),
        ("s", 1),
        ("e", {}),
        ("e", []),
        ("b", []),
        ("b", {}),
        ("b", [[]]),
        ("b", [{"type": "x"}]),
        ("x", 1),
    ],
)
def test_a_line_of_another_shape_is_named_malformed(device, field, value):
    with pytest.raises(LineMalformed):
        parse_line(_resign(device, device.lines[0], **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", "2"),
        ("seq", -1),
        ("seq", True),
        ("seq", "0"),
        ("device", "not a uuid"),
        ("device", "0" * 36),
        ("epoch", "ABCD"),
        ("prev", "00"),
        ("parts", []),
        ("parts", ["00"]),
        ("t", {"wall_ms": 1}),
        ("t", {"wall_ms": "1", "mono_ms": 1, "boot": "b", "tz_min": 0}),
        ("t", {"wall_ms": 1, "mono_ms": -1, "boot": "b", "tz_min": 0}),
        ("t", {"wall_ms": 1, "mono_ms": 1, "boot": "", "tz_min": 0}),
        ("anchor", {"origin": "x"}),
        ("anchor", {"origin": "", "size": 1, "root": "00" * 32}),
        ("extra", 1),
    ],
)
def test_a_header_of_another_shape_is_named_malformed(device, field, value):
    header = {**json.loads(device.lines[0].header_bytes), field: value}

    with pytest.raises(LineMalformed):
        parse_header(canonical.dumps(header))


def test_a_line_over_the_limit_is_refused_before_it_is_parsed():
    with pytest.raises(LineTooLong):
        parse_line(b"x" * 70_000)


def test_a_missing_line_is_named_by_its_place(device):
    with pytest.raises(SequenceGap) as found:
        verify_chain([device.lines[0], device.lines[2]], head=Head(device.id, device.epoch))

    assert (found.value.expected, found.value.got) == (1, 2)


def test_a_replaced_line_breaks_the_chain_after_it(device):
    other = SimDevice(id=device.id, epoch=device.epoch)
    other.open_epoch()

    with pytest.raises(ChainBroken):
        verify_chain([other.lines[0], device.lines[1]], head=Head(device.id, device.epoch))


def test_a_line_of_another_epoch_has_no_place_here(device):
    with pytest.raises(WrongPlace):
        verify_chain([SimDevice().open_epoch()], head=Head(device.id, device.epoch))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changing_any_byte_of_a_line_is_noticed(device, data):
    line = device.lines[1]
    raw = bytearray(line.to_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))

    try:
        changed = parse_line(bytes(raw))
        check_signature(changed, verifier(device.spki))
    except SyncError:
        return
    assert changed.key_id != line.key_id
    assert changed.digest != line.digest


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"1", b'"x"', b"\x00" * 50])
def test_what_is_no_line_at_all_has_a_typed_error(raw):
    with pytest.raises((LineMalformed, NotCanonical)):
        parse_line(raw)


def test_the_shared_vectors_hold(vectors):
    data = vectors("lines.json")
    verify = verifier(bytes.fromhex(data["spki"]))
    head = Head(data["device"], data["epoch"])

    lines = [parse_line(case["line"].encode()) for case in data["chain"]]

    assert [line.digest for line in lines] == [case["digest"] for case in data["chain"]]
    for line in lines:
        check_signature(line, verify)
    assert verify_chain(lines, head=head).digest == data["chain"][-1]["digest"]
    for case in data["refused"]:
        with pytest.raises(SyncError) as found:
            check_signature(parse_line(bytes.fromhex(case["hex"])), verify)
        assert found.value.code == case["code"], case["why"]


def _read(parse, raw):
    """What ``parse`` makes of ``raw``: all of the line, or the code of its refusal."""
    try:
        line = parse(raw)
    except SyncError as error:
        return error.code
    return line, line.act, line.parts


_PART = st.dictionaries(
    st.sampled_from(["n", "text", "é", "],", "e"]),
    st.none()
    | st.integers()
    | st.sampled_from([2**53, -0.5, '],"e":{', "\ud800", '"', "中\\", [[[]]], {"b": {"a": 1}}]),
    max_size=3,
)
_HEADER = st.fixed_dictionaries(
    {},
    optional={
        "seq": st.integers(-1, 2**54),
        "anchor": st.sampled_from(
            [
                {"origin": 'a"b', "size": 1, "root": "a" * 64},
                {"origin": "例", "size": 2**53 - 1, "root": "a" * 64},
                {"origin": "a/b", "size": 10**15, "root": "A" * 64},
            ]
        ),
        "t": st.fixed_dictionaries(
            {
                "boot": st.sampled_from(["b", 'b"', "\\", "b b", "~" * 65]),
                "mono_ms": st.sampled_from([0, -1, 10**15, 2**53]),
                "tz_min": st.sampled_from([-480, 0]),
                "wall_ms": st.integers(-(2**54), 2**54),
            }
        ),
        "parts": st.lists(st.just("a" * 64), max_size=65),
        "v": st.just("1.sm2.sm3"),
        "device": st.just("x"),
        "more": st.just(1),
    },
)


@given(
    st.lists(_PART, max_size=3),
    _HEADER,
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 1200), st.binary(max_size=2), st.integers(0, 3)), max_size=1),
)
@settings(deadline=None)
def test_the_quick_way_of_reading_a_line_never_differs_from_the_careful_one(
    device, parts, header, honest, cuts
):
    line = json.loads(device.lines[1].to_bytes())
    for fields in parts:
        line["b"].append({"salt": "0" * 32, **fields})
    bodies = [_plain(part) for part in line["b"]]
    line["e"]["parts"] = [hashlib.sha256(body).hexdigest() for body in bodies]
    line["e"] |= header if not honest else {}
    raw = _plain(line)
    for place, put, gone in cuts:
        raw = raw[:place] + put + raw[place + gone :]

    assert _read(parse_line, raw) == _read(parse_any_line, raw)


@given(
    st.booleans(),
    _HEADER,
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 1200), st.binary(max_size=2), st.integers(0, 3)), max_size=1),
)
@settings(deadline=None)
def test_the_quick_way_of_reading_a_packages_line_never_differs_from_the_careful_one(
    device, shown, header, honest, cuts
):
    line = json.loads(device.lines[1].to_package_bytes([0] if shown else []))
    line["e"] |= header if not honest else {}
    raw = _plain(line)
    for place, put, gone in cuts:
        raw = raw[:place] + put + raw[place + gone :]

    assert _read(parse_package_line, raw) == _read(parse_any_package_line, raw)


def test_no_second_part_hides_behind_the_first_in_a_packages_line(device):
    raw = device.lines[1].to_package_bytes([0])
    hidden = raw.replace(b'},"e":{', b'},"0":{},"e":{', 1)

    with pytest.raises(NotCanonical):
        parse_package_line(raw.replace(b'"salt"', b'"a":1,"a":1,"salt"', 1))
    with pytest.raises((NotCanonical, LineMalformed)):
        parse_package_line(hidden)


def _plain(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")
