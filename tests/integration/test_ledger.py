"""The ledger on SQL: gapless, provable, and behind nothing that it has signed."""

import json
import threading

import pytest

from server.db import db, reading, transaction
from server.failures import LedgerBehind
from server.models.ledger import Checkpoint, LedgerHead, LedgerLeaf
from server.operations import ledger
from sync.evidence import merkle, note
from sync.evidence.checkpoint import parse_checkpoint


def _append(session, number, now_ms=10):
    return ledger.append(
        session, "policy", actor={"server": "t"}, subject={"n": number}, now_ms=now_ms
    )


def test_every_leaf_is_proved_against_every_later_checkpoint(world):
    with world.app.app_context():
        for number in range(9):
            with transaction() as session:
                _append(session, number)
                ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=20)
        with reading() as session:
            for checkpoint in session.query(Checkpoint).all():
                for index in range(checkpoint.size):
                    merkle.verify_inclusion(
                        merkle.leaf_hash(ledger.leaf_entry(session, 1, index)),
                        index=index,
                        size=checkpoint.size,
                        path=ledger.inclusion_proof(session, 1, index=index, size=checkpoint.size),
                        root=bytes.fromhex(checkpoint.root),
                    )


def test_each_checkpoint_begins_with_the_ones_before_it(world):
    device = world.enrol()
    sizes = []
    for _ in range(4):
        world.enrol()
        with world.app.app_context(), reading() as session:
            newest = ledger.newest_checkpoint(session)
            sizes.append((newest.size, newest.root))

    for first, first_root in sizes:
        for second, second_root in sizes:
            if first > second:
                continue
            answer = world.client.get(
                f"/api/v1/ledger/consistency?first={first}&second={second}",
                headers=device.headers,
            )
            merkle.verify_consistency(
                first=first,
                second=second,
                path=[bytes.fromhex(node) for node in answer.json["path"]],
                first_root=bytes.fromhex(first_root),
                second_root=bytes.fromhex(second_root),
            )


@pytest.mark.parametrize(
    "query",
    [
        "consistency?first=2&second=1",
        "consistency?first=0&second=99999",
        "consistency?first=-1&second=1",
        "consistency?first=a&second=1",
        "inclusion?index=5&size=5",
        "inclusion?index=0&size=99999",
    ],
)
def test_a_proof_that_cannot_exist_is_a_typed_error(world, query):
    device = world.enrol()

    answer = world.client.get(f"/api/v1/ledger/{query}", headers=device.headers)

    assert (answer.status_code, answer.json["code"]) == (422, "server.invalid")


def test_a_checkpoint_is_signed_only_when_the_ledger_has_grown(world):
    with world.app.app_context():
        with transaction() as session:
            first = ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=30).note
        with transaction() as session:
            again = ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=40).note

    assert first == again


def test_the_last_leaf_of_a_checkpoint_is_a_stamp_of_the_servers_clock(world):
    with world.app.app_context(), reading() as session:
        newest = ledger.newest_checkpoint(session)
        (entry,) = ledger.events_at(session, 1, [newest.size - 1])

    event = json.loads(entry.event)
    assert (event["kind"], event["subject"]) == ("stamp", {"clock": "server"})
    assert event["at_ms"] == world.now_ms - 1000


def test_the_times_of_the_ledger_never_run_backwards(world):
    with world.app.app_context():
        with transaction() as session:
            _append(session, 1, now_ms=world.now_ms + 5000)
            index = _append(session, 2, now_ms=5)
        with reading() as session:
            (entry,) = ledger.events_at(session, 1, [index])

    assert json.loads(entry.event)["at_ms"] == world.now_ms + 5000


def test_a_database_rolled_back_behind_its_checkpoint_takes_no_more_entries(world):
    with world.app.app_context():
        with transaction() as session:
            head = session.query(LedgerHead).one()
            head.size -= 1
            head.edge = ""
        with pytest.raises(LedgerBehind), transaction() as session:
            _append(session, 1)


def test_two_transactions_at_once_leave_no_hole_and_no_double(world):
    failures = []

    def write(worker):
        try:
            with world.app.app_context():
                for number in range(10):
                    with transaction() as session:
                        _append(session, worker * 100 + number)
                db.session.remove()
        except Exception as error:
            failures.append(error)

    with world.app.app_context(), reading() as session:
        before = ledger.size(session)
    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    indexes = sorted(row.index for row in world.rows(LedgerLeaf))
    assert indexes == list(range(before + 40))
    with world.app.app_context(), transaction() as session:
        checkpoint = ledger.sign_checkpoint(session, world.services.ledger_signer, now_ms=50)
        tree = merkle.CompactRange()
        for index in range(checkpoint.size):
            tree.append(merkle.leaf_hash(ledger.leaf_entry(session, 1, index)))
        assert tree.root().hex() == checkpoint.root


def test_a_transaction_that_fails_leaves_nothing_on_the_ledger(world):
    before = len(world.rows(LedgerLeaf))

    with world.app.app_context(), pytest.raises(RuntimeError), transaction() as session:
        _append(session, 1)
        raise RuntimeError

    assert len(world.rows(LedgerLeaf)) == before


def test_a_transaction_inside_another_is_a_fault_of_the_program(world):
    with (
        world.app.app_context(),
        transaction(),
        pytest.raises(RuntimeError, match="already open"),
        transaction(),
    ):
        pass


def test_hello_tells_time_limits_and_a_checkpoint_that_verifies(world):
    hello = world.client.get("/api/v1/hello").json

    key = note.parse_verifier_key(world.services.ledger_signer.verifier_key)
    text, _ = note.open_note(hello["checkpoint"], [key])
    assert parse_checkpoint(text).origin == hello["origin"]
    assert hello["server_ms"] == world.now_ms
    assert hello["limits"]["line_bytes"] == 65_536
    assert hello["journal_versions"] == ["1.p256.sha256"]
