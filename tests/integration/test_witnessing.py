"""The ledger shown to real witnesses over HTTP and by file, on both databases."""

import json
import socketserver
import threading

import pytest

from server.db import db, reading, transaction
from server.failures import Invalid
from server.models.ledger import Checkpoint, LedgerEvent
from server.models.witnesses import WitnessCosignature, WitnessState
from server.operations import checkpoint_folder, generations, ledger, witnessing
from server.operations.witnessing import Reply, submitting
from server.settings import Settings, SettingsError
from sync.evidence.checkpoint import parse_checkpoint
from sync.evidence.cosignature import cosign, cosignatures
from sync.evidence.fork import check_fork
from sync.evidence.note import parse_note, parse_verifier_key
from sync.witness.submission import format_submission
from sync.witness.witness import Witness, fork_of
from tests.support.bureau import environment
from tests.support.restoring import copy_database, restart, restore, sign
from tests.support.witnesses import witnessed_world


@pytest.fixture
def world(database_url, tmp_path):
    with witnessed_world(database_url, tmp_path) as made:
        yield made


@pytest.fixture
def three(database_url, tmp_path):
    """Two witnesses on the network and one without, of which two are a quorum."""
    with witnessed_world(database_url, tmp_path, online=2, offline=1, quorum=2) as made:
        yield made


@pytest.fixture
def lite(make_database, tmp_path):
    """A witnessed world on SQLite with ``keep()`` and ``put_back()`` of its database."""
    with witnessed_world(make_database("sqlite"), tmp_path) as made:
        live, saved = made.settings.database_url.removeprefix("sqlite:///"), tmp_path / "saved"

        def put_back():
            with made.app.app_context():
                db.engine.dispose()
            copy_database(saved, live)
            restart(made)

        made.keep = lambda: copy_database(live, saved)
        made.put_back = put_back
        yield made


def grow(world, number=1):
    with world.app.app_context(), transaction() as session:
        for n in range(number):
            ledger.append(
                session, "policy", actor={"server": "t"}, subject={"n": n}, now_ms=world.now_ms
            )
    return sign(world)


def stamps(world):
    rows = world.rows(LedgerEvent, kind="stamp")
    return [e for e in (json.loads(r.event) for r in rows) if "witness" in e["subject"]]


def size_of(text):
    return parse_checkpoint(parse_note(text).text).size


def state(world):
    (row,) = world.rows(WitnessState)
    return row


def test_a_round_brings_back_a_cosignature_as_a_row_and_as_a_leaf(world):
    text = grow(world)

    world.round()

    (row,) = world.rows(WitnessCosignature)
    key = world.stands[0].witness.key
    assert (row.covers_size, row.name, row.came_by) == (size_of(text), key.name, "network")
    assert cosignatures(parse_note(text + row.line), [key])[0].time_s == row.time_s
    (event,) = stamps(world)
    assert event["subject"]["checkpoint"]["size"] == row.covers_size
    assert event["snapshot"] == {"line": row.line, "time_s": row.time_s}


def test_a_ledger_that_grows_is_witnessed_from_where_it_was_last(world):
    for _ in range(3):
        text = grow(world, 5)
        world.round()

    sizes = [row.covers_size for row in world.rows(WitnessCosignature)]
    assert len(sizes) == 3
    assert max(sizes) == size_of(text)
    assert state(world).failures == 0


def test_a_cosignature_is_no_news_that_asks_for_the_next(world):
    """Each comes back as a leaf: were that news, no minute would pass without a checkpoint."""
    grow(world)
    for _ in range(5):
        world.round()
        sign(world)

    assert len(world.rows(WitnessCosignature)) == 1
    assert len(stamps(world)) == 1


def test_a_lost_answer_is_made_up_for_from_the_size_that_the_witness_names(world):
    grow(world)
    with world.app.app_context(), reading() as session:
        submission, _ = witnessing.submission_for(session, old=0)
    world.stands[0].witness.add_checkpoint(format_submission(submission))
    text = grow(world)

    world.round()

    assert [row.covers_size for row in world.rows(WitnessCosignature)] == [size_of(text)]


