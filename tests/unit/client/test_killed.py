"""SIGKILL at any moment: what was acknowledged is there, and the chain still verifies."""

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.fieldkit import OFFICERS, Kit, acts_of, lines_of, on_patrol, write

_ROOT = Path(__file__).resolve().parents[3]

_CAPTURE = """
import sys
from pathlib import Path
from sync.client.device import Device
folder, inspection, source = sys.argv[1:]
with Device.open(Path(folder)) as device:
    for path in sorted(Path(source).iterdir()):
        taken = device.capture(path, inspection)
        print(taken.sha256, flush=True)
"""
_IMPORT = """
import sys
from pathlib import Path
from sync.client.device import Device
folder, inspection, source = sys.argv[1:]
print("ready", flush=True)
with Device.open(Path(folder)) as device:
    device.import_folder(Path(source), inspection=inspection)
"""


def run_and_kill(script, *arguments, after_s):
    """Run ``script``, kill it ``after_s`` seconds after its first word; what it said till then."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline().strip()
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    return [first, *rest]


@pytest.mark.parametrize("script", [_CAPTURE, _IMPORT], ids=["capture", "import"])
def test_no_acknowledged_capture_is_lost_by_a_kill(tmp_path, script):
    kit = Kit(tmp_path / "device")
    with kit.open() as device:
        inspection = on_patrol(device)
    source = tmp_path / "card"
    for number in range(400):
        write(
            source / f"{number:04}.jpg", b"\xff\xd8\xff" + random.Random(number).randbytes(20_000)
        )
    moments = random.Random(7)
    acknowledged = []

    # At least three kills, and later ones on a slow machine until something was kept before one.
    for round_ in range(1, 20):
        said = run_and_kill(
            script, kit.folder, inspection, source, after_s=moments.uniform(0, 0.1 * round_)
        )
        acknowledged += [word for word in said if len(word) == 64]
        if round_ >= 3 and any((kit.folder / "media").glob("*.jpg")):
            break

    with kit.open() as device:
        lines_of(device)
        captured = [*acts_of(device, "media.captured"), *acts_of(device, "media.imported")]
        announced = {act["sha256"] for act in captured}
        assert captured, "the machine is too slow to capture anything in two seconds"
        assert set(acknowledged) <= announced
        for digest in announced:
            data = (kit.folder / "media" / f"{digest}.jpg").read_bytes()
            assert hashlib.sha256(data).hexdigest() == digest
        assert not list((kit.folder / "media").glob("*.part"))
        device.login(OFFICERS[0])
        device.capture(next(source.iterdir()), inspection)
