"""The demonstration on a real installation, and its package in the hands of somebody who doubts."""

import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from sync.client.device import Device
from sync.evidence.package import PackageFile, write_package
from sync.evidence.zipreading import read_layout
from tests.support.guardian import free_port

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 150
#: GB 32100: without I, O, S, V and Z.
_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

# Beside the other whole installations, not at the same time.
pytestmark = pytest.mark.xdist_group("launch")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """What ``scripts/run --demo`` wrote down, after it was stopped again."""
    folder = tmp_path_factory.mktemp("demo") / "var"
    env = {name: value for name, value in os.environ.items() if not name.startswith("LIUHEN_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "server.launch", "--demo", "--port", str(free_port())],
        cwd=_ROOT,
        env={**env, "LIUHEN_DATA": str(folder), "LIUHEN_RECORDINGS_STOP_PERCENT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = []
        deadline = time.monotonic() + _PATIENCE_S
        while not any("Press Ctrl-C" in line for line in said):
            line = process.stdout.readline()
            said.append(line)
            assert line, "".join(said)
            assert time.monotonic() < deadline, "".join(said)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    return json.loads((folder / "demo.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def data(demo):
    return Path(demo["package"]).read_bytes()


def _verify(path, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "sync.evidence.verify_cli", str(path), "--json", *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout)


def _failed(answer):
    return [claim for claim in answer["claims"] if claim["verdict"] == "FAIL"]


def test_what_was_printed_stands_in_a_file_for_the_owner_alone(demo):
    file = Path(demo["package"]).parents[1] / "demo.json"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    roles = {role for user in demo["users"] for role in user["roles"]}
    assert roles == {"officer", "reviewer", "leader", "administrator", "supervisor"}
    assert len({user["password"] for user in demo["users"]}) == len(demo["users"]) == 6


def test_both_devices_have_handed_in_everything(demo):
    for folder in demo["devices"]:
        with Device.open(Path(folder)) as device:
            status = device.status()

        assert (status.lines_unsent, status.media_unsent, status.alarms) == (0, 0, ()), folder


def test_the_package_passes_with_the_bureaus_key(demo):
    status, answer = _verify(demo["package"], "--key", demo["ledger_key"])

    assert (status, answer["verdict"]) == (0, "PASS")
    assert {"trust.key_known", "outside.sidecar", "duties.separate"} <= {
        claim["code"] for claim in answer["claims"] if claim["verdict"] == "PASS"
    }


def test_the_package_passes_the_verifier_that_it_carries(demo, tmp_path):
    with zipfile.ZipFile(demo["package"]) as package:
        package.extract("verify/liuhen_verify.py", tmp_path)

    done = subprocess.run(
        [sys.executable, "-I", "-S", tmp_path / "verify/liuhen_verify.py", demo["package"]],
        cwd=tmp_path,
        env={},
        capture_output=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout.decode()
    assert "PASS" in done.stdout.decode()


def test_a_flipped_byte_fails_and_names_its_file(data, tmp_path):
    path = tmp_path / "flipped.zip"
    layout = read_layout(io.BytesIO(data))
    for member, start in list(zip(layout.members, layout.starts, strict=True))[::3]:
        flipped = bytearray(data)
        flipped[start + member.size // 2] ^= 1
        path.write_bytes(flipped)

        status, answer = _verify(path)

        assert status == 1, member.name
        assert member.name in {claim.get("file") for claim in _failed(answer)}


def test_a_journal_line_taken_out_is_named(demo, data, tmp_path):
    path = tmp_path / "shortened.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        files = {name: package.read(name) for name in package.namelist()}
    journal = next(name for name in files if name.startswith("data/journal/"))
    lines = files[journal].splitlines(keepends=True)
    place = json.loads(lines[3])["e"]
    files[journal] = b"".join(lines[:3] + lines[4:])
    packed = [PackageFile.of(name, body) for name, body in files.items()]
    path.write_bytes(b"".join(write_package(packed)))

    status, answer = _verify(path)

    missing = [claim for claim in _failed(answer) if claim["code"] == "journal.missing"]
    assert status == 1
    assert [(c["device"], c["epoch"], c["seq"]) for c in missing] == [
        (place["device"], place["epoch"], 3)
    ]


def test_the_camera_with_the_wrong_date_shows_in_the_report(demo):
    with zipfile.ZipFile(demo["package"]) as package:
        report = package.read("report/report.html").decode()

    assert "各时间来源不一致" in report
    assert "误触快门" in report


def test_the_partys_credit_code_has_the_right_check_character(data):
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        index = json.loads(package.read("data/case-index.json"))
    code = index["inspection"]["entity"]["uscc"]

    total = sum(_USCC_ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))

    assert code[17] == _USCC_ALPHABET[(31 - total) % 31]
