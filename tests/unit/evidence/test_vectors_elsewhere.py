"""The vectors of others once more: in the server's own checks, and inside the stand-alone file."""

import json
import subprocess
import sys

import pytest

from server.failures import KeyInvalid
from server.signatures import verifier
from sync.evidence import standalone
from tests.support import vectors_of_others
from tests.unit.evidence.test_loaders import write_all
from tests.unit.evidence.test_third_party_vectors import FOLDER

#: Loads the single file, takes its modules, and prints every case that it judges otherwise.
_DRIVER = """
import importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("liuhen_verify", sys.argv[1])
single = importlib.util.module_from_spec(spec)
spec.loader.exec_module(single)
sys.meta_path.insert(0, single.Loader())
spec = importlib.util.spec_from_file_location("loaders", sys.argv[2])
loaders = sys.modules["loaders"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loaders)
cases = list(loaders.cases(pathlib.Path(sys.argv[3])))
wrong = [case.name for case in cases if case.run() is not case.wanted]
print(json.dumps({"count": len(cases), "wrong": wrong}))
"""


def judged_by_the_single_file(tmp_path, folder):
    single, driver = tmp_path / "liuhen_verify.py", tmp_path / "driver.py"
    single.write_bytes(standalone.build())
    driver.write_text(_DRIVER)
    done = subprocess.run(
        [sys.executable, "-I", "-S", driver, single, vectors_of_others.__file__, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_formats_of_others_are_judged_alike_inside_the_single_file(tmp_path):
    folder = tmp_path / "vectors"
    made = write_all(folder)

    assert judged_by_the_single_file(tmp_path, folder) == {"count": made, "wrong": []}


if FOLDER.is_dir():

    def test_the_single_file_judges_every_vector_as_its_makers_do(tmp_path):
        outcome = judged_by_the_single_file(tmp_path, FOLDER.resolve())

        assert outcome["wrong"] == []
        assert outcome["count"] >= 196 + 262 + 6

    @pytest.mark.parametrize("path", sorted(FOLDER.glob("p256/*_p1363_test.json")))
    def test_the_server_judges_every_signature_as_its_makers_do(path):
        for group in json.loads(path.read_text("utf-8"))["testGroups"]:
            verify = verifier(bytes.fromhex(group["publicKeyDer"]))
            for case in group["tests"]:
                good = verify(bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
                expected = case["result"] == "valid"
                assert case["result"] == "acceptable" or good is expected, case["tcId"]


def test_a_key_of_another_curve_or_spelling_is_no_key_here():
    for spki in (b"", b"0", bytes(91), bytes.fromhex("302a300506032b6570032100") + bytes(32)):
        with pytest.raises(KeyInvalid):
            verifier(spki)
