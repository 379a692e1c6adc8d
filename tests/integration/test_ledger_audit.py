"""The audit rebuilds the ledger: what was changed past the program is found, and named."""

import hashlib
import io
import json
import shutil
import threading
import zipfile
from dataclasses import replace

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from media.s3_objects import open_client
from media.store import StoreUnavailable
from server.cli import publish_checkpoints
from server.cli.ledger import ledger as ledger_commands
from server.db import db, reading, transaction
from server.models.audits import LedgerAudit
from server.models.journal import JournalLine
from server.models.ledger import Erasure, LedgerEvent
from server.operations import ledger, ledger_audit
from server.operations.checkpoint_store import CheckpointStore
from server.signing import load_signer, make_key
from sync.evidence import merkle
from sync.evidence.checkpoint import Checkpoint, format_checkpoint
from tests.support.bureau import environment
from tests.support.console import console_world, make_case, visitor
from tests.support.restoring import copy_database, restart, restore, sign
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.tampering import tamper, value
from tests.support.world import make_world


class Auditor:
    """A world with lines, some checkpoints, and somebody who audits it."""

    def __init__(self, world):
        self.world = world
        self.device = world.on_patrol()
        assert world.push(self.device).status_code == 200
        sign(world)
        self.grow(20)
        self.note = sign(world)

    def grow(self, count=1):
        with self.world.app.app_context(), transaction() as session:
            events = [
                ledger.Event(kind="policy", actor={"server": "t"}, subject={"n": n})
                for n in range(count)
            ]
            ledger.append_events(session, events, now_ms=self.world.now_ms)

    def audit(self, most=None):
        with self.world.app.app_context():
            return list(ledger_audit.audit(self.world.services, most=most))

    def doubts(self):
        """Kind and place of what one whole audit finds."""
        return [(one.kind, one.place) for report in self.audit() for one in report.doubts]

    def size(self):
        with self.world.app.app_context(), reading() as session:
            return ledger.size(session)


@pytest.fixture
def auditor(database_url, tmp_path):
    return Auditor(make_world(database_url, tmp_path / "var", store=MemoryStore()))


def _event(index):
    return "FROM ledger_event WHERE generation = 1 AND leaf_index = " + str(index)


def test_an_untouched_ledger_has_no_doubt_and_the_audit_stands_on_it(auditor):
    size = auditor.size()

    (report,) = auditor.audit()

    assert (report.start, report.end, report.doubts) == (0, size, ())
    assert (report.lines, report.outside) == (4, 1)
    assert report.checkpoints >= 3
    assert report.whole
    assert report.done
    (row,) = auditor.world.rows(LedgerAudit)
    (event,) = [e for e in auditor.world.rows(LedgerEvent) if e.index == row.ledger_index]
    told = json.loads(event.event)
    assert (told["kind"], told["subject"]) == ("verify", {"ledger": "audit"})
    assert told["snapshot"]["report"] == hashlib.sha256(row.report.encode()).hexdigest()
    assert auditor.doubts() == []


@pytest.mark.parametrize("index", [0, 3, 8, -1])
def test_a_changed_event_is_named_by_its_index(auditor, index):
    index = index if index >= 0 else auditor.size() - 1
    event = value(auditor.world, f"SELECT event {_event(index)}")

    tamper(
        auditor.world,
        "ledger_event",
        f"UPDATE ledger_event SET event = :e WHERE generation = 1 AND leaf_index = {index}",
        e=bytes(event).replace(b"1", b"2", 1),
    )

    assert ("event", str(index)) in auditor.doubts()
    (alarm,) = [e for e in auditor.world.rows(LedgerEvent) if e.kind == "alarm"]
    told = json.loads(alarm.event)
    assert f"event {index}" in told["snapshot"]["first"]
    assert told["snapshot"]["doubts"]["event"] == 1


def test_a_changed_leaf_is_told_from_a_changed_event(auditor):
    tamper(
        auditor.world,
        "ledger_leaf",
        "UPDATE ledger_leaf SET entry = :e WHERE generation = 1 AND leaf_index = 7",
        e=bytes(32),
    )

    assert auditor.doubts() == [("leaf", "7")]


