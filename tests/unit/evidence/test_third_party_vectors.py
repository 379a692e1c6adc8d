"""Vectors made by others (docs/evidence.md §9); collected only where ``LIUHEN_VECTORS`` is.

Whatever the folders hold in the known formats is run, so further ones can be
tried by naming them in the variable.
"""

import os
from pathlib import Path

import pytest

from tests.support.vectors_of_others import cases

REPOSITORY = Path(__file__).parents[3]
FOLDER = REPOSITORY.parent / "shared/data/vectors"
FOLDERS = [Path(name) for name in os.environ.get("LIUHEN_VECTORS", str(FOLDER)).split(os.pathsep)]
CASES = [case for folder in FOLDERS if folder.is_dir() for case in cases(folder)]

if CASES:

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
    def test_a_vector_of_others_is_judged_as_its_makers_judge_it(case):
        assert case.run() is case.wanted


if FOLDERS == [FOLDER] and FOLDER.is_dir():

    def test_none_of_the_known_vectors_is_passed_over():
        counts = {
            start: sum(case.name.startswith(start) for case in CASES)
            for start in ("rfc6962/inclusion", "rfc6962/consistency", "p256", "jcs")
        }

        # Each inclusion proof is judged alone and among others under its root.
        assert counts["rfc6962/inclusion"] // 2 + counts["rfc6962/consistency"] == 196
        assert counts["p256"] == 262
        assert counts["jcs"] == 6
