"""Packages of a witnessed ledger, and what two packages of a forked one prove."""

import io
import json
import zipfile

import pytest

from server.db import db
from sync.evidence import note
from sync.evidence.fork import check_fork, parse_fork
from sync.evidence.policy import parse_policy
from sync.evidence.verifier import Options, verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.verify_cli import main
from sync.witness.witness import Witness
from tests.support.casework import Case
from tests.support.restoring import copy_database, restart, restore, sign
from tests.support.stores import MemoryStore
from tests.support.witnesses import Stand, policy_of, witnessed_world


@pytest.fixture
def case(database_url, tmp_path):
    with witnessed_world(database_url, tmp_path, online=2, quorum=2, store=MemoryStore()) as world:
        yield Case(world)


@pytest.fixture
def lite(make_database, tmp_path):
    with witnessed_world(make_database("sqlite"), tmp_path, store=MemoryStore()) as world:
        yield Case(world)


def witnessed(case):
    sign(case.world)
    case.world.round()
    return case


def package(case, tmp_path, name="package.zip"):
    row = case.build(case.request())
    assert row.state == "ready", row.failure
    path = tmp_path / name
    path.write_bytes(case.bytes_of(row))
    return path


def claims(path, case, policy=None):
    """The verdicts of step 10 by code."""
    key = note.parse_verifier_key(case.world.services.ledger_signer.verifier_key)
    result = verify_package(str(path), Options(ledger_keys=(key,), policy=policy))
    return {claim.code: claim.verdict for claim in result.claims if claim.step == "outside"}


def policy(case):
    return parse_policy(case.world.policy.read_bytes())


def rewritten(path, tmp_path, change):
    """The files of a package in a folder, one of them changed."""
    folder = tmp_path / "folder"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    change(folder)
    return folder


def test_a_package_says_who_saw_its_ledger_by_a_policy_from_outside(case, tmp_path):
    path = package(witnessed(case), tmp_path)

    found = claims(path, case, policy(case))

    assert found["outside.witnessed"] is Verdict.PASS
    assert found["outside.continued"] is Verdict.PASS
    assert found["outside.exposure"] is Verdict.NOT_CHECKED
    assert "outside.witnesses" not in found


def test_by_the_enclosed_policy_nothing_passes(case, tmp_path):
    path = package(witnessed(case), tmp_path)

    found = claims(path, case)

    assert found["outside.witnessed_as_enclosed"] is Verdict.NOT_CHECKED
    assert found["outside.continued"] is Verdict.PASS


def test_a_package_that_nobody_witnessed_fails_by_a_policy_that_asks_for_it(case, tmp_path):
    path = package(case, tmp_path)

    assert claims(path, case)["outside.witnesses"] is Verdict.NOT_CHECKED
    assert claims(path, case, policy(case))["outside.unwitnessed"] is Verdict.FAIL
    none = parse_policy(b"quorum none\n")
    assert claims(path, case, none)["outside.no_quorum_asked"] is Verdict.NOT_CHECKED


def test_a_policy_that_knows_other_witnesses_is_not_met(case, tmp_path):
    path = package(witnessed(case), tmp_path)
    stranger = Stand(Witness.make(tmp_path / "stranger", "witness.example/stranger"))
    three = policy_of([*case.world.stands, stranger], 3)

    assert claims(path, case, parse_policy(three.encode()))["outside.no_quorum"] is Verdict.FAIL


def test_a_policy_that_lists_other_ledgers_is_not_met(case, tmp_path):
    path = package(witnessed(case), tmp_path)
    other = note.verifier_key("other/log", case.world.services.receipt_signer.public_key)
    own = case.world.services.ledger_signer.verifier_key
    text = case.world.policy.read_text()

    wrong = claims(path, case, parse_policy(f"log {other}\n{text}".encode()))
    right = claims(path, case, parse_policy(f"log {own}\n{text}".encode()))

    assert wrong["outside.log_not_in_policy"] is Verdict.FAIL
    assert "outside.log_not_in_policy" not in right
    assert right["outside.witnessed"] is Verdict.PASS


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text[:-10] + "AAAAAAA==\n", "outside.cosignature_bad"),
        (lambda text: text.replace("\n", "\n1", 1), "outside.witnessed_bad"),
        (lambda text: "rubbish", "outside.witnessed_bad"),
        (lambda text: text[: text.index("\u2014 witness")], "outside.no_quorum"),
    ],
)
def test_whatever_is_done_to_the_cosigned_checkpoint_fails(case, tmp_path, change, code):
    path = package(witnessed(case), tmp_path)

    def change_it(folder):
        file = folder / "proofs/witnessed"
        file.write_text(change(file.read_text("utf-8")), "utf-8")

    found = claims(rewritten(path, tmp_path, change_it), case, policy(case))

    assert found[code] is Verdict.FAIL


