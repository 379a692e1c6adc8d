"""Fixtures that every test may ask for."""

import json
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.services"]

_VECTORS = Path(__file__).parent / "vectors"


@pytest.fixture(scope="session")
def vectors():
    """Reads a file of tests/vectors by name."""
    return lambda name: json.loads((_VECTORS / name).read_text(encoding="utf-8"))
