"""A package in volumes verifies as the one file it was, and a lacking volume is no whole one."""

import shutil
import subprocess
import sys

import pytest

from sync.evidence.verifier import verify_package
from sync.evidence.verifier_claims import Verdict
from sync.evidence.verifier_source import PackageUnusable
from sync.evidence.verifier_volumes import open_whole
from tests.support.small_package import build_small_package


@pytest.fixture(scope="module")
def data():
    return build_small_package().pack()


@pytest.fixture
def cut(data, tmp_path):
    """The package in volumes of ``step`` bytes; the path of the first."""

    def run(step):
        for number, start in enumerate(range(0, len(data), step), start=1):
            (tmp_path / f"X.zip.{number:03}").write_bytes(data[start : start + step])
        return tmp_path / "X.zip.001"

    return run


@pytest.mark.parametrize("step", [997, 5000, 1 << 20])
def test_volumes_are_read_as_one_file(cut, data, step, tmp_path):
    whole = tmp_path / "Y.zip"
    whole.write_bytes(data)

    found, expected = verify_package(str(cut(step))), verify_package(str(whole))

    assert found.verdict is Verdict.PASS
    assert [claim.code for claim in found.claims] == [claim.code for claim in expected.claims]
    with open_whole(str(tmp_path / "X.zip")) as file:
        assert file.read() == data


def test_a_volume_that_is_lacking_is_no_whole_package(cut, tmp_path):
    first = cut(5000)
    (tmp_path / "X.zip.003").unlink()

    assert verify_package(str(first)).verdict is Verdict.FAIL

    first.unlink()

    with pytest.raises(PackageUnusable):
        verify_package(str(first))


def test_the_command_takes_the_first_volume(cut, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "sync.evidence.verify_cli", str(cut(5000)), "--lang", "en"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_volumes_that_were_packed_again_by_another_tool_are_read_too(cut, data, tmp_path):
    whole = tmp_path / "Y.zip"
    whole.write_bytes(data)
    shutil.unpack_archive(whole, tmp_path / "open")
    again = shutil.make_archive(str(tmp_path / "Z"), "zip", tmp_path / "open")
    packed = (tmp_path / "Z.zip").read_bytes()
    assert again
    for number, start in enumerate(range(0, len(packed), 5000), start=1):
        (tmp_path / f"W.zip.{number:03}").write_bytes(packed[start : start + 5000])

    result = verify_package(str(tmp_path / "W.zip.001"))

    failed = {claim.code for claim in result.claims if claim.verdict is Verdict.FAIL}
    assert "container.foreign" in failed
    assert {code.partition(".")[0] for code in failed} == {"container"}
