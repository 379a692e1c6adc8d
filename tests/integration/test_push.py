"""Pushing a journal: every line has one place, every answer is kept, nothing is lost."""

import gzip
import json

import pytest
import sqlalchemy as sa
import zstandard

from server.db import db, transaction
from server.models.inspections import EvidenceItem, Inspection, RecordRevision
from server.models.journal import IngestReceipt, JournalLine, JournalPart, QuarantinedLine
from server.models.ledger import LedgerEvent, LedgerLeaf
from server.models.people import Officer, Person
from sync.evidence import canonical, note
from sync.evidence.line import GENESIS
from sync.evidence.receipt import parse_receipt
from tests.support.simdevice import SimDevice, new_id
from tests.support.world import make_world


def _receipts(device, answer):
    key = note.parse_verifier_key(device.enrolled["receipt_key"])
    return [parse_receipt(note.open_note(text, [key])[0]) for text in answer.json["receipts"]]


def test_a_push_is_accepted_receipted_and_on_the_ledger(world):
    device = world.on_patrol()

    answer = world.push(device)

    assert answer.status_code == 200, answer.text
    assert [r["journal"] for r in answer.json["results"]] == ["accepted"] * 4
    assert [r["projection"] for r in answer.json["results"]] == ["applied"] * 4
    assert answer.json["next_seq"] == 4
    assert answer.json["head"] == device.head.digest
    (receipt,) = _receipts(device, answer)
    assert (receipt.first_seq, receipt.last_seq) == (0, 3)
    assert receipt.last_digest == device.head.digest
    assert receipt.clock == "synchronised"
    events = [json.loads(row.event) for row in world.rows(LedgerEvent, kind="ingest")]
    assert [event["subject"]["digest"] for event in events] == [x.digest for x in device.lines]
    assert receipt.first_index == min(r.index for r in world.rows(LedgerEvent, kind="ingest"))


def test_repeating_a_push_whose_reply_was_lost_adds_nothing_and_answers_the_same(world):
    device = world.on_patrol()
    first = world.push(device)
    leaves = len(world.rows(LedgerLeaf))
    world.now_ms += 5000

    again = world.push(device)

    assert [r["journal"] for r in again.json["results"]] == ["already"] * 4
    assert again.json["receipts"] == first.json["receipts"]
    assert len(world.rows(LedgerLeaf)) == leaves
    assert len(world.rows(IngestReceipt)) == 1


def test_the_stored_line_is_the_received_line_to_the_byte(world):
    device = world.on_patrol()
    world.push(device)

    rows = {row.seq: row for row in world.rows(JournalLine)}
    parts = {row.seq: row.body for row in world.rows(JournalPart)}

    for line in device.lines:
        stored = rows[line.header.seq]
        assert (stored.header, stored.signature) == (line.header_bytes, line.signature)
        assert parts[line.header.seq] == line.parts[0]


def test_a_body_cut_in_the_middle_keeps_its_complete_lines(world):
    device = world.on_patrol()
    body = device.body()

    answer = world.push(device, body[: len(body) - 40])

    assert [r["journal"] for r in answer.json["results"]] == ["accepted"] * 3
    assert answer.json["next_seq"] == 3


_PACKED = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("encoding", _PACKED)
def test_a_compressed_push_is_read(world, encoding):
    device = world.on_patrol()
    body = _PACKED[encoding](device.body())

    answer = world.push(device, body, **{"Content-Encoding": encoding})

    assert answer.json["next_seq"] == 4


@pytest.mark.parametrize("encoding", _PACKED)
def test_a_compressed_push_that_is_cut_keeps_the_complete_lines_that_came(world, encoding):
    device = world.on_patrol()
    for number in range(300):
        device.write("future.act", salted=f"{number:05}" * 40)
    body = _PACKED[encoding](device.body())

    first = world.push(device, body[: len(body) - 40], **{"Content-Encoding": encoding})
    rest = world.push(device, device.body(first.json["next_seq"]))

    assert {r["journal"] for r in first.json["results"]} <= {"accepted"}
    assert rest.json["next_seq"] == 304


def test_a_hole_is_answered_with_the_place_to_go_on_from(world):
    device = world.on_patrol()
    world.push(device, device.lines[0].to_bytes() + b"\n")

    answer = world.push(device, device.lines[2].to_bytes() + b"\n")

    assert answer.json["results"][0]["journal"] == "gap"
    assert answer.json["next_seq"] == 1
    assert len(world.rows(JournalLine)) == 1


