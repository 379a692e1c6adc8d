"""One bad row or answer keeps no other from its turn, and whoever looks is told of it."""

import pytest

from server.cli import keep_checkpoints, sign_checkpoints
from server.db import reading
from server.jobs.nightly import Nights
from server.models.audits import LedgerAudit
from server.models.erasure import ErasureOrder
from server.models.inspections import EvidencePackage
from server.models.ledger import Checkpoint
from server.models.uploads import StoreCheck
from server.operations import erasure, export, ledger_audit, storekeeping, uploads
from tests.support.casework import Case
from tests.support.erasing import Eraser
from tests.support.restoring import sign
from tests.support.stores import MemoryStore
from tests.support.tampering import tamper, value
from tests.support.world import make_world


@pytest.fixture
def world(database_url, tmp_path):
    return make_world(database_url, tmp_path / "var", store=MemoryStore())


@pytest.fixture
def case(world):
    return Case(world)


@pytest.fixture
def eraser(world, case):
    return Eraser(world, case)


def test_a_package_that_cannot_be_built_keeps_no_other_from_being_built(world, case):
    bad, good = case.request(), case.request(case.other)
    # The event in which was written how it is wanted.
    place = value(
        world,
        "SELECT leaf_index FROM ledger_subject WHERE about = :about",
        about=f"package:{bad}",
    )
    tamper(
        world,
        "ledger_event",
        "UPDATE ledger_event SET event = :junk WHERE leaf_index = :place",
        junk=b"junk",
        place=place,
    )

    with world.app.app_context():
        export.build_waiting_packages(world.services)

    states = {row.id: (row.state, row.failure) for row in world.rows(EvidencePackage)}
    assert states[good] == ("ready", None)
    assert states[bad][0] == "failed"


def test_an_order_that_cannot_be_carried_out_says_so_and_keeps_no_other_waiting(
    world, case, eraser
):
    eraser.wait()
    bad, good = eraser.request(), eraser.request(inspection=case.other)
    eraser.approve(bad)
    world.now_ms += 1
    eraser.approve(good)
    tamper(world, "erasure_order", "UPDATE erasure_order SET listed = '7' WHERE id = :id", id=bad)

    with world.app.app_context():
        erasure.erase_waiting(world.services)

    orders = {row.id: row for row in world.rows(ErasureOrder)}
    assert orders[good].state == "done"
    assert (orders[bad].state, orders[bad].waits) == ("approved", "server.error")


@pytest.mark.parametrize("index", ["NULL", "ledger_index"])
def test_a_row_of_an_audit_to_come_stops_no_audit(world, case, index):
    with world.app.app_context():
        list(ledger_audit.audit(world.services))
    tamper(
        world,
        "ledger_audit",
        "INSERT INTO ledger_audit SELECT 1000, :far, :far, report, generation, "
        f"{index} FROM ledger_audit",
        far=1 << 52,
    )
    world.now_ms += 2 * 86_400_000

    with world.app.app_context():
        nights = Nights(uploads.open_desk(world.app), world.settings)
        nights.perform()

    assert [row for row in world.rows(LedgerAudit) if row.began_at_ms == world.now_ms]


def test_an_installation_from_the_future_still_has_its_nights(world, case):
    tamper(world, "generation", "UPDATE generation SET opened_at_ms = :far", far=1 << 52)
    world.now_ms += 2 * 86_400_000

    with world.app.app_context():
        Nights(uploads.open_desk(world.app), world.settings).perform()

    assert world.rows(LedgerAudit)


def test_a_row_of_a_run_to_come_keeps_no_original_from_being_read(world, case):
    with world.app.app_context():
        list(storekeeping.rehash(world.services))
    tamper(
        world,
        "store_check",
        "INSERT INTO store_check SELECT 1000, kind, :far, :far, objects, bytes, report,"
        " generation, ledger_index FROM store_check",
        far=1 << 52,
    )
    world.now_ms += 2 * 86_400_000

    with world.app.app_context():
        Nights(uploads.open_desk(world.app), world.settings).perform()

    began = [row.began_at_ms for row in world.rows(StoreCheck) if row.kind == "rehash"]
    assert world.now_ms in began


@pytest.mark.parametrize("table", ["store_check", "ledger_audit"])
@pytest.mark.parametrize("junk", ["junk", "[]", "{}"])
def test_a_report_that_is_none_keeps_no_night_from_its_work(world, case, table, junk):
    with world.app.app_context():
        list(storekeeping.rehash(world.services))
        list(ledger_audit.audit(world.services))
    world.now_ms += 2 * 86_400_000
    tamper(
        world,
        table,
        f"UPDATE {table} SET report = :junk, began_at_ms = :now",
        junk=junk,
        now=world.now_ms,
    )
    world.now_ms += 60_000

    with world.app.app_context(), reading() as session:
        Nights(uploads.open_desk(world.app), world.settings).perform()
        actor = Eraser(world, case).administrator
        page = storekeeping.read_store(session, actor), ledger_audit.read_audit(session)

    assert world.now_ms in [row.began_at_ms for row in world.rows(LedgerAudit)]
    assert page[1] is not None


@pytest.mark.parametrize("spoiled", ["file", "folder"])
def test_what_lies_in_the_folder_of_checkpoints_stops_no_sequencer(world, tmp_path, spoiled):
    note, folder = sign(world), world.settings.checkpoint_dir
    folder.mkdir(parents=True, exist_ok=True)
    if spoiled == "file":
        (folder / "other.checkpoint").write_text(note.replace("\n\n— ", "\n\n— another/"))
    else:
        (folder / "other.checkpoint").mkdir()

    with world.app.app_context():
        kept = keep_checkpoints("")

    assert kept != ""
    assert len(list(folder.iterdir())) == 2


def test_a_sequencer_goes_on_after_a_checkpoint_that_somebody_spoiled(world, caplog):
    sign(world)
    tamper(world, "checkpoint", "UPDATE checkpoint SET note = 'junk'")
    rounds = iter([False, False, True])

    class Stopping:
        def wait(self, _seconds):
            if not (over := next(rounds)) and "no_checkpoint" in caplog.text:
                Case(world)
            return over

    with world.app.app_context():
        sign_checkpoints(Stopping(), interval_ms=1)

    assert "no_checkpoint" in caplog.text
    assert any(row.note != "junk" for row in world.rows(Checkpoint))
