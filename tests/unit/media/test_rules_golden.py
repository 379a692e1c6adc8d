"""Every version of the rules finds, byte for byte, what it found when it was written.

A rule of the newest version may change until a release has it:
``python -m tests.support.make_rule_vectors`` then writes what it finds now.
"""

import json

import pytest

from media.findings.rules import RULES
from tests.support.make_rule_vectors import PATH, found

VECTOR = json.loads(PATH.read_text("utf-8"))


@pytest.mark.parametrize("version", RULES)
def test_a_version_of_the_rules_finds_the_same_for_ever(version):
    assert len(VECTOR["cases"]) >= 100
    for case in VECTOR["cases"]:
        now, then = found(VECTOR, case, version), case["found"][version]

        assert now["gist"] == then["gist"], case["name"]
        assert now["sha256"] == then["sha256"], case["name"]


@pytest.mark.parametrize(("version", "codes"), [("2", 7), ("3", 25)])
def test_the_cases_reach_most_of_what_a_version_can_find(version, codes):
    reached = {
        line.partition(" ")[0]
        for case in VECTOR["cases"]
        for line in case["found"][version]["gist"]
    }

    assert len(reached) >= codes
