"""The ledger's key is changed: both sign for a while, and whoever knew the old one can follow."""

import json
import stat
from dataclasses import replace

import pytest
from click.testing import CliRunner

from server.cli.ledger import ledger as ledger_commands
from server.failures import Conflict, Invalid
from server.models.ledger import LedgerEvent, LedgerLeaf
from server.operations import ledger_audit
from server.services import open_services
from server.signing import SignerFailed, ask_for_key
from sync.evidence.note import VerifierKey, parse_note, parse_verifier_key, verifier_key
from sync.evidence.succession import successors
from sync.evidence.verifier import Options, verify_package
from tests.support.bureau import environment
from tests.support.casework import Case
from tests.support.restoring import restart, restore, sign
from tests.support.rotating import begin, finish, grow
from tests.support.stores import MemoryStore
from tests.support.world import make_world

_SIGNER = """#!/bin/sh
# What a bureau puts before its own token: here openssl, with a key in a file.
case "$1" in
public-key) openssl pkey -in {key} -pubout -outform DER | tail -c 32 | openssl base64 ;;
sign)
  message=$(mktemp)
  cat > "$message"
  openssl pkeyutl -sign -rawin -inkey {key} -in "$message"
  rm "$message" ;;
esac
"""


def signers_of(world, note):
    """Which of the world's keys signed ``note``, by their place."""
    name, keys = world.services.ledger_signer.name, world.services.ledger_keys
    hashes = [VerifierKey(name, key).key_hash for key in keys]
    return [hashes.index(data[:4]) for _, data in parse_note(note).signatures]


def verdict(path, *keys):
    options = Options(ledger_keys=tuple(parse_verifier_key(key) for key in keys))
    report = verify_package(str(path), options)
    return report.verdict.value


def test_both_keys_sign_until_the_old_one_is_retired(world):
    old = world.services.ledger_signer.public_key

    begin(world)
    grow(world)
    both = sign(world)
    between = world.services.ledger_keys
    finish(world)
    grow(world)
    alone = sign(world)

    assert between[0] == old
    assert len(parse_note(both).signatures) == 2
    assert len(parse_note(alone).signatures) == 1
    assert world.services.ledger_keys == (between[1], old)
    assert signers_of(world, both) == [1, 0]
    assert signers_of(world, alone) == [0]
    assert not (world.settings.secrets_dir / "ledger-next.pem").exists()


def test_the_new_key_is_a_leaf_that_the_old_key_signed_for(world):
    old = world.services.ledger_signer.verifier_key

    begin(world)

    new = verifier_key(world.services.ledger_signer.name, world.services.ledger_keys[1])
    events = [json.loads(row.event) for row in world.rows(LedgerEvent)]
    (leaf,) = [e for e in events if "endorsement" in e["snapshot"]]
    assert leaf["kind"] == "enrol"
    assert (leaf["snapshot"]["replaces"], leaf["snapshot"]["verifier_key"]) == (old, new)
    reached = successors([parse_verifier_key(old)], [leaf["snapshot"]["endorsement"]])
    assert [str(key) for key in reached] == [old, new]
    assert successors([parse_verifier_key(new)], [leaf["snapshot"]["endorsement"]]) == [
        parse_verifier_key(new)
    ]
    (policy,) = [e for e in events if e["snapshot"].get("act") == "ledger_key_begun"]
    assert policy["snapshot"]["reason"] == "例行更换"


def test_a_change_is_begun_once_says_why_and_is_not_finished_before_it_is_begun(world):
    for act in (begin, finish):
        with pytest.raises((Invalid, Conflict)):
            act(world, reason=" ")
    restart(world)
    begin(world)
    with pytest.raises(Conflict):
        begin(world)
    finish(world)
    with pytest.raises(Conflict):
        finish(world)


@pytest.fixture
def case(database_url, tmp_path):
    case = Case(make_world(database_url, tmp_path / "var", store=MemoryStore()), checked=True)
    sign(case.world)
    return case


