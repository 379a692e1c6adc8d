"""False claims by somebody who holds a ledger's key: of another bureau, or the bureau's own."""

import hashlib
import io
import json
import zipfile

import pytest

from sync.evidence import bag, canonical, note, package, verifier_bag, verify_cli
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from sync.evidence.fork import ForkProof, check_fork
from sync.evidence.note import NoteUnsigned
from sync.evidence.policy import parse_policy
from sync.evidence.succession import MAX_ENDORSEMENTS, endorsement_text, successors
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Claim, Verdict
from sync.evidence.verifier_source import EntryUnreadable, read
from tests.support.small_package import (
    INSPECTION,
    ORIGIN,
    NoteKey,
    build_small_package,
    identifier,
)

OTHERS = NoteKey("liuhen.test/another-bureau")


@pytest.fixture
def check(tmp_path):
    def run(small, *, sign=None, keys=()):
        path = tmp_path / "case.zip"
        path.write_bytes(small.pack(sign=sign or small.ledger.key.sign))
        return verify_package(str(path), Options(ledger_keys=keys))

    return run


def failed(result):
    return {claim.code for claim in result.claims if claim.verdict is Verdict.FAIL}


def change_index(small, change):
    index = json.loads(small.files[package.INDEX])
    change(index)
    small.files[package.INDEX] = canonical.dumps(index)


def item_of(index, title):
    return next(one for one in index["items"] if one["about"]["title"] == title)


# -- keys of several bureaus -------------------------------------------------------------------


def _known(*keys):
    return tuple(note.parse_verifier_key(key.verifier_key) for key in keys)


def test_a_key_of_another_bureau_signs_nothing_for_this_one(check):
    small = build_small_package()
    checkpoint = Checkpoint(ORIGIN, small.size, small.ledger.tree.root())
    small.files[package.CHECKPOINT] = OTHERS.sign(format_checkpoint(checkpoint)).encode()

    result = check(small, sign=OTHERS.sign, keys=_known(small.ledger.key, OTHERS))

    claims = [claim for claim in result.claims if claim.verdict is Verdict.FAIL]
    assert {claim.values["file"] for claim in claims if claim.code == "trust.note"} == {
        package.CHECKPOINT,
        package.STATEMENT,
    }


def test_a_ledger_bears_the_name_of_the_key_that_signs_it(check):
    small = build_small_package()
    value = json.loads(small.files[package.KEYS])
    value["ledger"] = OTHERS.verifier_key
    small.files[package.KEYS] = canonical.dumps(value)
    checkpoint = Checkpoint(ORIGIN, small.size, small.ledger.tree.root())
    small.files[package.CHECKPOINT] = OTHERS.sign(format_checkpoint(checkpoint)).encode()

    result = check(small, sign=OTHERS.sign, keys=_known(OTHERS))

    assert "trust.note" in failed(result)


def test_nobody_is_shown_to_have_forked_by_checkpoints_that_others_signed():
    ours, others = NoteKey(ORIGIN), OTHERS
    first = ours.sign(format_checkpoint(Checkpoint(ORIGIN, 5, bytes(32))))
    second = others.sign(format_checkpoint(Checkpoint(ORIGIN, 5, bytes([1]) * 32)))

    with pytest.raises(NoteUnsigned):
        check_fork(ForkProof(first, second), _known(ours, others))


def test_a_long_row_of_keys_that_name_each_other_keeps_nobody_waiting():
    keys = [NoteKey(f"key {number}") for number in range(300)]
    for key in keys:
        key.name = ORIGIN
    texts = [endorsement_text(note.parse_verifier_key(key.verifier_key)) for key in keys[1:]]
    notes = [key.sign(text) for key, text in zip(keys, texts, strict=False)]

    reached = successors(_known(keys[0]), notes[::-1])

    # Only those count that come first; the first key's own comes last.
    assert reached == list(_known(keys[0]))
    assert len(successors(_known(keys[0]), notes)) == 1 + MAX_ENDORSEMENTS