def test_a_leaf_that_is_gone_is_named(auditor):
    tamper(
        auditor.world,
        "ledger_leaf",
        "DELETE FROM ledger_leaf WHERE generation = 1 AND leaf_index = 7",
    )

    assert auditor.doubts() == [("leaf_missing", "7")]


@pytest.mark.parametrize("level", [1, 2, 4])
def test_a_changed_node_is_named_by_level_and_position(auditor, level):
    tamper(
        auditor.world,
        "ledger_node",
        "UPDATE ledger_node SET hash = :e WHERE generation = 1 AND level = :l AND position = 0",
        e=bytes(32),
        l=level,
    )

    assert auditor.doubts() == [("node", f"{level}/0")]


def test_a_node_that_is_gone_is_named(auditor):
    tamper(
        auditor.world,
        "ledger_node",
        "DELETE FROM ledger_node WHERE generation = 1 AND level = 2 AND position = 1",
    )

    assert auditor.doubts() == [("node_missing", "2/1")]


def test_an_event_and_its_leaf_that_were_changed_together_leave_their_node(auditor):
    salt = value(auditor.world, f"SELECT salt {_event(6)}")
    event = bytes(value(auditor.world, f"SELECT event {_event(6)}")).replace(b"1", b"2", 1)
    place = "WHERE generation = 1 AND leaf_index = 6"
    tamper(auditor.world, "ledger_event", f"UPDATE ledger_event SET event = :e {place}", e=event)
    tamper(
        auditor.world,
        "ledger_leaf",
        f"UPDATE ledger_leaf SET entry = :e {place}",
        e=hashlib.sha256(bytes(salt) + event).digest(),
    )

    found = [
        (one.kind, one.place, one.found)
        for report in auditor.audit()
        for one in report.doubts
        if one.kind == "below"
    ]
    assert found == [("below", "1/3", "6–7")]


def _rewrite(auditor, index):
    """Change an event and everything that follows from it but the signed checkpoints."""
    world, place = auditor.world, f"WHERE generation = 1 AND leaf_index = {index}"
    event = bytes(value(world, f"SELECT event {_event(index)}")).replace(b'"n":3', b'"n":9')
    salt = bytes(value(world, f"SELECT salt {_event(index)}"))
    tamper(world, "ledger_event", f"UPDATE ledger_event SET event = :e {place}", e=event)
    entry = hashlib.sha256(salt + event).digest()
    tamper(world, "ledger_leaf", f"UPDATE ledger_leaf SET entry = :e {place}", e=entry)
    with world.app.app_context(), reading() as session:
        entries = [ledger.leaf_entry(session, 1, n) for n in range(ledger.size(session))]
    tree = merkle.CompactRange()
    for one in entries:
        for level, position, node in tree.append(merkle.leaf_hash(one))[1:]:
            tamper(
                world,
                "ledger_node",
                "UPDATE ledger_node SET hash = :h "
                "WHERE generation = 1 AND level = :l AND position = :p",
                h=node,
                l=level,
                p=position,
            )
    tamper(
        world,
        "ledger_head",
        "UPDATE ledger_head SET edge = :e",
        e=",".join(node.hex() for node in tree.edge),
    )


def test_a_tree_that_was_rewritten_whole_differs_from_what_our_key_signed(auditor):
    (index,) = [e.index for e in auditor.world.rows(LedgerEvent) if b'{"n":3}' in e.event]
    before = value(auditor.world, f"SELECT max(size) FROM checkpoint WHERE size <= {index}")
    after = value(auditor.world, f"SELECT min(size) FROM checkpoint WHERE size > {index}")

    _rewrite(auditor, index)

    doubts = auditor.doubts()
    assert ("rewritten", f"{before}–{after - 1}") in doubts
    kept = auditor.world.settings.checkpoint_dir.name
    assert any(kind == "outside" and place.startswith(kept) for kind, place in doubts)


