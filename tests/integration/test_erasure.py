"""Lawful erasure: two people, what goes, and everything that still holds afterwards."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from media.store import ObjectMissing
from server.db import db, reading
from server.failures import (
    Conflict,
    ErasureUnderWay,
    Forbidden,
    Invalid,
    OnHold,
    RetentionRuns,
    SamePerson,
)
from server.models.erasure import ErasureObject, ErasureOrder
from server.models.inspections import (
    Derivative,
    Document,
    EvidenceItem,
    EvidencePackage,
    MediaFacts,
)
from server.models.ledger import LedgerEvent
from server.operations import (
    erasure,
    ledger_audit,
    media_checks,
    receipts,
    redactions,
    uploads,
)
from server.operations.evidence_view import stored_media
from server.operations.receipts import Given
from server.operations.storekeeping import rehash, sweep
from server.settings import Settings
from sync.evidence import canonical
from sync.evidence.verifier import verify_package
from sync.evidence.verifier_claims import Verdict
from tests.support.bureau import environment
from tests.support.casework import Case
from tests.support.erasing import LAW, YEAR_MS, Eraser, tables_with
from tests.support.failpoints import AFTER_COMMIT, BEFORE_COMMIT, Killed, dies
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import World, make_world

TEXT = "排口有水流出"
TITLES = ("outfall", "gauge", "yard")


@pytest.fixture
def world(database_url, tmp_path):
    return make_world(database_url, tmp_path / "var", store=MemoryStore())


@pytest.fixture
def case(world):
    return Case(world)


@pytest.fixture
def eraser(world, case):
    return Eraser(world, case)


def _sha(case, name):
    return hashlib.sha256(case.media[name]).hexdigest()


def _verified(case, inspection, tmp_path):
    row = case.build(case.request(inspection))
    assert row.state == "ready", row.failure
    path = tmp_path / f"{row.id}.zip"
    path.write_bytes(case.bytes_of(row))
    return verify_package(str(path)), path


def _codes(result, verdict):
    return {claim.code for claim in result.claims if claim.verdict is verdict}


def _acts(world, kind="erase"):
    with world.app.app_context(), reading() as session:
        rows = session.scalars(
            sa.select(LedgerEvent.event).where(LedgerEvent.kind == kind).order_by(LedgerEvent.index)
        ).all()
    return [canonical.loads(row)["snapshot"]["act"] for row in rows]


def test_text_and_bytes_go_and_digests_stay(world, case, eraser, tmp_path):
    package = case.build(case.request())
    assert package.state == "ready", package.failure
    given = Given(
        recipient="收件单位",
        received_by="收件人",
        received_at="2026-09-22T18:00",
        note="",
    )
    world.now_ms += YEAR_MS
    scan = receipts.keep_scan(world.store, b"%PDF-1.7 a scan")
    eraser.do(receipts.enter_receipt, eraser.administrator, package.id, given, scan)
    assert "record_revision" in tables_with(world, TEXT)
    eraser.wait()

    eraser.erase()

    assert tables_with(world, TEXT) == set()
    for title in TITLES:
        assert tables_with(world, f'"{title}"') == set()
    assert "evidence_item" in tables_with(world, _sha(case, "yard"))
    assert tables_with(world, "收件") == set()
    assert not [
        key for key in world.store.objects if key.startswith(("media/", "package/", "receipt/"))
    ]
    assert _acts(world) == ["requested", "approved", "erased", "done"]


def test_sqlite_keeps_no_page_with_what_was_erased(make_database, tmp_path):
    url = make_database("sqlite")
    world = make_world(url, tmp_path / "var", store=MemoryStore())
    case = Case(world)
    eraser = Eraser(world, case)
    eraser.wait()

    eraser.erase()

    path = Path(sa.engine.make_url(url).database)
    written = b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    assert TEXT.encode() not in written


def test_another_case_of_the_same_journal_still_verifies(world, case, eraser, tmp_path):
    eraser.wait()
    eraser.erase()

    result, path = _verified(case, case.other, tmp_path)

    assert result.verdict is Verdict.PASS
    assert case.secret.encode() in path.read_bytes()


def test_a_package_of_the_erased_case_proves_what_is_not_there(world, case, eraser, tmp_path):
    case.build(case.request())
    eraser.wait()
    order = eraser.erase()

    result, path = _verified(case, case.inspection, tmp_path)

    assert result.verdict is Verdict.PASS
    assert "case.erased_lawfully" in _codes(result, Verdict.PASS)
    assert "case.erased" in _codes(result, Verdict.NOT_CHECKED)
    packed = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        index = json.loads(archive.read("data/case-index.json"))
    assert {one["reason"] for one in index["inspection"]["withheld_events"]} == {"erased"}
    assert {one["disposition"] for one in index["items"]} == {"erased"}
    assert index["inspection"]["state"] == "erased"
    assert TEXT.encode() not in packed
    assert "依法删除".encode() in packed
    assert LAW.encode() in packed
    assert order.encode() in packed


def test_two_people_must_agree(world, case, eraser):
    eraser.wait()
    both = eraser.person("administrator", "leader")
    with pytest.raises(Forbidden):
        eraser.request(actor=eraser.leader)
    order = eraser.request(actor=both)

    with pytest.raises(SamePerson):
        eraser.approve(order, actor=both)
    with pytest.raises(Forbidden):
        eraser.approve(order, actor=eraser.administrator)
    assert eraser.carry_out(order) == "requested"

    assert "record_revision" in tables_with(world, TEXT)


def test_the_database_itself_refuses_one_person_for_two(world, case, eraser):
    eraser.wait()
    order = eraser.request()

    with (
        world.app.app_context(),
        pytest.raises(sa.exc.IntegrityError),
        db.engine.begin() as connection,
    ):
        connection.execute(
            sa.text(
                "UPDATE erasure_order SET state = 'approved', decided_by = requested_by"
                " WHERE id = :id"
            ),
            {"id": order},
        )


def test_nothing_goes_before_its_term(world, case, eraser):
    eraser.wait(years=29)

    with pytest.raises(RetentionRuns):
        eraser.request()


def test_a_refused_or_withdrawn_order_erases_nothing(world, case, eraser):
    eraser.wait()
    refused = eraser.request()
    eraser.do(
        erasure.decide, eraser.leader, refused, "refused", word="另案待用", terms=eraser.terms
    )
    withdrawn = eraser.request()
    eraser.do(erasure.withdraw, eraser.administrator, withdrawn, word="误提")

    assert eraser.carry_out(refused) == "refused"
    assert eraser.carry_out(withdrawn) == "withdrawn"
    with pytest.raises(Conflict):
        eraser.approve(withdrawn)
    assert _acts(world) == ["requested", "refused", "requested", "withdrawn"]


def test_an_order_needs_basis_law_and_a_list_that_was_seen(world, case, eraser):
    eraser.wait()
    with pytest.raises(Conflict):
        eraser.request(seen=1)
    with pytest.raises(Invalid):
        eraser.do(
            erasure.request_erasure,
            eraser.administrator,
            case.inspection,
            erasure.Request(unit="inspection", basis=" ", law=LAW, seen=5),
            terms=eraser.terms,
        )


def test_a_hold_beats_the_term_and_only_two_lift_it(world, case, eraser):
    eraser.wait()
    hold = eraser.do(erasure.set_hold, eraser.leader, case.inspection, reason="行政诉讼")
    with pytest.raises(OnHold):
        eraser.request()
    with pytest.raises(Conflict):
        eraser.do(erasure.lift_hold, eraser.leader, hold)
    both = eraser.person("administrator", "leader")
    eraser.do(erasure.ask_to_lift, both, hold, reason="判决生效")
    with pytest.raises(SamePerson):
        eraser.do(erasure.lift_hold, both, hold)

    eraser.do(erasure.lift_hold, eraser.leader, hold)

    assert eraser.request()


def test_a_hold_that_comes_after_the_approval_still_stops_it(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    eraser.do(erasure.set_hold, eraser.leader, case.inspection, reason="行政复议")

    assert eraser.carry_out(order) == "approved"

    assert world.rows(ErasureOrder)[0].waits == "erasure.on_hold"
    assert "record_revision" in tables_with(world, TEXT)


def test_no_package_is_asked_for_while_an_approved_order_waits(world, case, eraser):
    eraser.wait()
    queued = case.request()
    order = eraser.request()
    eraser.approve(order)
    assert eraser.carry_out(order) == "approved"
    with pytest.raises(ErasureUnderWay):
        case.request()

    case.build(queued)

    assert eraser.carry_out(order) == "done"
    assert {row.state for row in world.rows(EvidencePackage)} == {"erased"}


@pytest.mark.parametrize("moment", [BEFORE_COMMIT, AFTER_COMMIT])
def test_whoever_is_killed_between_two_commits_finds_the_rest_written_down(
    world, case, eraser, moment
):
    case.build(case.request())
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    deaths = 0

    for commits in range(10):
        with dies(world.app, moment, transactions=commits) as came:
            state = eraser.carry_out(order)
        deaths += bool(came)
        if not came:
            break

    assert state == "done"
    assert deaths >= 2
    assert _acts(world) == ["requested", "approved", "erased", "done"]
    assert tables_with(world, TEXT) == set()
    assert not [key for key in world.store.objects if key.startswith(("media/", "package/"))]


def test_whoever_is_killed_between_two_objects_finds_the_rest_written_down(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)

    def die(act, key):
        raise Killed

    for name in ("before", "after"):
        setattr(world.store, name, die)
        with pytest.raises(Killed):
            eraser.carry_out(order)
        setattr(world.store, name, lambda act, key: None)
    kept = world.rows(ErasureOrder)[0]

    assert eraser.carry_out(order) == "done"

    assert kept.state == "erasing"
    assert kept.done_at_ms is None
    assert not [key for key in world.store.objects if key.startswith("media/")]


def test_a_locked_object_is_never_called_gone_and_tried_again(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    locked = next(key for key in world.store.objects if key.startswith("media/"))
    world.store.locked.add(locked)

    first = eraser.carry_out(order)
    world.store.locked.clear()
    at_once = eraser.carry_out(order)
    waits = world.rows(ErasureOrder)[0].waits
    world.now_ms += 3_600_000
    later = eraser.carry_out(order)

    assert (first, at_once, later) == ("erasing", "erasing", "done")
    assert waits == "media.object_locked"
    assert locked not in world.store.objects


def test_a_hold_that_comes_while_objects_are_locked_keeps_them(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    locked = next(key for key in world.store.objects if key.startswith("media/"))
    world.store.locked.add(locked)
    eraser.carry_out(order)
    eraser.do(erasure.set_hold, eraser.leader, case.inspection, reason="行政诉讼")
    world.store.locked.clear()
    world.now_ms += 3_600_000

    assert eraser.carry_out(order) == "erasing"

    assert world.rows(ErasureOrder)[0].waits == "erasure.on_hold"
    assert locked in world.store.objects


def test_bytes_that_another_case_has_too_stay_and_are_shown_there_only(world, case, eraser):
    device = world.on_patrol(case.other)
    case.items["copy"] = "0" * 8 + device.id[8:]
    device.write(
        "media.captured",
        officer=world.officers[0],
        inspection=case.other,
        item=case.items["copy"],
        sha256=_sha(case, "yard"),
        size=len(case.media["yard"]),
        media_type="image/jpeg",
        **{"class": "B"},
    )
    assert world.push(device).status_code == 200
    eraser.wait()

    eraser.erase()

    with world.app.app_context(), reading() as session:
        shown = {
            name: stored_media(session, session.get(EvidenceItem, case.items[name])) is not None
            for name in ("yard", "copy")
        }
    kept = [key for key in world.store.objects if key.startswith("media/")]
    assert shown == {"yard": False, "copy": True}
    assert kept == [f"media/{_sha(case, 'yard')[:2]}/{_sha(case, 'yard')}"]


def _announce_again(world, case, name):
    """Another case of the bureau has the same bytes; returns the device that has them."""
    device = world.on_patrol(case.other)
    device.write(
        "media.captured",
        officer=world.officers[0],
        inspection=case.other,
        item="0" * 8 + device.id[8:],
        sha256=_sha(case, name),
        size=len(case.media[name]),
        media_type="image/jpeg",
        **{"class": "B"},
    )
    assert world.push(device).status_code == 200
    case.first.headers = device.headers


def test_bytes_that_come_again_for_another_case_are_not_erased_for_the_first(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    key = f"media/{_sha(case, 'yard')[:2]}/{_sha(case, 'yard')}"
    world.store.locked.add(key)
    assert eraser.carry_out(order) == "erasing"
    _announce_again(world, case, "yard")
    case.upload("yard")

    world.store.locked.clear()
    world.now_ms += 3_600_000
    state = eraser.carry_out(order)

    assert state == "done"
    assert key in world.store.objects


def test_no_upload_ends_while_its_bytes_are_just_being_erased(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    key = f"media/{_sha(case, 'yard')[:2]}/{_sha(case, 'yard')}"
    answers = []

    def come_again(act, at):
        if act == "erase" and at == key:
            world.store.before = lambda act, at: None
            _announce_again(world, case, "yard")
            with pytest.raises(AssertionError, match="upload_busy"):
                case.upload("yard")
            answers.append("busy")

    world.store.before = come_again

    assert eraser.carry_out(order) == "done"
    assert answers == ["busy"]
    case.upload("yard")
    assert key in world.store.objects


def test_a_device_is_not_asked_for_the_bytes_again_and_its_lines_are_there_already(
    world, case, eraser
):
    eraser.wait()
    eraser.erase()
    case.second.headers = {"Authorization": f"Bearer {world.token(case.second)}"}

    again = world.push(case.second)
    digests = [_sha(case, name) for name in ("yard", "unsent")]
    asked = world.client.post(
        "/api/v1/media/lacking", json={"digests": digests}, headers=case.second.headers
    )

    assert {one["journal"] for one in again.json["results"]} == {"already"}
    assert asked.status_code == 200, asked.text
    assert asked.json["lacking"] == []


def test_a_line_that_comes_after_the_erasure_is_kept_and_not_shown(world, case, eraser):
    eraser.wait()
    eraser.erase()
    case.second.headers = {"Authorization": f"Bearer {world.token(case.second)}"}
    start = len(case.second.lines)
    case.second.write(
        "note.added", officer=world.officers[1], inspection=case.inspection, text="迟到的话"
    )

    answer = world.push(case.second, case.second.body(start))

    line = answer.json["results"][0]
    assert (line["journal"], line["code"]) == ("accepted", "projection.lawfully_erased")


def test_devices_are_told_that_what_they_were_sent_is_gone(world, case, eraser):
    scope = f"inspection:{case.inspection}"
    before = world.rows(Document, scope=scope)
    assert {row.op for row in before} == {"put"}
    eraser.wait()

    eraser.erase()

    after = world.rows(Document, scope=scope)
    assert {(row.op, row.body) for row in after} == {("tombstone", "")}
    assert {row.id for row in before} < {row.id for row in after}
    assert "revision" in {row.kind for row in after}


def test_a_recording_that_nobody_relies_on_goes_and_the_rest_stays(world, case, eraser, tmp_path):
    film, item = b"\x00\x00\x00\x18ftypmp42 nothing in it", "1" * 8 + case.first.id[8:]
    case.first.write(
        "media.captured",
        officer=world.officers[0],
        inspection=case.inspection,
        item=item,
        sha256=hashlib.sha256(film).hexdigest(),
        size=len(film),
        media_type="video/mp4",
        title="八小时录像",
        **{"class": "B"},
    )
    assert world.push(case.first).status_code == 200
    case.media["film"] = film
    case.upload("film")
    world.now_ms += 200 * 86_400_000
    listed = eraser.listed("recordings")

    eraser.erase("recordings")

    result, _ = _verified(case, case.inspection, tmp_path)
    assert [one.item for one in listed.items] == [item]
    assert eraser.listed("recordings") is None
    assert result.verdict is Verdict.PASS
    assert "case.erased_lawfully" in _codes(result, Verdict.PASS)
    assert "record_revision" in tables_with(world, TEXT)
    assert f"media/{_sha(case, 'film')[:2]}/{_sha(case, 'film')}" not in world.store.objects
    assert f"media/{_sha(case, 'yard')[:2]}/{_sha(case, 'yard')}" in world.store.objects


def test_audit_sweep_and_rehash_do_not_call_what_was_erased_lost(world, case, eraser):
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)
    locked = next(key for key in world.store.objects if key.startswith("media/"))
    world.store.locked.add(locked)

    for _ in range(2):
        state = eraser.carry_out(order)
        with world.app.app_context():
            audits = list(ledger_audit.audit(world.services, most=None))
            swept = sweep(uploads.open_desk(world.app), repair=True)
            (again,) = rehash(world.services)
        assert [doubt for report in audits for doubt in report.doubts] == []
        assert (swept.doubts, swept.adopted) == ((), ())
        assert again.doubts == ()
        world.store.locked.clear()
        world.now_ms += 3_600_000

    assert state == "done"


def test_a_device_that_pulls_afterwards_gets_tombstones_and_no_text(world, case, eraser):
    eraser.wait()
    eraser.erase()
    headers = {"Authorization": f"Bearer {world.token(case.first)}"}

    cursor, changes = "", []
    for _ in range(20):
        answer = world.client.get("/api/v1/feed", query_string={"cursor": cursor}, headers=headers)
        assert answer.status_code == 200, answer.text
        assert TEXT not in answer.text
        changes += answer.json["documents"]
        if not answer.json["more"]:
            break
        cursor = answer.json["cursor"]

    gone = {change["kind"] for change in changes if change["op"] == "tombstone"}
    assert {"inspection", "item", "revision"} <= gone


def test_what_a_worker_made_of_bytes_while_they_were_erased_goes_too(world, case, eraser):
    """Reading takes seconds: rows may go between the reading and the writing down."""
    eraser.wait()
    order = eraser.request()
    eraser.approve(order)

    def erase_first(act, key):
        if act == "put" and key.startswith("derived/"):
            world.store.after = lambda *_: None
            with world.app.app_context():
                assert erasure.carry_out(world.services, order) == "done"

    world.store.after = erase_first
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    again = world.rows(ErasureOrder)[0].state

    assert eraser.carry_out(order) == "done"

    assert again == "erasing"
    assert not [key for key in world.store.objects if key.startswith(("derived/", "media/"))]
    assert world.rows(MediaFacts) == []
    assert world.rows(Derivative) == []


def test_redacted_copies_go_with_their_original(world, case, eraser):
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
        actor = eraser.person("reviewer")
        region = redactions.parse_regions("1000.1000.2000.2000.black")
        redactions.redact(world.services, actor, case.items["yard"], region, reason="车牌号")
    assert "redaction" in tables_with(world, "车牌号")
    eraser.wait()

    eraser.erase()

    assert tables_with(world, "车牌号") == set()
    assert not [key for key in world.store.objects if key.startswith("derived/")]


@pytest.mark.parametrize(("lock", "state"), [("off", "done"), ("GOVERNANCE", "erasing")])
def test_the_real_store_gives_up_what_it_has_unless_it_is_locked(
    make_database, tmp_path, seaweedfs, lock, state
):
    settings = Settings.from_env(
        environment(
            tmp_path / "var",
            seaweedfs,
            LIUHEN_DATABASE_URL=make_database("sqlite"),
            LIUHEN_OBJECT_LOCK_MODE=lock,
        )
    )
    world = World(settings)
    case = Case(world)
    # Bytes of this test's own: the store is shared, and its originals may be locked.
    case.media["own"] = b"\xff\xd8" + new_id().encode()
    case.capture(case.first, "own", case.media["own"])
    assert world.push(case.first).status_code == 200
    case.upload("own")
    key = f"media/{_sha(case, 'own')[:2]}/{_sha(case, 'own')}"
    eraser = Eraser(world, case)
    world.now_ms += 31 * YEAR_MS
    order = eraser.request()
    eraser.approve(order)

    eraser.carry_out(order)

    (row,) = [one for one in world.rows(ErasureObject) if one.key == key]
    if state == "done":
        assert row.state == "gone"
        with pytest.raises(ObjectMissing):
            world.services.store.head(key)
    else:
        assert (row.state, row.code) == ("pending", "media.object_locked")
        assert world.rows(ErasureOrder)[0].state == "erasing"
        assert world.services.store.head(key).size == len(case.media["own"])
