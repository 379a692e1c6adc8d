"""Local copies go only where the server has them, proves it, and has backed them up."""

import pytest

from server.models.ledger import LedgerHead
from server.models.uploads import MediaObject
from tests.support.fieldphone import begin, keep_photos, sync


def back_up(world, network, lacking=()):
    """From now on the server tells of a backup that holds the ledger, and of what it lacks."""
    size = world.rows(LedgerHead)[0].size

    def forge(said):
        if "server_ms" in said:
            return {**said, "backed_up_size": size}
        return {**said, "lacking": lacking} if "lacking" in said and lacking else said

    network.forge_json("/api/v1/", forge)


def free(page, *, before_ms="Infinity"):
    """Free what may go; how many copies went."""
    return page.evaluate(
        f"harness.freeCopies(harness.field.database, {{beforeMs: {before_ms}, really: true}})"
    )["items"]


@pytest.fixture
def visit(page, world):
    """Two photos of a visit that is sealed."""
    inspection = begin(page, world)
    keep_photos(page, world, inspection, [1000, 2000])
    page.evaluate(
        """([officer, inspection]) => harness.field.act("inspection.sealed",
            {officer, inspection, revisions: [], media: [], heads: []})""",
        [world.officers[0], inspection],
    )
    return inspection


def test_no_copy_goes_before_a_backup_holds_what_it_proves(page, world, network, visit):
    sync(page)
    sync(page)

    early = free(page)
    back_up(world, network)
    too_new = free(page, before_ms=0)
    late = free(page)

    shown = page.evaluate("id => harness.field.items(id)", visit)
    blobs = page.evaluate("harness.field.database.read(['blobs'], (tx) => tx.count('blobs'))")
    assert (early, too_new, late, blobs) == (0, 0, 2, 0)
    assert {item["fate"] for item in shown} == {"safe"}
    assert all(item["freedAtMs"] > 0 for item in shown)
    assert sync(page)["problems"] == []


def test_a_copy_that_the_server_has_lost_stays_and_is_sent_again(page, world, network, visit):
    sync(page)
    sync(page)
    lost = world.rows(MediaObject)[0].sha256
    back_up(world, network, lacking=[lost])

    went = free(page)
    waiting = page.evaluate("harness.field.status()")["itemsOnlyHere"]

    assert (went, waiting) == (1, 1)


def test_copies_of_an_open_visit_stay(page, world, network):
    inspection = begin(page, world)
    keep_photos(page, world, inspection, [1000])
    sync(page)
    sync(page)
    back_up(world, network)

    assert free(page) == 0