@pytest.mark.parametrize("column", ["root", "note"])
def test_a_changed_checkpoint_is_named_by_its_size(auditor, column):
    size = value(auditor.world, "SELECT min(size) FROM checkpoint")
    old = value(auditor.world, f"SELECT {column} FROM checkpoint WHERE size = {size}")
    new = "0" * 64 if column == "root" else old.replace("\n", "x\n", 1)

    tamper(
        auditor.world,
        "checkpoint",
        f"UPDATE checkpoint SET {column} = :v WHERE size = {size}",
        v=new,
    )

    assert auditor.doubts() == [("checkpoint", str(size))]


def test_a_checkpoint_under_another_key_is_none(auditor, tmp_path):
    size = value(auditor.world, "SELECT min(size) FROM checkpoint")
    make_key(tmp_path / "k.pem")
    origin = auditor.world.services.ledger_signer.name
    forged = load_signer(tmp_path / "k.pem", origin).sign(
        format_checkpoint(Checkpoint(origin, size, bytes(32)))
    )

    tamper(
        auditor.world,
        "checkpoint",
        f"UPDATE checkpoint SET note = :v, root = :r WHERE size = {size}",
        v=forged,
        r="0" * 64,
    )

    assert auditor.doubts() == [("checkpoint", str(size))]


def test_an_event_that_was_deleted_without_a_lawful_basis_is_named(auditor):
    tamper(auditor.world, "ledger_event", f"DELETE {_event(9)}")

    assert auditor.doubts() == [("event_missing", "9")]


def _erase(auditor, index, *, told):
    with auditor.world.app.app_context(), transaction() as session:
        if told:
            ledger.append(
                session,
                "erase",
                actor={"server": "erasure"},
                subject={"order": "x"},
                snapshot={"act": "erased", "page": 1, "events": 1, "lines": 0},
                now_ms=auditor.world.now_ms,
            )
        session.add(
            Erasure(
                target=f"ledger_event:1:{index}", basis="期满", approved_by="甲,乙", erased_at_ms=1
            )
        )
        session.flush()
        session.query(LedgerEvent).filter_by(generation=1, index=index).delete()


def test_an_event_that_was_lawfully_erased_is_no_doubt(auditor):
    _erase(auditor, 9, told=True)

    assert auditor.doubts() == []


def test_an_erasure_that_the_ledger_does_not_account_for_is_named(auditor):
    _erase(auditor, 9, told=False)

    assert auditor.doubts() == [("erasure", "ledger_event")]


def test_what_stands_beside_an_event_in_its_row_counts_too(auditor):
    tamper(
        auditor.world,
        "ledger_event",
        "UPDATE ledger_event SET kind = 'stamp' WHERE kind = 'enrol' AND leaf_index = 0",
    )

    assert auditor.doubts() == [("event_row", "0")]


@pytest.mark.parametrize("change", [lambda edge: edge[:-2] + "00", lambda edge: edge[:-1]])
def test_a_changed_head_is_named(auditor, change):
    size = auditor.size()
    edge = value(auditor.world, "SELECT edge FROM ledger_head")

    tamper(auditor.world, "ledger_head", "UPDATE ledger_head SET edge = :e", e=change(edge))

    assert ("head", str(size)) in auditor.doubts()


def test_rows_behind_the_end_are_named(auditor):
    size = auditor.size()
    tamper(
        auditor.world,
        "ledger_leaf",
        f"INSERT INTO ledger_leaf VALUES (1, {size + 90}, :e)",
        e=bytes(32),
    )

    assert auditor.doubts() == [("surplus", f"leaf {size + 90}")]


@pytest.mark.parametrize("column", ["header", "signature", "digest"])
def test_a_changed_journal_line_is_named_by_its_place(auditor, column):
    line = next(row for row in auditor.world.rows(JournalLine) if row.seq == 2)
    old = getattr(line, column)
    new = old.replace(b"2", b"3", 1) if column == "header" else old[::-1]
    place = f"{line.device_id}:{line.epoch}::2"

    tamper(
        auditor.world, "journal_line", f"UPDATE journal_line SET {column} = :v WHERE seq = 2", v=new
    )

    assert auditor.doubts() == [("line", place)]