def test_a_witness_that_cannot_be_reached_is_tried_later_and_later(world):
    grow(world)
    asked = []

    def nobody(url, body):
        asked.append(url)
        raise witnessing.submitting.WitnessUnreachable("ConnectionError")

    with world.app.app_context():
        for _ in range(20):
            witnessing.submit_to_witnesses(world.services, post=nobody)
            world.now_ms += 60_000

    assert len(asked) == 5
    assert (state(world).code, state(world).failures) == ("witness.unreachable", 5)
    world.now_ms += 3_600_000
    world.round()
    assert (state(world).code, state(world).failures) == ("", 0)
    assert world.exposure().unseen == 0


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(status=200, kind="text/plain", body=b""), "witness.refused"),
        (Reply(status=200, kind="text/plain", body=b"\xff"), "witness.refused"),
        (Reply(status=200, kind="text/html", body=b"<html>log in</html>"), "witness.refused"),
        (Reply(status=302, kind="text/html", body=b""), "witness.refused"),
        (
            Reply(status=404, kind="text/plain", body=b"witness.origin_unknown: x"),
            "witness.refused",
        ),
        (Reply(status=409, kind="text/html", body=b"7"), "witness.refused"),
        (Reply(status=409, kind="text/x.tlog.size", body=b"x"), "witness.malformed"),
        (Reply(status=409, kind="text/x.tlog.size", body=b"99999\n"), "witness.ahead"),
        (Reply(status=409, kind="text/x.tlog.size", body=b"0\n"), "witness.contradicts"),
        (Reply(status=422, kind="text/plain", body=b"no"), "witness.contradicts"),
    ],
)
def test_every_other_answer_is_written_down_and_kept_as_nothing(world, reply, code):
    grow(world)

    with world.app.app_context():
        witnessing.submit_to_witnesses(world.services, post=lambda _url, _body: reply)

    assert state(world).code == code
    assert world.rows(WitnessCosignature) == []
    alarms = world.rows(LedgerEvent, kind="alarm")
    assert bool(alarms) is (code in ("witness.ahead", "witness.contradicts"))


def test_a_witness_cannot_make_another_note_of_ours(world):
    """Its answer would move the end of the text, and its line fit that longer text alone."""
    text = grow(world)
    witness = world.stands[0].witness
    longer = f"{text}more\n"
    line = cosign(longer, witness.key, witness._private.sign, time_s=1)

    with world.app.app_context():
        witnessing.submit_to_witnesses(
            world.services,
            post=lambda _url, _body: Reply(
                status=200, kind="text/plain", body=f"more\n\n{line}".encode()
            ),
        )

    assert state(world).code == "note.forged"
    assert world.rows(WitnessCosignature) == []


def test_a_witness_that_forgot_what_it_cosigned_is_not_relied_on(world):
    grow(world, 3)
    world.round()
    grow(world)

    with world.app.app_context():
        witnessing.submit_to_witnesses(
            world.services,
            post=lambda _url, _body: Reply(status=409, kind="text/x.tlog.size", body=b"0\n"),
        )

    assert state(world).code == "witness.forgot"
    assert len(world.rows(WitnessCosignature)) == 1


def test_a_cosignature_by_another_key_is_kept_as_nothing(world, tmp_path):
    text = grow(world)
    stranger = Witness.make(tmp_path / "stranger", "witness.example/w1")
    world.watched_by(stranger)
    with world.app.app_context(), reading() as session:
        submission, _ = witnessing.submission_for(session, old=0)
    line = stranger.add_checkpoint(format_submission(submission))
    assert size_of(text)

    with world.app.app_context():
        witnessing.submit_to_witnesses(
            world.services,
            post=lambda _url, _body: Reply(status=200, kind="text/plain", body=line.encode()),
        )

    assert state(world).code == "witness.refused"


