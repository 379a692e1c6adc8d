"""What a hostile or broken client can send: refused or kept by name, and no harm beside."""

import gzip
import hashlib
import secrets
import shutil
import zlib

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.models.inspections import EvidenceItem
from server.models.journal import JournalLine, QuarantinedLine
from sync import wire
from sync.evidence import acts
from sync.evidence.encoding import to_b64url
from sync.evidence.line import pre_authentication_encoding, signed_bytes
from tests.support.audit import audit
from tests.support.hostile import BIG, media, opened, record, sealed
from tests.support.simdevice import SimDevice, new_id, sign_with
from tests.support.world import make_world

_NUMBERS = ("9" * 16, "0", "1", "9" * 400, "-1", "１", "")
_FORGED = [
    "",
    "AAAA",
    "%00",
    "\0",
    "é",
    "=",
    "A" * 201,
    *(to_b64url(f"{v}.{n}.{n}".encode()) for v in "0129" for n in _NUMBERS),
    *(to_b64url(f"{v}.1.{n}.{n}.{n}.entity.a".encode()) for v in "12" for n in _NUMBERS),
    *(to_b64url(f"{v}.{n}.ab.cd.{n}".encode()) for v in "12" for n in _NUMBERS),
    to_b64url(b"2.1.5.5.5.\0.\0"),
    to_b64url(b"2.1.5.5.5.' OR 1=1 --.x"),
    to_b64url(b"2.1.5.5.5.\xff.x"),
]
_HOSTILE_VALUES = (
    -1,
    0,
    BIG,
    -BIG,
    True,
    "",
    "\0",
    "x" * 3000,
    "e\u0301",
    [],
    [[]],
    {},
    {"\x7f": 0},
)


def _typed(answer, *statuses):
    """Whether an answer is one of ``statuses`` and, if it is an error, a named one."""
    if answer.status_code not in statuses:
        return False
    return answer.status_code == 200 or answer.json["code"] not in ("", "server.error")


def _good(world, device):
    """Push one more line that nothing is wrong with; it must be shown."""
    start = len(device.lines)
    device.write_parts(record(device, world))
    answer = world.push(device, device.body(start))
    assert answer.status_code == 200, answer.text
    (row,) = answer.json["results"]
    assert (row["journal"], row["projection"]) in (
        ("accepted", "applied"),
        ("accepted", "merged"),
        ("accepted", "conflict"),
    )


@pytest.fixture
def device(world):
    device = world.on_patrol()
    assert world.push(device).status_code == 200
    return device


def _refused(world, device, raw):
    answer = world.push(device, raw + b"\n")
    assert answer.status_code == 200, answer.text
    (row,) = answer.json["results"]
    assert row["journal"] == "refused"
    return row["code"]


def test_cursors_that_nobody_gave_are_refused_or_start_over(world, device):
    wrong = []
    places = (
        ("/api/v1/feed", "cursor"),
        ("/api/v1/outcomes", "since"),
        (f"/api/v1/journal/{device.id}/{device.epoch}", "since"),
    )
    for path, name in places:
        for cursor in _FORGED:
            answer = world.client.get(path, query_string={name: cursor}, headers=device.headers)
            if not _typed(answer, 200, 422):
                wrong.append((path, cursor, answer.status_code))
        for limit in ("0", "-1", "501", "9" * 30, "x", "1e3", "\0"):
            answer = world.client.get(path, query_string={"limit": limit}, headers=device.headers)
            if not _typed(answer, 200, 422):
                wrong.append((path, limit, answer.status_code))

    assert wrong == []
    _good(world, device)


def _line_with(device, text):
    """A line whose first part holds ``text`` raw; digest and signature are right for it."""
    line = device.forge([{"type": "note.added", "text": "HERE"}])
    part = line.parts[0].replace(b'"HERE"', text)
    digest = hashlib.sha256(part).hexdigest()
    header = line.header_bytes.replace(line.header.parts[0].encode(), digest.encode())
    signature = device.sign(pre_authentication_encoding(header))
    while signature[32] >= 0x7F:
        # A signature is written with the lower of its two s.
        signature = device.sign(pre_authentication_encoding(header))
    signed = signed_bytes(header, line.key_id, signature)
    return b'{"b":[%s],%s' % (part, signed[1:])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"[" * 40 + b"]" * 40, "journal.not_canonical"),
        (b"[" * 20_000 + b"]" * 20_000, "journal.not_canonical"),
        (b"[" * 30_000, "journal.not_canonical"),
        (b"9" * 5_000, "journal.not_canonical"),
        (b"-" + b"9" * 5_000, "journal.not_canonical"),
        (b"1e999", "journal.not_canonical"),
        (b"NaN", "journal.not_canonical"),
        (b"null", "journal.not_canonical"),
        (b"1.0", "journal.not_canonical"),
        (b"-0", "journal.part_mismatch"),
        (b"9007199254740992", "journal.not_canonical"),
        (b'"\\ud800"', "journal.not_canonical"),
        (b'"\xed\xa0\x80"', "journal.not_canonical"),
        (b'"\xff"', "journal.not_canonical"),
        (b'"\\u0041"', "journal.part_mismatch"),
        (b'{"a":1,"a":1}', "journal.part_mismatch"),
        ('{"é":1}'.encode(), "journal.not_canonical"),
        (b'"x","text":"y"', "journal.part_mismatch"),
        (b'"' + b"x" * 70_000 + b'"', "journal.line_too_long"),
    ],
)
def test_a_line_that_is_no_canonical_json_is_refused_by_name(sqlite_world, text, code):
    world, device = sqlite_world

    assert _refused(world, device, _line_with(device, text)) == code

    _good(world, device)


