"""When room runs low on the device, recordings stop first; photos and the journal go on."""

import os
import shutil
import time
from collections import namedtuple

import pytest
from click.testing import CliRunner

from sync.client.cli import cli
from sync.client.errors import RecordingsStopped
from tests.support.fieldkit import OFFICERS, acts_of, on_patrol, said, write

_GIB = 1 << 30
_FILM = b"\x00\x00\x00\x18ftypmp42" + bytes(100)
_PHOTO = b"\xff\xd8\xff" + bytes(100)
_Disk = namedtuple("_Disk", "total used free")


@pytest.fixture
def disk(monkeypatch):
    """Sets how much of a disk of 40 GiB is free, of which recordings leave the last 2 GiB."""

    def free(size):
        monkeypatch.setattr(shutil, "disk_usage", lambda _path: _Disk(40 * _GIB, 0, size))

    free(20 * _GIB)
    return free


def test_a_recording_that_would_use_the_last_room_is_refused_and_a_photo_is_not(
    device, disk, tmp_path
):
    inspection = on_patrol(device)
    disk(2 * _GIB + 50)

    with pytest.raises(RecordingsStopped) as raised:
        device.capture(write(tmp_path / "film.mp4", _FILM), inspection)
    device.capture(write(tmp_path / "photo.jpg", _PHOTO), inspection)
    device.note(inspection, "空间不足，停止录像")

    assert raised.value.size == len(_FILM)
    assert [act["name"] for act in acts_of(device, "media.captured")] == ["photo.jpg"]
    assert list(device._folder.media.iterdir()) != []
    assert len(acts_of(device, "note.added")) == 1


def test_a_card_gives_its_photos_and_names_the_recordings_that_were_left_on_it(
    device, kit, disk, tmp_path
):
    device.login(OFFICERS[0])
    card = tmp_path / "card"
    write(card / "VID_20260314_080000.mp4", _FILM)
    write(card / "IMG_20260314_090000.jpg", _PHOTO)
    disk(_GIB)

    low = device.import_folder(card)
    disk(20 * _GIB)
    again = device.import_folder(card)

    listed = acts_of(device, "import.listed")[0]["files"]
    assert low.stopped == ("VID_20260314_080000.mp4",)
    assert (len(low.new), low.unreadable) == (1, ())
    assert [entry.get("error") for entry in listed] == ["client.recordings_stopped", None]
    assert (len(again.new), again.known, again.stopped) == (1, 1, ())


def test_status_shows_the_room_and_for_how_many_days_it_lasts(device, kit, disk, tmp_path):
    inspection = on_patrol(device)
    device.capture(write(tmp_path / "film.mp4", _FILM), inspection)
    taken = next(device._folder.media.iterdir())
    os.truncate(taken, 14 * _GIB)
    disk(5 * _GIB)

    room = device.status().room
    plenty = CliRunner().invoke(cli, ["--device", str(kit.folder), "status"]).stdout
    disk(_GIB)
    low = CliRunner().invoke(cli, ["--device", str(kit.folder), "--lang", "en", "status"]).stdout

    assert (room.free, room.stop_below) == (5 * _GIB, 2 * _GIB)
    assert (room.days_left, room.recordings, room.freeable) == (3, True, 0)
    assert "录音录像还可存 3 天" in plenty
    assert "recordings are not taken in" in low


def test_what_was_taken_in_long_ago_says_nothing_about_the_days_left(device, disk, tmp_path):
    inspection = on_patrol(device)
    device.capture(write(tmp_path / "film.mp4", _FILM), inspection)
    taken = next(device._folder.media.iterdir())
    month_ago = time.time() - 30 * 86_400
    os.utime(taken, (month_ago, month_ago))

    assert device.status().room.days_left is None


def test_the_command_says_in_one_sentence_what_was_not_taken_in(device, kit, disk, tmp_path):
    inspection = on_patrol(device)
    device.close()
    disk(_GIB)
    film = write(tmp_path / "film.mp4", _FILM)
    options = ["--device", str(kit.folder), "--json"]

    result = CliRunner().invoke(cli, [*options, "capture", str(film), "--inspection", inspection])

    assert result.exit_code == 1
    assert [error["code"] for error in said(result)["errors"]] == ["client.recordings_stopped"]
