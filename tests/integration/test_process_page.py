"""The process on record as the page of an inspection shows it."""

import pytest

from tests.support.console import console_world, visitor
from tests.support.simdevice import MORNING_MS, new_id

MINUTE = 60_000


@pytest.fixture
def told(database_url, tmp_path):
    """A world with a visit of an hour: filmed but for two gaps, one of them explained."""
    world = console_world(database_url, tmp_path / "var")
    device = world.on_patrol()
    common = {"officer": world.officers[0], "inspection": device.inspection}
    for start, stop in ((0, 10), (20, 30), (50, 60)):
        recording = new_id()
        device.now_ms = MORNING_MS + start * MINUTE
        if not start:
            device.write("step.marked", step="arrival", **common)
        device.write("recording.started", recording=recording, **common)
        device.now_ms = MORNING_MS + stop * MINUTE
        device.write("recording.stopped", recording=recording, **common)
    device.write("step.marked", step="left", **common)
    device.write(
        "gap.explained",
        from_ms=MORNING_MS + 10 * MINUTE,
        to_ms=MORNING_MS + 21 * MINUTE,
        reason="explosion_proof",
        **common,
    )
    device.write(
        "gap.explained",
        from_ms=MORNING_MS + 30 * MINUTE,
        to_ms=MORNING_MS + 40 * MINUTE,
        reason="<b>2031</b>",
        **common,
    )
    assert world.push(device).status_code == 200
    return world, device.inspection


@pytest.mark.parametrize(
    ("lang", "wanted"),
    [
        ("zh", ("全过程记录", "出示执法证件", "没有留痕", "防爆区", "未说明原因")),
        ("en", ("The process on record", "nowhere on record", "explosion-proof area")),
    ],
)
def test_steps_gaps_and_reasons_are_shown_in_both_languages(told, lang, wanted):
    world, inspection = told

    page = visitor(world, "reviewer").get(f"/inspections/{inspection}?lang={lang}").text

    for words in wanted:
        assert words in page
    assert "&lt;b&gt;2031&lt;/b&gt;" in page, "a reason without a word is shown as written"
    assert "<b>2031</b>" not in page
    for doubt in ("RECORDING_GAP", "COVERAGE_MISSING"):
        assert doubt not in page, "a finding is told in words"
