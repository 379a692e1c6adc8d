"""Sound and film in real Chromium: slices reach the disk as they come, whatever ends them."""

from tests.browser.conftest import CHROMIUM
from tests.support.fieldphone import kill, phone, until

ACTS = """async inspection => (await harness.field.lines(inspection)).map(row =>
    JSON.parse(new TextDecoder().decode(row.raw)).b[0])"""


def record(page, inspection, kind):
    """Begin to record; answers when four slices are on the disk, with the time since the start."""
    return page.evaluate(
        """async ([inspection, kind]) => {
            await harness.field.record(harness.OFFICER, inspection, kind);
            const began = performance.now();
            let kept = 0;
            await new Promise(resolve => {
                harness.field.recordings.onChange = () => { if (++kept >= 4) resolve(); };
            });
            return performance.now() - began;
        }""",
        [inspection, kind],
    )


def acts(page, inspection):
    return page.evaluate(ACTS, inspection)


def test_a_recording_that_was_killed_loses_two_seconds_at_most_and_plays(
    playwright, address, tmp_path
):
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        inspection = page.evaluate("harness.settle()")
        recorded_ms = record(page, inspection, "video")
        kill(tmp_path)

    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        page.evaluate("harness.field.unlock(harness.PIN)")
        recovered = page.evaluate("harness.field.recovered")
        plays_ms = page.evaluate(
            """async inspection => {
                const [item] = await harness.field.items(inspection);
                return harness.plays(await harness.field.bytesOf(item));
            }""",
            inspection,
        )
        page.evaluate("harness.field.unlock(harness.PIN)")
        again = page.evaluate("harness.field.recovered")
        lines = acts(page, inspection)
    assert (recovered, again) == (1, 0)
    assert plays_ms >= recorded_ms - 2000
    captured = next(act for act in lines if act["type"] == "media.captured")
    stopped = next(act for act in lines if act["type"] == "recording.stopped")
    assert (captured["recovered"], stopped["reason"]) == (True, "interrupted")
    assert (stopped["item"], stopped["recording"]) == (captured["item"], captured["recording"])
    assert stopped["last_slice_ms"] > 0


def test_a_recording_that_is_stopped_is_one_item_with_the_digest_of_what_plays(
    playwright, address, tmp_path
):
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        inspection = page.evaluate("harness.settle()")
        record(page, inspection, "audio")
        item = page.evaluate("harness.field.recordings.stop()")
        found = page.evaluate(
            """async inspection => {
                const [item] = await harness.field.items(inspection);
                const bytes = await (await harness.field.bytesOf(item)).arrayBuffer();
                const digest = await crypto.subtle.digest("SHA-256", bytes);
                return [item.item, item.sha256, item.size, item.mediaType,
                        harness.toHex(new Uint8Array(digest)), bytes.byteLength];
            }""",
            inspection,
        )
        left = page.evaluate("harness.field.recordings.recover(harness.field.key())")
        types = [act["type"] for act in acts(page, inspection)]
    assert found[:3] == [item, found[4], found[5]]
    assert found[3].startswith("audio/")
    assert left == 0
    assert types[-3:] == ["recording.started", "media.captured", "recording.stopped"]


def test_the_slices_of_a_recording_go_only_when_its_local_copy_was_given_up(
    playwright, address, tmp_path
):
    files = """async () => {
        await harness.field.unlock(harness.PIN);
        await harness.field.recovered;
        const root = await navigator.storage.getDirectory();
        const folder = await root.getDirectoryHandle("recordings");
        const names = [];
        for await (const name of folder.keys()) names.push(name);
        return names;
    }"""
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        inspection = page.evaluate("harness.settle()")
        for _ in range(2):
            record(page, inspection, "audio")
            page.evaluate("harness.field.recordings.stop()")
        before = page.evaluate(files)
        freed = page.evaluate(
            """async inspection => {
                const [item] = await harness.field.items(inspection);
                const {fate, sentBytes, problem, ...row} = item;
                await harness.field.database.write(["items"], async tx =>
                    tx.put("items", {...row, state: "stored", freedAtMs: 1}));
                return item.recording;
            }""",
            inspection,
        )
        after = page.evaluate(files)

    assert (len(before), set(before) - set(after)) == (2, {freed})


def test_a_camera_that_is_taken_away_ends_the_recording_and_keeps_it(playwright, address, tmp_path):
    with phone(playwright, CHROMIUM, tmp_path, address) as page:
        inspection = page.evaluate("harness.settle()")
        record(page, inspection, "video")
        page.evaluate(
            """() => {
                const [track] = harness.field.recordings.running.stream.getVideoTracks();
                track.dispatchEvent(new Event("ended"));
            }"""
        )
        until(page, "harness.field.recordings.running === null")
        stopped = acts(page, inspection)[-1]

    assert (stopped["type"], stopped["reason"]) == ("recording.stopped", "fault")
    assert stopped["item"]
