"""The real application over both databases."""

import pytest

from tests.support.team import Team
from tests.support.world import make_world


@pytest.fixture
def world(database_url, tmp_path):
    """An installed application; the object store is not reachable in it."""
    return make_world(database_url, tmp_path / "var")


@pytest.fixture
def team(world):
    """A device on patrol with one open inspection."""
    return Team(world)
