"""One bad row or answer keeps no other from its turn, and whoever looks is told of it."""

import pytest

from server.jobs.nightly import Nights
from server.models.audits import LedgerAudit
from server.models.erasure import ErasureOrder
from server.models.inspections import EvidencePackage
from server.operations import erasure, export, ledger_audit, uploads
from tests.support.casework import Case
from tests.support.erasing import Eraser
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
