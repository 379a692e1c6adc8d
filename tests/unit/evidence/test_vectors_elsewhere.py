"""The vectors of others once more: in the server's own checks, and inside the stand-alone file."""

import json
import subprocess
import sys

import pytest

from server.failures import KeyInvalid
from server.signatures import verifier
from sync.evidence import standalone
from tests.unit.evidence.test_third_party_vectors import FOLDER

#: Loads the single file, takes its modules, and prints every case that it judges otherwise.
_DRIVER = """
import base64, importlib.util, json, pathlib, sys
spec = importlib.util.spec_from_file_location("liuhen_verify", sys.argv[1])
single = importlib.util.module_from_spec(spec)
spec.loader.exec_module(single)
sys.meta_path.insert(0, single.Loader())
from sync.evidence import canonical, merkle, p256
from sync.evidence.errors import NotCanonical

folder = pathlib.Path(sys.argv[2])
wrong, count = [], 0

def raw(text):
    return base64.b64decode(text or "")

def accepts(check, *args, **values):
    try:
        check(*args, **values)
    except merkle.ProofInvalid:
        return False
    return True

for path in sorted(folder.glob("rfc6962/*/**/*.json")):
    case = json.loads(path.read_text("utf-8"))
    proof = [raw(text) for text in case["proof"] or ()]
    if "leafHash" in case:
        good = accepts(merkle.verify_inclusion, raw(case["leafHash"]), index=case["leafIdx"],
                       size=case["treeSize"], path=proof, root=raw(case["root"]))
    else:
        good = accepts(merkle.verify_consistency, first=case["size1"], second=case["size2"],
                       first_root=raw(case["root1"]), second_root=raw(case["root2"]), path=proof)
    count += 1
    if good is case["wantErr"]:
        wrong.append(str(path))
for path in sorted(folder.glob("p256/*_p1363_test.json")):
    for group in json.loads(path.read_text("utf-8"))["testGroups"]:
        key = p256.parse_spki(bytes.fromhex(group["publicKeyDer"]))
        for case in group["tests"]:
            good = p256.verify(key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            count += 1
            if case["result"] != "acceptable" and good is not (case["result"] == "valid"):
                wrong.append("%s %d" % (path, case["tcId"]))
for path in sorted(folder.glob("jcs/output/*.json")):
    data = path.read_bytes().rstrip(b"\\n")
    count += 1
    try:
        if canonical.dumps(canonical.loads(data)) != data:
            wrong.append(str(path))
    except NotCanonical:
        pass
print(json.dumps({"count": count, "wrong": wrong}))
"""

if FOLDER.is_dir():

    def test_the_single_file_judges_every_vector_as_its_makers_do(tmp_path):
        single = tmp_path / "liuhen_verify.py"
        single.write_bytes(standalone.build())
        (tmp_path / "driver.py").write_text(_DRIVER)

        done = subprocess.run(
            [sys.executable, "-I", "-S", tmp_path / "driver.py", single, FOLDER.resolve()],
            capture_output=True,
            text=True,
            check=True,
        )

        outcome = json.loads(done.stdout)
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