def test_a_changed_text_and_a_deleted_line_are_named(auditor):
    line = next(row for row in auditor.world.rows(JournalLine) if row.seq == 2)
    place = f"{line.device_id}:{line.epoch}:"
    tamper(
        auditor.world, "journal_part", "UPDATE journal_part SET body = :b WHERE seq = 1", b=b"{}"
    )
    tamper(auditor.world, "journal_line", "DELETE FROM journal_line WHERE seq = 2")
    tamper(auditor.world, "journal_part", "DELETE FROM journal_part WHERE seq = 3")

    assert auditor.doubts() == [
        ("part", f"{place}:1:0"),
        ("line_missing", f"{place}:2"),
        ("part_missing", f"{place}:3:0"),
    ]


def test_a_line_that_no_event_stands_for_is_named(auditor):
    tamper(
        auditor.world,
        "journal_line",
        "INSERT INTO journal_line SELECT device_id, epoch, branch, 99, digest, key_id, header, "
        "signature, received_at_ms, generation, 0, after_revocation "
        "FROM journal_line WHERE seq = 2",
    )

    ((kind, place),) = auditor.doubts()
    assert kind == "surplus"
    assert place.startswith("journal_line")
    assert place.endswith(":99")


def test_a_large_ledger_is_audited_night_by_night_in_turn(auditor):
    size = auditor.size()

    first, *rest = [*auditor.audit(most=10), *auditor.audit(most=10)]
    while not rest[-1].whole:
        rest += auditor.audit(most=10)

    assert (first.start, first.end, first.whole, first.done) == (0, 10, False, True)
    assert [one.start for one in rest] == [first.end, *(one.end for one in rest[:-1])]
    assert rest[-1].end >= size
    again = auditor.audit(most=10)
    assert again[0].start == 0


@pytest.mark.parametrize("change", ["event", "leaf", "node"])
def test_slices_find_what_one_whole_walk_finds(auditor, change):
    place = "generation = 1 AND leaf_index = 13"
    statement = {
        "event": f"UPDATE ledger_event SET salt = :e WHERE {place}",
        "leaf": f"UPDATE ledger_leaf SET entry = :e WHERE {place}",
        "node": "UPDATE ledger_node SET hash = :e WHERE level = 2 AND position = 3",
    }[change]
    tamper(auditor.world, f"ledger_{change}", statement, e=bytes(32))

    found = set()
    while True:
        (report,) = auditor.audit(most=8)
        found |= {(one.kind, one.place) for one in report.doubts}
        if report.whole:
            break

    assert (change, "2/3" if change == "node" else "13") in found


def test_each_generation_is_audited_and_the_next_must_begin_where_it_ended(auditor):
    restore(auditor.world)
    sign(auditor.world)
    assert auditor.doubts() == []

    tamper(
        auditor.world,
        "ledger_event",
        "UPDATE ledger_event SET event = :e WHERE generation = 2 AND leaf_index = 0",
        e=b"{}",
    )

    kinds = {kind for kind, _ in auditor.doubts()}
    assert {"restored", "event", "event_row"} <= kinds


def _publish(auditor, note=None):
    store = CheckpointStore(auditor.world.services.store)
    store.publish(note or auditor.note, now_ms=auditor.world.now_ms)


def test_a_checkpoint_in_the_store_that_is_not_ours_is_named(auditor):
    _publish(auditor)
    (key, *_), objects = sorted(auditor.world.services.store.objects), auditor.world.services.store
    objects.objects[key] = b"something else"

    assert auditor.doubts() == [("unsigned", key)]


