"""``verify.html`` in a real browser from a file: it says what the Python verifier says."""

import io
import random
import shutil
import zipfile

import pytest

from bench import tamper
from sync.evidence import canonical, note, package, succession, web_page
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.verifier_source import PackageUnusable
from tests.support.casework import Case
from tests.support.small_package import (
    INSPECTION,
    NoteKey,
    build_package_of,
    build_small_package,
    build_tiny_package,
    identifier,
)
from tests.support.stores import MemoryStore
from tests.support.world import make_world

#: What only the program checks; the page says so in words of its own.
_PROGRAM_ONLY = ("stamps.", "time.outside", "case.cop", "witness")


@pytest.fixture(scope="module")
def small():
    return build_small_package()


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The page, opened from a file; whatever it asks of a network is an error."""
    path = tmp_path_factory.mktemp("page") / "verify.html"
    path.write_bytes(web_page.build())
    opened = browser.new_page()
    wrong = []
    opened.on("request", lambda request: wrong.append(request.url))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda message: wrong.append(message.text))
    opened.goto(path.as_uri())
    yield opened
    assert wrong == [path.as_uri()]
    opened.close()


@pytest.fixture
def ask(page, tmp_path):
    """Give the page a package; returns its claims as (step, code, class, text)."""

    def run(data, *, sidecar=None, key=""):
        path = tmp_path / "case.zip"
        path.write_bytes(data)
        files = [path]
        if sidecar is not None:
            files.append(tmp_path / "case.zip.sig")
            files[1].write_text(sidecar, "utf-8")
        page.fill("#key", key)
        before = page.evaluate("Number(document.body.dataset.done ?? 0)")
        page.set_input_files("#file", files)
        wait_for(page, before + 1)
        return page.evaluate(
            """() => [...document.querySelectorAll("li")].map(row =>
                 [row.dataset.step, row.dataset.code, row.className, row.textContent])"""
        )

    return run


def wait_for(page, times):
    """Until the page has answered so often; its policy refuses conditions given as text."""
    page.wait_for_selector(f'body[data-done="{times}"]')


def verdict(page):
    return page.text_content(".verdict")


def by_python(tmp_path, data, **options):
    path = tmp_path / "other.zip"
    path.write_bytes(data)
    try:
        return verify_package(str(path), Options(**options)).claims
    except PackageUnusable:
        return ()


def compared(claims):
    """The codes of both, without those that one of them alone has."""
    return sorted(
        {
            (step, code)
            for step, code in claims
            if not code.startswith(("web.", *_PROGRAM_ONLY))
            and (step != "outside" or "sidecar" in code)
        }
    )


def test_a_genuine_package_passes_and_says_what_was_not_checked(page, ask, small, tmp_path):
    claims = ask(small.pack())

    assert verdict(page) == "通过"
    assert {verdict for _, _, verdict, _ in claims} == {"pass", "not_checked"}
    assert compared((s, c) for s, c, _, _ in claims) == compared(
        (claim.step, claim.code) for claim in by_python(tmp_path, small.pack())
    )


def test_both_languages_and_a_key_from_outside(page, ask, small):
    key = small.ledger.key.verifier_key
    other = NoteKey("liuhen.test/other").verifier_key

    page.click("#lang")
    known = {code for _, code, _, _ in ask(small.pack(), key=key)}
    shown = verdict(page), page.text_content("h1")
    unknown = {code for _, code, _, _ in ask(small.pack(), key=other)}
    ask(small.pack(), key="nonsense")
    refused = verdict(page)
    page.click("#lang")

    assert shown == ("PASS", "Verify an evidence package")
    assert "trust.key_known" in known
    assert "trust.key_unknown" in unknown
    assert refused == "NOT CHECKED"


def test_a_key_that_was_changed_is_followed_from_the_one_before(ask, small, tmp_path):
    before, stranger = NoteKey("liuhen.test/before"), NoteKey("liuhen.test/stranger")
    before.name = stranger.name = small.ledger.key.name
    text = succession.endorsement_text(note.parse_verifier_key(small.ledger.key.verifier_key))
    lines = succession.succession_line(before.sign(text)) + b"\n"
    data = small.pack_signed({**small.files, package.SUCCESSION: lines})

    for key in (before, stranger):
        known = (note.parse_verifier_key(key.verifier_key),)
        here = compared((s, c) for s, c, _, _ in ask(data, key=key.verifier_key))
        there = by_python(tmp_path, data, ledger_keys=known)
        assert here == compared((claim.step, claim.code) for claim in there)
        assert (("trust", "trust.key_endorsed") in here) is (key is before)


def test_a_key_of_another_bureau_signs_nothing_for_this_one(ask, small, tmp_path):
    other = NoteKey("liuhen.test/other")
    keys = [key.verifier_key for key in (small.ledger.key, other)]
    data = small.pack(sign=other.sign)

    here = compared((s, c) for s, c, _, _ in ask(data, key="\n".join(keys)))

    known = tuple(note.parse_verifier_key(key) for key in keys)
    there = by_python(tmp_path, data, ledger_keys=known)
    assert here == compared((claim.step, claim.code) for claim in there)
    assert ("trust", "trust.note") in here


def test_letters_that_turn_others_round_are_spelled_out(ask, small):
    turn = in_json(package.INDEX, lambda v: v["items"][0].update(item="a\u202e\u2066b"))

    said = "".join(text for _, _, _, text in ask(small.pack_signed(turn(dict(small.files)))))

    assert "a〔U+202E〕〔U+2066〕b" in said
    assert "\u202e" not in said


def test_the_signature_beside_the_zip_is_checked(ask, small):
    file = package.PackageFile.of("x", small.pack())
    text = package.sidecar_text(sha256=file.sha256, size=file.size)
    good = small.ledger.key.sign(text)
    other = small.ledger.key.sign(text.replace(file.sha256, "0" * 64))

    codes = [
        {code for _, code, _, _ in ask(small.pack(), sidecar=sidecar)} & SIDECAR
        for sidecar in (good, other, text)
    ]

    assert codes == [{"outside.sidecar"}, {"outside.sidecar_other"}, {"outside.sidecar_bad"}]


SIDECAR = {"outside.sidecar", "outside.sidecar_other", "outside.sidecar_bad"}


def test_what_is_no_package_is_not_checked(page, ask):
    assert ask(b"no zip") == []
    assert verdict(page) == "未核验"


def test_a_package_zipped_again_is_left_to_the_program(page, ask, small):
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(small.pack())) as archive,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as again,
    ):
        for name in archive.namelist():
            again.writestr(name, archive.read(name))

    claims = ask(buffer.getvalue())

    assert verdict(page) == "不通过"
    assert {code for _, code, _, _ in claims} == {"container.foreign", "web.foreign"}


def erased_for(persons):
    """A package whose absent item was erased after ``persons`` had asked and approved."""

    def erase(devices, ledger):
        subject = {"order": "1", "inspection": INSPECTION}
        for act, person in zip(("requested", "approved"), persons, strict=False):
            ledger.append("erase", actor={"person": person}, subject=subject, snapshot={"act": act})
        named = (one for one in devices[0].lines if one.act.get("item") == identifier("blurred"))
        line = next(named)
        item = {**line.act, "line": line.digest}
        snapshot = {"act": "erased", "law": "law", "items": [item]}
        ledger.append("erase", actor={"server": "x"}, subject=subject, snapshot=snapshot)

    small = build_small_package(before_export=erase)
    call = in_json(package.INDEX, lambda v: v["items"][1].update(disposition="erased"))
    return small.pack_signed(call(dict(small.files)))


def damaged(small):
    """Every kind of damage that the tests of the Python verifier do, and some at random."""
    chance = random.Random(21)
    tiny = build_tiny_package()
    forked = build_tiny_package(after_push=lambda device: device.fork("note.added", text="other"))
    for what, data, _ in (
        *tamper.random_bits(small, 40, chance),
        *list(tamper.every_byte(tiny, chance, step=397)),
        *tamper.lines_touched(small),
        *tamper.items_left_out(small),
    ):
        yield what, data
    yield "cut", small.pack()[:-40]
    yield "longer", small.pack() + b"x"
    yield "in front", b"x" + small.pack()
    yield "fork", forked.pack()
    yield "revoked", build_tiny_package(before_push=lambda device: device.revoke()).pack()
    yield "own case", build_small_package(reviewer="person-1").pack()
    for persons in (("clerk", "chief"), ("chief", "chief"), ()):
        yield f"erased for {persons}", erased_for(persons)
    peer = small.devices[1]
    for seq in (0, 999):
        head = {"device": peer.id, "epoch": peer.epoch, "seq": seq, "head": "0" * 64}
        yield f"peer {seq}", build_small_package(more_acts=[("peer.head", head)]).pack()
    for name, change in CHANGES.items():
        yield name, small.pack_signed(change(dict(small.files)))


def in_json(path, change):
    def run(files):
        value = canonical.loads(files[path])
        change(value)
        return {**files, path: canonical.dumps(value)}

    return run


def in_bytes(path, old, new):
    def run(files):
        assert old in files[path]
        return {**files, path: files[path].replace(old, new)}

    return run


def signed_more(files, name):
    """The checkpoint with a further signature, by somebody of whom nobody knows."""
    line = note.signature_line(name, b"signed").encode()
    return {**files, package.CHECKPOINT: files[package.CHECKPOINT] + line}


CHANGES = {
    "interval": in_json(package.INDEX, lambda v: v["items"][0]["interval"].update(not_after_ms=5)),
    "discard": in_json(package.INDEX, lambda v: v["items"][1].pop("discarded")),
    "invented": in_json(
        package.INDEX, lambda v: v["items"].append({**v["items"][0], "item": "invented"})
    ),
    "size": in_json(package.INDEX, lambda v: v["items"][0].update(size=1)),
    "erased": in_json(
        package.INDEX,
        lambda v: v["items"][1].update(disposition="erased"),
    ),
    "enrolled": in_json(package.KEYS, lambda v: v["devices"][0].update(enrolled_index=0)),
    "spki": in_json(package.KEYS, lambda v: v["devices"][0].update(spki="AAAA")),
    "receipt key": in_json(package.KEYS, lambda v: v.update(receipt="x")),
    "review": in_bytes(package.CUSTODY, b'"accepted"', b'"rejected"'),
    "float": in_bytes(package.CUSTODY, b'"generation":1,', b'"generation":1.0,'),
    "twice": in_bytes(package.CUSTODY, b'{"event":{', b'{"event":{},"event":{'),
    "null": in_bytes(package.CUSTODY, b'"snapshot":{}', b'"snapshot":null'),
    "capitals": in_bytes(package.INCLUSION, b'"leaf":"', b'"leaf":"A'),
    "receipt": in_bytes(package.RECEIPTS, b"last_seq 0", b"last_seq 1"),
    "anchors": lambda files: {**files, package.CONSISTENCY: b""},
    "checkpoint": in_bytes(package.CHECKPOINT, b"\n", b"\n\n"),
    "findings": lambda files: {**files, package.FINDINGS: b"[1.5]"},
    "index": lambda files: {**files, package.INDEX: b"{}"},
    "journal name": lambda files: {**files, "data/journal/x.ndjson": b"\n"},
    "surrogate": lambda files: {**files, package.FINDINGS: b'["\\ud800"]'},
    "escape": lambda files: {**files, package.FINDINGS: b'["\\u4e2d"]'},
    "deep": lambda files: {**files, package.FINDINGS: b"[" * 33 + b"]" * 33},
    "class": in_json(package.INDEX, lambda v: v["items"][0].update({"class": "C"})),
    "officer": in_json(package.INDEX, lambda v: v["officers"].pop()),
    "state": in_json(package.INDEX, lambda v: v["items"][0].update(state="rejected")),
    "state of nobody": in_json(package.INDEX, lambda v: v["items"][2].update(state="accepted")),
    "withheld": in_json(
        package.INDEX,
        lambda v: v["items"][0].update(disposition="withheld", file="", reason="discarded"),
    ),
    "rules": in_json(
        package.FINDINGS, lambda v: v["items"][0]["checks"][0].update(rule_version="2")
    ),
    "verdict": in_json(
        package.FINDINGS, lambda v: v["items"][0]["checks"][0].update(verdict="failed")
    ),
    "facts": lambda files: {
        **files,
        package.facts_path("a" * 64): b'{"readings":[{"ledger_index":1}]}',
    },
    "no facts": lambda files: {**files, package.facts_path("a" * 64): b"[]"},
    "next line in a name": lambda files: signed_more(files, "a\u0085b"),
    "byte order mark in a name": lambda files: signed_more(files, "a\ufeffb"),
    "key behind a byte order mark": in_json(
        package.KEYS, lambda v: v.update(ledger="\ufeff" + v["ledger"])
    ),
    "key behind a next line": in_json(
        package.KEYS, lambda v: v.update(ledger="\u0085" + v["ledger"])
    ),
    "place beyond all ledgers": in_bytes(
        package.CUSTODY, b'"index":3,', b'"index":1000000000000000,'
    ),
    "extra original": lambda files: {**files, f"data/original/{'a' * 64}.jpg": b"more"},
}


def originals_named(claims):
    """The originals that a failure names; its sentence has the whole name."""
    failed = [claim for claim in claims if claim.verdict is Verdict.FAIL]
    names = {str(claim.values.get("file")) for claim in failed}
    return sorted(name for name in names if name.startswith("data/original"))


def test_it_says_of_every_damage_what_the_python_verifier_says(ask, small, tmp_path):
    differing = {}
    for what, data in damaged(small):
        here = ask(data)
        there = by_python(tmp_path, data)
        if not any(code == "web.foreign" for _, code, _, _ in here):
            mine = compared((step, code) for step, code, _, _ in here)
            theirs = compared((claim.step, claim.code) for claim in there)
            failed = " ".join(text for _, _, verdict, text in here if verdict == "fail")
            unnamed = [name for name in originals_named(there) if name not in failed]
            if mine != theirs or unnamed:
                differing[what] = (sorted(set(mine) ^ set(theirs)), unnamed)

    assert differing == {}


def test_a_package_of_the_real_exporter_passes_alike(
    page, ask, sqlite_template, tmp_path, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("exported")
    shutil.copyfile(sqlite_template, folder / "one.sqlite")
    world = make_world(f"sqlite:///{folder}/one.sqlite", folder / "var", store=MemoryStore())
    case = Case(world, checked=True)
    case.judge("outfall", "accepted")
    data = case.bytes_of(case.build(case.request()))

    here = ask(data)

    assert verdict(page) == "通过"
    assert compared((s, c) for s, c, _, _ in here) == compared(
        (claim.step, claim.code) for claim in by_python(tmp_path, data)
    )


def test_a_larger_package_of_many_items_passes(page, ask):
    ask(build_package_of(300).pack())

    assert verdict(page) == "通过"


@pytest.mark.parametrize("built_in", [True, False], ids=["built in", "our own"])
def test_ed25519_is_verified_with_and_without_the_browsers_help(browser, tmp_path, small, built_in):
    path, package_path = tmp_path / "verify.html", tmp_path / "case.zip"
    path.write_bytes(web_page.build())
    package_path.write_bytes(small.pack())
    context = browser.new_context()
    if not built_in:
        context.add_init_script(
            """const genuine = SubtleCrypto.prototype.importKey;
               SubtleCrypto.prototype.importKey = function (form, key, algorithm, ...rest) {
                 if (algorithm === "Ed25519") throw new DOMException("none", "NotSupportedError");
                 return genuine.call(this, form, key, algorithm, ...rest);
               };"""
        )
    opened = context.new_page()
    opened.goto(path.as_uri())

    opened.set_input_files("#file", package_path)
    wait_for(opened, 1)

    assert verdict(opened) == "通过"
    forged = note.sign_note("x\n", "n", small.ledger.key.public, lambda _: bytes(64))
    package_path.write_bytes(small.pack({**small.files, package.CHECKPOINT: forged.encode()}))
    opened.set_input_files("#file", package_path)
    wait_for(opened, 2)
    assert verdict(opened) == "不通过"
    context.close()