def test_a_quorum_is_what_the_policy_says(three):
    text = grow(three, 3)
    assert three.exposure().size == 0

    three.round()

    found = three.exposure()
    assert (found.size, found.unseen) == (size_of(text), 0)
    assert [seen.size for seen in found.witnesses] == [size_of(text)] * 2 + [0]
    grow(three, 4)
    assert three.exposure().unseen == 4
    assert three.exposure().since_ms == three.now_ms


def test_all_witnesses_of_a_round_see_one_checkpoint(three):
    """Another is signed between two of them: each on its own would make no quorum."""
    text = grow(three)

    def slowly(url, body):
        reply = witnessing.submitting._post(url, body)
        grow(three)
        return reply

    with three.app.app_context():
        witnessing.submit_to_witnesses(three.services, post=slowly)

    assert {row.covers_size for row in three.rows(WitnessCosignature)} == {size_of(text)}
    with three.app.app_context(), reading() as session:
        found = witnessing.newest_witnessed(session, three.settings.witness_policy, generation=1)
    assert three.settings.witness_policy.is_met_by(found.signers)


def test_what_is_carried_away_is_what_others_cosigned(three):
    """Two of three are a quorum only under one checkpoint; one of them has no network."""
    text = grow(three)
    three.round()
    grow(three, 3)

    with three.app.app_context(), reading() as session:
        submission, checkpoint = witnessing.submission_for(session, old=0)
        shown = checkpoint.size
    seen = three.stands[2].witness.cosign_file(format_submission(submission))
    with three.app.app_context():
        witnessing.read_cosigned(three.services, seen)
        with reading() as session:
            later, _ = witnessing.submission_for(session, old=shown)

    assert shown == size_of(text)
    assert size_of(later.note) > size_of(text)
    assert len(three.rows(WitnessCosignature)) == 3


def test_served_checkpoints_carry_their_cosignatures(three):
    device = three.enrol()
    grow(three)
    three.round()

    for answer in (
        three.client.get("/api/v1/hello").json["checkpoint"],
        three.client.get("/api/v1/ledger/checkpoint", headers=device.headers).json["checkpoint"],
        three.client.get("/api/v1/ledger/checkpoint", headers=device.headers).json["witnessed"],
    ):
        keys = [stand.witness.key for stand in three.stands]
        assert len(cosignatures(parse_note(answer), keys)) == 2
    witnessed = size_of(answer)
    grow(three)
    answer = three.client.get("/api/v1/ledger/checkpoint", headers=device.headers).json
    assert len(parse_note(answer["checkpoint"]).signatures) == 1
    assert size_of(answer["witnessed"]) == witnessed
    seen = three.client.post(
        "/api/v1/ledger/seen", json={"checkpoint": answer["witnessed"]}, headers=device.headers
    )
    assert seen.json == {"behind": False}


def test_a_witness_without_a_network_signs_what_was_carried_to_it(three):
    text = grow(three)
    witness = three.stands[2].witness
    with three.app.app_context(), reading() as session:
        submission, _ = witnessing.submission_for(session, old=0)
    grow(three, 2)

    cosigned = witness.cosign_file(format_submission(submission))

    with three.app.app_context():
        for brought in (cosigned, cosigned.splitlines()[-1], cosigned):
            ((size, cosignature),) = witnessing.read_cosigned(three.services, brought)
            assert (size, cosignature.key) == (size_of(text), witness.key)
    (row,) = three.rows(WitnessCosignature)
    assert (row.name, row.came_by) == (witness.key.name, "file")
    assert len(stamps(three)) == 1


def test_what_no_known_witness_signed_is_not_taken_in(three, tmp_path):
    text = grow(three)
    stranger = Witness.make(tmp_path / "stranger", "witness.example/other")
    three.watched_by(stranger)
    with three.app.app_context():
        with reading() as session:
            submission, _ = witnessing.submission_for(session, old=0)
        for brought in (
            "",
            "rubbish",
            text,
            stranger.cosign_file(format_submission(submission)),
        ):
            with pytest.raises(witnessing.Unmatched):
                witnessing.read_cosigned(three.services, brought)


