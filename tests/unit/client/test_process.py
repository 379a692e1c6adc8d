"""The course of an inspection on the device: steps, gaps, and how far a recorder's clock is off."""

import pytest
from click.testing import CliRunner

from sync.client import process_commands
from sync.client.cli import cli
from sync.client.clock_screen import draw, head_picture, large, until_next_second
from sync.client.errors import ReasonMissing, RecorderTimeUnknown, UnknownItem
from sync.client.processwork import OwnClock
from sync.evidence import acts
from sync.evidence.line import DeviceTime
from sync.shortcode import FullHead, spell
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


def _compared(device, offset_ms, error_ms):
    with device._outbox.transaction() as db:
        db.execute(
            "INSERT INTO clock (server_ms, offset_ms, error_ms) VALUES (1, ?, ?)",
            (offset_ms, error_ms),
        )


def test_what_is_not_known_of_the_own_clock_is_added_to_a_docked_recorders_error(
    device, inspection
):
    _compared(device, 7000, 350)

    device.compare_docked("DSJ00012", 5_000_000, now_ms=5_090_000, error_ms=2000)

    [act] = acts_of(device, acts.RECORDER_COMPARED)
    assert (act["offset_ms"], act["error_ms"]) == (97_000, 2350)


def test_a_filmed_screen_is_compared_with_the_time_in_the_files_name(device, inspection, tmp_path):
    item = _import(device, inspection, tmp_path, "DSJ00012_031234_20260314092230_0007.MP4")

    device.compare_frame(item, 12_500, MARCH_MS + 12_500 + 100_000)

    [act] = acts_of(device, acts.RECORDER_COMPARED)
    assert (act["recorder"], act["method"], act["item"]) == ("DSJ00012", "frame", item)
    assert act["recorder_ms"] == MARCH_MS + 12_500
    assert act["offset_ms"] == 100_000


def test_the_error_of_reading_a_frame_is_what_the_officer_says(liuhen, kit, tmp_path):
    with kit.open() as device:
        inspection = device.open_inspection(OFFICERS, title="日常检查").inspection
        name = "DSJ00012_031234_20260314092230_0007.MP4"
        item = _import(device, inspection, tmp_path, name)

    frame = ("--item", item, "--frame", "12.5", "--shown", "2026-03-14T09:25:00+08:00")
    for error in ((), ("--error", "5")):
        done = liuhen("recorder-clock", *frame, *error)
        assert done.exit_code == 0, done.output

    with kit.open() as device:
        told = acts_of(device, acts.RECORDER_COMPARED)
    assert [act["error_ms"] for act in told] == [2000, 5000]


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
        ("recorder-clock", "--recorder", "D", "--shows", "2026-05-04", "--error", "-1"),
        ("recorder-clock", "--recorder", "D", "--shows", "2026-05-04", "--error", "nan"),
        ("recorder-clock", "--item", "i", "--frame", "inf", "--shown", "2026-05-04"),
        ("gap", "--inspection", "i", "--from", "2026-05-04", "--to", "2026-05-03", "--reason", "x"),
    ],
)
def test_a_comparison_that_lacks_one_side_is_wrong_usage(liuhen, arguments):
    assert liuhen(*arguments).exit_code == 2


def test_the_screen_to_be_filmed_shows_the_corrected_second_in_the_zone_of_the_device():
    now = DeviceTime(MARCH_MS + 250, 1, "boot", 480)
    own = OwnClock(offset_ms=90_000, error_ms=40, compared=True)

    shown = draw(now, own)

    assert (shown.day, shown.clock, shown.zone) == ("2026-03-14", "09:24:00", "+08:00")
    assert shown.shown_ms == MARCH_MS + 90_000
    assert until_next_second(now, own) == 0.75


def test_large_digits_are_five_rows_of_blocks():
    rows = large("17:4").splitlines()

    assert rows == [
        "    ██  ██████      ██  ██",
        "    ██      ██  ██  ██  ██",
        "    ██      ██      ██████",
        "    ██      ██  ██      ██",
        "    ██      ██          ██",
    ]


def test_the_screen_names_the_head_in_both_forms():
    head = FullHead("00000000-0000-4000-8000-000000000000", "0" * 32, 412, "ab" * 32)

    picture = head_picture(head)

    assert spell(412, "ab" * 32) in picture
    assert picture.count("\n") > 15


def test_the_command_shows_one_picture_where_nobody_watches(liuhen, kit):
    liuhen("open", "--officer", OFFICERS[0], "--officer", OFFICERS[1])

    shown, plain = liuhen("clock-screen"), said(liuhen("clock-screen", as_json=True))

    with kit.open() as device:
        head = device.head()
    assert shown.exit_code == 0
    assert "██" in shown.output
    assert spell(head.seq, head.head) in shown.output
    assert "没有与服务器对过时" in shown.output
    assert (plain["seq"], plain["head"], plain["compared"]) == (head.seq, head.head, False)


class _Second:
    """A clock of which each reading is a second later; ``patience`` sleeps, then Ctrl-C."""

    patience = 99

    def __init__(self):
        self.wall_ms = MARCH_MS

    def read(self):
        self.wall_ms += 500
        return DeviceTime(self.wall_ms, 1, "boot", 480)

    def sleep(self, seconds):
        assert 0 < seconds <= 1
        if self.patience == 0:
            raise KeyboardInterrupt
        self.patience -= 1


@pytest.mark.parametrize(("patience", "pictures"), [(99, 3), (1, 2)])
def test_the_screen_is_drawn_anew_each_second_until_it_is_stopped(
    liuhen, monkeypatch, patience, pictures
):
    liuhen("open", "--officer", OFFICERS[0], "--officer", OFFICERS[1])
    monkeypatch.setattr(_Second, "patience", patience)
    monkeypatch.setattr(process_commands, "SystemClock", _Second)

    shown = liuhen("clock-screen", "--seconds", "3")

    assert shown.exit_code == 0
    assert shown.output.count("2026-03-14 +08:00") == pictures