@pytest.fixture(scope="module")
def sqlite_world(sqlite_template, tmp_path_factory):
    """One world and one device on patrol for the many lines that never reach the database."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copyfile(sqlite_template, folder / "world.sqlite")
    world = make_world(f"sqlite:///{folder / 'world.sqlite'}", folder / "var")
    device = world.on_patrol()
    assert world.push(device).status_code == 200
    return world, device


def test_bodies_that_unfold_without_end_are_refused_before_they_do(world, device):
    limit = world.settings.push_limit_bytes
    bomb = gzip.compress(bytes(64 << 20), 9)
    squeeze = zstandard.ZstdCompressor().compress
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27)
    ).compress(bytes(200 << 20))
    bodies = {
        "gzip bomb": (bomb, "gzip", 413),
        "gzip bombs in a row": (bomb * 3, "gzip", 413),
        "zstd bomb": (squeeze(bytes(64 << 20)), "zstd", 413),
        "zstd with a window of 128 MiB": (wide, "zstd", 400),
        "plain": (b"x" * (limit + 1), "identity", 413),
        "too many lines": (b"\n" * 1001, "identity", 413),
        "no gzip": (b"plain", "gzip", 400),
        "no zstd": (b"plain", "zstd", 400),
        "deflate": (zlib.compress(b"x"), "deflate", 415),
        "twice": (b"", "gzip, gzip", 415),
        "strange": (b"", "\xe9", 415),
    }

    wrong = {}
    for name, (body, encoding, status) in bodies.items():
        answer = world.push(device, body, **{"Content-Encoding": encoding})
        if not _typed(answer, status):
            wrong[name] = answer.status_code

    assert wrong == {}
    _good(world, device)


def test_lines_of_another_device_or_key_are_refused_and_kept_once(world, device):
    other = world.on_patrol()
    stranger = SimDevice(id=device.id, epoch=device.epoch)
    foreign = other.forge([{"type": "note.added"}]).to_bytes()
    lent = other.forge([{"type": "note.added"}], device=device.id, epoch=device.epoch).to_bytes()
    unknown = stranger.forge([{"type": "note.added"}]).to_bytes()

    codes = [_refused(world, device, raw) for raw in (foreign, lent, unknown, foreign)]
    elsewhere = world.client.post(
        f"/api/v1/journal/{other.id}/{other.epoch}", data=b"", headers=device.headers
    )

    assert codes == [
        "journal.wrong_place",
        "journal.unknown_key",
        "journal.unknown_key",
        "journal.wrong_place",
    ]
    assert len(world.rows(QuarantinedLine)) == 3
    assert _typed(elsewhere, 403)
    _good(world, device)


def test_tokens_and_nonces_work_once_for_one_key_and_not_for_ever(world, device):
    other = world.enrol()

    def nonce_for(key_id):
        return world.client.post("/api/v1/nonces", json={"key_id": key_id}).json["nonce"]

    def ask(nonce, key=device.key, key_id=device.key_id, origin=world.services.ledger_signer.name):
        proof = wire.token_proof(nonce=nonce, key_id=key_id, origin=origin)
        body = {"key_id": key_id, "nonce": nonce, "signature": to_b64url(sign_with(key, proof))}
        return world.client.post("/api/v1/tokens", json=body)

    used, stale = nonce_for(device.key_id), nonce_for(device.key_id)
    assert ask(used).status_code == 201
    refused = [
        ask(used),
        ask(nonce_for(other.key_id)),
        ask(nonce_for(device.key_id), key=other.key),
        ask(nonce_for(device.key_id), origin="elsewhere/liuhen"),
        ask(secrets.token_urlsafe(16)),
    ]
    world.now_ms += 10 * 60_000
    refused.append(ask(stale))
    world.now_ms += 24 * 3_600_000
    refused.append(world.push(device))
    for header in ("Bearer", "Bearer ", "Basic x", "Bearer \xe9", "Bearer " + "x" * 60_000):
        device.headers = {"Authorization": header}
        refused.append(world.push(device))

    assert [answer.status_code for answer in refused] == [401] * len(refused)
    assert all(_typed(answer, 401) for answer in refused)


def _each_member(world, device):
    """Every known act, and each of its members in turn with every hostile value."""
    whole = {
        acts.MEDIA_CAPTURED: media(device, world),
        acts.RECORD_SAVED: record(device, world),
        acts.INSPECTION_OPENED: opened(device, world, inspection=device.inspection),
        acts.INSPECTION_SEALED: sealed(device, world, inspection=new_id()),
    }
    for kind in sorted(acts.KNOWN):
        act = whole.get(kind) or {"type": kind, **_filled(world, device, kind)}
        optional = {"task", "entity", "pos", "title", "external_ids", "before", "continues"}
        for member in sorted((set(act) | optional) - {"type"}):
            for value in _HOSTILE_VALUES:
                yield {**act, **({"item": new_id()} if "item" in act else {}), member: value}


def _filled(world, device, kind):
    """A value of the right type for each mandatory member of ``kind``."""
    known = {"officer": world.officers[0], "inspection": device.inspection, "item": new_id()}
    plain = {str: "x", int: 1, list: [], dict: {}}
    needed = acts.missing_fields({"type": kind})
    act = {name: known.get(name, "x") for name in needed}
    for name in acts.missing_fields({"type": kind, **act}):
        for value in plain.values():
            if name not in acts.missing_fields({"type": kind, **act, name: value}):
                act[name] = value
                break
    return act


def test_no_value_of_any_member_of_any_act_costs_another_line_its_place(world):
    device = world.on_patrol()
    hostile = list(_each_member(world, device))
    for act in hostile:
        if act["type"] != acts.EPOCH_OPENED:
            device.write_parts(act)
    wrong = []

    for start in range(0, len(device.lines), 500):
        body = b"".join(line.to_bytes() + b"\n" for line in device.lines[start : start + 500])
        answer = world.push(device, body)
        if answer.status_code != 200:
            wrong.append((start, answer.status_code))

    assert wrong == []
    kept = audit(world.app, [world.services.receipt_signer.verifier_key])
    assert set(kept.lines) == {line.digest for line in device.lines}
    again = world.on_patrol()
    assert world.push(again).status_code == 200
    _good(world, again)


def test_text_in_either_normal_form_is_kept_as_it_was_signed(world, device):
    forms = ["caf\u00e9", "cafe\u0301", "\u212b", "\uac00", "\u1100\u1161", "\U0001f600", "\u202e"]
    for text in forms:
        device.write_parts(media(device, world, title=text))

    answer = world.push(device)

    assert answer.json["next_seq"] == len(device.lines)
    assert sorted(row.title for row in world.rows(EvidenceItem)) == sorted(forms)


@pytest.mark.parametrize("seq", [2**53 - 1, 2**31, 10_000])
def test_a_line_far_beyond_the_head_is_a_gap_and_takes_no_room(world, device, seq):
    far = device.forge([{"type": "note.added"}], seq=seq, prev="a" * 64)

    answer = world.push(device, far.to_bytes() + b"\n")

    (row,) = answer.json["results"]
    assert (row["journal"], row["code"]) == ("gap", "journal.gap")
    assert answer.json["next_seq"] == len(device.lines)
    _good(world, device)


def test_floods_of_epochs_and_branches_are_kept_and_cost_nobody_a_line(world, device):
    lines = len(device.lines)
    forks = [
        device.forge([{"type": "drone.flown", "n": n}], seq=2, prev="b" * 64) for n in range(200)
    ]
    flood = world.push(device, b"".join(line.to_bytes() + b"\n" for line in forks))
    for _ in range(40):
        device.epoch = secrets.token_hex(16)
        chain = SimDevice(id=device.id, epoch=device.epoch, key=device.key)
        chain.headers = device.headers
        chain.open_epoch()
        assert world.push(chain).json["results"][0]["journal"] == "accepted"

    assert {row["journal"] for row in flood.json["results"]} == {"forked"}
    assert len(flood.json["receipts"]) == 200
    kept = audit(world.app, [world.services.receipt_signer.verifier_key])
    assert len(kept.lines) == lines + 200 + 40
    honest = world.on_patrol()
    assert world.push(honest).json["next_seq"] == len(honest.lines)
    _good(world, honest)


_JSON = st.recursive(
    st.booleans() | st.integers(-BIG, BIG) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
_MEMBERS = st.sampled_from(
    (
        *("officer", "inspection", "item", "record", "template", "fields", "base", "pos"),
        *("officers", "session", "size", "class", "sha256", "heads", "revisions", "media"),
        *("offset_ms", "rows", "server_ms", "error_ms", "device", "epoch", "seq", "head"),
        *("chosen", "field", "external_ids"),
    )
)
_ACTS = st.lists(
    st.tuples(st.sampled_from(sorted(acts.KNOWN)), st.dictionaries(_MEMBERS, _JSON, max_size=4)),
    max_size=8,
)


def test_acts_of_any_content_are_kept_and_harm_no_line_beside_them(world):
    device = world.on_patrol()
    assert world.push(device).status_code == 200

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(_ACTS)
    def any_acts(bodies):
        start = len(device.lines)
        for kind, body in bodies:
            whole = _filled(world, device, kind)
            device.write_parts({**whole, **body, "type": kind})
        device.write("party.response", copies=1)
        answer = world.push(device, device.body(start))

        assert answer.status_code == 200, answer.text
        assert answer.json["next_seq"] == len(device.lines)
        last = answer.json["results"][-1]
        assert (last["journal"], last["projection"]) == ("accepted", "applied")

    any_acts()
    assert len(world.rows(JournalLine)) == len(device.lines)