def test_a_package_is_the_same_whatever_is_witnessed_later(case, tmp_path):
    witnessed(case)
    asked = case.request()
    first = case.bytes_of(case.build(asked))
    witnessed(case)
    case.requeue(asked)

    assert case.bytes_of(case.build(asked)) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.read("proofs/witness.policy").startswith(b"witness w1 ")


def test_a_package_of_an_ended_generation_keeps_its_witnesses(case, tmp_path):
    witnessed(case)
    before = case.world.services.ledger_signer.name
    sign(case.world)
    restore(case.world)

    path = package(case, tmp_path)

    key = note.verifier_key(before, case.world.services.ledger_signer.public_key)
    options = Options(ledger_keys=(note.parse_verifier_key(key),), policy=policy(case))
    found = {claim.code: claim.verdict for claim in verify_package(str(path), options).claims}
    assert found["outside.witnessed"] is Verdict.PASS
    assert found["outside.continued"] is Verdict.PASS


def test_the_command_takes_a_policy_file(case, tmp_path, capsys):
    path = package(witnessed(case), tmp_path)
    key = case.world.services.ledger_signer.verifier_key
    common = [str(path), "--key", key, "--lang", "en"]

    assert main([*common, "--policy", str(case.world.policy)]) == 0
    assert "signatures of 2 outside witnesses" in capsys.readouterr().out
    bad = tmp_path / "bad.policy"
    bad.write_text("quorum nobody\n")
    for wrong in (bad, tmp_path / "absent"):
        assert main([*common, "--policy", str(wrong)]) == 2


def test_packages_of_two_branches_prove_the_fork_to_anyone(lite, tmp_path, capsys):
    """An administrator puts database and folder back and goes on: two packages give it away."""
    world = lite.world
    live = world.settings.database_url.removeprefix("sqlite:///")
    witnessed(lite)
    copy_database(live, tmp_path / "saved")
    one = package(_worked(lite, "甲"), tmp_path, "one.zip")
    witnessed(lite)
    for path in world.settings.checkpoint_dir.iterdir():
        path.unlink()
    with world.app.app_context():
        db.engine.dispose()
    copy_database(tmp_path / "saved", live)
    restart(world)
    other = package(_worked(lite, "乙"), tmp_path, "other.zip")
    key = world.services.ledger_signer.verifier_key
    common = ["--key", key, "--lang", "en"]
    capsys.readouterr()

    assert main(["--fork", str(one), "--against", str(other), *common, "--json"]) == 0

    proof = capsys.readouterr().out
    fork = check_fork(parse_fork(proof.encode()), [note.parse_verifier_key(key)])
    assert fork.origin == world.services.ledger_signer.name
    file = tmp_path / "fork.json"
    file.write_text(proof, "utf-8")
    assert main(["--fork", str(file), *common]) == 0
    assert main(["--fork", str(file), "--lang", "en"]) == 2
    assert main(["--fork", str(one), "--against", str(one), *common]) == 1
    assert main(["--fork", str(one), *common]) == 2
    assert "The fork is proved" in capsys.readouterr().err
    # Each package holds by itself: it takes both, or a witness, to see it.
    for path in (one, other):
        assert main([str(path), "--key", key]) == 0
    capsys.readouterr()
    sign(world)
    world.round()
    seen = {seen.code for seen in world.exposure().witnesses}
    assert seen & {"witness.ahead", "witness.contradicts"}


def test_a_proof_under_another_key_is_none(lite, tmp_path):
    key = lite.world.services.ledger_signer.verifier_key
    text = sign(lite.world)
    file = tmp_path / "fork.json"
    file.write_text(json.dumps({"format": "liuhen/fork/v1", "first": text, "second": text}))
    stranger = note.verifier_key(
        note.parse_verifier_key(key).name, lite.world.services.receipt_signer.public_key
    )

    assert main(["--fork", str(file), "--key", key]) == 1
    assert main(["--fork", str(file), "--key", stranger]) == 1


def _worked(case, text):
    """A further note in the case, so that the ledger goes on with something of the case."""
    case.first.write(
        "note.added", officer=case.world.officers[0], inspection=case.inspection, text=text
    )
    answer = case.world.push(case.first)
    assert answer.status_code == 200, answer.text
    sign(case.world)
    return case
