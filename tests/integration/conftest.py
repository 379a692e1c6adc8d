"""The real application over both databases."""

import pytest

from tests.support.stores import MemoryStore
from tests.support.team import Team
from tests.support.uploading import open_bureau
from tests.support.world import make_world


@pytest.fixture
def world(database_url, tmp_path):
    """An installed application; the object store is not reachable in it."""
    return make_world(database_url, tmp_path / "var")


@pytest.fixture
def team(world):
    """A device on patrol with one open inspection."""
    return Team(world)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def clock():
    """The server's clock in the tests of uploads, in ms."""
    return {"ms": 1_800_000_000_000}


@pytest.fixture
def bureau(tmp_path, database_url, store, clock):
    """A bureau that takes uploads over ``store``, at the time that ``clock`` shows."""
    return open_bureau(tmp_path, database_url, store, clock)
