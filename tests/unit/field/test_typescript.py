"""The field app's own checks: strict types, and its tests, which read tests/vectors too."""

import re

import pytest

from tests.support.fieldapp import node

PROJECTS = ("tsconfig.json", "tsconfig.worker.json", "tsconfig.node.json")


@pytest.mark.parametrize("project", PROJECTS)
def test_the_types_of_the_field_app_hold(project):
    node("node_modules/typescript/bin/tsc", "--noEmit", "-p", project)


def test_the_field_app_passes_its_own_tests_and_leaves_none_out():
    said = node("node_modules/vitest/vitest.mjs", "run", "--no-color", "--reporter=verbose")

    print(said)  # Seen with -s, and where something fails.
    assert re.search(r"Tests +\d+ passed \(\d+\)", said)
