"""The field app's engine in real Chromium against the real application and its store."""

import io

import exifread
import pytest

from server.models.inspections import EvidenceItem, Inspection, ItemCheck
from server.models.journal import JournalLine, LineOutcome
from server.models.uploads import MediaObject
from server.operations import media_checks
from tests.browser.conftest import CHROMIUM
from tests.support.fieldphone import begin, kill, phone, sync
from tests.support.serving import served


def photograph(page, world, inspection):
    """A picture of the fake camera, with the position; answers what was saved."""
    return page.evaluate(
        """async ([officer, inspection]) => {
            const camera = new harness.Camera();
            await camera.start();
            const bytes = await camera.take();
            camera.stop();
            const saved = await harness.field.capture({
                officer, inspection, bytes, mediaType: "image/jpeg", captureClass: "A",
                name: "排口.jpg",
                position: {lat: 225431000, lon: 1140579000, acc: 1200, fix_ms: Date.now()},
            });
            return {item: saved.item, sha256: saved.sha256, size: saved.size};
        }""",
        [world.officers[0], inspection],
    )


def test_a_photo_that_was_taken_before_a_kill_stands_verified_on_the_server(
    playwright, world, tmp_path
):
    profile = tmp_path / "profile"
    with served(world.app) as port:
        address = f"http://127.0.0.1:{port}"
        with phone(playwright, CHROMIUM, profile, address) as page:
            inspection = begin(page, world)
            saved = photograph(page, world, inspection)
            kill(profile)
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.evaluate("harness.field.unlock(harness.PIN)")
            assert page.evaluate("harness.field.status()")["itemsOnlyHere"] == 1

            report = sync(page)

            status = page.evaluate("harness.field.status()")
            shown = page.evaluate("id => harness.field.items(id)", inspection)
            tasks = page.evaluate("harness.field.documents('task')")
    assert (report["problems"], report["stuck"]) == ([], [])
    assert report["uploads"] == {"stored": 1, "waiting": 0, "held": 0, "ended": ""}
    assert (status["linesOnlyHere"], status["itemsOnlyHere"]) == (0, 0)
    assert [item["fate"] for item in shown] == ["safe"]
    assert isinstance(tasks, list)
    assert {row.projection for row in world.rows(LineOutcome)} == {"applied"}
    assert world.rows(Inspection)[0].id == inspection
    assert world.rows(EvidenceItem)[0].id == saved["item"]
    stored = world.rows(MediaObject, sha256=saved["sha256"])[0]
    assert (stored.status, stored.size) == ("stored", saved["size"])
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    assert [check.verdict for check in world.rows(ItemCheck)] == ["consistent"]


def test_our_own_cameras_picture_says_when_and_where_in_its_exif(playwright, world, tmp_path):
    with (
        served(world.app) as port,
        phone(playwright, CHROMIUM, tmp_path / "profile", f"http://127.0.0.1:{port}") as page,
    ):
        inspection = begin(page, world)
        saved = photograph(page, world, inspection)
        sync(page)
        key = world.rows(MediaObject, sha256=saved["sha256"])[0].key
        data = world.services.store.read(key, 0, saved["size"])

    tags = exifread.process_file(io.BytesIO(data))
    assert str(tags["Image Software"]).startswith("Liuhen")
    assert str(tags["EXIF ImageUniqueID"]) == saved["item"].replace("-", "")
    assert str(tags["EXIF OffsetTimeOriginal"])[0] in "+-"
    assert str(tags["GPS GPSLatitudeRef"]) == "N"
    latitude = tags["GPS GPSLatitude"].values
    assert sum(float(v) / 60**n for n, v in enumerate(latitude)) == pytest.approx(22.5431)


def test_a_sync_without_a_server_says_so_and_the_next_one_brings_everything(
    playwright, world, tmp_path
):
    with served(world.app) as port:
        address = f"http://127.0.0.1:{port}"
        context = phone(playwright, CHROMIUM, tmp_path / "profile", address)
        page = context.__enter__()
        inspection = begin(page, world)
    try:
        photograph(page, world, inspection)

        alone = sync(page)
        lines = page.evaluate("harness.field.status()")["linesOnlyHere"]
        with served(world.app, port):
            together = sync(page)
    finally:
        context.__exit__(None, None, None)

    assert [problem.split(":")[0] for problem in alone["problems"]] == ["link.unreachable"]
    assert (lines, together["problems"], together["stuck"]) == (5, [], [])
    assert together["uploads"]["stored"] == 1


def test_syncing_again_sends_nothing_twice(playwright, world, tmp_path):
    with (
        served(world.app) as port,
        phone(playwright, CHROMIUM, tmp_path / "profile", f"http://127.0.0.1:{port}") as page,
    ):
        inspection = begin(page, world)
        photograph(page, world, inspection)
        sync(page)
        before = len(world.rows(JournalLine))

        again = sync(page)

    assert again["problems"] == []
    # The comparison of clocks is the one new line.
    assert len(world.rows(JournalLine)) == before + 1
    assert len(world.rows(MediaObject)) == 1


def test_an_enrolment_that_was_killed_half_way_can_be_tried_again_and_then_no_more(
    playwright, world, tmp_path
):
    profile = tmp_path / "profile"
    with served(world.app) as port:
        address, code = f"http://127.0.0.1:{port}", world.code()
        with phone(playwright, CHROMIUM, profile, address) as page:
            page.evaluate("code => void harness.field.enrol(code, {name: '手机一'})", code)
            kill(profile)
        with phone(playwright, CHROMIUM, profile, address) as page:
            enrol = "code => harness.outcome(harness.field.enrol(code, {name: '手机一'}))"
            first = page.evaluate(enrol, code)
            # The first try may have arrived, and then the code is spent.
            if first == "enrolment.unclear":
                first = page.evaluate(enrol, world.code())
            again = page.evaluate(enrol, world.code())
            lines = page.evaluate("harness.audit()")["lines"]

    assert (first, again, lines) in (
        ("", "enrolment.already_done", 1),
        ("enrolment.already_done", "enrolment.already_done", 1),
    )