@pytest.fixture
def backups():
    """Makes whole copies of databases, whose users lose their links; ``backups(url)``: its URL."""
    made = []

    def copy(url):
        place = make_url(url)
        name = f"{place.database.removesuffix('.sqlite')}_{new_id()[:8]}"
        if place.get_backend_name() == "sqlite":
            copy_database(place.database, f"{name}.sqlite")
            return f"sqlite:///{name}.sqlite"
        engine = create_engine(place.set(database="postgres"), isolation_level="AUTOCOMMIT")
        made.append((engine, name))
        with engine.connect() as connection:
            ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
            connection.execute(text(ending), {"name": place.database})
            connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE {place.database}'))
        return place.set(database=name).render_as_string(hide_password=False)

    yield copy
    for engine, name in made:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        engine.dispose()


def test_a_database_put_back_together_with_its_folder_is_found_by_the_copy_in_the_store(
    auditor, backups
):
    """The folder goes back as well and no device is near: the store still knows better."""
    world = auditor.world
    with world.app.app_context():
        db.session.remove()
        db.engine.dispose()
    older = backups(world.settings.database_url)
    auditor.grow()
    auditor.note = sign(world)
    _publish(auditor)
    shutil.rmtree(world.settings.checkpoint_dir)
    world.settings = replace(world.settings, database_url=older)
    restart(world)
    before = world.push(auditor.device)

    doubts = auditor.doubts()

    assert before.status_code == 200
    assert {kind for kind, _ in doubts} == {"outside"}
    assert all(place.startswith("checkpoint/") for _, place in doubts)
    assert world.push(auditor.device).status_code == 503
    (row,) = world.rows(LedgerAudit)
    assert row.ledger_index is None
    assert json.loads(row.report)["doubt_count"] == len(doubts)
    with world.app.app_context():
        db.session.remove()
        db.engine.dispose()


def test_the_page_of_the_store_names_what_the_audit_found(database_url, tmp_path):
    world = console_world(database_url, tmp_path / "var")
    make_case(world)
    sign(world)
    before = visitor(world, "supervisor").get("/store?lang=en").text
    tamper(world, "ledger_leaf", "UPDATE ledger_leaf SET entry = :e WHERE leaf_index = 7", e=b"x")
    with world.app.app_context():
        list(ledger_audit.audit(world.services))

    page = visitor(world, "supervisor").get("/store?lang=en").text

    assert 'id="audit"' in before
    assert "the leaf was changed" not in before
    assert "Generation 1, leaf 7: the leaf was changed" in page
    assert "Rebuilt leaves 0 to" in page


def test_a_broken_off_audit_is_noted_once_and_goes_on_where_it_was(auditor):
    auditor.audit(most=10)
    with auditor.world.app.app_context():
        for _ in range(2):
            with transaction() as session:
                ledger_audit.keep_failure(
                    session, "media.store_unavailable", began_ms=5, now_ms=auditor.world.now_ms
                )

    reports = [json.loads(row.report) for row in auditor.world.rows(LedgerAudit)]
    (next_one,) = auditor.audit(most=10)

    assert [one["failed"] for one in reports] == ["", "media.store_unavailable"]
    assert next_one.start == 10


def test_checkpoints_in_the_store_stay_few_and_one_of_each_day_stays_for_good(auditor):
    world, store = auditor.world, auditor.world.services.store
    kept = CheckpointStore(store)
    first = auditor.note
    for day in range(3):
        for _ in range(8):
            auditor.grow()
            kept.publish(sign(world), now_ms=day * 86_400_000)

    newest = sorted(key for key in store.objects if key.startswith("checkpoint/newest/"))
    days = sorted(key for key in store.objects if key.startswith("checkpoint/day/"))

    assert len(newest) == 10
    assert [key.rpartition("/")[2] for key in days] == ["1970-01-01", "1970-01-02", "1970-01-03"]
    assert store.objects[newest[-1]].decode() == sign(world) != first
    assert not kept.publish(sign(world), now_ms=0)
    assert auditor.doubts() == []


