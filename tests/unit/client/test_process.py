"""The course of an inspection on the device: steps, gaps, and how far a recorder's clock is off."""

import pytest
from click.testing import CliRunner

from sync.client.cli import cli
from sync.client.errors import ReasonMissing, RecorderTimeUnknown, UnknownItem
from sync.evidence import acts
from tests.support.fieldkit import OFFICERS, acts_of, said, write

MARCH_MS = 1_773_451_350_000  # 2026-03-14 09:22:30 +08:00


@pytest.fixture
def liuhen(kit):
    """Runs ``liuhen`` on the enrolled device."""

    def run(*arguments, as_json=False):
        options = ["--device", str(kit.folder), *(["--json"] if as_json else [])]
        return CliRunner().invoke(cli, [*options, *arguments], catch_exceptions=False)

    return run


@pytest.fixture
def inspection(device):
    return device.open_inspection(OFFICERS, title="日常检查").inspection


def _import(device, inspection, tmp_path, name):
    card = tmp_path / "card"
    card.mkdir()
    write(card / name, b"video")
    device.import_folder(card, inspection=inspection)
    return acts_of(device, acts.MEDIA_IMPORTED)[-1]["item"]


def test_a_step_names_the_file_that_shows_it(device, inspection, tmp_path):
    item = device.capture(write(tmp_path / "a.jpg", b"x"), inspection).item

    device.mark_step(inspection, "arrival", item=item, text="大门")

    [act] = acts_of(device, acts.STEP_MARKED)
    assert (act["step"], act["item"], act["text"]) == ("arrival", item, "大门")
    assert acts.missing_fields(act) == []


def test_a_step_cannot_name_a_file_that_is_not_here(device, inspection):
    with pytest.raises(UnknownItem):
        device.mark_step(inspection, "arrival", item="no-such-item")


def test_another_reason_for_a_gap_needs_words(device, inspection):
    with pytest.raises(ReasonMissing):
        device.explain_gap(inspection, 1, 2, "other", text=" ")

    device.explain_gap(inspection, 1, 2, "other", text="停电")

    [act] = acts_of(device, acts.GAP_EXPLAINED)
    assert (act["reason"], act["text"]) == ("other", "停电")


def test_a_docked_recorder_is_compared_with_this_device(device, inspection):
    device.compare_docked("DSJ00012", 5_000_000, now_ms=5_090_000, error_ms=2000)

    [act] = acts_of(device, acts.RECORDER_COMPARED)
    assert (act["method"], act["offset_ms"], act["error_ms"]) == ("docking", 90_000, 2000)
    assert acts.missing_fields(act) == []


def test_a_filmed_screen_is_compared_with_the_time_in_the_files_name(device, inspection, tmp_path):
    item = _import(device, inspection, tmp_path, "DSJ00012_031234_20260314092230_0007.MP4")

    device.compare_frame(item, 12_500, MARCH_MS + 12_500 + 100_000)

    [act] = acts_of(device, acts.RECORDER_COMPARED)
    assert (act["recorder"], act["method"], act["item"]) == ("DSJ00012", "frame", item)
    assert act["recorder_ms"] == MARCH_MS + 12_500
    assert act["offset_ms"] == 100_000


def test_a_name_that_says_no_time_asks_for_the_recorders_own(device, inspection, tmp_path):
    item = _import(device, inspection, tmp_path, "clip.mp4")

    with pytest.raises(RecorderTimeUnknown):
        device.compare_frame(item, 0, MARCH_MS)


def test_the_commands_write_these_lines(liuhen, kit):
    opened = said(liuhen("open", "--officer", OFFICERS[0], "--officer", OFFICERS[1], as_json=True))[
        "inspection"
    ]
    day = "2026-05-04T09:00:00+08:00"
    for arguments in (
        ("step", "arrival", "--inspection", opened),
        ("gap", "--inspection", opened, "--from", day, "--to", day, "--reason", "battery"),
        ("recorder-clock", "--recorder", "DSJ00012", "--shows", day),
    ):
        done = liuhen(*arguments)
        assert done.exit_code == 0, done.output

    with kit.open() as device:
        kinds = [act["type"] for act in acts_of(device)]
    assert kinds[-3:] == [acts.STEP_MARKED, acts.GAP_EXPLAINED, acts.RECORDER_COMPARED]


@pytest.mark.parametrize(
    "arguments",
    [
        ("recorder-clock",),
        ("recorder-clock", "--item", "i", "--frame", "1"),
        ("recorder-clock", "--recorder", "D", "--shows", "yesterday"),
        ("gap", "--inspection", "i", "--from", "2026-05-04", "--to", "2026-05-03", "--reason", "x"),
    ],
)
def test_a_comparison_that_lacks_one_side_is_wrong_usage(liuhen, arguments):
    assert liuhen(*arguments).exit_code == 2
