"""What is sent when: photos first, then marked recordings, the others in their hours and room."""

import os
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest
from click.testing import CliRunner

from server.app import create_app
from server.models.uploads import Upload
from server.recording_hours import read_hours
from sync.client import uploading
from sync.client.cli import cli
from sync.client.uploading import Held
from tests.protocol.conftest import served
from tests.support.fieldkit import write

_JPEG, _MP4 = b"\xff\xd8\xff", b"\x00\x00\x00\x18ftypmp42"
#: Lengths in bytes, by which the files are told apart.
_PHOTO, _PLAIN, _MARKED = 103, 112, 132
#: The world's clock stands at 10:00 in China.
_OPEN, _SHUT = "09:00-11:00", "18:00-07:00"


@pytest.fixture
def ruled(world, device):
    """The same server under other settings; the device goes there."""

    @contextmanager
    def ruled(**changes):
        settings = replace(world.settings, **changes)
        before = world.app
        world.app = create_app(settings, services=replace(world.services, settings=settings))
        try:
            with served(world) as network:
                _move(device, network.url)
                yield network
        finally:
            world.app = before

    return ruled


@pytest.fixture
def loaded(world, device, tmp_path):
    """A device with a plain film, then a marked one, then two photos, none of them sent."""
    inspection = device.open_inspection(world.officers, task=world.task).inspection
    card = tmp_path / "card"
    write(card / "DSJ00012_031234_20260504080000_0001.MP4", _new(_MP4, _PLAIN))
    write(card / "DSJ00012_031234_20260504090000_0002_IMP.MP4", _new(_MP4, _MARKED))
    device.import_folder(card, inspection=inspection)
    for number in range(2):
        photo = write(tmp_path / f"{number}.jpg", _new(_JPEG, _PHOTO))
        device.capture(photo, inspection)
    return device


def _move(device, url):
    with device._outbox.transaction():
        device._outbox.remember("enrolment", asdict(replace(device.enrolment, server=url)))
    device.enrolment = replace(device.enrolment, server=url)


def _new(head, size):
    """Content that no test before has sent."""
    return head + os.urandom(size - len(head))


def _sent(world, network):
    """The sizes of the files in the order in which they were sent."""
    sizes = {upload.id: upload.length for upload in world.rows(Upload)}
    paths = [path for method, path, _ in network.seen if method == "PATCH"]
    return [sizes[path.rpartition("/")[2]] for path in dict.fromkeys(paths)]


def test_photos_go_first_then_the_marked_recording_then_the_others(world, loaded, network):
    network.seen.clear()

    report = loaded.sync()

    assert report.complete
    assert _sent(world, network) == [_PHOTO, _PHOTO, _MARKED, _PLAIN]


def test_outside_their_hours_recordings_wait_and_photos_do_not(world, loaded, ruled):
    with ruled(recording_hours=read_hours(_SHUT)) as network:
        report = loaded.sync()
        waiting = _sent(world, network)
        at_once = loaded.sync(all_now=True)

    assert report.problems == []
    assert (report.held, report.media_safe, report.media_unsent) == (Held(2, "hours"), 2, 2)
    assert waiting == [_PHOTO, _PHOTO]
    assert at_once.complete
    assert at_once.held == Held()


def test_hours_that_end_while_a_recording_is_sent_stop_it_where_it_is(
    world, loaded, ruled, monkeypatch
):
    # The photos take fourteen pieces, so that an hour ends behind the film's first.
    monkeypatch.setattr(uploading, "CHUNK_BYTES", 16)
    with ruled(recording_hours=read_hours(_OPEN)) as network:
        network.forge = _four_minutes_a_piece(loaded._clock)
        first = loaded.sync()
        network.calm()
        world.now_ms += 24 * 3_600_000
        second = loaded.sync()
        heads = [path for method, path, _ in network.seen if method == "HEAD"]

    assert first.held == Held(2, "hours")
    assert second.complete
    assert len(heads) == 1


def test_under_a_bound_pieces_are_small_and_the_device_waits_between_them(loaded, ruled):
    with ruled(recording_hours=read_hours(f"{_OPEN}@1")):
        loaded._clock.slept.clear()
        report = loaded.sync()

    # At 1 kbit/s a file of n bytes takes n / 125 seconds.
    expected = (_MARKED + _PLAIN) / 125
    assert report.complete
    assert sum(loaded._clock.slept) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("told", [True, False], ids=["in hello", "only when it begins"])
def test_while_the_store_runs_low_recordings_wait_and_are_not_called_failed(
    world, loaded, ruled, told
):
    # More must be free than there is.
    with ruled(store_capacity_bytes=1_000_000, recordings_stop_percent=101) as network:
        if not told:
            network.forge_json("/hello", lambda hello: {**hello, "room": {"recordings": True}})
        report = loaded.sync()

    states = {medium.state for medium in loaded._outbox.in_order("1")}
    assert report.problems == []
    assert (report.held, report.media_safe) == (Held(2, "store"), 2)
    assert states == {"safe", "kept"}


@pytest.mark.parametrize(
    ("lang", "sentence"),
    [("zh", "2 个录音录像等到发送时段再传"), ("en", "2 recordings wait for the hours")],
)
def test_the_command_says_what_waits_and_how_to_send_it_at_once(loaded, ruled, lang, sentence):
    folder = loaded._folder.path
    with ruled(recording_hours=read_hours(_SHUT)):
        loaded.close()
        command = ["--device", str(folder), "--lang", lang, "sync"]
        waits = CliRunner().invoke(cli, command)
        sends = CliRunner().invoke(cli, [*command, "--all-now"])

    assert sentence in waits.output
    assert "--all-now" in waits.output
    assert waits.exit_code == 3
    assert sends.exit_code == 0


def _four_minutes_a_piece(clock):
    def forge(path, status, headers, body):
        if "/uploads/" in path and status == 204:
            clock.mono_ms += 240_000
        return status, headers, body

    return forge
