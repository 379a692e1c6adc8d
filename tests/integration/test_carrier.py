"""``liuhen-admin carrier take`` as administrators run it, on both databases, and as it dies."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from server.cli.carrier import carrier
from server.models.journal import JournalLine
from server.models.uploads import QuarantinedMedia, Upload
from sync.client import carrier as client_carrier
from tests.protocol.conftest import _publish, served
from tests.support.bureau import environment
from tests.support.carrying import (
    assert_arrived,
    folder_of,
    make_administrator,
    open_device,
    patrol,
    take,
)
from tests.support.world import make_world


class Carried(client_carrier._File):
    """A file of a client that does not hash it, but repeats what was announced."""

    claimed = ""

    def stream(self, offset, size):
        yield from super().stream(offset, size)
        self.digest = self

    def hexdigest(self):
        return self.claimed


@pytest.fixture
def world(database_url, tmp_path, s3):
    """An installed application with its store, and an administrator for the command line."""
    world = make_world(database_url, tmp_path / "var", s3)
    world.variables = environment(tmp_path / "var", s3, LIUHEN_DATABASE_URL=database_url)
    _publish(world)
    make_administrator(world)
    return world


@pytest.fixture
def device(world, tmp_path):
    """A device that was enrolled over a network which is gone now."""
    with served(world) as network:
        device = open_device(tmp_path / "device", world, network)
    yield device
    device.close()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    return path


def start(world, disk):
    """The command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "server.cli", "carrier", "take", str(disk)],
        env={**os.environ, **world.variables},
        stdout=subprocess.DEVNULL,
    )


def run(world, disk, *options):
    """Exit code, standard output and standard error of the command."""
    result = CliRunner(env=world.variables).invoke(carrier, ["take", str(disk), *options])
    return result.exit_code, result.stdout, result.stderr


def lines_arrived(world):
    return len(world.rows(JournalLine)) > 0


def bytes_arrived(world):
    return any(upload.offset > 0 for upload in world.rows(Upload))


def test_a_take_that_was_killed_twice_goes_on_with_the_same_command(world, device, disk, tmp_path):
    inspection = patrol(device, world, tmp_path, photos=(17_000_000, 3000))
    device.write_carrier(disk, split=3_000_000)

    for moment in (lines_arrived, bytes_arrived):
        killed = start(world, disk)
        while killed.poll() is None and not moment(world):
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    code, out, err = run(world, disk, "--json", "--reply", str(disk))

    assert code == 0, err
    assert json.loads(out)["complete"]
    device.read_replies(disk)
    assert device.status().clear
    assert_arrived(world, device, inspection)
    assert world.rows(QuarantinedMedia) == []


def test_one_bad_carrier_on_a_disk_keeps_no_other_from_being_taken(world, device, disk, tmp_path):
    patrol(device, world, tmp_path)
    bad, good = device.write_carrier(disk), device.write_carrier(disk)
    (folder_of(disk, bad) / "manifest.age").write_bytes(b"nothing")
    (folder_of(disk, good) / "autorun.inf").write_text("x")
    (disk / "photo.jpg").write_text("x")

    code, out, err = run(world, disk)

    assert code == 1
    assert good.carrier in out
    assert err.count("carrier.unreadable") == 1
    assert "autorun.inf" in err
    assert "photo.jpg" in err
    assert len(world.rows(JournalLine)) == good.lines


def test_what_is_missing_is_told_with_an_exit_status_of_its_own(world, device, disk, tmp_path):
    patrol(device, world, tmp_path, photos=(600_000,))
    written = device.write_carrier(disk, split=256 << 10)
    (folder_of(disk, written) / "part-000002.age").unlink()

    code, out, _ = run(world, disk, "--json")
    empty = tmp_path / "empty"
    empty.mkdir()

    assert code == 3
    assert json.loads(out)["missing"] == [2]
    assert run(world, empty)[0] == 1


def test_a_file_that_is_not_what_was_announced_is_set_aside_once(
    world, device, disk, tmp_path, monkeypatch
):
    patrol(device, world, tmp_path)
    (medium,) = device._outbox.media()
    (device._folder.media / medium.name).write_bytes(os.urandom(medium.size))
    monkeypatch.setattr(Carried, "claimed", medium.sha256)
    monkeypatch.setattr(client_carrier, "_File", Carried)
    written = device.write_carrier(disk)

    first, _ = take(world, folder_of(disk, written), disk)
    second, _ = take(world, folder_of(disk, written))
    device.read_replies(disk)

    assert list(first.failed.values()) == list(second.failed.values()) == ["media.digest_mismatch"]
    assert len(world.rows(QuarantinedMedia)) == 1
    assert not device.status().clear