def test_a_fork_never_replaces_what_the_store_holds_of_the_true_ledger(auditor, tmp_path):
    world, store = auditor.world, auditor.world.services.store
    CheckpointStore(store).publish(auditor.note, now_ms=0)
    true = dict(store.objects)
    origin, size = world.services.ledger_signer.name, auditor.size()
    fork = world.services.ledger_signer.sign(format_checkpoint(Checkpoint(origin, size, bytes(32))))

    CheckpointStore(store).publish(fork, now_ms=0)

    assert {key: store.objects[key] for key in true} == true


def test_every_package_in_the_store_is_a_checkpoint_outside_the_database(auditor):
    store = auditor.world.services.store
    origin = auditor.world.services.ledger_signer.name
    beyond = auditor.world.services.ledger_signer.sign(
        format_checkpoint(Checkpoint(origin, 10_000, bytes(32)))
    )
    for name, note in (("a", auditor.note), ("b", beyond), ("c", "no note"), ("d", None)):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            if note is not None:
                archive.writestr("proofs/checkpoint", note)
        store.objects[f"package/{name}/1.zip"] = file.getvalue()
        store.objects[f"package/{name}/1.zip.sig"] = b"beside it"

    assert auditor.doubts() == [
        ("outside", "package/b/1.zip"),
        ("unsigned", "package/c/1.zip"),
        ("unsigned", "package/d/1.zip"),
    ]


def test_packages_are_compared_in_turn(auditor, monkeypatch):
    monkeypatch.setattr(ledger_audit, "_PACKAGES", 2)
    for number in range(5):
        auditor.world.services.store.objects[f"package/{number}/1.zip"] = b"no package"

    nights = [[place for _, place in auditor.doubts()] for _ in range(4)]

    assert nights == [
        ["package/0/1.zip", "package/1/1.zip"],
        ["package/2/1.zip", "package/3/1.zip"],
        ["package/4/1.zip"],
        ["package/0/1.zip", "package/1/1.zip"],
    ]


def test_the_command_audits_and_its_exit_status_tells(database_url, tmp_path, seaweedfs):
    access_key, secret_key = seaweedfs.administrator
    own = replace(
        seaweedfs, bucket=f"audit-{new_id()}", access_key=access_key, secret_key=secret_key
    )
    open_client(own.address()).create_bucket(Bucket=own.bucket)
    world = make_world(database_url, tmp_path / "var", own)
    sign(world)
    where = environment(tmp_path / "var", own, LIUHEN_DATABASE_URL=database_url)
    sound = CliRunner().invoke(ledger_commands, ["audit", "--json"], env=where)
    tamper(world, "ledger_leaf", "UPDATE ledger_leaf SET entry = :e WHERE leaf_index = 1", e=b"x")

    found = CliRunner().invoke(ledger_commands, ["audit"], env=where)
    away = CliRunner().invoke(
        ledger_commands, ["audit"], env={**where, "LIUHEN_S3_ENDPOINT": "http://127.0.0.1:9"}
    )

    (report,) = json.loads(sound.output)
    assert (sound.exit_code, report["doubts"]) == (0, [])
    assert found.exit_code == 1
    assert "Generation 1, leaf 1: the leaf was changed" in found.output
    assert away.exit_code == 2


def test_the_sequencer_brings_the_newest_checkpoint_to_the_store_and_survives_its_absence(
    auditor, monkeypatch, caplog
):
    world, stopping = auditor.world, threading.Event()
    stopping.set()

    def away(*_arguments, **_named):
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.services.store, "put_once", away)
        publish_checkpoints(world.app, stopping)
    missing = dict(world.services.store.objects)
    publish_checkpoints(world.app, stopping)

    assert missing == {}
    assert "checkpoint_unpublished code=media.store_unavailable" in caplog.text
    assert {data.decode() for data in world.services.store.objects.values()} == {auditor.note}


