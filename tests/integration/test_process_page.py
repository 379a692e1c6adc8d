"""The process on record as the page of an inspection shows it."""

import hashlib
import re

import pytest

from server.models.process import RecorderClock
from server.operations import media_checks
from sync import shortcode
from tests.support import draw
from tests.support.console import console_world, store, visitor
from tests.support.simdevice import MORNING_MS, new_id

MINUTE = 60_000


@pytest.fixture
def told(database_url, tmp_path):
    """A world with a visit of an hour: filmed but for two gaps, one of them explained.

    Of three recordings two have arrived; the second of them shows a screen with the time.
    """
    world = console_world(database_url, tmp_path / "var")
    device = world.on_patrol()
    common = {"officer": world.officers[0], "inspection": device.inspection}
    films = []
    for start, stop in ((0, 10), (20, 30), (50, 60)):
        recording, film = new_id(), new_id()
        device.now_ms = MORNING_MS + start * MINUTE
        if not start:
            device.write("step.marked", step="arrival", **common)
        device.write("recording.started", recording=recording, **common)
        device.now_ms = MORNING_MS + stop * MINUTE
        films.append(draw.movie(draw.mvhd(draw.seconds_1904(device.now_ms // 1000))))
        device.write(
            "media.imported",
            item=film,
            sha256=hashlib.sha256(films[-1]).hexdigest(),
            size=len(films[-1]),
            media_type="video/mp4",
            name=f"DSJ00012_{start}.mp4",
            title=f"记录仪第 {len(films)} 段",
            source={"path": f"DSJ00012_{start}.mp4", "recorder": "DSJ00012"},
            **common,
            **{"class": "C"},
        )
        device.write("recording.stopped", recording=recording, item=film, **common)
    mark = device.write("step.marked", step="inspected", **common)
    device.write(
        "recorder.compared",
        officer=world.officers[0],
        recorder="DSJ00012",
        method="frame",
        item=film,
        frame_ms=12_500,
        shown_ms=MORNING_MS + 60 * MINUTE + 95_000,
        recorder_ms=MORNING_MS + 60 * MINUTE,
        offset_ms=95_000,
        error_ms=2000,
        head=shortcode.spell(mark.header.seq, "0" * 64),
    )
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
    for film in films[::2]:
        store(world, film)
    with world.app.app_context():
        media_checks.check_waiting_items(world.services)
    return world, device.inspection


@pytest.mark.parametrize(
    ("lang", "wanted"),
    [
        (
            "zh",
            (
                "全过程记录",
                "出示执法证件",
                "没有留痕",
                "防爆区",
                "未说明原因",
                "没有收到可用的文件",
                "visit-1",
                "待核看",
                "不是已入库的任何一行日志",
            ),
        ),
        (
            "en",
            (
                "The process on record",
                "nowhere on record",
                "explosion-proof area",
                "a recording that no file shows",
                "to be looked at",
                "no line that is here",
            ),
        ),
    ],
)
def test_steps_gaps_and_reasons_are_shown_in_both_languages(told, lang, wanted):
    world, inspection = told

    page = visitor(world, "reviewer").get(f"/inspections/{inspection}?lang={lang}").text

    for words in wanted:
        assert words in page
    assert "&lt;b&gt;2031&lt;/b&gt;" in page, "a reason without a word is shown as written"
    assert "<b>2031</b>" not in page
    assert "&lt;time" not in page
    for doubt in ("RECORDING_GAP", "COVERAGE_MISSING"):
        assert doubt not in page, "a finding is told in words"


def test_a_reviewer_confirms_a_frame_where_the_film_can_be_seen(told):
    world, inspection = told
    browser = visitor(world, "reviewer")
    page = browser.get(f"/inspections/{inspection}").text
    path = re.search(r'href="(/quarantine/line/[0-9a-f]{64})">记录仪第 3 段 第 12.5 秒', page)[1]

    entry = browser.get(path).text
    form = {"decision": "released", "reason": "画面已看，时间一致", "seen": "0"}
    answer = browser.post(f"{path}/decision", form, page=path)

    assert "#t=12.5" in entry
    assert "画面已核看，确认" in entry
    assert "2026-05-04 10:01:35" in entry
    assert answer.status_code == 303
    [clock] = world.rows(RecorderClock)
    assert (clock.method, clock.offset_ms) == ("frame", 95_000)
    after = browser.get(f"/inspections/{inspection}").text
    assert "已确认" in after
    assert "待核看" not in after
