"""What a witness signs, and above all what it does not."""

import sqlite3
import threading
from types import SimpleNamespace

import pytest

from sync.evidence import note
from sync.evidence.cosignature import cosignatures
from sync.evidence.fork import check_fork
from sync.evidence.p256 import KeyMalformed
from sync.witness import register
from sync.witness.register import Register
from sync.witness.submission import (
    MAX_BYTES,
    Submission,
    SubmissionMalformed,
    format_submission,
    parse_size,
    parse_submission,
)
from sync.witness.witness import (
    AlreadyMade,
    NotTrusted,
    NoWitness,
    OriginUnknown,
    OwnKey,
    ProofRefused,
    SizeConflict,
    Witness,
    fork_of,
)
from tests.support.witnessing import ORIGIN, SmallLedger

NOW_S = 1_800_000_000


@pytest.fixture
def ledger():
    return SmallLedger("a", "b", "c")


@pytest.fixture
def witness(tmp_path, ledger):
    Witness.make(tmp_path / "w", "witness.example/w1")
    made = Witness(tmp_path / "w", clock_s=lambda: NOW_S)
    made.add_log(ledger.vkey)
    return made


def signed(ledger_note, line, key):
    (found,) = cosignatures(note.parse_note(ledger_note + line), [key])
    return found


def test_a_ledger_that_grows_is_cosigned_each_time(witness, ledger):
    first = witness.add_checkpoint(ledger.submission(0))
    ledger.grow("d", "e", "f")
    second = witness.add_checkpoint(ledger.submission(3))

    assert signed(ledger.note(3), first, witness.key).time_s == NOW_S
    assert signed(ledger.note(), second, witness.key).time_s == NOW_S


def test_an_empty_ledger_is_cosigned(witness):
    empty = SmallLedger()

    assert signed(empty.note(), witness.add_checkpoint(empty.submission(0)), witness.key)


def test_the_same_checkpoint_is_cosigned_again(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))

    assert witness.add_checkpoint(ledger.submission(3))


def test_a_witness_that_starts_anew_remembers(tmp_path, witness, ledger):
    witness.add_checkpoint(ledger.submission(0))

    with pytest.raises(SizeConflict) as conflict:
        Witness(tmp_path / "w").add_checkpoint(ledger.grow("d").submission(0))

    assert (conflict.value.size, conflict.value.forked) == (3, False)


def test_another_start_is_answered_with_the_size_that_is_known(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    ledger.grow("d", "e")

    for old in (0, 1, 2, 4, 5):
        with pytest.raises(SizeConflict) as conflict:
            witness.add_checkpoint(ledger.submission(old))
        assert conflict.value.size == 3


def test_a_smaller_checkpoint_is_never_cosigned_again(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))

    for old in range(3):
        with pytest.raises(SizeConflict):
            witness.add_checkpoint(ledger.submission(old, 2))
    with pytest.raises(SubmissionMalformed):
        witness.add_checkpoint(ledger.submission(3, 2))