def test_a_policy_that_asks_for_no_witness_makes_none_of_an_empty_list(tmp_path):
    small = build_small_package()
    small.files[package.WITNESSED] = small.files[package.CHECKPOINT]
    policy = parse_policy(b"quorum none\n")
    path = tmp_path / "witnessed.zip"
    path.write_bytes(small.pack_signed())

    claims = verify_package(str(path), Options(policy=policy)).claims

    verdicts = {claim.code: claim.verdict for claim in claims}
    assert "outside.witnessed" not in verdicts
    assert verdicts["outside.no_quorum_asked"] is Verdict.NOT_CHECKED


# -- what the index says of an item ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("class", "C"), ("officer", "officer-2"), ("media_type", "image/png")],
)
def test_the_index_cannot_say_otherwise_than_the_line_how_an_item_came(check, name, value):
    small = build_small_package()
    change_index(small, lambda index: item_of(index, "photo").update({name: value}))

    assert failed(check(small)) == {"case.item_differs"}


def test_an_item_is_not_withheld_as_discarded_that_nobody_discarded(check):
    small = build_small_package()

    def withhold(index):
        item = item_of(index, "photo")
        small.files.pop(item["file"])
        item.update(disposition="withheld", file="", reason="discarded")

    change_index(small, withhold)

    assert failed(check(small)) == {"case.withheld_undiscarded"}


def test_an_item_is_not_withheld_for_a_copy_that_is_not_here(check):
    small = build_small_package()

    def withhold(index):
        item = item_of(index, "photo")
        small.files.pop(item["file"])
        item.update(disposition="withheld", file="", reason="redacted")

    change_index(small, withhold)

    assert failed(check(small)) == {"case.copy_missing"}


def test_a_rejected_item_is_not_told_as_accepted(check):
    def reject(devices, ledger):
        ledger.append(
            "review",
            actor={"person": "person-reviewer"},
            subject={"item": identifier("photo"), "inspection": INSPECTION},
            snapshot={"verdict": "rejected"},
        )

    small = build_small_package(before_export=reject)

    assert failed(check(small)) == {"case.state_differs"}


def test_that_an_item_was_accepted_is_not_checked_where_nobody_is_known_to_have_judged(check):
    small = build_small_package()
    change_index(small, lambda index: item_of(index, "recording").update(state="accepted"))

    claims = {claim.code: claim.verdict for claim in check(small).claims}

    assert claims["case.state_unproved"] is Verdict.NOT_CHECKED


# -- redacted copies, findings, facts ----------------------------------------------------------


def _redacted(**row):
    """A package in which the photo is withheld for a copy that the ledger tells of."""
    copy, photo = b"copy", hashlib.sha256(b"photo" * 20).hexdigest()
    digest = hashlib.sha256(copy).hexdigest()
    made = {"regions": [], "reason": "privacy", "recipe": "1", "made_with": "x"}
    place = {}

    def derive(devices, ledger):
        subject = {"source": photo, "sha256": digest, "item": identifier("photo")}
        actor = {"person": "person-3", "name": "丙"}
        place["index"] = ledger.append("derive", actor=actor, subject=subject, snapshot=made)

    small = build_small_package(before_export=derive)
    told = {
        "item": identifier("photo"),
        "source": photo,
        "file": package.derived_path(digest),
        "sha256": digest,
        **made,
        "made_by": "person-3",
        "made_at_ms": small.ledger.events[place["index"]].body["at_ms"],
        "ledger_index": place["index"],
        **row,
    }
    small.files[package.derived_path(digest)] = copy
    small.files[package.DERIVATIONS] = canonical.dumps({"v": 1, "derivations": [told]})

    def withhold(index):
        item = item_of(index, "photo")
        small.files.pop(item["file"])
        item.update(disposition="withheld", file="", reason="redacted")

    change_index(small, withhold)
    return small


def test_a_redacted_copy_is_as_its_event_says(check):
    assert failed(check(_redacted())) == set()


@pytest.mark.parametrize("row", [{"made_by": "person-4"}, {"ledger_index": 0}, {"reason": "other"}])
def test_who_redacted_and_why_is_what_the_event_says(check, row):
    assert failed(check(_redacted(**row))) == {"case.copy_without_event"}