def test_nothing_is_exported_from_a_size_that_does_not_exist(world):
    with world.app.app_context(), reading() as session:
        for old in (-1, 10_000):
            with pytest.raises(Invalid):
                witnessing.submission_for(session, old=old)


def test_a_database_that_was_put_back_is_found_by_the_witness(lite):
    """Folder and database went back together; nobody but the witness remembers."""
    lite.keep()
    seen = size_of(grow(lite, 5))
    # From a size that is a power of two a path does not tell where it starts.
    if not seen & (seen - 1):
        grow(lite)
    lite.round()
    for path in lite.settings.checkpoint_dir.iterdir():
        path.unlink()

    lite.put_back()
    grow(lite)
    lite.round()

    assert state(lite).code == "witness.ahead"
    assert len(lite.rows(LedgerEvent, kind="alarm")) == 1
    assert lite.exposure().size == 0
    lite.now_ms += 3_600_000
    grow(lite, 20)
    lite.round()
    assert state(lite).code == "witness.contradicts"
    (refused,) = lite.stands[0].witness.refused()
    key = parse_verifier_key(lite.services.ledger_signer.verifier_key)
    assert check_fork(fork_of(refused), [key]).basis == "start"


def test_a_ledger_that_takes_no_entries_keeps_the_round_going(lite):
    """The database is behind its own folder: nothing can be kept, and that is said."""
    lite.keep()
    grow(lite, 5)
    lite.put_back()
    with lite.app.app_context(), transaction() as session:
        generations.note_beyond(
            session,
            lite.services,
            checkpoint_folder.kept_notes(lite.settings.checkpoint_dir),
            shown_by="file",
        )

    lite.round()

    assert state(lite).code == "ledger.behind"
    assert lite.rows(WitnessCosignature) == []


def test_a_new_generation_is_witnessed_once_the_witness_has_been_told(lite):
    lite.keep()
    grow(lite, 5)
    lite.round()
    lite.put_back()
    restore(lite)

    grow(lite)
    lite.round()
    refused = state(lite)
    lite.watched_by(lite.stands[0].witness)
    lite.now_ms += 3_600_000
    lite.round()

    assert refused.code == "witness.refused"
    assert "404" in refused.detail
    assert state(lite).code == ""
    generations = [row.covers_generation for row in lite.rows(WitnessCosignature)]
    assert generations == [max(row.generation for row in lite.rows(Checkpoint))]
    assert lite.exposure().unseen == 0


@pytest.mark.parametrize(
    "text",
    ["", "quorum nobody\n", "witness w1 example+00000000+AAAA\nquorum w1\n", None],
)
def test_a_policy_that_cannot_be_read_lets_nothing_start(tmp_path, text):
    path = tmp_path / "policy"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SettingsError) as refused:
        Settings.from_env(environment(tmp_path, None, LIUHEN_WITNESS_POLICY=str(path)))

    assert refused.value.names == ("LIUHEN_WITNESS_POLICY",)


def test_a_witness_is_reached_by_http_alone(tmp_path):
    key = Witness.make(tmp_path / "w", "w").key
    path = tmp_path / "policy"
    path.write_text(f"witness w1 {key} file:///etc/passwd\nquorum w1\n")

    with pytest.raises(SettingsError):
        Settings.from_env(environment(tmp_path, None, LIUHEN_WITNESS_POLICY=str(path)))


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_witness_whose_answer_drips_for_ever_is_left_alone(monkeypatch, begins):
    monkeypatch.setattr(submitting, "_WHOLE_S", 0.3)
    over = threading.Event()

    class Dripping(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(begins)
            while not over.wait(0.05):
                self.request.sendall(b"H")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with pytest.raises(submitting.WitnessUnreachable, match="no whole answer"):
                submitting._post(f"http://127.0.0.1:{server.server_address[1]}", b"")
        finally:
            over.set()
            server.shutdown()