def test_a_fork_is_refused_and_kept_as_proof(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    other = ledger.fork(1, "B", "C")

    with pytest.raises(SizeConflict) as conflict:
        witness.add_checkpoint(other.submission(3))

    assert conflict.value.forked
    (refused,) = witness.refused()
    fork = check_fork(fork_of(refused), [note.parse_verifier_key(ledger.vkey)])
    assert (fork.origin, fork.basis) == (ORIGIN, "roots")


def test_a_longer_fork_is_refused_whatever_its_proof(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    other = ledger.fork(1, "B", "C", "D", "E")

    for submission in (
        other.submission(3),
        format_submission(Submission(3, (), other.note())),
        format_submission(Submission(3, (b"\0" * 32,) * 63, other.note())),
    ):
        with pytest.raises(ProofRefused):
            witness.add_checkpoint(submission)
    (refused,) = witness.refused()
    fork = check_fork(fork_of(refused), [note.parse_verifier_key(ledger.vkey)])
    assert (fork.first_size, fork.second_size, fork.basis) == (3, 5, "start")
    assert witness.add_checkpoint(ledger.grow("d").submission(3))


def test_a_proof_that_leads_nowhere_accuses_nobody(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    ledger.grow("d", "e")

    with pytest.raises(ProofRefused):
        witness.add_checkpoint(format_submission(Submission(3, (), ledger.note())))

    assert [fork_of(refused) for refused in witness.refused()] == [None]


def test_a_ledger_that_forks_without_end_fills_no_disk(witness, ledger, monkeypatch):
    monkeypatch.setattr(register, "_MOST_REFUSED", 3)
    witness.add_checkpoint(ledger.submission(0))

    for number in range(6):
        with pytest.raises(SizeConflict):
            witness.add_checkpoint(ledger.fork(1, "B", f"C{number}").submission(3))

    assert len(witness.refused()) == 3


def test_a_first_checkpoint_brings_no_proof(witness, ledger):
    with pytest.raises(ProofRefused):
        witness.add_checkpoint(format_submission(Submission(0, (b"\0" * 32,), ledger.note())))


def test_a_ledger_that_nobody_added_is_unknown(witness):
    with pytest.raises(OriginUnknown):
        witness.add_checkpoint(SmallLedger("a", origin="other.example/ledger").submission(0))


def test_a_checkpoint_that_no_trusted_key_signed_is_refused(witness):
    with pytest.raises(NotTrusted):
        witness.add_checkpoint(SmallLedger("a", seed=12).submission(0))


def test_a_key_that_takes_over_signs_beside_the_old_one(witness, ledger):
    successor = SmallLedger(*ledger.entries, seed=13)
    witness.add_checkpoint(ledger.submission(0))
    witness.add_log(successor.vkey)

    assert witness.add_checkpoint(successor.grow("d").submission(3))
    assert witness.add_checkpoint(ledger.grow("d", "e").submission(4))


def test_a_new_generation_is_another_ledger_until_somebody_adds_it(witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    after = SmallLedger("restore", origin=f"{ORIGIN}/2")

    with pytest.raises(OriginUnknown):
        witness.add_checkpoint(after.submission(0))
    witness.add_log(after.vkey)

    assert witness.add_checkpoint(after.submission(0))
    with pytest.raises(SizeConflict):
        witness.add_checkpoint(ledger.fork(1, "B", "C").submission(3))


def test_a_witness_does_not_watch_a_ledger_with_its_own_key(witness):
    with pytest.raises(OwnKey):
        witness.add_log(note.verifier_key(ORIGIN, witness.key.public_key))


def test_of_two_that_start_from_one_size_one_wins(tmp_path, witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    rivals = [ledger.fork(3, f"d{number}", *"x" * number) for number in range(8)]
    start, outcomes = threading.Barrier(len(rivals)), []

    def submit(rival):
        own = Witness(tmp_path / "w")
        start.wait()
        try:
            outcomes.append((rival, own.add_checkpoint(rival.submission(3))))
        except (SizeConflict, ProofRefused) as refusal:
            outcomes.append((rival, refusal))

    threads = [threading.Thread(target=submit, args=(rival,)) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    won = [rival for rival, outcome in outcomes if isinstance(outcome, str)]
    lost = {outcome.size for _, outcome in outcomes if isinstance(outcome, SizeConflict)}
    assert len(outcomes) == 8
    assert len(won) == 1
    assert lost == {len(won[0].entries)}


def test_what_cannot_be_written_down_is_not_signed(tmp_path, witness, ledger):
    database = sqlite3.connect(tmp_path / "w" / "witness.db")
    database.execute("DROP TABLE cosigned")
    database.commit()
    database.close()

    with pytest.raises(sqlite3.Error):
        witness.add_checkpoint(ledger.submission(0))


def test_the_memory_itself_refuses_to_go_back(tmp_path, witness, ledger):
    witness.add_checkpoint(ledger.submission(0))
    database = sqlite3.connect(tmp_path / "w" / "witness.db")

    for statement in ("UPDATE cosigned SET size = 1", "DELETE FROM cosigned"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(statement)
    database.close()


def test_the_key_is_readable_by_its_owner_alone(tmp_path, witness):
    assert (tmp_path / "w" / "witness.key").stat().st_mode & 0o777 == 0o600


def test_every_commit_waits_for_the_disk(tmp_path, witness):
    with Register(tmp_path / "w" / "witness.db")._connection() as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_witness_is_never_made_over_another(tmp_path, witness):
    with pytest.raises(AlreadyMade):
        Witness.make(tmp_path / "w", "other")
    with pytest.raises(NoWitness):
        Witness(tmp_path / "nowhere")
    (tmp_path / "w" / "witness.key").write_text("rubbish")
    with pytest.raises(NoWitness):
        Witness(tmp_path / "w")


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\n"])
def test_a_name_that_no_key_can_have_makes_no_witness(tmp_path, name):
    with pytest.raises(KeyMalformed):
        Witness.make(tmp_path / "w", name)
    assert not (tmp_path / "w" / "witness.key").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text.replace("old 0", "old 00"),
        lambda text: text.replace("old 0", "old -1"),
        lambda text: text.replace("old 0", "Old 0"),
        lambda text: text.replace("old 0", "old 0 "),
        lambda text: text.replace("old 0\n", "old 0\nAAAA\n"),
        lambda text: text.replace("old 0\n", "old 0\n" + "A" * 42 + "B=\n"),
        lambda text: text.replace("old 0\n", "old 0\n" + ("A" * 43 + "=\n") * 64),
        lambda text: text.replace("\n\n", "\n", 1),
        lambda text: text[:-1],
        lambda text: text.split("\u2014")[0],
        lambda text: text.replace("\n3\n", "\nthree\n"),
        lambda text: text + "x" * MAX_BYTES,
    ],
)
def test_a_malformed_submission_is_refused(witness, ledger, change):
    with pytest.raises(SubmissionMalformed):
        witness.add_checkpoint(change(ledger.submission(0).decode()).encode())
    with pytest.raises(SubmissionMalformed):
        witness.add_checkpoint(b"\xff\xfe")


def test_the_example_of_the_specification_is_read():
    body = """old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q\
1gGzGku9nTo+zyWE+xeMcTOAYQ8=
""".encode()

    submission = parse_submission(body)

    assert (submission.old_size, len(submission.path)) == (20852014, 4)
    assert format_submission(submission) == body


def test_a_conflict_names_a_size():
    assert (parse_size(b"20852014\n"), parse_size(b"0")) == (20852014, 0)
    for text in (b"", b"x", b"-1\n", b"01\n", b"1\n2\n", "\u0663".encode()):
        with pytest.raises(SubmissionMalformed):
            parse_size(text)


def test_whatever_came_first_is_no_fork():
    assert fork_of(SimpleNamespace(kept="", note="", size=3)) is None