def test_packages_verify_under_every_key_from_which_the_present_one_comes(case, tmp_path):
    world = case.world
    keys = [world.services.ledger_signer.verifier_key]
    paths = []

    def keep(name):
        row = case.build(case.request())
        assert row.state == "ready", row.failure
        paths.append(tmp_path / f"{name}.zip")
        paths[-1].write_bytes(case.bytes_of(row))

    keep("before")
    begin(world)
    keep("overlap")
    finish(world)
    keys.append(world.services.ledger_signer.verifier_key)
    keep("after")
    begin(world)
    finish(world)
    keys.append(world.services.ledger_signer.verifier_key)
    keep("later")

    before, overlap, after, later = paths
    assert [verdict(path, keys[0]) for path in paths] == ["PASS"] * 4
    assert [verdict(path, keys[1]) for path in (after, later)] == ["PASS"] * 2
    assert verdict(later, keys[2]) == "PASS"
    # Whoever has the newest key alone cannot know what it took over from.
    assert [verdict(path, keys[2]) for path in (before, overlap, after)] == ["FAIL"] * 3
    assert [verdict(path) for path in paths] == ["PASS"] * 4


def test_a_case_of_a_generation_that_ended_under_the_old_key_is_proved_by_the_new(case, tmp_path):
    world = case.world
    old = world.services.ledger_signer.verifier_key
    restore(world)
    begin(world)
    finish(world)

    row = case.build(case.request())

    assert row.state == "ready", row.failure
    path = tmp_path / "package.zip"
    path.write_bytes(case.bytes_of(row))
    origin = parse_verifier_key(old).name
    new = verifier_key(origin, world.services.ledger_signer.public_key)
    assert verdict(path, new) == "PASS"


def test_an_audit_knows_every_key_that_ever_signed(case):
    world = case.world
    begin(world)
    grow(world)
    sign(world)
    finish(world)
    restore(world)
    grow(world)
    sign(world)

    with world.app.app_context():
        doubts = [one for report in ledger_audit.audit(world.services) for one in report.doubts]

    assert doubts == []


def test_the_commands_change_the_key(world):
    where = environment(world.settings.data_dir, LIUHEN_DATABASE_URL=world.settings.database_url)
    old = world.services.ledger_signer.verifier_key

    def run(*arguments):
        return CliRunner().invoke(ledger_commands, arguments, env=where)

    begun = run("rotate", "--reason", "例行更换")
    ended = run("rotate", "--reason", "期满", "--finish")
    restart(world)

    assert (begun.exit_code, ended.exit_code) == (0, 0), begun.output + ended.output
    new = world.services.ledger_signer.verifier_key
    assert new in begun.output
    assert old in ended.output
    assert new != old


@pytest.fixture
def token(world, tmp_path):
    """The ledger's key behind a command, as if it had moved to a token."""
    path = tmp_path / "signer"
    path.write_text(_SIGNER.format(key=world.settings.secrets_dir / "ledger.pem"))
    path.chmod(stat.S_IRWXU)
    world.settings = replace(world.settings, ledger_signer=(str(path),))
    return path


def test_a_key_behind_a_command_signs_like_one_in_a_file(world, token):
    before = world.services.ledger_signer.verifier_key
    grow(world)
    plain = sign(world)

    with world.app.app_context():
        parts = open_services(world.settings, origin=world.services.ledger_signer.name)

    assert parts.ledger_signer.verifier_key == before
    text = parse_note(plain).text
    assert parts.ledger_signer.sign(text) == plain


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("exit 3", "exit status 3"),
        ("echo no sense", "neither bytes nor base64"),
        ("echo AAAA", "3 bytes instead of 64"),
        ("head -c 64 /dev/zero", "another key"),
    ],
)
def test_a_command_that_gives_no_good_signature_stops_the_checkpoint(world, token, body, what):
    signer = ask_for_key([str(token)])
    token.write_text(f"#!/bin/sh\n{body}\n")
    world.services = replace(
        world.services, ledger_signer=replace(world.services.ledger_signer, key=signer)
    )
    grow(world)
    size = len(world.rows(LedgerLeaf))

    with pytest.raises(SignerFailed, match=what):
        sign(world)

    assert len(world.rows(LedgerLeaf)) == size
    with pytest.raises(SignerFailed):
        ask_for_key(["/nowhere/signer"])
