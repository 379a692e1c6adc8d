"""The field app on bad links: what is cut, lost, forged or gone costs nothing that was kept."""

from server.models.inspections import EvidenceItem
from server.models.journal import JournalLine
from server.models.uploads import MediaObject
from tests.browser.conftest import CHROMIUM
from tests.protocol.conftest import sign_checkpoint
from tests.support.badnet import Fault
from tests.support.fieldphone import begin, keep_photos, kill, phone, sync
from tests.support.serving import served

CUTS = (Fault.REQUEST_LOST, Fault.REQUEST_CUT, Fault.REPLY_LOST, Fault.REPLY_CUT, Fault.PORTAL)


def test_a_link_that_fails_every_third_time_brings_everything_once(page, network, world):
    inspection = begin(page, world)
    keep_photos(page, world, inspection, [200_000, 300_000, 5_000_000, 100_000])
    network.randomly(0.33, seed=6, faults=CUTS)

    problems = set()
    for _ in range(30):
        report = sync(page)
        problems |= {problem.split(":")[0] for problem in report["problems"]}
        # A wait after a failure is a matter of minutes; here nobody has them.
        page.evaluate(
            """harness.field.database.write(["uploads"], async (tx) => {
                for (const row of await tx.all("uploads"))
                    tx.put("uploads", {...row, notBeforeMs: 0});
            })"""
        )
        if page.evaluate("harness.field.status()")["itemsOnlyHere"] == 0:
            break
    network.calm()
    last = sync(page)

    assert (last["problems"], last["stuck"]) == ([], [])
    assert problems <= {"link.unreachable", "link.captive_portal", "link.unavailable"}
    status = page.evaluate("harness.field.status()")
    assert (status["linesOnlyHere"], status["itemsOnlyHere"], status["alarms"]) == (0, 0, 0)
    assert len(world.rows(EvidenceItem)) == 4
    assert {row.status for row in world.rows(MediaObject)} == {"stored"}
    assert len(world.rows(JournalLine)) == page.evaluate("harness.audit()")["lines"]


def test_nothing_counts_as_delivered_on_a_forged_receipt(page, network, world):
    begin(page, world)
    network.forge_json(
        "/journal/",
        lambda said: {
            **said,
            "receipts": [one.replace("seq 0", "seq 1") for one in said["receipts"]],
        },
    )

    report = sync(page)

    assert [problem.split(":")[0] for problem in report["problems"]] == ["trust.receipt_invalid"]
    assert page.evaluate("harness.field.status()")["linesOnlyHere"] == 5


def test_a_login_page_that_answers_200_is_not_our_server(page, network, world):
    begin(page, world)
    network.plan = lambda _method, path: Fault.PORTAL if "/api/" in path else Fault.NONE

    report = sync(page)

    assert [problem.split(":")[0] for problem in report["problems"]] == ["link.captive_portal"]


def test_a_file_that_went_bad_on_the_phone_costs_only_itself(page, network, world):
    inspection = begin(page, world)
    keep_photos(page, world, inspection, [1000, 2000, 3000])
    page.evaluate(
        """harness.field.database.write(["blobs"], async (tx) => {
            const bad = (await tx.all("blobs")).find((blob) => blob.size === 1000);
            const sealed = new Uint8Array(bad.sealed);
            sealed[7] ^= 1;
            tx.put("blobs", {...bad, sealed: sealed.buffer});
        })"""
    )

    report = sync(page)

    shown = page.evaluate("id => harness.field.items(id)", inspection)
    assert (report["uploads"]["stored"], report["uploads"]["waiting"]) == (2, 1)
    assert {item["size"]: item["problem"] for item in shown}[1000] == "vault.damaged"
    assert {item["size"] for item in shown if item["fate"] == "safe"} == {2000, 3000}


def test_a_ledger_that_was_rewritten_raises_an_alarm_and_evidence_still_goes_out(
    page, network, world
):
    begin(page, world)
    sync(page)
    sign_checkpoint(world)
    network.forge_json("/consistency", lambda said: {**said, "path": ["00" * 32]})

    report = sync(page)

    assert "trust.ledger_forked" in {problem.split(":")[0] for problem in report["problems"]}
    assert page.evaluate("harness.field.status()")["alarms"] >= 1
    assert page.evaluate("harness.field.status()")["linesOnlyHere"] == 0


def test_the_app_opens_from_cold_while_the_server_is_dead(playwright, world, tmp_path):
    profile = tmp_path / "profile"
    with served(world.app) as port:
        address = f"http://127.0.0.1:{port}"
        with phone(playwright, CHROMIUM, profile, address, page="/app/") as page:
            page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
            page.reload()
            kill(profile)
    with phone(playwright, CHROMIUM, profile, address, page="/app/") as page:
        page.get_by_role("heading", name="登记这部手机").wait_for()
        first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")

    print(f"first contentful paint from cold, server dead: {first:.0f} ms")
    assert first > 0