@pytest.mark.parametrize("name", ["rule_version", "verdict"])
def test_the_rules_and_the_verdict_of_a_run_are_those_of_its_event(check, name):
    def run(devices, ledger):
        nothing = hashlib.sha256(b"[]").hexdigest()
        ledger.append(
            "verify",
            actor={"server": "rules"},
            subject={
                "item": identifier("photo"),
                "sha256": hashlib.sha256(b"photo" * 20).hexdigest(),
                "rules": "3",
            },
            snapshot={"claims": nothing, "findings": nothing, "verdict": "consistent"},
        )

    small = build_small_package(before_export=run)
    assert failed(check(small)) == set()
    told = json.loads(small.files[package.FINDINGS])
    told["items"][0]["checks"][-1][name] = "9"
    small.files[package.FINDINGS] = canonical.dumps(told)

    assert failed(check(small)) == {"case.findings_differ"}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"facts": '{"made":"up"}'},
        {"second": "[]"},
        {"reader_version": "2"},
        {"ledger_index": 0},
    ],
)
def test_what_was_read_from_a_file_is_what_the_ledger_took_in(check, changed):
    photo = hashlib.sha256(b"photo" * 20).hexdigest()
    place = {}

    def read(devices, ledger):
        place["index"] = ledger.append(
            "verify",
            actor={"server": "reader"},
            subject={"sha256": photo, "reader": "liuhen-1"},
            snapshot={name: hashlib.sha256(b"{}").hexdigest() for name in ("facts", "second")},
        )

    small = build_small_package(before_export=read)
    reading = {"ledger_index": place["index"], "facts": "{}", "second": "{}"}
    reading.update({"reader_version": "liuhen-1"}, **changed)
    body = {"v": 1, "sha256": photo, "readings": [reading]}
    small.files[package.facts_path(photo)] = canonical.dumps(body)

    assert failed(check(small)) == ({"case.facts_differ"} if changed else set())


# -- duties, and what is not checked -----------------------------------------------------------


def test_an_officer_who_is_left_out_of_the_index_leaves_the_duties_unchecked(check):
    small = build_small_package(reviewer="person-2")
    assert failed(check(small)) == {"duties.own_case"}
    change_index(small, lambda index: index["officers"].pop())

    result = check(small)

    codes = {claim.code: claim.verdict for claim in result.claims if claim.step == "duties"}
    assert codes == {"duties.officer_unlisted": Verdict.NOT_CHECKED}


def test_a_declaration_that_was_not_read_is_not_said_to_be_right(check, monkeypatch):
    def unreadable(source, name):
        if name == bag.BAG_INFO:
            raise EntryUnreadable("larger than can be read")
        return read(source, name)

    monkeypatch.setattr(verifier_bag, "read", unreadable)

    result = check(build_small_package())

    assert "bag.declared" not in {claim.code for claim in result.claims}


def test_lines_without_their_text_are_counted(check):
    claims = {claim.code: claim for claim in check(build_small_package()).claims}

    assert claims["journal.withheld"].verdict is Verdict.NOT_CHECKED
    assert claims["journal.withheld"].values["count"] == 1


def test_a_linked_folder_in_an_unpacked_package_is_named(tmp_path):
    small = build_small_package()
    folder = tmp_path / "case"
    with zipfile.ZipFile(io.BytesIO(small.pack())) as archive:
        archive.extractall(folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "data/more").symlink_to(tmp_path / "elsewhere")

    result = verify_package(str(folder))

    assert failed(result) == {"bag.extra", "container.unreadable"}


# -- what a package makes a terminal say -------------------------------------------------------


def test_no_value_of_a_package_moves_the_cursor_or_begins_a_line(tmp_path, capsys):
    small = build_small_package()
    spoof = "x\r\n  [通过] all is well\x1b[2J\x9b1A\u202e\u2028" + " " * 300 + "[PASS]"

    change_index(small, lambda index: item_of(index, "blurred").update(item=spoof))
    path = tmp_path / "case.zip"
    path.write_bytes(small.pack_signed())
    verify_cli.main([str(path), "--lang", "en"])

    said = capsys.readouterr().out
    assert not [letter for letter in said if letter != "\n" and not letter.isprintable()]
    assert not [row for row in said.split("\n") if row.strip().startswith("[通过]")]
    assert " " * 20 not in said


def test_a_hidden_letter_is_spelled_out():
    claim = Claim("case", "case.item_differs", Verdict.FAIL, {"item": "a\u202eb\x1b"})

    assert (
        claim.text({"verify.case.item_differs": {"en": "{item}"}}, "en") == "a〔U+202E〕b〔U+001B〕"
    )