def test_a_report_that_was_slipped_in_makes_the_audit_skip_nothing(auditor):
    (row,) = [*auditor.audit(most=10), *auditor.world.rows(LedgerAudit)][1:]
    forged = json.dumps({**json.loads(row.report), "end": 10**6})
    tamper(
        auditor.world,
        "ledger_audit",
        "INSERT INTO ledger_audit SELECT 1000, began_at_ms, ended_at_ms, :r, generation, "
        "ledger_index FROM ledger_audit",
        r=forged,
    )

    (report,) = auditor.audit()

    assert (report.start, report.whole) == (0, True)


def test_the_ledger_is_audited_also_while_the_store_is_away(auditor, monkeypatch):
    tamper(
        auditor.world,
        "ledger_leaf",
        "UPDATE ledger_leaf SET entry = :e WHERE generation = 1 AND leaf_index = 7",
        e=bytes(32),
    )

    def away(_prefix):
        raise StoreUnavailable("away")

    monkeypatch.setattr(auditor.world.services.store, "list", away)
    with pytest.raises(StoreUnavailable):
        auditor.audit()

    (row,) = auditor.world.rows(LedgerAudit)
    assert [(one["kind"], one["place"]) for one in json.loads(row.report)["doubts"]] == [
        ("leaf", "7")
    ]


def test_a_ledger_that_grows_meanwhile_raises_no_doubt(auditor, monkeypatch):
    monkeypatch.setattr("server.operations.ledger_audit.walk._BATCH", 16)
    world, stop, failures = auditor.world, threading.Event(), []

    def write():
        try:
            while not stop.is_set():
                auditor.grow(7)
                sign(world)
            with world.app.app_context():
                db.session.remove()
        except Exception as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = [auditor.doubts() for _ in range(4)]
    finally:
        stop.set()
        writer.join()

    assert failures == []
    assert found == [[]] * 4


def _ingest(device, seq):
    subject = {"device": device, "epoch": "e", "branch": "b", "digest": "d", "seq": seq}
    return json.dumps({"kind": "ingest", "subject": subject}).encode()


@pytest.mark.parametrize(
    "event",
    [
        b"no JSON",
        b"[]",
        b'{"kind":"ingest","subject":{"seq":[]}}',
        _ingest("\0", 1),
        _ingest("\ud800", 1),
        _ingest("d", 1 << 70),
        b'{"kind":"verify","subject":{"sha256":"\\u0000","size":1}}',
        b"[" * 200_000,
        b'{"kind":"view","subject":{"items":["\\ud800"],"inspections":7}}',
    ],
)
def test_nothing_that_somebody_writes_into_a_row_stops_the_audit(auditor, event):
    auditor.audit(most=10)
    index = max(row.ledger_index for row in auditor.world.rows(LedgerAudit))
    line = min(row.index for row in auditor.world.rows(LedgerEvent) if row.kind == "ingest")
    for place in (index, line):
        tamper(
            auditor.world,
            "ledger_event",
            f"UPDATE ledger_event SET event = :e WHERE leaf_index = {place}",
            e=event,
        )
    tamper(auditor.world, "journal_line", "UPDATE journal_line SET header = :h", h=b"{}")

    doubts = auditor.doubts()

    assert {("event", str(index)), ("event", str(line))} <= set(doubts)


def test_text_where_bytes_belong_is_named_like_any_other_change(make_database, tmp_path):
    """SQLite lets a column hold what it likes."""
    auditor = Auditor(make_world(make_database("sqlite"), tmp_path / "var", store=MemoryStore()))
    for table, column, place in (
        ("ledger_leaf", "entry", "leaf_index = 4"),
        ("ledger_event", "event", "leaf_index = 6"),
        ("ledger_event", "at_ms", "leaf_index = 9"),
        ("ledger_node", "hash", "level = 3 AND position = 1"),
        ("journal_line", "header", "seq = 2"),
    ):
        tamper(auditor.world, table, f"UPDATE {table} SET {column} = 'x' WHERE {place}")

    doubts = set(auditor.doubts())

    assert {("leaf", "4"), ("event", "6"), ("event_row", "9"), ("node", "3/1")} <= doubts
    assert any(kind == "line" and place.endswith(":2") for kind, place in doubts)
