"""Vectors made by others (docs/evidence.md §8); collected only where ``LIUHEN_VECTORS`` is.

Whatever the folder holds in these formats is run, so a further folder can be
tried by pointing the variable at it.
"""

import base64
import json
import os
from pathlib import Path

import pytest

from sync.evidence import canonical, merkle, p256
from sync.evidence.errors import NotCanonical

REPOSITORY = Path(__file__).parents[3]
FOLDER = Path(os.environ.get("LIUHEN_VECTORS", REPOSITORY.parent / "shared/data/vectors"))


def _files(pattern):
    return sorted(FOLDER.glob(pattern))


def _name(value):
    return value.relative_to(FOLDER).as_posix() if isinstance(value, Path) else None


def _signatures():
    for path in _files("p256/*_p1363_test.json"):
        for group in json.loads(path.read_text("utf-8"))["testGroups"]:
            for case in group["tests"]:
                name = f"{path.stem}-{case['tcId']}"
                yield pytest.param(group["publicKeyDer"], case, id=name)


if FOLDER.is_dir():

    @pytest.mark.parametrize("path", _files("rfc6962/inclusion/**/*.json"), ids=_name)
    def test_an_inclusion_proof_of_others_is_judged_as_they_judge_it(path):
        case = json.loads(path.read_text("utf-8"))

        good = _accepts(
            merkle.verify_inclusion,
            _bytes(case["leafHash"]),
            index=case["leafIdx"],
            size=case["treeSize"],
            path=_path(case["proof"]),
            root=_bytes(case["root"]),
        )

        assert good is not case["wantErr"]
        checker = merkle.InclusionChecker(case["treeSize"], _bytes(case["root"]))
        leaf, proof = _bytes(case["leafHash"]), tuple(_path(case["proof"]))
        assert _accepts(checker.check, leaf, index=case["leafIdx"], path=proof) is good

    @pytest.mark.parametrize("path", _files("rfc6962/consistency/**/*.json"), ids=_name)
    def test_a_consistency_proof_of_others_is_judged_as_they_judge_it(path):
        case = json.loads(path.read_text("utf-8"))

        good = _accepts(
            merkle.verify_consistency,
            first=case["size1"],
            second=case["size2"],
            first_root=_bytes(case["root1"]),
            second_root=_bytes(case["root2"]),
            path=_path(case["proof"]),
        )

        assert good is not case["wantErr"]

    @pytest.mark.parametrize(("key", "case"), list(_signatures()))
    def test_a_signature_of_others_is_judged_as_they_judge_it(key, case):
        """ "acceptable" means that standards differ; then either answer passes."""
        public_key = p256.parse_spki(bytes.fromhex(key))

        good = p256.verify(public_key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))

        assert case["result"] == "acceptable" or good is (case["result"] == "valid")

    @pytest.mark.parametrize("path", _files("jcs/output/*.json"), ids=_name)
    def test_canonical_json_of_others_is_ours_or_outside_our_narrower_profile(path):
        expected = path.read_bytes().rstrip(b"\n")
        # "56.0" in an input is 56 in RFC 8785; to our profile only the latter is a number.
        text = (FOLDER / "jcs/input" / path.name).read_text("utf-8")
        value = json.loads(text, parse_float=_whole_or_float)

        if _in_profile(value):
            assert canonical.dumps(value) == expected
            assert canonical.loads(expected) == value
        else:
            with pytest.raises(NotCanonical):
                canonical.loads(expected)


def _accepts(check, *args, **values):
    try:
        check(*args, **values)
    except merkle.ProofInvalid:
        return False
    return True


def _bytes(text):
    return base64.b64decode(text or "")


def _path(proof):
    return [_bytes(text) for text in proof or ()]


def _whole_or_float(text):
    number = float(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _in_profile(value):
    """The profile of docs/protocol.md §4.1, told again apart from the code under test."""
    match value:
        case None | float():
            return False
        case bool() | str():
            return True
        case int():
            return abs(value) < 2**53
        case list():
            return all(map(_in_profile, value))
        case dict():
            return all(key.isascii() and _in_profile(item) for key, item in value.items())