def test_a_fork_is_kept_receipted_and_shown_and_blocks_nothing(world):
    device = world.on_patrol()
    world.push(device)
    other = device.forge(
        [{"type": "note.added", "officer": "x", "inspection": "y", "text": "另一行"}],
        seq=3,
        prev=device.lines[2].digest,
    )

    forked = world.push(device, other.to_bytes() + b"\n")
    device.write("future.act", a=1)
    onwards = world.push(device, device.body(4))

    assert forked.json["results"][0]["journal"] == "forked"
    assert _receipts(device, forked)[0].branch == other.digest
    assert len(world.rows(LedgerEvent, kind="branch")) == 1
    assert onwards.json["results"][0]["journal"] == "accepted"
    assert onwards.json["next_seq"] == 5


def test_the_successor_of_a_forked_line_follows_its_branch(world):
    device = world.on_patrol()
    world.push(device)
    branch = device.forge([{"type": "future.act"}], seq=3, prev=device.lines[2].digest)
    after = device.forge([{"type": "future.act", "n": 2}], seq=4, prev=branch.digest)

    answer = world.push(device, branch.to_bytes() + b"\n" + after.to_bytes() + b"\n")

    assert [r["journal"] for r in answer.json["results"]] == ["forked", "forked"]
    assert {row.branch for row in world.rows(JournalLine) if row.seq >= 3} == {"", branch.digest}
    (receipt,) = _receipts(device, answer)
    assert (receipt.first_seq, receipt.last_seq) == (3, 4)


def _damaged_signature(device):
    line = device.lines[3]
    return line.to_bytes().replace(b'"s":"', b'"s":"A', 1)[:-3] + b'"}'


def _wrong_signature(device):
    value = json.loads(device.lines[3].to_bytes())
    value["e"]["t"]["mono_ms"] += 1
    return canonical.dumps(value)


REFUSALS = {
    "journal.not_canonical": lambda device: device.lines[3].to_bytes().replace(b'"e":', b'"e": '),
    "journal.malformed": _damaged_signature,
    "journal.bad_signature": _wrong_signature,
    "journal.line_too_long": lambda device: b"x" * 70_000,
    "journal.part_mismatch": lambda device: (
        device.lines[3].to_bytes().replace(b"inspection.opened", b"inspection.0pened")
    ),
    "journal.wrong_place": lambda device: SimDevice().open_epoch().to_bytes(),
    "journal.unknown_key": lambda device: (
        SimDevice(id=device.id, epoch=device.epoch).open_epoch().to_bytes()
    ),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_bad_line_is_refused_and_kept_while_the_lines_before_it_stay(world, code):
    device = world.on_patrol()
    bad = REFUSALS[code](device)
    body = b"".join(x.to_bytes() + b"\n" for x in device.lines[:3]) + bad + b"\n"

    answer = world.push(device, body)

    results = answer.json["results"]
    assert [r["journal"] for r in results] == ["accepted"] * 3 + ["refused"]
    assert results[-1]["code"] == code
    (kept,) = world.rows(QuarantinedLine)
    assert (kept.raw, kept.code) == (bad, code)
    assert len(world.rows(LedgerEvent, kind="quarantine")) == 1
    assert world.push(device).json["next_seq"] == 4


def test_the_same_refused_bytes_are_kept_once(world):
    device = world.on_patrol()

    answers = [world.push(device, b"{}\n").json for _ in range(2)]

    assert answers[0]["results"] == answers[1]["results"]
    assert len(world.rows(QuarantinedLine)) == 1


def test_an_epoch_that_does_not_open_with_its_key_is_refused(world):
    device = world.enrol()
    line = device.write("future.act")

    answer = world.push(device, line.to_bytes() + b"\n")

    assert answer.json["results"][0]["code"] == "journal.epoch_not_opened"
    assert answer.json["head"] == GENESIS


def test_another_devices_journal_is_closed(world):
    device, other = world.on_patrol(), world.enrol()

    answer = world.push(device, Authorization=other.headers["Authorization"])

    assert (answer.status_code, answer.json["code"]) == (403, "token.other_device")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"x" * (9 << 20), {}, 413, "server.body_too_large"),
        (b"\n" * 1001, {}, 413, "server.body_too_large"),
        (gzip.compress(b"0" * (20 << 20)), {"Content-Encoding": "gzip"}, 413, None),
        (b"not gzip", {"Content-Encoding": "gzip"}, 400, "server.body_undecodable"),
        (_PACKED["zstd"](b"0" * (20 << 20)), {"Content-Encoding": "zstd"}, 413, None),
        (b"not zstd", {"Content-Encoding": "zstd"}, 400, "server.body_undecodable"),
        (b"", {"Content-Encoding": "br"}, 415, "server.encoding_unsupported"),
    ],
)
def test_a_body_beyond_the_limits_is_a_problem_document(world, body, headers, status, code):
    device = world.enrol()

    answer = world.push(device, body, **headers)

    assert answer.status_code == status
    assert answer.json["code"] == (code or "server.body_too_large")
    assert not world.rows(JournalLine)


def test_an_unknown_act_is_kept_raw_and_shown_as_waiting(world):
    device = world.enrol()
    device.open_epoch()
    device.write("drone.flown", height=[1, 2, {"安": "全"}.__len__()])

    answer = world.push(device)

    assert answer.json["results"][1]["journal"] == "accepted"
    assert answer.json["results"][1]["projection"] == "quarantined"
    assert answer.json["results"][1]["code"] == "projection.unknown_act"


def _photo(device, world, **changes):
    fields = {
        "officer": world.officers[0],
        "inspection": device.inspection,
        "item": new_id(),
        "sha256": "ab" * 32,
        "size": 1000,
        "media_type": "image/jpeg",
        "class": "A",
        "title": "排放口",
        "pos": {"lat": 225431000, "lon": 1140579000, "acc": 500, "fix_ms": device.now_ms},
    }
    return device.write("media.captured", **{**fields, **changes})


def test_a_whole_visit_appears_on_the_screens(world):
    device = world.on_patrol()
    photo = _photo(device, world)
    record = device.write(
        "record.saved",
        officer=world.officers[1],
        inspection=device.inspection,
        record=new_id(),
        template={"id": "site_inspection_record", "version": 1},
        fields={"findings": "排放口有泡沫"},
        base=[],
    )
    extra = _photo(device, world, sha256="cd" * 32)
    device.write(
        "media.discarded",
        officer=world.officers[0],
        inspection=device.inspection,
        item=extra.act["item"],
        reason="镜头被遮挡",
    )
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[record.digest],
        media=["ab" * 32],
        heads=[],
    )

    answer = world.push(device)

    assert {r["projection"] for r in answer.json["results"]} == {"applied"}, answer.text
    (inspection,) = world.rows(Inspection)
    assert (inspection.state, inspection.sealed_line) == ("sealed", device.head.digest)
    items = {item.id: item for item in world.rows(EvidenceItem)}
    assert items[photo.act["item"]].state == "captured"
    assert not items[photo.act["item"]].outside_seal
    assert items[extra.act["item"]].state == "discarded"
    assert items[extra.act["item"]].discard_reason == "镜头被遮挡"
    assert items[extra.act["item"]].outside_seal
    (revision,) = world.rows(RecordRevision)
    assert json.loads(revision.fields) == {"findings": "排放口有泡沫"}


def test_what_comes_after_the_seal_is_shown_as_outside_it(world):
    device = world.on_patrol()
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[],
        media=[],
        heads=[],
    )
    _photo(device, world)

    world.push(device)

    (item,) = world.rows(EvidenceItem)
    assert item.outside_seal


@pytest.mark.parametrize("seal_first", [True, False])
def test_a_seal_that_names_a_fellow_devices_head_covers_what_came_before_it(world, seal_first):
    first, second = world.on_patrol(), world.enrol()
    second.inspection = first.inspection
    second.open_epoch()
    second.open_session(world.officers[1])
    inside = _photo(second, world, officer=world.officers[1])
    head = second.lines[-1]
    outside = _photo(second, world, officer=world.officers[1], sha256="cd" * 32)
    first.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=first.inspection,
        revisions=[],
        media=[],
        heads=[
            {
                "device": second.id,
                "epoch": second.epoch,
                "seq": head.header.seq,
                "head": head.digest,
            }
        ],
    )

    for device in (first, second) if seal_first else (second, first):
        world.push(device)

    marks = {item.id: item.outside_seal for item in world.rows(EvidenceItem)}
    assert marks == {inside.act["item"]: False, outside.act["item"]: True}


def test_a_head_that_is_not_the_chains_own_seals_nothing(world):
    device = world.on_patrol()
    _photo(device, world)
    place = {"device": device.id, "epoch": device.epoch, "seq": 4, "head": "ab" * 32}
    device.write(
        "inspection.sealed",
        officer=world.officers[0],
        inspection=device.inspection,
        revisions=[],
        media=[],
        heads=[place, {"device": 1}, "x"],
    )

    world.push(device)

    (item,) = world.rows(EvidenceItem)
    assert item.outside_seal


def test_a_fellow_officers_lines_may_arrive_before_the_visit_they_belong_to(world):
    first = world.on_patrol()
    second = world.enrol()
    second.inspection = first.inspection
    second.open_epoch()
    second.open_session(world.officers[1])
    _photo(second, world, officer=world.officers[1])

    early = world.push(second)
    world.push(first)

    assert early.json["results"][2]["code"] == "projection.unknown_inspection"
    (item,) = world.rows(EvidenceItem)
    assert item.inspection_id == first.inspection
    assert item.device_id == second.id


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"officer": new_id()}, "projection.no_officer_session"),
        ({"inspection": new_id()}, "projection.unknown_inspection"),
        ({"item": "no uuid"}, "projection.malformed_act"),
        ({"sha256": "xyz"}, "projection.malformed_act"),
        ({"size": -5}, "projection.malformed_act"),
        ({"size": "5"}, "projection.incomplete_act"),
        ({"class": "Z"}, "projection.malformed_act"),
    ],
)
def test_an_act_that_cannot_be_shown_is_quarantined_alone(world, changes, code):
    device = world.on_patrol()
    _photo(device, world, **changes)
    _photo(device, world, sha256="cd" * 32)

    answer = world.push(device)

    bad, good = answer.json["results"][-2:]
    assert (bad["journal"], bad["projection"], bad["code"]) == ("accepted", "quarantined", code)
    assert good["projection"] == "applied"


def test_lines_of_an_officer_whom_the_bureau_enters_late_are_shown_with_the_next_push(world):
    late, person = new_id(), new_id()
    device = world.enrol()
    device.open_epoch()
    device.inspection = new_id()
    device.open_session(late)
    device.write("inspection.opened", officer=late, inspection=device.inspection, officers=[late])
    _photo(device, world, officer=late)
    early = world.push(device)
    with world.app.app_context(), transaction() as session:
        session.add(Person(id=person, name="示例晚"))
        session.flush()
        session.add(
            Officer(
                id=late,
                person_id=person,
                organization_id=world.organization,
                certificate_no="示例-9",
                issuer="",
                valid_from="2024-01-01",
                valid_to="2030-12-31",
            )
        )

    device.write("future.act")
    world.push(device, device.body(4))

    assert [r["code"] for r in early.json["results"][1:]] == [
        "projection.unknown_officer",
        "projection.no_officer_session",
        "projection.no_officer_session",
    ]
    assert [item.officer_id for item in world.rows(EvidenceItem)] == [late]
    assert [row.id for row in world.rows(Inspection)] == [device.inspection]


def test_an_officer_whose_session_is_closed_signs_nothing_more(world):
    device = world.on_patrol()
    session = device.lines[1].act["session"]
    device.write("session.closed", officer=world.officers[0], session=session)
    _photo(device, world)

    answer = world.push(device)

    assert answer.json["results"][-1]["code"] == "projection.no_officer_session"


def test_the_database_itself_refuses_to_change_evidence(world):
    device = world.on_patrol()
    world.push(device)

    for statement in (
        "UPDATE journal_line SET received_at_ms = 0",
        "DELETE FROM journal_line",
        "DELETE FROM journal_part",
        "UPDATE ledger_event SET at_ms = 0",
        "DELETE FROM ledger_leaf",
        "UPDATE ledger_node SET level = 9",
        "DELETE FROM checkpoint",
        "UPDATE ingest_receipt SET note = ''",
    ):
        with (
            world.app.app_context(),
            pytest.raises(sa.exc.DBAPIError, match="append-only"),
            db.engine.begin() as connection,
        ):
            connection.execute(sa.text(statement))


def test_sqlite_refuses_to_replace_evidence_too(make_database, tmp_path):
    world = make_world(make_database("sqlite"), tmp_path / "var")

    with (
        world.app.app_context(),
        pytest.raises(sa.exc.DBAPIError, match="append-only"),
        db.engine.begin() as connection,
    ):
        connection.execute(
            sa.text("INSERT OR REPLACE INTO ledger_leaf SELECT * FROM ledger_leaf LIMIT 1")
        )


def test_an_erasable_body_goes_only_with_its_lawful_basis(world):
    device = world.on_patrol()
    world.push(device)
    target = f"journal_part:{device.id}:{device.epoch}::1:0"

    with world.app.app_context(), db.engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO erasure VALUES (:target, 'basis', 'two persons', 1)"),
            {"target": target},
        )
        erased = connection.execute(sa.text("DELETE FROM journal_part WHERE seq = 1"))

    assert erased.rowcount == 1
